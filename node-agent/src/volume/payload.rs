//! The files of volumes that are made from API objects: configMap, secret, downwardAPI, projected.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{
        ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccount,
        ServiceAccountTokenProjection, Volume,
    },
};
use kube::{Api, api::PostParams};

use super::atomic::Files;
use crate::{
    agent::Agent,
    causes::chain,
    env::field,
    pod::model::{name, namespace, uid},
};

/// Whether a volume is made from objects.
pub(super) fn is_payload(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// Whether it may hold secrets.
pub(super) fn is_secret(volume: &Volume) -> bool {
    volume.secret.is_some() || volume.projected.is_some()
}

/// The files of a volume as its objects are now.
pub(super) async fn collect(agent: &Agent, pod: &Pod, volume: &Volume) -> Result<Files, String> {
    if let Some(source) = &volume.config_map {
        let mode = mode(source.default_mode);
        return config_map(
            agent,
            pod,
            &source.name,
            source.items.as_deref(),
            source.optional,
            mode,
        )
        .await;
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        return secret(
            agent,
            pod,
            name,
            source.items.as_deref(),
            source.optional,
            mode(source.default_mode),
        )
        .await;
    }
    if let Some(source) = &volume.downward_api {
        return downward(agent, pod, source.items.as_deref(), mode(source.default_mode));
    }
    let Some(projected) = &volume.projected else {
        return Ok(Files::new());
    };
    let mode = mode(projected.default_mode);
    let parts = projected.sources.iter().flatten().map(|source| async move {
        if let Some(part) = &source.config_map {
            return config_map(agent, pod, &part.name, part.items.as_deref(), part.optional, mode).await;
        }
        if let Some(part) = &source.secret {
            return secret(agent, pod, &part.name, part.items.as_deref(), part.optional, mode).await;
        }
        if let Some(part) = &source.downward_api {
            return downward(agent, pod, part.items.as_deref(), mode);
        }
        if let Some(part) = &source.service_account_token {
            return Ok([(
                part.path.clone(),
                (token(agent, pod, part).await?.into_bytes(), token_mode(pod, mode)),
            )]
            .into());
        }
        Err("this kind of projected source is not supported".into())
    });
    let parts: Vec<Files> = futures::future::try_join_all(parts).await?;
    Ok(parts.into_iter().flatten().collect())
}

fn mode(wanted: Option<i32>) -> u32 {
    u32::try_from(wanted.unwrap_or(0o644)).unwrap_or(0o644) & 0o777
}

/// A token is for the pod's user only, when there is a single one. Source: Kubernetes, "Projected Volumes".
fn token_mode(pod: &Pod, mode: u32) -> u32 {
    let grouped = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.as_ref())
        .is_some_and(|security| security.fs_group.is_some());
    if grouped { 0o640 } else { mode }
}

async fn config_map(
    agent: &Agent,
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
) -> Result<Files, String> {
    let optional = optional == Some(true);
    let api: Api<ConfigMap> = Api::namespaced(agent.client.clone(), namespace(pod));
    match api.get_opt(name).await.map_err(|error| chain(&error))? {
        Some(object) => {
            let text = object
                .data
                .into_iter()
                .flatten()
                .map(|(key, value)| (key, value.into_bytes()));
            let binary = object
                .binary_data
                .into_iter()
                .flatten()
                .map(|(key, value)| (key, value.0));
            let what = format!("configmap {}/{name}", namespace(pod));
            select(text.chain(binary).collect(), items, optional, mode, &what)
        }
        None if optional => Ok(Files::new()),
        None => Err(format!("configmap \"{name}\" not found")),
    }
}

async fn secret(
    agent: &Agent,
    pod: &Pod,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
) -> Result<Files, String> {
    let optional = optional == Some(true);
    let api: Api<Secret> = Api::namespaced(agent.client.clone(), namespace(pod));
    match api.get_opt(name).await.map_err(|error| chain(&error))? {
        Some(object) => {
            let data = object
                .data
                .into_iter()
                .flatten()
                .map(|(key, value)| (key, value.0))
                .collect();
            select(
                data,
                items,
                optional,
                mode,
                &format!("secret {}/{name}", namespace(pod)),
            )
        }
        None if optional => Ok(Files::new()),
        None => Err(format!("secret \"{name}\" not found")),
    }
}

/// All keys under their names, or the chosen ones under theirs.
fn select(
    data: BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    optional: bool,
    mode: u32,
    what: &str,
) -> Result<Files, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(data
            .into_iter()
            .map(|(key, value)| (key, (value, mode)))
            .collect());
    };
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(value) => {
                let mode = item.mode.map_or(mode, |own| self::mode(Some(own)));
                files.insert(item.path.clone(), (value.clone(), mode));
            }
            None if optional => {}
            None => return Err(format!("references non-existent {what} key: {}", item.key)),
        }
    }
    Ok(files)
}

fn downward(
    agent: &Agent,
    pod: &Pod,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: u32,
) -> Result<Files, String> {
    let facts = agent.facts(Vec::new());
    let mut files = Files::new();
    for item in items.into_iter().flatten() {
        let text = if let Some(reference) = &item.field_ref {
            field::pod(pod, &reference.field_path, &facts)?
        } else if let Some(reference) = &item.resource_field_ref {
            field::resource(pod, &Container::default(), reference, &facts)?
        } else {
            String::new()
        };
        let mode = item.mode.map_or(mode, |own| self::mode(Some(own)));
        files.insert(item.path.clone(), (text.into_bytes(), mode));
    }
    Ok(files)
}

/// A token for the pod's service account, bound to the pod; kept until four fifths of its life are over.
async fn token(agent: &Agent, pod: &Pod, wanted: &ServiceAccountTokenProjection) -> Result<String, String> {
    let account = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.service_account_name.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "default".into());
    let audience = wanted.audience.clone().unwrap_or_default();
    let key = format!(
        "{}/{account}/{audience}/{}",
        uid(pod),
        wanted.expiration_seconds.unwrap_or(0)
    );
    let now = jiff::Timestamp::now();
    if let Some((token, renew_at)) = agent.tokens.lock().get(&key)
        && *renew_at > now
    {
        return Ok(token.clone());
    }
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: (!audience.is_empty()).then(|| vec![audience]),
            expiration_seconds: Some(wanted.expiration_seconds.unwrap_or(3600)),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: Some(name(pod).into()),
                uid: Some(uid(pod).into()),
            }),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(agent.client.clone(), namespace(pod));
    let answer = api
        .create_token_request(&account, &PostParams::default(), &request)
        .await
        .map_err(|error| format!("failed to fetch token: {}", chain(&error)))?;
    let status = answer.status.unwrap_or_default();
    let token = status
        .token
        .ok_or("failed to fetch token: no token in the answer")?;
    let life = status
        .expiration_timestamp
        .map_or(jiff::SignedDuration::ZERO, |at| at.0.duration_since(now));
    let renew_at = now.checked_add(life * 4 / 5).unwrap_or(now);
    let mut tokens = agent.tokens.lock();
    // Tokens of pods that are gone go with their renewal time.
    tokens.retain(|_, (_, renew_at)| *renew_at > now);
    tokens.insert(key, (token.clone(), renew_at));
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, path: &str, mode: Option<i32>) -> KeyToPath {
        KeyToPath {
            key: key.into(),
            path: path.into(),
            mode,
            ..KeyToPath::default()
        }
    }

    #[test]
    fn items_choose_keys_paths_and_modes() {
        let data = || [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())].into();
        let all = select(data(), None, false, 0o644, "x").expect("all");
        assert_eq!(all.len(), 2);
        let one = select(data(), Some(&[item("a", "d/f", Some(0o400))]), false, 0o644, "x").expect("one");
        assert_eq!(one["d/f"], (b"1".to_vec(), 0o400));
        let missing = [item("z", "z", None)];
        assert!(select(data(), Some(&missing), false, 0o644, "configmap n/m").is_err());
        assert!(
            select(data(), Some(&missing), true, 0o644, "x")
                .expect("optional")
                .is_empty()
        );
    }
}

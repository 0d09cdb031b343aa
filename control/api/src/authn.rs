//! Who is it? The certificate of the connection, a bearer token, or nobody; then impersonation.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, header};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use skiff_auth::{Attributes, User, token::Verified};

use crate::{
    authz,
    registry::{Registry, meta},
    status::Status,
};

/// Tokens whose signature was checked: checking one costs more than the rest of a small request.
#[derive(Default)]
pub(crate) struct TokenCache {
    known: Mutex<HashMap<[u8; 32], Arc<Verified>>>,
}

/// How many tokens are remembered.
const REMEMBERED: usize = 4096;

impl TokenCache {
    /// Verifies a token: signature, times, and that what it is bound to still exists.
    pub(crate) fn verify(&self, registry: &Registry, token: &str) -> Result<Arc<Verified>, Status> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = meta::now();
        let known = self.known.lock().get(&digest).cloned();
        let still = |v: &Arc<Verified>| v.expires_at > now && registry.tokens().has_key(&v.key_id);
        let verified = match known.filter(still) {
            Some(verified) => verified,
            None => {
                let verified = registry.tokens().verify(token, now).map_err(|error| {
                    tracing::debug!(%error, "a token was refused");
                    Status::unauthorized()
                })?;
                let verified = Arc::new(verified);
                let mut known = self.known.lock();
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(digest, verified.clone());
                verified
            }
        };
        still_there(registry, &verified)?;
        Ok(verified)
    }
}

/// Whether the service account, and the pod or secret a token is bound to, exist with the same uid.
fn still_there(registry: &Registry, verified: &Verified) -> Result<(), Status> {
    let request = &verified.request;
    let check = |plural: &str, name: &str, uid: &str| {
        let found = registry.peek("", plural, &request.namespace, name);
        match found {
            Some(object) if uid.is_empty() || meta::uid(&object) == uid => Ok(()),
            _ => {
                tracing::debug!(plural, name, "what a token is bound to is gone");
                Err(Status::unauthorized())
            }
        }
    };
    check(
        "serviceaccounts",
        &request.service_account,
        &request.service_account_uid,
    )?;
    if let Some((name, uid)) = &request.pod {
        check("pods", name, uid)?;
    }
    if let Some((name, uid)) = &request.secret {
        check("secrets", name, uid)?;
    }
    Ok(())
}

/// The user of a request, before impersonation. `certificate` is the user of the connection's certificate.
///
/// # Errors
/// 401 for a token that is not valid.
pub(crate) fn authenticate(
    registry: &Registry,
    cache: &TokenCache,
    headers: &HeaderMap,
    certificate: Option<&User>,
) -> Result<User, Status> {
    if let Some(user) = certificate {
        return Ok(user.clone());
    }
    let Some(authorization) = headers.get(header::AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = authorization
        .to_str()
        .ok()
        .and_then(|a| a.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(Status::unauthorized)?;
    let verified = cache.verify(registry, token)?;
    if !verified.audiences.iter().any(|a| a == registry.tokens().issuer()) {
        return Err(Status::unauthorized());
    }
    Ok(verified.user.clone())
}

/// The user a request is to be treated as (`Impersonate-*`).
///
/// # Errors
/// 403 when the user may not impersonate, 400 when the headers make no sense.
pub(crate) fn impersonate(registry: &Registry, user: User, headers: &HeaderMap) -> Result<User, Status> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let name = text("impersonate-user");
    let groups: Vec<&str> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let uid = text("impersonate-uid");
    let extras: Vec<(String, &str)> = headers
        .iter()
        .filter_map(|(key, value)| {
            let key = key.as_str().strip_prefix("impersonate-extra-")?;
            Some((
                crate::request::query::percent_decode(key, false),
                value.to_str().ok()?,
            ))
        })
        .collect();
    if name.is_empty() {
        if groups.is_empty() && uid.is_empty() && extras.is_empty() {
            return Ok(user);
        }
        return Err(Status::bad_request(
            "requested impersonation without specifying a user to impersonate",
        ));
    }
    let ask = |what: Attributes<'_>| {
        let what = Attributes {
            verb: "impersonate",
            ..what
        };
        match registry.authorize(&user, &what) {
            skiff_auth::Decision::Allow(_) => Ok(()),
            skiff_auth::Decision::NoOpinion(why) => Err(authz::refusal_for(&user, &what, &why)),
        }
    };
    let account = name
        .strip_prefix("system:serviceaccount:")
        .and_then(|n| n.split_once(':'));
    match account {
        Some((namespace, name)) => ask(Attributes {
            resource: "serviceaccounts",
            namespace,
            name,
            ..Attributes::default()
        })?,
        None => ask(Attributes {
            resource: "users",
            name,
            ..Attributes::default()
        })?,
    }
    for group in &groups {
        ask(Attributes {
            resource: "groups",
            name: group,
            ..Attributes::default()
        })?;
    }
    for (key, value) in &extras {
        ask(Attributes {
            group: "authentication.k8s.io",
            resource: "userextras",
            subresource: key,
            name: value,
            ..Attributes::default()
        })?;
    }
    if !uid.is_empty() {
        ask(Attributes {
            group: "authentication.k8s.io",
            resource: "uids",
            name: uid,
            ..Attributes::default()
        })?;
    }
    let mut impersonated = User {
        name: name.to_owned(),
        uid: uid.to_owned(),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        ..User::default()
    };
    if let (Some((namespace, _)), true) = (account, groups.is_empty()) {
        impersonated.groups = vec![
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}"),
        ];
    }
    let implied = if name == "system:anonymous" {
        "system:unauthenticated"
    } else {
        "system:authenticated"
    };
    if !impersonated.is_in(implied) && !impersonated.is_in("system:unauthenticated") {
        impersonated.groups.push(implied.into());
    }
    for (key, value) in extras {
        impersonated.extra.entry(key).or_default().push(value.to_owned());
    }
    Ok(impersonated)
}

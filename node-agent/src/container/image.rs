//! What a container runs: an image under its pull policy, or a plain OCI bundle (`image: bundle:///path`).

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use kube::Api;
use serde::Deserialize;
use skiff_image::{Credentials, Image};

use crate::{
    agent::Agent,
    causes::chain,
    pod::model::{self, Kind},
};

/// Scheme of images that are directories on this node with a `config.json` and a root file system.
const BUNDLE: &str = "bundle://";

/// What was found.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An image of the store.
    Image(Box<Image>),
    /// A bundle directory with its configuration.
    Bundle {
        /// Root file system.
        rootfs: PathBuf,
        /// Its `config.json`.
        spec: Box<oci_spec::runtime::Spec>,
    },
}

impl Source {
    /// As `imageID` in the status.
    pub fn id(&self) -> String {
        match self {
            Self::Image(image) => image.digests.first().unwrap_or(&image.id).clone(),
            Self::Bundle { rootfs, .. } => format!("{BUNDLE}{}", rootfs.display()),
        }
    }
}

/// Why there is no image: reason and message of the waiting container.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    /// `ErrImagePull`, `ErrImageNeverPull`, `InvalidImageName`, …
    pub reason: &'static str,
    /// Text for the status.
    pub message: String,
}

/// Finds or pulls the image of a container, with the kubelet's events.
pub(crate) async fn ensure(agent: &Agent, pod: &Pod, container: &Container) -> Result<Source, Missing> {
    let name = container.image.clone().unwrap_or_default();
    if let Some(path) = name.strip_prefix(BUNDLE) {
        return bundle(PathBuf::from(path));
    }
    let field = Some(field(container, pod));
    let policy = container.image_pull_policy.as_deref().unwrap_or("IfNotPresent");
    if policy != "Always" {
        let store = agent.images.clone();
        let reference = name.clone();
        let found = tokio::task::spawn_blocking(move || store.find(&reference)).await;
        match found {
            Ok(Ok(Some(image))) => {
                let text = format!(
                    "Container image \"{name}\" already present on machine and can be accessed by the pod"
                );
                agent.events.pod(pod, field, false, "Pulled", text);
                return Ok(Source::Image(Box::new(image)));
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Err(failed(agent, pod, field, &name, &error)),
            Err(error) => {
                return Err(Missing {
                    reason: "ImageInspectError",
                    message: error.to_string(),
                });
            }
        }
        if policy == "Never" {
            let message = format!("Container image \"{name}\" is not present with pull policy of Never");
            agent
                .events
                .pod(pod, field.clone(), true, "ErrImageNeverPull", message.clone());
            refused(agent, pod, field, "ErrImageNeverPull");
            return Err(Missing {
                reason: "ErrImageNeverPull",
                message,
            });
        }
    }
    agent.events.pod(
        pod,
        field.clone(),
        false,
        "Pulling",
        format!("Pulling image \"{name}\""),
    );
    let begin = Instant::now();
    let mut last = None;
    for credentials in credentials(agent, pod, &name).await {
        match agent.images.pull(&name, &credentials).await {
            Ok(image) => {
                let took = took(begin.elapsed());
                let text = format!(
                    "Successfully pulled image \"{name}\" in {took} ({took} including waiting). Image size: {} bytes.",
                    image.size
                );
                agent.events.pod(pod, field, false, "Pulled", text);
                return Ok(Source::Image(Box::new(image)));
            }
            Err(error @ skiff_image::Error::Denied { .. }) => last = Some(error),
            Err(error) => return Err(failed(agent, pod, field, &name, &error)),
        }
    }
    match last {
        Some(error) => Err(failed(agent, pod, field, &name, &error)),
        None => Err(Missing {
            reason: "ErrImagePull",
            message: "no credentials to try".into(),
        }),
    }
}

/// The field an event about a container points to.
pub(crate) fn field(container: &Container, pod: &Pod) -> String {
    let kind = model::containers(pod)
        .into_iter()
        .find(|(_, other)| other.name == container.name)
        .map(|(kind, _)| kind);
    let list = match kind {
        Some(Kind::Init | Kind::Sidecar) => "initContainers",
        Some(Kind::Ephemeral) => "ephemeralContainers",
        Some(Kind::Main) | None => "containers",
    };
    format!("spec.{list}{{{}}}", container.name)
}

/// A span of time as Go prints it, to the millisecond: `203ms`, `1.5s`, `1m45.457s`.
fn took(span: Duration) -> String {
    let ms = span.as_millis();
    let (minutes, ms) = (ms / 60_000, ms % 60_000);
    match (minutes, ms) {
        (0, 0) => "0s".into(),
        (0, 1..1000) => format!("{ms}ms"),
        (0, _) => format!("{}s", Decimal(ms)),
        (minutes, ms) => format!("{minutes}m{}s", Decimal(ms)),
    }
}

/// Thousandths, written as a decimal number without zeros at its end.
struct Decimal(u128);

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

fn failed(
    agent: &Agent,
    pod: &Pod,
    field: Option<String>,
    name: &str,
    error: &skiff_image::Error,
) -> Missing {
    let message = chain(error);
    if let skiff_image::Error::InvalidName { .. } = error {
        let text = format!("Failed to apply default image tag \"{name}\": {message}");
        agent
            .events
            .pod(pod, field.clone(), true, "InspectFailed", text.clone());
        refused(agent, pod, field, "InvalidImageName");
        return Missing {
            reason: "InvalidImageName",
            message: text,
        };
    }
    let text = format!("Failed to pull image \"{name}\": {message}");
    agent.events.pod(pod, field.clone(), true, "Failed", text);
    refused(agent, pod, field, "ErrImagePull");
    Missing {
        reason: "ErrImagePull",
        message,
    }
}

/// The event that ends each vain attempt to have an image.
fn refused(agent: &Agent, pod: &Pod, field: Option<String>, reason: &str) {
    agent
        .events
        .pod(pod, field, true, "Failed", format!("Error: {reason}"));
}

fn bundle(path: PathBuf) -> Result<Source, Missing> {
    let bad = |message: String| Missing {
        reason: "InvalidImageName",
        message,
    };
    if !path.is_absolute() {
        return Err(bad(format!("{BUNDLE} wants an absolute path, not {path:?}")));
    }
    let file = path.join("config.json");
    let spec = oci_spec::runtime::Spec::load(&file).map_err(|error| Missing {
        reason: "ErrImagePull",
        message: format!("{file:?}: {}", chain(&error)),
    })?;
    let root = spec
        .root()
        .as_ref()
        .map_or_else(|| PathBuf::from("rootfs"), |root| root.path().clone());
    Ok(Source::Bundle {
        rootfs: path.join(root),
        spec: Box::new(spec),
    })
}

/// Credentials to try in order: those of the pod's pull secrets for this registry, then none.
async fn credentials(agent: &Agent, pod: &Pod, image: &str) -> Vec<Credentials> {
    let mut found = Vec::new();
    let secrets = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.image_pull_secrets.clone())
        .unwrap_or_default();
    for reference in secrets {
        let api: Api<Secret> = Api::namespaced(agent.client.clone(), model::namespace(pod));
        match api.get_opt(&reference.name).await {
            Ok(Some(secret)) => found.extend(from_secret(&secret, image)),
            Ok(None) | Err(_) => {
                let text = format!(
                    "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                    reference.name
                );
                agent
                    .events
                    .pod(pod, None, true, "FailedToRetrieveImagePullSecret", text);
            }
        }
    }
    found.push(Credentials::Anonymous);
    found
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

#[derive(Deserialize)]
struct DockerConfig {
    auths: std::collections::BTreeMap<String, Auth>,
}

/// The entries of a `dockerconfigjson` or `dockercfg` secret that are for the image's registry.
fn from_secret(secret: &Secret, image: &str) -> Vec<Credentials> {
    let data = secret.data.clone().unwrap_or_default();
    let auths = if let Some(text) = data.get(".dockerconfigjson") {
        serde_json::from_slice::<DockerConfig>(&text.0)
            .map(|config| config.auths)
            .unwrap_or_default()
    } else if let Some(text) = data.get(".dockercfg") {
        serde_json::from_slice(&text.0).unwrap_or_default()
    } else {
        return Vec::new();
    };
    // The longest key first: it is the most specific.
    let mut matching: Vec<_> = auths.into_iter().filter(|(key, _)| covers(key, image)).collect();
    matching.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    matching
        .into_iter()
        .filter_map(|(_, auth)| decode(auth))
        .collect()
}

fn decode(auth: Auth) -> Option<Credentials> {
    use base64::Engine as _;
    if !auth.username.is_empty() {
        return Some(Credentials::Basic(auth.username, auth.password));
    }
    let text = base64::engine::general_purpose::STANDARD
        .decode(auth.auth.trim())
        .ok()?;
    let text = String::from_utf8(text).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Basic(user.into(), password.into()))
}

/// Whether a key of a docker config (`https://host/v1/`, `host:5000`, `*.host/path`) covers an image.
fn covers(key: &str, image: &str) -> bool {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let key = key
        .strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key);
    let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
    let first = image.split('/').next().unwrap_or_default();
    let named = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let (host, path) = if named {
        image.split_once('/').unwrap_or((image, ""))
    } else {
        ("", image)
    };
    let default = skiff_image::default_registry().unwrap_or_default();
    // No host at all is that of the default registry.
    let reached = |host: &'_ str| -> String {
        let is_default = host.is_empty() || host == default.0;
        if is_default {
            default.1.clone()
        } else {
            host.to_owned()
        }
    };
    let (key_host, host) = (reached(key_host), reached(host));
    let host_matches = match key_host.strip_prefix("*.") {
        Some(suffix) => host.split_once('.').is_some_and(|(_, rest)| rest == suffix),
        None => host == key_host,
    };
    host_matches && path.starts_with(key_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_belong_to_their_registry() {
        assert!(covers(
            "https://registry.test:5000/v1/",
            "registry.test:5000/app:1"
        ));
        assert!(covers("*.registry.test", "a.registry.test/app"));
        assert!(!covers("registry.test", "other.test/app"));
        assert!(covers("registry.test/team", "registry.test/team/app"));
        assert!(!covers("registry.test/team", "registry.test/other/app"));
        let (_, reached) = skiff_image::default_registry().unwrap();
        assert!(covers(&format!("https://{reached}/v1/"), "nginx"));
    }

    #[test]
    fn spans_of_time_are_written_as_go_does() {
        for (ms, text) in [
            (0, "0s"),
            (203, "203ms"),
            (1000, "1s"),
            (1661, "1.661s"),
            (60_000, "1m0s"),
            (105_450, "1m45.45s"),
        ] {
            assert_eq!(took(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn events_point_to_the_list_their_container_is_in() {
        let pod: Pod = serde_json::from_value(serde_json::json!({"spec": {
            "initContainers": [{"name": "before"}, {"name": "beside", "restartPolicy": "Always"}],
            "containers": [{"name": "main"}],
            "ephemeralContainers": [{"name": "debugger"}],
        }}))
        .unwrap();
        let fields: Vec<String> = model::containers(&pod)
            .iter()
            .map(|(_, container)| field(container, &pod))
            .collect();
        assert_eq!(
            fields,
            [
                "spec.initContainers{before}",
                "spec.initContainers{beside}",
                "spec.containers{main}",
                "spec.ephemeralContainers{debugger}"
            ]
        );
    }

    #[test]
    fn credentials_come_from_both_forms_of_secret() {
        let config = serde_json::json!({"auths": {"r.test": {"auth": "dTpw"}}}).to_string();
        let data = [(
            ".dockerconfigjson".to_owned(),
            k8s_openapi::ByteString(config.into_bytes()),
        )];
        let secret = Secret {
            data: Some(data.into()),
            ..Secret::default()
        };
        assert_eq!(
            from_secret(&secret, "r.test/x"),
            vec![Credentials::Basic("u".into(), "p".into())]
        );
        assert!(from_secret(&secret, "s.test/x").is_empty());
    }
}

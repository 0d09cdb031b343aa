//! The environment and the command line of a container, in the order Kubernetes documents: the image's, service links,
//! `envFrom`, `env`; `$(NAME)` is expanded in values, command and arguments.

pub(crate) mod field;
pub(crate) mod links;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret};

/// What the environment depends on.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// Pod.
    pub pod: &'a Pod,
    /// Container.
    pub container: &'a Container,
    /// Service links.
    pub services: &'a BTreeMap<String, String>,
    /// Config maps referred to, by name; absent: not there.
    pub config_maps: &'a BTreeMap<String, ConfigMap>,
    /// Secrets referred to.
    pub secrets: &'a BTreeMap<String, Secret>,
    /// Facts of the node for fields.
    pub facts: &'a field::Facts,
}

/// Names of the config maps and secrets an environment refers to.
pub(crate) fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut maps, mut secrets) = (Vec::new(), Vec::new());
    for from in container.env_from.iter().flatten() {
        maps.extend(from.config_map_ref.iter().map(|r| r.name.clone()));
        secrets.extend(from.secret_ref.iter().map(|r| r.name.clone()));
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|var| var.value_from.as_ref())
    {
        maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
        secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
    }
    for list in [&mut maps, &mut secrets] {
        list.sort();
        list.dedup();
    }
    (maps, secrets)
}

/// Ordered variables: a later value replaces an earlier one in its place.
#[derive(Debug, Default)]
struct Variables {
    list: Vec<(String, String)>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.list.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.list.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.list
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The environment as ordered pairs, and what `$(NAME)` in the command line sees.
///
/// # Errors
/// The kubelet's words for a config map, secret or key that is missing: the container waits with
/// `CreateContainerConfigError`.
pub(crate) fn environment(input: &Input<'_>) -> Result<Vec<(String, String)>, String> {
    // What the pod gives; the image's variables are no part of expansion.
    let mut given = Variables::default();
    let namespace = input.pod.metadata.namespace.as_deref().unwrap_or("default");
    for from in input.container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            match input.config_maps.get(&reference.name) {
                Some(map) => {
                    for (key, value) in map.data.iter().flatten() {
                        given.set(&format!("{prefix}{key}"), value.clone());
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("configmap \"{}\" not found", reference.name)),
            }
        }
        if let Some(reference) = &from.secret_ref {
            match input.secrets.get(&reference.name) {
                Some(secret) => {
                    for (key, value) in secret.data.iter().flatten() {
                        given.set(
                            &format!("{prefix}{key}"),
                            String::from_utf8_lossy(&value.0).into_owned(),
                        );
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(format!("secret \"{}\" not found", reference.name)),
            }
        }
    }
    for variable in input.container.env.iter().flatten() {
        if let Some(value) = value_of(input, variable, &given, namespace)? {
            given.set(&variable.name, value);
        }
    }
    for (name, value) in input.services {
        if given.get(name).is_none() {
            given.set(name, value.clone());
        }
    }
    Ok(given.list)
}

/// The environment of the process: the image's first, then what the pod gives.
pub(crate) fn merged(image: &[String], given: &[(String, String)]) -> Vec<String> {
    let mut all = Variables::default();
    for variable in image {
        if let Some((name, value)) = variable.split_once('=') {
            all.set(name, value.to_owned());
        }
    }
    for (name, value) in given {
        all.set(name, value.clone());
    }
    if all.get("PATH").is_none() {
        all.set(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
        );
    }
    all.list
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn value_of(
    input: &Input<'_>,
    variable: &EnvVar,
    given: &Variables,
    namespace: &str,
) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else {
        let value = variable.value.as_deref().unwrap_or_default();
        let see = |name: &str| {
            given
                .get(name)
                .map(str::to_owned)
                .or_else(|| input.services.get(name).cloned())
        };
        return Ok(Some(expand(value, see)));
    };
    if let Some(reference) = &source.field_ref {
        return field::pod(input.pod, &reference.field_path, input.facts).map(Some);
    }
    if let Some(reference) = &source.resource_field_ref {
        return field::resource(input.pod, input.container, reference, input.facts).map(Some);
    }
    if let Some(reference) = &source.config_map_key_ref {
        let optional = reference.optional == Some(true);
        let value = input.config_maps.get(&reference.name).map(|map| {
            map.data
                .as_ref()
                .and_then(|data| data.get(&reference.key))
                .cloned()
        });
        return match value {
            Some(Some(value)) => Ok(Some(value)),
            _ if optional => Ok(None),
            Some(None) => Err(format!(
                "couldn't find key {} in ConfigMap {namespace}/{}",
                reference.key, reference.name
            )),
            None => Err(format!("configmap \"{}\" not found", reference.name)),
        };
    }
    if let Some(reference) = &source.secret_key_ref {
        let optional = reference.optional == Some(true);
        let value = input.secrets.get(&reference.name).map(|secret| {
            secret
                .data
                .as_ref()
                .and_then(|data| data.get(&reference.key))
                .cloned()
        });
        return match value {
            Some(Some(value)) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            _ if optional => Ok(None),
            Some(None) => Err(format!(
                "couldn't find key {} in Secret {namespace}/{}",
                reference.key, reference.name
            )),
            None => Err(format!("secret \"{}\" not found", reference.name)),
        };
    }
    Ok(Some(String::new()))
}

/// Replaces `$(NAME)`; `$$` is a dollar sign, an unknown name stays as it is.
/// Source: Kubernetes, "Define Dependent Environment Variables".
pub(crate) fn expand(text: &str, see: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match see(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// argv: `command` replaces the image's entrypoint and its arguments, `args` only the arguments.
pub(crate) fn arguments(
    container: &Container,
    entrypoint: &[String],
    cmd: &[String],
    given: &[(String, String)],
) -> Vec<String> {
    let see = |name: &str| {
        given
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let expanded = |list: &[String]| list.iter().map(|text| expand(text, see)).collect::<Vec<_>>();
    let command = container.command.as_deref().filter(|command| !command.is_empty());
    let args = container.args.as_deref().filter(|args| !args.is_empty());
    match (command, args) {
        (Some(command), args) => [expanded(command), expanded(args.unwrap_or_default())].concat(),
        (None, Some(args)) => [entrypoint.to_vec(), expanded(args)].concat(),
        (None, None) => [entrypoint, cmd].concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::*;

    fn facts() -> field::Facts {
        field::Facts {
            node_name: "node".into(),
            host_ips: vec![IpAddr::from([192, 0, 2, 1])],
            pod_ips: vec![
                IpAddr::from([10, 1, 0, 7]),
                IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 7]),
            ],
            cpu_milli: 2000,
            memory: 1 << 30,
            ephemeral_storage: 1 << 40,
        }
    }

    fn pod(container: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
            "spec": {"containers": [container], "serviceAccountName": "sa"}
        }))
        .expect("pod")
    }

    fn run(container: serde_json::Value) -> Result<Vec<(String, String)>, String> {
        let pod = pod(container);
        let map: ConfigMap =
            serde_json::from_value(json!({"data": {"k": "v", "l": "w"}})).expect("config map");
        environment(&Input {
            pod: &pod,
            container: &pod.spec.as_ref().expect("spec").containers[0],
            services: &[("S_PORT".to_owned(), "tcp://10.0.0.1:80".to_owned())].into(),
            config_maps: &[("m".to_owned(), map)].into(),
            secrets: &BTreeMap::new(),
            facts: &facts(),
        })
    }

    fn get<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
        env.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn values_come_from_everywhere_and_refer_to_earlier_ones() {
        let env = run(json!({
            "name": "c",
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "$(A)-$(P_k)-$(NONE)-$$(A)-$(S_PORT)"},
                {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "l"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "NO", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": true}}}
            ]
        }))
        .expect("environment");
        assert_eq!(get(&env, "B"), Some("1-v-$(NONE)-$(A)-tcp://10.0.0.1:80"));
        assert_eq!(get(&env, "K"), Some("w"));
        assert_eq!(get(&env, "IP"), Some("10.1.0.7"));
        assert_eq!(get(&env, "APP"), Some("web"));
        assert_eq!(get(&env, "CPU"), Some("2"));
        assert_eq!(get(&env, "NO"), None);
        assert_eq!(get(&env, "S_PORT"), Some("tcp://10.0.0.1:80"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let wanted = json!({"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]});
        assert_eq!(run(wanted).expect_err("missing"), "secret \"s\" not found");
        let wanted = json!({"name": "c", "env": [
            {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "zz"}}}]});
        assert_eq!(
            run(wanted).expect_err("missing"),
            "couldn't find key zz in ConfigMap n/m"
        );
    }

    #[test]
    fn command_and_args_replace_entrypoint_and_cmd() {
        let container = |value| serde_json::from_value::<Container>(value).expect("container");
        let (entry, cmd) = (vec!["e".to_owned()], vec!["c".to_owned()]);
        let given = vec![("A".to_owned(), "1".to_owned())];
        let run = |value| arguments(&container(value), &entry, &cmd, &given);
        assert_eq!(run(json!({"name": "x"})), ["e", "c"]);
        assert_eq!(run(json!({"name": "x", "args": ["$(A)"]})), ["e", "1"]);
        assert_eq!(run(json!({"name": "x", "command": ["r"]})), ["r"]);
        assert_eq!(
            run(json!({"name": "x", "command": ["r"], "args": ["s"]})),
            ["r", "s"]
        );
    }

    #[test]
    fn the_image_gives_way_to_the_pod() {
        let env = merged(&["A=1".into(), "B=2".into()], &[("A".into(), "3".into())]);
        assert_eq!(env[..2], ["A=3", "B=2"]);
        assert!(env[2].starts_with("PATH="));
    }
}

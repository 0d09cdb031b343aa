//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a pod. Source: Kubernetes, "DNS for Services and Pods" and
//! "Adding entries to Pod /etc/hosts".

use std::{fs, io, path::Path};

use k8s_openapi::api::core::v1::Pod;
use skiff_pod_network::PodAddress;

use crate::pod::model::{self, host_network, namespace};

/// What these files depend on beside the pod.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    /// Cluster domain.
    pub domain: &'a str,
    /// Cluster DNS.
    pub dns: std::net::Ipv4Addr,
    /// The host's `/etc/resolv.conf`.
    pub host_resolv_conf: &'a str,
    /// The host's `/etc/hosts`.
    pub host_hosts: &'a str,
    /// The host's name.
    pub node_name: &'a str,
}

/// Host name of a pod: its own, or the node's.
pub(crate) fn hostname(pod: &Pod, node_name: &str) -> String {
    let spec = pod.spec.as_ref();
    if host_network(pod) {
        return node_name.to_owned();
    }
    let wanted = spec
        .and_then(|spec| spec.hostname_override.clone().or_else(|| spec.hostname.clone()))
        .filter(|name| !name.is_empty());
    // The kernel takes 63 characters, and a name doesn't end with a separator.
    let name: String = wanted
        .unwrap_or_else(|| model::name(pod).to_owned())
        .chars()
        .take(63)
        .collect();
    let short = name.trim_end_matches(['-', '.']).to_owned();
    match fqdn(pod, &short) {
        Some(full) if spec.and_then(|spec| spec.set_hostname_as_fqdn) == Some(true) => full,
        _ => short,
    }
}

/// `host.subdomain.namespace.svc` without the cluster domain, for a pod with a subdomain.
fn fqdn(pod: &Pod, short: &str) -> Option<String> {
    let subdomain = pod
        .spec
        .as_ref()?
        .subdomain
        .as_deref()
        .filter(|name| !name.is_empty())?;
    Some(format!("{short}.{subdomain}.{}.svc", namespace(pod)))
}

/// Writes the files. `ip` is `None` for pods on the host's network.
pub(crate) fn write(dir: &Path, pod: &Pod, ip: Option<PodAddress>, cluster: &Cluster<'_>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("etc-hosts"), hosts(pod, ip, cluster))?;
    fs::write(
        dir.join("etc-hostname"),
        format!("{}\n", hostname(pod, cluster.node_name)),
    )?;
    fs::write(dir.join("resolv.conf"), resolv_conf(pod, cluster))
}

fn hosts(pod: &Pod, ip: Option<PodAddress>, cluster: &Cluster<'_>) -> String {
    let mut text = match ip {
        Some(ip) => {
            let short = hostname(pod, cluster.node_name);
            let names = match fqdn(pod, &short) {
                Some(full) => format!("{full}.{}\t{short}", cluster.domain),
                None => short,
            };
            let own: String = ip.all().map(|ip| format!("{ip}\t{names}\n")).collect();
            format!(
                "# Kubernetes-managed hosts file.\n\
                 127.0.0.1\tlocalhost\n\
                 ::1\tlocalhost ip6-localhost ip6-loopback\n\
                 fe00::0\tip6-localnet\n\
                 fe00::0\tip6-mcastprefix\n\
                 fe00::1\tip6-allnodes\n\
                 fe00::2\tip6-allrouters\n\
                 {own}"
            )
        }
        None => format!(
            "# Kubernetes-managed hosts file (host network).\n{}",
            cluster.host_hosts
        ),
    };
    let aliases: Vec<_> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.host_aliases.iter().flatten())
        .collect();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names = alias.hostnames.clone().unwrap_or_default().join("\t");
            text.push_str(&format!("{}\t{names}\n", alias.ip));
        }
    }
    text
}

#[derive(Clone, Debug, Default)]
struct Resolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.next().map(Into::into)),
                Some("search" | "domain") => resolver.search = words.map(Into::into).collect(),
                Some("options") => resolver.options.extend(words.map(Into::into)),
                _ => {}
            }
        }
        resolver
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.search.is_empty() {
            text.push_str(&format!("search {}\n", self.search.join(" ")));
        }
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

fn resolv_conf(pod: &Pod, cluster: &Cluster<'_>) -> String {
    let host = Resolver::parse(cluster.host_resolv_conf);
    let spec = pod.spec.clone().unwrap_or_default();
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let mut resolver = match policy {
        "None" => Resolver::default(),
        "Default" => host,
        "ClusterFirst" if host_network(pod) => host,
        _ => {
            let domain = cluster.domain;
            let mut search = vec![
                format!("{}.svc.{domain}", namespace(pod)),
                format!("svc.{domain}"),
                domain.to_owned(),
            ];
            search.extend(host.search.into_iter().filter(|name| name != "."));
            Resolver {
                servers: vec![cluster.dns.to_string()],
                search,
                options: vec!["ndots:5".into()],
            }
        }
    };
    if let Some(own) = &spec.dns_config {
        resolver.servers.extend(own.nameservers.iter().flatten().cloned());
        resolver.search.extend(own.searches.iter().flatten().cloned());
        for option in own.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            resolver.options.retain(|old| old.split(':').next() != Some(name));
            resolver
                .options
                .push(match option.value.as_deref().filter(|value| !value.is_empty()) {
                    Some(value) => format!("{name}:{value}"),
                    None => name.clone(),
                });
        }
    }
    for list in [&mut resolver.servers, &mut resolver.search] {
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|item| seen.insert(item.clone()));
    }
    resolver.text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web-0", "namespace": "n"}, "spec": spec}))
            .expect("pod")
    }

    fn cluster() -> Cluster<'static> {
        Cluster {
            domain: "cluster.local",
            dns: std::net::Ipv4Addr::new(10, 96, 0, 10),
            host_resolv_conf: "domain lan\nnameserver 192.0.2.53\noptions edns0\n",
            host_hosts: "127.0.0.1 localhost\n",
            node_name: "node",
        }
    }

    #[test]
    fn cluster_names_come_first() {
        let text = resolv_conf(&pod(json!({"containers": []})), &cluster());
        assert_eq!(
            text,
            "search n.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
    }

    #[test]
    fn a_pod_on_the_hosts_network_uses_the_hosts_resolver() {
        let text = resolv_conf(&pod(json!({"containers": [], "hostNetwork": true})), &cluster());
        assert_eq!(text, "search lan\nnameserver 192.0.2.53\noptions edns0\n");
    }

    #[test]
    fn dns_config_adds_and_replaces() {
        let wanted = json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {
            "nameservers": ["192.0.2.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]}});
        assert_eq!(
            resolv_conf(&pod(wanted), &cluster()),
            "search a.b\nnameserver 192.0.2.1\noptions ndots:2\n"
        );
    }

    #[test]
    fn a_subdomain_gives_a_full_name() {
        let pod = pod(json!({"containers": [], "subdomain": "web",
            "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}]}));
        let text = hosts(&pod, Some("10.1.0.5,fd00::5".parse().unwrap()), &cluster());
        for own in ["10.1.0.5", "fd00::5"] {
            let line = format!("{own}\tweb-0.web.n.svc.cluster.local\tweb-0\n");
            assert!(text.contains(&line), "{text}");
        }
        assert!(text.ends_with("192.0.2.9\ta\tb\n"));
        assert_eq!(hostname(&pod, "node"), "web-0");
    }
}

//! The administrator's kubeconfig: written by the server on this machine, printed by `skiff kubeconfig`.
//!
//! A cluster of one server has one context. With more of them the first context is the server of this machine, then comes
//! the forwarder of an agent on this machine, which leads to whoever lives, then each other server. The forwarder is the current one,
//! or else a server that answers.

use std::{
    fs::{File, TryLockError},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use secrecy::ExposeSecret as _;
use skiff_control::{
    members::{identity::Identity, record::Record},
    pki::{self, CLUSTER, Pki, Place, write_private},
};
use tokio::sync::watch;

use crate::{cli::KubeconfigArgs, cluster, join, paths::Paths, server};

const USER: &str = "kubernetes-admin";
/// Age at which the administrator's certificate, good for 90 days, is made anew.
const RENEW: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks jump, and machines sleep for weeks: so it is the clock that is looked at, and often. It is also looked whether an agent
/// runs here that has a forwarder.
const LOOK: Duration = Duration::from_secs(5);
/// How long a server may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the administrator's kubeconfig or its path.
pub fn run(paths: &Paths, args: &KubeconfigArgs) -> Result<()> {
    let path = paths.admin_kubeconfig();
    if !path.exists() && paths.node_kubeconfig().exists() {
        let port = forwarder(paths).map_or_else(|| "PORT".into(), |port| port.to_string());
        anyhow::bail!(
            "this machine has an agent and no server: `skiff kubeconfig --server https://127.0.0.1:{port}` on a server prints \
             a kubeconfig for it"
        );
    }
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("read {path:?} (there is no cluster here yet: start one with `skiff up`)")
    })?;
    let mut admin = Admin::parse(&text).with_context(|| format!("kubeconfig {path:?}"))?;
    let now = match &args.server {
        Some(url) => {
            join::authority(url)?;
            let only = [Place::only(url.trim_end_matches('/'))];
            admin.text(&only, CLUSTER)
        }
        None => {
            admin.choose(paths)?;
            admin.text(&admin.servers, &admin.current)
        }
    };
    if args.path {
        if now != text {
            write_private(&path, &now)?;
        }
        crate::output::say!("{}", path.display());
    } else {
        print!("{now}");
    }
    Ok(())
}

/// A client of the server on this machine or, when that is dead, of another one.
pub async fn client(paths: &Paths) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(paths.admin_kubeconfig()).context("read the kubeconfig")?;
    let mut local = None;
    for context in &kubeconfig.contexts {
        let config = config(&kubeconfig, &context.name).await?;
        let authority = config.cluster_url.authority().map(ToString::to_string);
        if kubeconfig.contexts.len() > 1 {
            let connecting = tokio::net::TcpStream::connect(authority.unwrap_or_default());
            if !matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_))) {
                local.get_or_insert(config);
                continue;
            }
        }
        return Ok(Client::try_from(config)?);
    }
    Ok(Client::try_from(local.context("the kubeconfig has no context")?)?)
}

async fn config(kubeconfig: &Kubeconfig, context: &str) -> Result<Config> {
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    Ok(Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await?)
}

/// What the administrator's kubeconfig says.
struct Admin {
    ca_pem: String,
    user: String,
    identity: pki::Identity,
    servers: Vec<Place>,
    current: String,
    parsed: Kubeconfig,
}

impl Admin {
    fn parse(text: &str) -> Result<Self> {
        let parsed = Kubeconfig::from_yaml(text)?;
        let decode =
            |base64: &str| -> Result<String> { Ok(String::from_utf8(BASE64_STANDARD.decode(base64)?)?) };
        let mut ca_pem = String::new();
        let mut servers = Vec::new();
        for named in &parsed.clusters {
            let cluster = named.cluster.as_ref().context("a cluster without anything")?;
            let ca = cluster.certificate_authority_data.as_deref().context("no CA")?;
            ca_pem = decode(ca)?;
            servers.push(Place {
                name: named.name.clone(),
                url: cluster.server.clone().context("no server")?,
            });
        }
        let user = parsed.auth_infos.first().context("no user")?;
        let keys = user.auth_info.as_ref().context("no keys")?;
        let certificate = keys
            .client_certificate_data
            .as_deref()
            .context("no certificate")?;
        let key = keys.client_key_data.as_ref().context("no key")?;
        Ok(Self {
            ca_pem,
            user: user.name.clone(),
            identity: pki::Identity {
                certificate_pem: decode(certificate)?,
                key_pem: decode(key.expose_secret())?,
            },
            servers,
            current: parsed.current_context.clone().unwrap_or_default(),
            parsed,
        })
    }

    fn text(&self, servers: &[Place], current: &str) -> String {
        pki::kubeconfig(&self.ca_pem, servers, current, &self.user, &self.identity)
    }

    /// Makes the forwarder the current server or, without one, the first that answers. A single server is not asked.
    fn choose(&mut self, paths: &Paths) -> Result<()> {
        if self.servers.len() > 1 {
            self.servers.retain(|server| server.name != CLUSTER);
        }
        if self.servers.len() < 2 {
            return Ok(());
        }
        if let Some(port) = forwarder(paths) {
            self.servers.insert(1, forwarder_place(port));
            self.current = CLUSTER.into();
            return Ok(());
        }
        let answers = server::runtime()?.block_on(async {
            for server in &self.servers {
                if is_ready(&self.parsed, &server.name).await {
                    return Some(server.name.clone());
                }
            }
            None
        });
        match answers {
            Some(name) => self.current = name,
            None => {
                eprintln!("skiff: none of the servers answers");
                self.current = self.servers[0].name.clone();
            }
        }
        Ok(())
    }
}

async fn is_ready(kubeconfig: &Kubeconfig, context: &str) -> bool {
    let asked = async {
        let mut config = config(kubeconfig, context).await?;
        config.default_retry = false;
        let request = http::Request::get("/readyz").body(Vec::new())?;
        Ok::<_, anyhow::Error>(Client::try_from(config)?.request_text(request).await?)
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}

/// Port of the forwarder of the agent that runs here; its file is locked while it listens.
fn forwarder(paths: &Paths) -> Option<u16> {
    let path = paths.forwarder();
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => std::fs::read_to_string(path).ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn forwarder_place(port: u16) -> Place {
    Place::only(format!("https://127.0.0.1:{port}"))
}

/// What clients on this machine reach a server of it at.
pub fn local_url(address: SocketAddr) -> String {
    let local = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(local, address.port()))
}

/// Keeps the administrator's kubeconfig true.
pub struct Keeper {
    paths: Paths,
    pki: Arc<Pki>,
    local: Place,
    me: u64,
    issued: (SystemTime, pki::Identity),
    written: String,
}

impl Keeper {
    /// Writes it as far as the server on this machine knows before it runs.
    ///
    /// # Errors
    /// When no certificate can be made, or the file not be written.
    pub fn start(paths: &Paths, pki: Arc<Pki>, address: SocketAddr, identity: &Identity) -> Result<Self> {
        let mut keeper = Self {
            paths: paths.clone(),
            issued: issue(&pki)?,
            pki,
            local: Place {
                name: cluster::host_name()?,
                url: local_url(address),
            },
            me: identity.id,
            written: String::new(),
        };
        keeper.write(&identity.members)?;
        Ok(keeper)
    }

    /// Writes it anew when the members change, or the CA, long before the certificate ends, and when an agent with a
    /// forwarder starts or ends here.
    pub async fn run(mut self, mut members: watch::Receiver<Vec<Record>>) {
        let mut ca = self.pki.follow_ca();
        loop {
            let known = members.borrow_and_update().clone();
            if let Err(error) = self.write(&known) {
                tracing::error!(error = format!("{error:#}"), "writing the kubeconfig failed");
            }
            let is_new = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                Ok(()) = ca.changed() => true,
                Ok(()) = members.changed() => false,
            };
            let age = SystemTime::now().duration_since(self.issued.0).unwrap_or(RENEW);
            if age >= RENEW || is_new {
                match issue(&self.pki) {
                    Ok(issued) => self.issued = issued,
                    Err(error) => {
                        tracing::error!(error = format!("{error:#}"), "renewing the kubeconfig failed")
                    }
                }
            }
        }
    }

    fn write(&mut self, members: &[Record]) -> Result<()> {
        let (servers, current) = places(&self.local, self.me, members, forwarder(&self.paths));
        let text = pki::kubeconfig(&self.pki.ca_pem(), &servers, &current, USER, &self.issued.1);
        if text != self.written {
            write_private(&self.paths.admin_kubeconfig(), &text)?;
            self.written = text;
        }
        Ok(())
    }
}

fn issue(pki: &Pki) -> Result<(SystemTime, pki::Identity)> {
    Ok((SystemTime::now(), pki.issue_client(USER, &["system:masters"])?))
}

/// The servers, this machine's first, and the name of the current one.
fn places(local: &Place, me: u64, members: &[Record], forwarder: Option<u16>) -> (Vec<Place>, String) {
    let others: Vec<&Record> = members
        .iter()
        .filter(|member| member.id != me && !member.removing)
        .collect();
    if others.is_empty() {
        return (vec![Place::only(&local.url)], CLUSTER.into());
    }
    let is_taken = |name: &str, id: u64| {
        let mut names = others.iter().map(|other| (other.id, other.name.as_str()));
        let mut all = names.by_ref().chain([(me, local.name.as_str())]);
        name == CLUSTER || all.any(|(other, taken)| other != id && taken == name)
    };
    let name = |name: &str, id: u64| match is_taken(name, id) {
        true => format!("{name}-{id}"),
        false => name.to_owned(),
    };
    let own = name(&local.name, me);
    let mut servers = vec![Place {
        name: own.clone(),
        url: local.url.clone(),
    }];
    servers.extend(forwarder.map(forwarder_place));
    servers.extend(others.iter().map(|other| Place {
        name: name(&other.name, other.id),
        url: format!("https://{}", other.address),
    }));
    let current = if forwarder.is_some() { CLUSTER.into() } else { own };
    (servers, current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str) -> Record {
        Record {
            id,
            name: name.into(),
            address: SocketAddr::from(([10, 0, 0, id as u8], 6443)),
            key: String::new(),
            removing: false,
        }
    }

    fn names(servers: &[Place]) -> Vec<&str> {
        servers.iter().map(|server| server.name.as_str()).collect()
    }

    #[test]
    fn each_server_has_a_name_of_its_own_and_the_forwarder_is_preferred() {
        let local = Place {
            name: "a".into(),
            url: "https://127.0.0.1:6443".into(),
        };
        let (alone, current) = places(&local, 1, &[member(1, "a")], Some(6440));
        assert_eq!((names(&alone), current.as_str()), (vec!["skiff"], "skiff"));
        assert_eq!(alone[0].url, local.url);

        let three = [member(1, "a"), member(2, "b"), member(3, "c")];
        let (servers, current) = places(&local, 1, &three, None);
        assert_eq!((names(&servers), current.as_str()), (vec!["a", "b", "c"], "a"));
        assert_eq!(servers[2].url, "https://10.0.0.3:6443");
        let (servers, current) = places(&local, 1, &three, Some(6440));
        assert_eq!(
            (names(&servers), current.as_str()),
            (vec!["a", "skiff", "b", "c"], "skiff")
        );
        assert_eq!(servers[1].url, "https://127.0.0.1:6440");

        let mut same = [member(1, "a"), member(2, "a"), member(3, "skiff"), member(4, "d")];
        same[3].removing = true;
        let (servers, current) = places(&local, 1, &same, None);
        assert_eq!(
            (names(&servers), current.as_str()),
            (vec!["a-1", "a-2", "skiff-3"], "a-1")
        );
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let identity = pki::Identity {
            certificate_pem: "certificate".into(),
            key_pem: "key".into(),
        };
        // Hosts may have names that YAML takes for numbers or truths.
        let servers: Vec<Place> = ["0123", "on", "skiff"]
            .map(|name| Place {
                name: name.into(),
                url: format!("https://{name}:6443"),
            })
            .into();
        let text = pki::kubeconfig("ca", &servers, "0123", USER, &identity);
        let read = Admin::parse(&text).unwrap();
        assert_eq!((&read.servers, read.current.as_str()), (&servers, "0123"));
        assert_eq!(read.text(&read.servers, &read.current), text);
    }
}

//! Several hosts on one machine: network namespaces around a bridge.
//!
//! ```text
//!   host 1 (eth0 192.168.50.11) ──┐
//!   host 2 (eth0 192.168.50.12) ──┼── bridge (lan0 192.168.50.1: default route, registry of the tests)
//!   host 3 …                    ──┘
//! ```

mod link;

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    net::Ipv4Addr,
    ops::Deref,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::PathBuf,
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, runtime::wait::await_condition};
use rustix::process::{Pid, Signal, kill_process};

pub use link::{Link, Way};

use crate::{Cluster, DEADLINE, Output, Registry, User, Words, netns::Netns};

/// Port of the API servers of hosts: each has a network of its own.
pub const API_PORT: u16 = 6443;

/// How long a program may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network of its own for hosts. It goes with its last host.
#[derive(Debug)]
pub struct Lan {
    switch: Netns,
    registry: OnceLock<Arc<Registry>>,
    hosts: AtomicU8,
}

impl Lan {
    /// Address of the bridge, the hosts' default gateway: what listens on it is the world outside of the cluster.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 1);

    /// A bridge without hosts.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) for ordinary users, and without iproute2 and util-linux.
    pub fn new() -> Result<Self> {
        let switch = Netns::create()?;
        switch.ip("link add lan0 type bridge")?;
        switch.ip(&format!("address add {}/24 dev lan0", Self::GATEWAY))?;
        switch.ip("link set lan0 up")?;
        Ok(Self {
            switch,
            registry: OnceLock::new(),
            hosts: AtomicU8::new(0),
        })
    }

    /// The namespace of the bridge.
    pub fn switch(&self) -> &Netns {
        &self.switch
    }

    /// Registry with the images of the tests, reached by all hosts.
    pub fn registry(&self) -> Result<&Arc<Registry>> {
        if self.registry.get().is_none() {
            let _ = self
                .registry
                .set(Arc::new(Registry::in_network(&self.switch, Self::GATEWAY)?));
        }
        self.registry.get().context("the registry")
    }

    /// A network namespace with `eth0` on the bridge, an address and a default route, in which nothing runs yet.
    ///
    /// # Errors
    /// As [`Netns::create`].
    pub fn link(&self) -> Result<Link> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        Link::plug(&self.switch, number)
    }

    /// A new host: a [`Link`], and what is started there is run as `user`, with a data and a run directory of its own.
    ///
    /// # Errors
    /// As [`Cluster::new`].
    pub fn host(&self, user: User) -> Result<Host> {
        let link = self.link()?;
        Ok(Host {
            cluster: Cluster::in_network(user, link.netns().clone(), API_PORT, Arc::clone(self.registry()?))?,
            name: format!("host-{}", link.number()),
            link,
            programs: Mutex::default(),
        })
    }
}

/// A host of a [`Lan`]; also a [`Cluster`], for what is asked of the API server on it. Dropping it ends what it runs,
/// then does what dropping a cluster does.
#[derive(Debug)]
pub struct Host {
    cluster: Cluster,
    link: Link,
    name: String,
    /// What was started, by the first word of its command line.
    programs: Mutex<BTreeMap<String, Child>>,
}

impl Deref for Host {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Host {
    /// Its place in the network.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Its name, for `--node-name`: all hosts have the host name of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address now.
    pub fn address(&self) -> Ipv4Addr {
        self.link.address()
    }

    /// Address of an API server on it.
    pub fn url(&self) -> String {
        format!("https://{}:{API_PORT}", self.address())
    }

    /// Starts `skiff WORDS`, whose first word must be the command, and leaves it running. Its output goes to
    /// [`Cluster::last_words`].
    pub fn start(&self, words: impl Words) -> Result<()> {
        let words = words.words();
        let role = words.first().context("a command")?.clone();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.home().join(format!("{role}.log")))?;
        // On the command line, not only in the environment: the cluster's processes are known by them.
        let folder = |dir: PathBuf| dir.to_string_lossy().into_owned();
        let mut all = vec!["--data-dir".to_owned(), folder(self.data_dir())];
        all.extend(["--run-dir".to_owned(), folder(self.run_dir())]);
        all.extend(words);
        let mut command = self.skiff_command(all)?;
        let child = command
            .env("NOTIFY_SOCKET", self.notify_socket())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        locked(&self.programs).insert(role, child);
        Ok(())
    }

    /// Sends a signal to what was started with this command, and waits for its end.
    pub fn end(&self, role: &str, signal: Signal) -> Result<()> {
        let child = locked(&self.programs).remove(role);
        let mut child = child.with_context(|| format!("{role} does not run"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).context("process id")?;
        // A zombie at worst, until we have waited: the id is nobody else's.
        let _ = kill_process(pid, signal);
        let end = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > end {
                child.kill()?;
                child.wait()?;
                bail!("{role} did not end within {PATIENCE:?} of {signal:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn notify_socket(&self) -> PathBuf {
        self.home().join("notify.sock")
    }

    /// Starts `skiff server OPTIONS` and waits until it serves.
    pub fn serve(&self, options: impl Words) -> Result<()> {
        let socket = self.notify_socket();
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        notify.set_read_timeout(Some(DEADLINE))?;
        let mut words = vec!["server".to_owned(), "--port".into(), API_PORT.to_string()];
        words.extend(options.words());
        self.start(words)?;
        let mut message = [0; 256];
        // A call with a time limit is not taken up again after the signal of a child that has ended (signal(7)).
        let received = loop {
            match notify.recv(&mut message) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received,
            }
        };
        let length = received
            .with_context(|| format!("the server did not say that it is ready\n{}", self.last_words()))?;
        ensure!(
            message[..length].starts_with(b"READY=1"),
            "an odd message of the server"
        );
        Ok(())
    }

    /// Starts `skiff agent OPTIONS`, joined to the server, which knows it by [`Self::name`]; does not wait.
    pub fn join(&self, server: &Self, options: impl Words) -> Result<()> {
        let token = server.skiff("token").ok()?;
        let mut words: Vec<String> = ["agent", "--join", &server.url(), "--token", token.trim()]
            .map(str::to_owned)
            .into();
        words.extend(self.node_options());
        words.extend(options.words());
        self.start(words)
    }

    /// Options of `skiff agent` and `skiff up` for this host: its name, and the registry of the tests.
    pub fn node_options(&self) -> Vec<String> {
        let registry = self.registry().map(Registry::address).unwrap_or_default();
        vec![
            format!("--node-name={}", self.name),
            format!("--insecure-registry={registry}"),
        ]
    }

    /// Watches a Node on this host's API server until `condition` is true of it.
    pub fn wait_node(&self, name: &str, what: &str, condition: impl Fn(&Node) -> bool) -> Result<Node> {
        let nodes: Api<Node> = Api::all(self.client());
        let is_met = |node: Option<&Node>| node.is_some_and(&condition);
        let waited = self
            .block_on(async { tokio::time::timeout(DEADLINE, await_condition(nodes, name, is_met)).await });
        match waited {
            Ok(node) => node?.context("the node"),
            Err(_) => bail!(
                "waited {DEADLINE:?} for node {name} {what}\n{}",
                self.kubectl(["describe", "node", name])
            ),
        }
    }

    /// Waits until these hosts are ready nodes of this host's cluster.
    pub fn wait_nodes_ready(&self, hosts: &[&Self]) -> Result<()> {
        for host in hosts {
            let ready = self.wait_node(host.name(), "to be ready", node_is_ready);
            ready.with_context(|| format!("{}\n{}", host.name(), host.last_words()))?;
        }
        Ok(())
    }

    /// Runs a program in the host's network as the user of the test, to its end.
    pub fn run(&self, program: &str, words: impl Words) -> Result<Output> {
        crate::run(self.link.netns().command(program).args(words.words()))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let roles: Vec<String> = locked(&self.programs).keys().cloned().collect();
        // The agent before the server, which it may still have something to tell.
        for role in roles {
            if let Err(error) = self.end(&role, Signal::TERM) {
                eprintln!("{}: {error:#}", self.name);
            }
        }
    }
}

/// Whether a Node says that it is ready.
pub fn node_is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

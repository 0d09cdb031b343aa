//! A cluster of `skiff up` for tests.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    Background, Clock, Namespace, Output, Process, Registry, Role, User, Words,
    leftovers::{self, Traces},
    need, need_disk,
    netns::Netns,
    process,
    user::Program,
};

/// A cluster in folders of its own and on a port of its own. Dropping it runs `skiff down --purge` and panics when
/// something of it is left.
pub struct Cluster {
    user: User,
    /// See [`Self::without_id_range`].
    id_range: bool,
    /// `state/{data,run}` for skiff, which must be empty in the end, and `home` for kubectl.
    dir: TempDir,
    /// What it lives by, if not the machine's.
    clock: OnceLock<Clock>,
    /// The host's, or one of its own on a [`Lan`](crate::Lan).
    netns: Option<Netns>,
    port: u16,
    program: Program,
    kubectl: PathBuf,
    runtime: Option<Runtime>,
    client: OnceLock<Client>,
    registry: OnceLock<Arc<Registry>>,
    pods: Arc<Mutex<BTreeSet<String>>>,
    namespaces: AtomicU32,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("user", &self.user)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts a cluster and waits until its node is ready.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) when the machine lacks something; what `skiff up` says when it fails.
    pub fn start(user: User) -> Result<Self> {
        Self::start_with(user, "")
    }

    /// As [`Self::start`], with further options of `skiff up`.
    pub fn start_with(user: User, options: impl Words) -> Result<Self> {
        let cluster = Self::new(user)?;
        cluster.up(options).ok()?;
        Ok(cluster)
    }

    /// The cluster of this user that other tests use at the same time; it ends with the last of them.
    pub fn shared(user: User) -> Result<Arc<Self>> {
        static ROOT: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        static ORDINARY: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = locked(if user == User::Root { &ROOT } else { &ORDINARY });
        if let Some(cluster) = shared.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(Self::start(user)?);
        *shared = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// Folders and a port, but nothing runs yet: see [`Self::up`].
    pub fn new(user: User) -> Result<Self> {
        Self::prepare(user, None, free_port()?)
    }

    /// As [`Self::new`], in a network namespace, whose registry is this one.
    pub(crate) fn in_network(user: User, netns: Netns, port: u16, registry: Arc<Registry>) -> Result<Self> {
        let cluster = Self::prepare(user, Some(netns), port)?;
        let _ = cluster.registry.set(registry);
        Ok(cluster)
    }

    fn prepare(user: User, netns: Option<Netns>, port: u16) -> Result<Self> {
        user.available()?;
        need_disk(Path::new("/tmp"))?;
        let kubectl = need("kubectl")?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::Builder::new()
            .prefix("skiff-")
            .tempdir_in("/tmp")
            .context("make a folder")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        for name in ["state", "home"] {
            fs::create_dir(dir.path().join(name))?;
            user.own(&dir.path().join(name))?;
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all();
        if let Some(netns) = netns.clone() {
            runtime.on_thread_start(move || netns.enter());
        }
        let runtime = runtime.build()?;
        Ok(Self {
            user,
            id_range: true,
            clock: OnceLock::new(),
            program: Program::find(user)?,
            dir,
            netns,
            port,
            kubectl,
            runtime: Some(runtime),
            client: OnceLock::new(),
            registry: OnceLock::new(),
            pods: Arc::default(),
            namespaces: AtomicU32::new(0),
        })
    }

    /// Hides `/etc/subuid` and `/etc/subgid` from skiff, as on a machine whose administrator gave this user no range.
    ///
    /// # Errors
    /// [`Unmet`](crate::Unmet) unless root runs the tests.
    pub fn without_id_range(mut self) -> Result<Self> {
        crate::need_root()?;
        need("unshare")?;
        self.id_range = false;
        Ok(self)
    }

    /// What is started from now on lives by this clock.
    pub fn live_by(&self, clock: &Clock) {
        let _ = self.clock.set(clock.clone());
    }

    /// `skiff up` with further options; also to start it again.
    pub fn up(&self, options: impl Words) -> Output {
        let mut words = vec!["up".to_owned(), "--port".into(), self.port.to_string()];
        words.extend(options.words());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.skiff(words.as_slice());
        // On a network of its own the others' pods are seen, too, which are still there when this one ends.
        if output.code == 0 && self.netns.is_none() {
            self.note_pods();
        }
        output
    }

    /// `skiff down`.
    pub fn down(&self) -> Output {
        self.skiff("down")
    }

    /// Runs `skiff` with these words, as the cluster's user and for its folders.
    pub fn skiff(&self, words: impl Words) -> Output {
        finished(
            self.skiff_command(words)
                .and_then(|mut command| crate::run(&mut command)),
        )
    }

    /// [`Self::skiff`] as a command that is not started yet.
    pub fn skiff_command(&self, words: impl Words) -> Result<Command> {
        let mut command = self.user.command(self.program.path())?;
        if !self.id_range {
            let hidden = "for file in /etc/subuid /etc/subgid; do mount --bind /dev/null $file || exit 1; done; exec \"$@\"";
            let mut outer = Command::new(need("unshare")?);
            outer
                .args(["--mount", "sh", "-c", hidden, "sh"])
                .arg(command.get_program())
                .args(command.get_args())
                .current_dir("/");
            command = outer;
        }
        let mut command = self.in_its_network(command);
        command
            .args(words.words())
            .env("SKIFF_DATA_DIR", self.data_dir())
            .env("SKIFF_RUN_DIR", self.run_dir())
            .env("HOME", self.home())
            // Whatever it makes there would be found at the end.
            .env("TMPDIR", self.dir.path().join("state"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("XDG_DATA_HOME")
            .env_remove("KUBECONFIG");
        if let Some(clock) = self.clock.get() {
            clock.wind(&mut command);
        }
        Ok(command)
    }

    /// The command, run where the cluster is.
    pub(crate) fn in_its_network(&self, command: Command) -> Command {
        match &self.netns {
            Some(netns) => netns.wrap(&command),
            None => command,
        }
    }

    /// Runs `work` on this thread in the cluster's network: sockets made there are its own.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.netns {
            Some(netns) => netns.inside(work),
            None => work(),
        }
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, words: impl Words) -> Output {
        finished(crate::run(&mut self.kubectl_command(words)))
    }

    /// As [`Self::kubectl`], with standard input.
    pub fn kubectl_with_input(&self, words: impl Words, input: impl AsRef<[u8]>) -> Output {
        finished(crate::run_with_input(
            &mut self.kubectl_command(words),
            input.as_ref(),
        ))
    }

    /// [`Self::kubectl`] as a command that is not started yet.
    pub fn kubectl_command(&self, words: impl Words) -> Command {
        let mut command = self.in_its_network(Command::new(&self.kubectl));
        command
            .args(words.words())
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.home())
            .current_dir(self.home());
        command
    }

    /// Starts kubectl beside the test.
    pub fn kubectl_in_background(&self, words: impl Words) -> Result<Background> {
        Background::start(&mut self.kubectl_command(words))
    }

    /// The kubectl in `PATH`.
    pub(crate) fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// A client with the administrator's rights; use it inside [`Self::block_on`].
    pub fn client(&self) -> Client {
        let client = self.client.get_or_init(|| {
            self.block_on(self.connect())
                .expect("connect with the kubeconfig")
        });
        client.clone()
    }

    /// A new client that shows every refusal instead of trying again, which [`Self::client`] does for minutes.
    pub fn client_that_asks_once(&self) -> Result<Client> {
        self.block_on(async {
            let mut config = self.config().await?;
            config.default_retry = false;
            Ok(Client::try_from(config)?)
        })
    }

    async fn connect(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    async fn config(&self) -> Result<Config> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).context("read the kubeconfig")?;
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    }

    /// Runs a future to its end on the cluster's runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.inside(|| self.runtime().block_on(future))
    }

    /// The runtime of the cluster's clients.
    pub fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("the runtime is there until the cluster is dropped")
    }

    /// Makes a namespace for a test; its service account is there already when this returns.
    pub fn namespace(&self) -> Result<Namespace<'_>> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        Namespace::create(self, format!("test-{number}"))
    }

    /// Registry with the images of the tests: started with the first test that asks.
    pub fn registry(&self) -> Result<&Registry> {
        if self.registry.get().is_none() {
            let _ = self.registry.set(Registry::shared()?);
        }
        Ok(self.registry.get().context("the registry")?)
    }

    /// Name of the image with this tag: `v1` says "Hello from POD", `v2` says "Bye from POD", on port 8080.
    pub fn image(&self, tag: &str) -> Result<String> {
        Ok(self.registry()?.reference(tag))
    }

    /// What runs of this cluster now, containers included.
    pub fn processes(&self) -> Vec<Process> {
        process::of_cluster(self.dir.path())
    }

    /// The processes with this role.
    pub fn processes_with(&self, role: Role) -> Vec<Process> {
        self.processes()
            .into_iter()
            .filter(|process| process.role == role)
            .collect()
    }

    /// Whom it belongs to.
    pub fn user(&self) -> User {
        self.user
    }

    /// Port of the API server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("state/data")
    }

    /// `--run-dir`.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.path().join("state/run")
    }

    /// A folder for what a test writes; also the home of kubectl and skiff.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The end of each log.
    pub fn last_words(&self) -> String {
        let mut text = String::new();
        for role in ["monitor", "server", "agent"] {
            // Those of a host on a network of its own were started by the test.
            for folder in [self.data_dir().join("logs"), self.home()] {
                let Ok(log) = fs::read(folder.join(format!("{role}.log"))) else {
                    continue;
                };
                let log = String::from_utf8_lossy(&log).into_owned();
                let lines: Vec<&str> = log.lines().collect();
                text.push_str(&format!(
                    "--- {role}\n{}\n",
                    lines[lines.len().saturating_sub(15)..].join("\n")
                ));
            }
        }
        text
    }

    /// What there is of it on the machine, to be looked for after its end.
    pub(crate) fn traces(&self) -> Traces {
        let mut pods = locked(&self.pods).clone();
        for dir in [
            self.run_dir().join("agent/pods"),
            self.data_dir().join("agent/pods"),
        ] {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            pods.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        Traces {
            pods,
            processes: self.processes(),
        }
    }

    /// What is left of it after `skiff down --purge`, a line each. `traces` were taken before.
    pub fn left_after_down(&self) -> Vec<String> {
        let traces = self.traces();
        let down = self.skiff("down --purge");
        let mut left = traces.left(self.dir.path());
        if let Some(netns) = &self.netns {
            left.extend(leftovers::in_network(netns));
        }
        if down.code != 0 {
            left.push(down.to_string());
        }
        left
    }

    /// Remembers the ids of all pods from now on: a cgroup that is left can only be known by them.
    fn note_pods(&self) {
        let client = self.client();
        let pods = self.pods.clone();
        self.runtime().spawn(async move {
            let events = watcher(Api::<Pod>::all(client), watcher::Config::default()).default_backoff();
            let mut events = std::pin::pin!(events.applied_objects());
            loop {
                if let Ok(Some(pod)) = events.try_next().await {
                    locked(&pods).extend(pod.metadata.uid);
                }
            }
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::env::var_os("SKIFF_TEST_KEEP").is_some() {
            eprintln!("the cluster stays: KUBECONFIG={}", self.kubeconfig().display());
            self.dir.disable_cleanup(true);
            return;
        }
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        let last_words = self.last_words();
        let left = self.left_after_down();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if left.is_empty() {
            return;
        }
        let text = format!(
            "left after `skiff down --purge`:\n{}\n{last_words}",
            left.join("\n")
        );
        // Not to disturb the tests that follow, and the machine.
        for process in process::of_cluster(self.dir.path()) {
            process.kill();
        }
        if std::thread::panicking() {
            eprintln!("{text}");
        } else {
            panic!("{text}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program that can't be run is a failed one.
pub(crate) fn finished(output: Result<Output>) -> Output {
    output.unwrap_or_else(|error| Output {
        command: String::new(),
        code: -1,
        stdout: String::new(),
        stderr: format!("{error:#}"),
    })
}

/// A port nobody listens on, outside the ranges the kernel and the API give away.
pub(crate) fn free_port() -> Result<u16> {
    const FIRST: u16 = 20000;
    const COUNT: u16 = 9000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other test runs on this machine start elsewhere.
    let start = u16::try_from(std::process::id() * 37 % u32::from(COUNT))?;
    let port =
        std::iter::repeat_with(|| (NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(start)) % COUNT + FIRST)
            .take(usize::from(COUNT))
            .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok());
    port.context("no free port")
}

//! Members of a control plane as processes on this machine: each on a port of loopback, or each on a place of its own in a
//! [`Lan`].

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, bail};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    API_PORT, Clock, Disk, DiskKind, Lan, Link, Output, User, Words,
    cluster::{finished, free_port},
    eventually, run,
    user::Program,
};

/// Servers `0..`, of which the first makes the cluster and the others join it. They end with this.
#[derive(Debug)]
pub struct Members {
    members: Mutex<Vec<Member>>,
    ground: Ground,
    program: Program,
    runtime: Runtime,
    dir: TempDir,
}

/// What members share with nobody, or with the machine.
#[derive(Debug, Default)]
struct Ground {
    /// The network they are in, and the clients beside them; else loopback.
    lan: Option<Lan>,
    /// The disk for the data of each, and its size in MiB; else that of `/tmp`.
    disk: Option<(DiskKind, u32)>,
    /// Each has a clock of its own; else the machine's.
    has_clocks: bool,
}

#[derive(Debug)]
struct Member {
    address: SocketAddr,
    link: Option<Arc<Link>>,
    clock: Option<Clock>,
    process: Option<Child>,
    disk: Option<Disk>,
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Members {
    /// Starts so many members and waits until all of them vote.
    ///
    /// # Errors
    /// With what a server said that ended.
    pub fn start(count: usize) -> Result<Self> {
        Self::start_with(count, "")
    }

    /// As [`Self::start`], the first one with further options of `skiff server`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(count: usize, options: impl Words) -> Result<Self> {
        Self::start_on(Ground::default(), count, options)
    }

    /// As [`Self::start`], each with a [`Disk`] of so many MiB for its data.
    ///
    /// # Errors
    /// As [`Self::start`], and [`Unmet`](crate::Unmet) where [`Disk::mount`] is.
    pub fn start_on_disks(count: usize, kind: DiskKind, mebibytes: u32) -> Result<Self> {
        let ground = Ground {
            disk: Some((kind, mebibytes)),
            ..Ground::default()
        };
        Self::start_on(ground, count, "")
    }

    /// As [`Self::start`], each with a [`Clock`].
    ///
    /// # Errors
    /// As [`Self::start`], and [`Unmet`](crate::Unmet) where [`Clock::new`] is.
    pub fn start_with_clocks(count: usize) -> Result<Self> {
        let ground = Ground {
            has_clocks: true,
            ..Ground::default()
        };
        Self::start_on(ground, count, "")
    }

    /// As [`Self::start`], each in a network namespace of its own. The clients are in that of the bridge: they reach
    /// everybody, whatever is dropped between members.
    ///
    /// # Errors
    /// As [`Self::start`], and [`Unmet`](crate::Unmet) where [`Lan::new`] is.
    pub fn start_apart(count: usize) -> Result<Self> {
        let ground = Ground {
            lan: Some(Lan::new()?),
            ..Ground::default()
        };
        Self::start_on(ground, count, "")
    }

    fn start_on(ground: Ground, count: usize, options: impl Words) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all();
        if let Some(lan) = &ground.lan {
            let netns = lan.switch().clone();
            runtime.on_thread_start(move || netns.enter());
        }
        let members = Self {
            members: Mutex::default(),
            ground,
            program: Program::find(User::Root)?,
            runtime: runtime.build()?,
            dir: tempfile::Builder::new().prefix("skiff-").tempdir_in("/tmp")?,
        };
        let first = members.place()?;
        members.launch(first, options)?;
        members.serves(first)?;
        for _ in 1..count {
            members.join(0)?;
        }
        for number in 1..count {
            members.serves(number)?;
        }
        Ok(members)
    }

    /// Starts a new server that joins through member `through`; returns its number.
    ///
    /// # Errors
    /// When there is no token, or no port.
    pub fn join(&self, through: usize) -> Result<usize> {
        let number = self.place()?;
        self.launch(number, self.joining(through)?.as_slice())?;
        Ok(number)
    }

    /// Options of a server that joins through member `through`.
    ///
    /// # Errors
    /// When there is no token.
    pub fn joining(&self, through: usize) -> Result<Vec<String>> {
        let token = self.skiff(through, "token --server").ok()?;
        let words = ["--join", &self.url(through), "--token", token.trim()].map(str::to_owned);
        Ok(words.into())
    }

    /// A place for one more member, in which nothing runs yet; returns its number.
    ///
    /// # Errors
    /// When there is no port, or what [`Self::start_apart`] and others need.
    pub fn place(&self) -> Result<usize> {
        let link = self.ground.lan.as_ref().map(Lan::link).transpose()?;
        let address = match &link {
            Some(link) => SocketAddr::from((link.address(), API_PORT)),
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
        };
        let number = self.lock().len();
        let disk = match self.ground.disk {
            Some((kind, mebibytes)) => {
                std::fs::create_dir(self.data(number))?;
                Some(Disk::mount(&self.data(number), kind, mebibytes)?)
            }
            None => None,
        };
        let offset = self.dir.path().join(format!("clock-{number}"));
        let clock = self.ground.has_clocks.then(|| Clock::new(&offset)).transpose()?;
        self.lock().push(Member {
            address,
            link: link.map(Arc::new),
            clock,
            process: None,
            disk,
        });
        Ok(number)
    }

    /// Starts the server of a member, which must not be running.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn launch(&self, number: usize, options: impl Words) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log(number))?;
        let process = self
            .server(number, options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start a server")?;
        self.lock()[number].process = Some(process);
        Ok(())
    }

    /// The command that starts the server of a member.
    pub fn server(&self, number: usize, options: impl Words) -> Command {
        let address = self.address(number);
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let mut words = ["server", "--listen", &ip, "--advertise", &ip, "--port", &port]
            .map(str::to_owned)
            .to_vec();
        words.extend(options.words());
        self.command(number, words)
    }

    /// Waits until a member serves and votes, and the group has a leader.
    ///
    /// # Errors
    /// When it ends, or takes too long.
    pub fn serves(&self, number: usize) -> Result<()> {
        let ended = eventually("a member that serves", || {
            if let Some(process) = &mut self.lock()[number].process
                && let Some(status) = process.try_wait()?
            {
                return Ok(Some(status));
            }
            let list = self.list(number)?;
            let address = self.address(number).to_string();
            let me = list.iter().find(|member| member["address"] == address.as_str());
            let votes = me.is_some_and(|member| member["role"] == "voter" && member["alive"] == true);
            anyhow::ensure!(votes, "member {number} does not vote yet: {list:?}");
            let is_led = list.iter().any(|member| member["leader"] == true);
            anyhow::ensure!(is_led, "there is no leader yet: {list:?}");
            Ok(None)
        })
        .with_context(|| self.log_of(number))?;
        match ended {
            Some(status) => bail!("member {number} ended with {status}:\n{}", self.log_of(number)),
            None => Ok(()),
        }
    }

    /// The members as one of them sees them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn list(&self, number: usize) -> Result<Vec<Value>> {
        let request = http::Request::get("/skiff/v1/members").body(Vec::new())?;
        let answer: Value = self.block_on(async {
            let asked = async { Ok::<_, anyhow::Error>(self.connect(number).await?.request(request).await?) };
            tokio::time::timeout(std::time::Duration::from_secs(5), asked).await?
        })?;
        Ok(answer["members"].as_array().cloned().unwrap_or_default())
    }

    /// Which member leads, as one of them sees it.
    ///
    /// # Errors
    /// When none does.
    pub fn leader(&self, asked: usize) -> Result<usize> {
        eventually("a leader", || {
            let list = self.list(asked)?;
            let leader = list.iter().find(|member| member["leader"] == true);
            let address = leader
                .and_then(|leader| leader["address"].as_str())
                .context("no leader")?;
            let members = self.lock();
            let is_it = |member: &Member| address == member.address.to_string();
            members
                .iter()
                .position(is_it)
                .context("the leader is nobody here")
        })
    }

    /// The id of a member, as another one knows it.
    ///
    /// # Errors
    /// When it is not known.
    pub fn id(&self, number: usize, asked: usize) -> Result<u64> {
        let address = self.address(number).to_string();
        let list = self.list(asked)?;
        let me = list.iter().find(|member| member["address"] == address.as_str());
        me.and_then(|member| member["id"].as_u64())
            .context("it is not known")
    }

    /// Runs `skiff` for the folders of a member, where it is.
    pub fn skiff(&self, number: usize, words: impl Words) -> Output {
        finished(run(&mut self.command(number, words)))
    }

    fn command(&self, number: usize, words: impl Words) -> Command {
        let mut command = Command::new(self.program.path());
        command.args(words.words()).current_dir("/");
        let members = self.lock();
        let member = members.get(number);
        let mut command = match member.and_then(|member| member.link.as_ref()) {
            Some(link) => link.netns().wrap(&command),
            None => command,
        };
        if let Some(clock) = member.and_then(|member| member.clock.as_ref()) {
            clock.wind(&mut command);
        }
        command
            .env("SKIFF_LOG", "info,skiff_control::peers=debug")
            .env("SKIFF_DATA_DIR", self.data(number))
            .env("SKIFF_RUN_DIR", self.dir.path().join(format!("run-{number}")));
        command
    }

    /// A new client of one member, with the administrator's rights.
    ///
    /// # Errors
    /// When its kubeconfig is not there.
    pub async fn connect(&self, number: usize) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.data(number).join("kubeconfig"))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // Answers are what is looked at.
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// Runs a future to its end, where the clients are.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.ground.lan {
            Some(lan) => lan.switch().inside(|| self.runtime.block_on(future)),
            None => self.runtime.block_on(future),
        }
    }

    /// The runtime of the clients.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Sends a signal to the server of a member.
    pub fn signal(&self, number: usize, signal: Signal) {
        let members = self.lock();
        let pid = members[number].process.as_ref().map(Child::id);
        if let Some(pid) = pid.and_then(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the server of a member, without a warning.
    pub fn kill(&self, number: usize) {
        drop(self.lock()[number].process.take().map(|mut process| {
            let _ = process.kill();
            process.wait()
        }));
    }

    /// Waits for the end of a server; whether it ended well.
    ///
    /// # Errors
    /// When it does not end.
    pub fn ended(&self, number: usize) -> Result<bool> {
        eventually("the end of a server", || {
            let mut members = self.lock();
            let process = members[number].process.as_mut().context("it was not started")?;
            let status = process.try_wait()?.context("it still runs")?;
            members[number].process = None;
            Ok(status.success())
        })
    }

    /// Gives a member another port for its next start.
    ///
    /// # Errors
    /// When there is none.
    pub fn change_port(&self, number: usize) -> Result<()> {
        self.lock()[number].address.set_port(free_port()?);
        Ok(())
    }

    /// Does something to the disk of a member that was [started on one](Self::start_on_disks).
    ///
    /// # Errors
    /// When it was not, and those of `work`.
    pub fn with_disk<T>(&self, number: usize, work: impl FnOnce(&Disk) -> Result<T>) -> Result<T> {
        let members = self.lock();
        let disk = members[number].disk.as_ref();
        work(disk.context("it has no disk of its own")?)
    }

    /// Sets the clock of a member that was [started with one](Self::start_with_clocks) so many days ahead.
    ///
    /// # Errors
    /// When it was not.
    pub fn set_clock(&self, number: usize, days: u32) -> Result<()> {
        let members = self.lock();
        let clock = members[number].clock.as_ref();
        clock.context("it has no clock of its own")?.set(days)
    }

    /// What the server of a member said.
    pub fn log_of(&self, number: usize) -> String {
        std::fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    /// Where the API of a member is.
    pub fn url(&self, number: usize) -> String {
        format!("https://{}", self.address(number))
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.lock()[number].address
    }

    /// The place of a member that was [started apart](Self::start_apart).
    ///
    /// # Panics
    /// When it was not.
    pub fn link(&self, number: usize) -> Arc<Link> {
        let link = self.lock()[number].link.clone();
        link.expect("it was started apart")
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("log-{number}"))
    }

    /// The data directory of a member.
    pub fn data(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("data-{number}"))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Members of a control plane as processes on this machine, each on a port of loopback.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
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

use crate::{Output, User, Words, cluster::free_port, eventually, run, user::Program};

/// Servers `0..`, of which the first makes the cluster and the others join it. They end with this.
#[derive(Debug)]
pub struct Members {
    dir: TempDir,
    program: Program,
    runtime: Runtime,
    members: Mutex<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    port: u16,
    process: Option<Child>,
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
        let _ = rustls::crypto::ring::default_provider().install_default();
        let members = Self {
            dir: tempfile::Builder::new().prefix("skiff-").tempdir_in("/tmp")?,
            program: Program::find(User::Root)?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?,
            members: Mutex::default(),
        };
        members.add(options)?;
        members.serves(0)?;
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
        let token = self.skiff(through, "token --server").ok()?;
        let url = self.url(through);
        self.add(["--join", &url, "--token", token.trim()].as_slice())
    }

    fn add(&self, options: impl Words) -> Result<usize> {
        let number = {
            let mut members = self.lock();
            members.push(Member {
                port: free_port()?,
                process: None,
            });
            members.len() - 1
        };
        self.launch(number, options)?;
        Ok(number)
    }

    /// Starts the server of a member, which must not be running.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn launch(&self, number: usize, options: impl Words) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log(number))?;
        let port = self.port(number).to_string();
        let process = self
            .command(number)
            .args([
                "server",
                "--listen",
                "127.0.0.1",
                "--advertise",
                "127.0.0.1",
                "--port",
                &port,
            ])
            .args(options.words())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start a server")?;
        self.lock()[number].process = Some(process);
        Ok(())
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
            let address = format!("127.0.0.1:{}", self.port(number));
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
            let is_it = |member: &Member| address == format!("127.0.0.1:{}", member.port);
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
        let address = format!("127.0.0.1:{}", self.port(number));
        let list = self.list(asked)?;
        let me = list.iter().find(|member| member["address"] == address.as_str());
        me.and_then(|member| member["id"].as_u64())
            .context("it is not known")
    }

    /// Runs `skiff` for the folders of a member.
    pub fn skiff(&self, number: usize, words: impl Words) -> Output {
        match run(self.command(number).args(words.words())) {
            Ok(output) => output,
            Err(error) => panic!("{error:#}"),
        }
    }

    fn command(&self, number: usize) -> Command {
        let mut command = Command::new(self.program.path());
        command
            .env("SKIFF_DATA_DIR", self.data(number))
            .env("SKIFF_RUN_DIR", self.dir.path().join(format!("run-{number}")))
            .current_dir("/");
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

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
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
        self.lock()[number].port = free_port()?;
        Ok(())
    }

    /// What the server of a member said.
    pub fn log_of(&self, number: usize) -> String {
        std::fs::read_to_string(self.log(number)).unwrap_or_default()
    }

    /// Where the API of a member is.
    pub fn url(&self, number: usize) -> String {
        format!("https://127.0.0.1:{}", self.port(number))
    }

    fn port(&self, number: usize) -> u16 {
        self.lock()[number].port
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("log-{number}"))
    }

    /// The data directory of a member.
    pub fn data(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("data-{number}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Member>> {
        self.members
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

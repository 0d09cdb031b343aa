//! Egress by pasta (the passt project's program), for kernels whose nftables lacks what handing packets to our sockets takes.
//!
//! pasta makes an interface in the node namespace and carries what comes out of it on by sockets of the host. It takes packets of one
//! sender only, so those of pods are masqueraded on the way to it. It ends with the agent, and is started again when it ends before.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use skiff_netns_proxy::netns::Namespace;
use tokio::io::{Interest, unix::AsyncFd};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::masquerade::{self, Names};
use crate::{
    Config, Error, link,
    nftables::{self, Family},
    node,
};

const PROGRAM: &str = "pasta";
/// The interface it makes in the node namespace.
pub(super) const INTERFACE: &str = "pasta";
/// How long it may take to make it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before it is started again; doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A running pasta; it ends when this is dropped.
pub(crate) struct Pasta {
    _keeper: AbortOnDropHandle<()>,
}

impl Pasta {
    /// Starts it, or says why that can't be.
    pub async fn start(config: &Config, node: &Arc<Namespace>, host: &Arc<Namespace>) -> Result<Self, Error> {
        let launcher = Launcher {
            program: find(PROGRAM).ok_or_else(|| {
                let text = format!("{PROGRAM} is not installed (package passt)");
                Error::new("find pasta", io::Error::new(io::ErrorKind::NotFound, text))
            })?,
            target: node::mount_point(&config.dir),
            log: config.dir.join("pasta.log"),
            names: Names::of(&config.dir),
            node: Arc::clone(node),
            host: Arc::clone(host),
        };
        let first = launcher.launch().await?;
        let keeper = AbortOnDropHandle::new(tokio::spawn(async move { launcher.keep(first).await }));
        Ok(Self { _keeper: keeper })
    }

    /// Ends it and removes what was made for it.
    pub async fn stop(self, node: &Namespace) -> Result<(), Error> {
        drop(self);
        clear(node).await
    }
}

/// Removes the interface, with which a pasta of an earlier agent ends if it is still there, and the rules.
pub(super) async fn clear(node: &Namespace) -> Result<(), Error> {
    let cleared = node.run(|| link::delete(INTERFACE).and(nftables::remove(super::TABLE, Family::V4)));
    let cleared = cleared.await;
    Ok(cleared.map_err(|source| Error::new("enter the node namespace", source))??)
}

/// What starting it takes.
struct Launcher {
    program: PathBuf,
    /// The file of the node namespace.
    target: PathBuf,
    log: PathBuf,
    names: Names,
    node: Arc<Namespace>,
    host: Arc<Namespace>,
}

impl Launcher {
    async fn launch(&self) -> Result<Running, Error> {
        clear(&self.node).await?;
        let log = File::create(&self.log).map_err(|source| Error::new("write the log of pasta", source))?;
        let mut command = self.command(log);
        // On a thread that lives as long as the process: it is the parent whose death ends pasta.
        let spawned = self
            .host
            .run(move || command.spawn())
            .await
            .and_then(|spawned| spawned);
        let running = spawned.and_then(Running::new);
        let mut running = running.map_err(|source| Error::new("start pasta", source))?;
        let connected = tokio::select! {
            connected = self.connect() => connected,
            () = running.ended() => Err(Error::new("start pasta", io::Error::other(self.last_words()))),
        };
        connected.map(|()| running)
    }

    fn command(&self, log: File) -> Command {
        let mut command = Command::new(&self.program);
        let (near, far) = (
            self.names.node_address.to_string(),
            self.names.host_address.to_string(),
        );
        command
            .args([
                "--foreground",
                "--quiet",
                "--ipv4-only",
                "--netns-only",
                "--netns",
            ])
            .arg(&self.target)
            .args(["--ns-ifname", INTERFACE])
            .args([
                "--address",
                &near,
                "--netmask",
                "255.255.255.252",
                "--gateway",
                &far,
            ])
            // Nothing of the host's loopback for pods, and no ports from outside: that is the proxy's business.
            .args(["--no-map-gw", "--tcp-ports", "none", "--udp-ports", "none"])
            .args(["--tcp-ns", "none", "--udp-ns", "none"])
            .args(["--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .current_dir("/");
        if rustix::process::geteuid().is_root() {
            // It would become another user, who can't enter the namespace; changing users also undoes the next line.
            command.args(["--runas", "0:0"]);
        }
        skiff_sys::process::end_with_thread(&mut command);
        command
    }

    /// Waits for its interface, and leads what is for the world there.
    async fn connect(&self) -> Result<(), Error> {
        let appears = async {
            loop {
                match self
                    .node
                    .run(|| link::find(INTERFACE))
                    .await
                    .and_then(|found| found)
                {
                    Ok(Some(_)) => return Ok(()),
                    Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(source) => return Err(Error::new("find the interface of pasta", source)),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, appears).await {
            Ok(found) => found?,
            Err(_) => {
                let text = format!("it made no interface within {PATIENCE:?}: {}", self.last_words());
                return Err(Error::new(
                    "start pasta",
                    io::Error::new(io::ErrorKind::TimedOut, text),
                ));
            }
        }
        let names = self.names.clone();
        let led = self
            .node
            .run(move || masquerade::lead_out(INTERFACE, &names))
            .await;
        led.map_err(|source| Error::new("enter the node namespace", source))?
    }

    /// Starts it again whenever it has ended.
    async fn keep(self, mut running: Running) {
        let mut pause = PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            running.ended().await;
            warn!(
                reason = self.last_words(),
                "pasta has ended: pods can't reach the world until it is back"
            );
            if begun.elapsed() > LONGEST_PAUSE {
                pause = PAUSE;
            }
            running = loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                match self.launch().await {
                    Ok(running) => break running,
                    Err(error) => {
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        warn!(%error, cause, "start pasta again");
                    }
                }
            };
            info!("pasta is back");
        }
    }

    /// The last line it wrote.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }
}

/// The process. It is killed when this is dropped.
struct Running {
    child: Child,
    pidfd: AsyncFd<std::os::fd::OwnedFd>,
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let watched = pid
            .ok_or_else(|| io::ErrorKind::NotFound.into())
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may close early; OwnedFd does not"
        )]
        let watched = watched.and_then(|pidfd| AsyncFd::with_interest(pidfd, Interest::READABLE));
        match watched {
            Ok(pidfd) => Ok(Self { child, pidfd }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(error)
            }
        }
    }

    /// Waits for its end. May be cancelled.
    async fn ended(&mut self) {
        let _ = self.pidfd.readable().await;
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing for one that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is, by PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|dir| dir.join(program));
    places.find(|place| is_executable(place))
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

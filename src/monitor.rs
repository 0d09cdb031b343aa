//! The process behind `skiff up`: starts server and agent, and starts them again when they end.
//!
//! It has no threads and no state of its own: children are remembered in the run directory, so a monitor that was
//! killed is replaced by the next `skiff up`, which takes over what still runs. What it has to say to the waiting
//! `skiff up` goes to standard output, a line each: `server ready`, `failed <text>`.

use std::{
    io::Write as _,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use skiff_control::pki;

use crate::{
    cli::{NodeArgs, ServerArgs, UpArgs},
    kubeconfig,
    paths::Paths,
    process::{self, Process},
    scope,
};

/// How long a child may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);
/// A child that lived this long is started again at once.
const SETTLED: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A child: how to start it, and the one that runs.
struct Child {
    role: &'static str,
    arguments: Vec<String>,
    running: Option<(Process, OwnedFd)>,
    started: Instant,
    start_at: Option<Instant>,
    pause: Duration,
}

/// Runs until SIGTERM.
pub fn run(paths: &Paths, args: &UpArgs) -> Result<()> {
    paths.create()?;
    // Out of the session of whoever typed `skiff up`: closing that terminal is none of our business.
    let _ = nix::unistd::setsid();
    let pid_file = process::file(&paths.run, "monitor");
    if let Some(other) = Process::load(&pid_file).filter(|p| Some(*p) != Process::current()) {
        bail!("another monitor runs already (process {})", other.pid());
    }
    Process::current().context("look at ourselves")?.save(&pid_file)?;

    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let notify_path = process::notify_socket(&paths.run);
    let _ = std::fs::remove_file(&notify_path);
    let notify = UnixDatagram::bind(&notify_path).with_context(|| format!("listen on {notify_path:?}"))?;
    notify.set_nonblocking(true)?;

    let mut server = Child::adopt(paths, "server", server_arguments(&args.server));
    let mut agent = Child::adopt(paths, "agent", agent_arguments(&args.node, &args.server));
    let mut is_serving = server.running.is_some();
    if is_serving {
        say("server ready");
    }
    loop {
        match server.start_if_due(paths, &notify_path) {
            Err(error) if is_serving => server.put_off(&error),
            started => started?,
        }
        if is_serving && let Err(error) = agent.start_if_due(paths, &notify_path) {
            agent.put_off(&error);
        }
        match wait(&signals, &notify, &[&server, &agent])? {
            Woken::Terminate => break,
            Woken::Ready => {
                is_serving = true;
                say("server ready");
            }
            Woken::Other => {}
        }
        if server.has_ended() && !is_serving {
            say(&format!("failed {}", last_line(paths, "server")));
            bail!("the server ended before it served");
        }
        agent.has_ended();
    }
    for child in [&mut agent, &mut server] {
        if let Some((process, _)) = child.running.take() {
            process.end(PATIENCE);
        }
        let _ = std::fs::remove_file(process::file(&paths.run, child.role));
    }
    let _ = std::fs::remove_file(&notify_path);
    let _ = std::fs::remove_file(&pid_file);
    Ok(())
}

impl Child {
    /// A child that may be running already, started by a monitor before us.
    fn adopt(paths: &Paths, role: &'static str, arguments: Vec<String>) -> Self {
        let process = Process::load(&process::file(&paths.run, role));
        let running = process.and_then(|p| Some((p, p.pidfd()?)));
        let start_at = running.is_none().then(Instant::now);
        Self {
            role,
            arguments,
            running,
            started: Instant::now(),
            start_at,
            pause: Duration::ZERO,
        }
    }

    fn start_if_due(&mut self, paths: &Paths, notify: &PathBuf) -> Result<()> {
        if self.running.is_some() || self.start_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let log_path = log_file(paths, self.role);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .with_context(|| format!("open {log_path:?}"))?;
        let program = process::own_program();
        let mut command = if self.role == "agent" {
            scope::command(&program)
        } else {
            Command::new(program)
        };
        let child = command
            .args([
                "--data-dir".as_ref(),
                paths.data.as_os_str(),
                "--run-dir".as_ref(),
                paths.run.as_os_str(),
            ])
            .arg(self.role)
            .args(&self.arguments)
            .env("NOTIFY_SOCKET", notify)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start the {}", self.role))?;
        let process = Process::of(child.id() as i32);
        if let Some(process) = process
            && let Err(error) = process.save(&process::file(&paths.run, self.role))
        {
            // It writes this down itself as well, and ends when it can't.
            complain(&format!(
                "process {} of the {}: {error:#}",
                process.pid(),
                self.role
            ));
        }
        self.running = process.and_then(|p| Some((p, p.pidfd()?)));
        self.started = Instant::now();
        // Ended within these few instructions: tried again like any other end.
        self.start_at = self
            .running
            .is_none()
            .then(|| Instant::now() + Duration::from_secs(1));
        Ok(())
    }

    /// Notices the end of the child and plans its next start.
    fn has_ended(&mut self) -> bool {
        if self
            .running
            .as_ref()
            .is_none_or(|(process, _)| process.is_alive())
        {
            return false;
        }
        self.running = None;
        if self.started.elapsed() > SETTLED {
            self.pause = Duration::ZERO;
            self.start_at = Some(Instant::now());
        } else {
            self.back_off();
        }
        true
    }

    /// It could not even be started (a full disk, no more processes): that passes, and whoever watches must stay.
    fn put_off(&mut self, error: &anyhow::Error) {
        complain(&format!("{error:#}"));
        self.back_off();
    }

    fn back_off(&mut self) {
        self.pause = (self.pause * 2).clamp(Duration::from_millis(100), LONGEST_PAUSE);
        self.start_at = Some(Instant::now() + self.pause);
    }
}

/// Why [`wait`] returned.
enum Woken {
    Terminate,
    Ready,
    Other,
}

/// Sleeps until a signal, a notification, the end of a child, or the time to start one.
fn wait(signals: &SignalFd, notify: &UnixDatagram, children: &[&Child]) -> Result<Woken> {
    let mut fds = vec![
        PollFd::new(signals, PollFlags::IN),
        PollFd::new(notify, PollFlags::IN),
    ];
    fds.extend(
        children
            .iter()
            .filter_map(|c| c.running.as_ref())
            .map(|(_, fd)| PollFd::new(fd, PollFlags::IN)),
    );
    let due = children
        .iter()
        .filter(|c| c.running.is_none())
        .filter_map(|c| c.start_at)
        .min();
    let timeout = due
        .map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
        .map(|left| Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error).context("poll"),
    }
    let mut message = [0; 256];
    let mut woken = Woken::Other;
    while let Ok(length) = notify.recv(&mut message) {
        if message[..length]
            .split(|b| *b == b'\n')
            .any(|line| line == b"READY=1")
        {
            woken = Woken::Ready;
        }
    }
    while let Some(signal) = signals.read_signal()? {
        if signal.ssi_signo == Signal::SIGCHLD as u32 {
            reap();
        } else {
            return Ok(Woken::Terminate);
        }
    }
    Ok(woken)
}

fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

/// Whoever waits may have gone away: that is fine.
fn say(line: &str) {
    crate::output::say!("{line}");
}

/// To the monitor's log, whose disk may be the one that is full.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where a child's output goes.
pub fn log_file(paths: &Paths, role: &str) -> PathBuf {
    paths.logs().join(format!("{role}.log"))
}

/// The last line a child wrote: usually why it ended.
pub fn last_line(paths: &Paths, role: &str) -> String {
    let log = log_file(paths, role);
    let text = std::fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .map_or_else(|| format!("see {}", log.display()), str::to_owned)
}

fn server_arguments(args: &ServerArgs) -> Vec<String> {
    let mut out = vec![
        format!("--listen={}", args.listen),
        format!("--port={}", args.port),
        format!("--tls-min-version={}", args.tls_min_version.name()),
    ];
    out.extend(fixed_arguments(args));
    if let (Some(policy), Some(log)) = (&args.audit_policy_file, &args.audit_log_path) {
        // The monitor runs in another directory than whoever types the paths.
        let absolute = |path: &PathBuf| match path.to_str() {
            Some("-") => path.clone(),
            _ => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        };
        out.push(format!("--audit-policy-file={}", absolute(policy).display()));
        out.push(format!("--audit-log-path={}", absolute(log).display()));
    }
    out.extend([
        format!("--audit-log-maxsize={}", args.audit_log_maxsize),
        format!("--audit-log-maxbackup={}", args.audit_log_maxbackup),
        format!("--audit-log-maxage={}", args.audit_log_maxage),
    ]);
    out.extend(
        args.load_balancer_pool
            .iter()
            .map(|pool| format!("--load-balancer-pool={pool}")),
    );
    out.extend(args.advertise.map(|a| format!("--advertise={a}")));
    out.extend(args.tls_san.iter().map(|n| format!("--tls-san={n}")));
    out
}

/// What server and agent must have in common.
fn fixed_arguments(server: &ServerArgs) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(server.cluster_cidr.map(|cidr| format!("--cluster-cidr={cidr}")));
    out.extend(server.service_cidr.map(|cidr| format!("--service-cidr={cidr}")));
    out.extend(
        server
            .cluster_domain
            .iter()
            .map(|domain| format!("--cluster-domain={domain}")),
    );
    out
}

fn agent_arguments(node: &NodeArgs, server: &ServerArgs) -> Vec<String> {
    let mut out = fixed_arguments(server);
    out.push(format!("--max-pods={}", node.max_pods));
    out.push(format!("--egress={}", node.egress.name()));
    out.extend(node.node_name.iter().map(|n| format!("--node-name={n}")));
    out.extend(node.node_ip.map(|a| format!("--node-ip={a}")));
    out.extend(node.forwarder_port.map(|port| format!("--forwarder-port={port}")));
    out.extend(
        node.node_port_address
            .iter()
            .map(|a| format!("--node-port-address={a}")),
    );
    out.extend(
        node.node_label
            .iter()
            .map(|(k, v)| format!("--node-label={k}={v}")),
    );
    out.extend(
        node.insecure_registry
            .iter()
            .map(|r| format!("--insecure-registry={r}")),
    );
    out.extend(
        node.registry_mirror
            .iter()
            .map(|(k, v)| format!("--registry-mirror={k}={v}")),
    );
    out
}

/// The arguments that make `skiff monitor` do what this `skiff up` was asked.
pub fn arguments(args: &UpArgs) -> Vec<String> {
    let mut out = server_arguments(&args.server);
    let known: std::collections::BTreeSet<String> = out.iter().cloned().collect();
    out.extend(
        agent_arguments(&args.node, &args.server)
            .into_iter()
            .filter(|a| !known.contains(a)),
    );
    out
}

/// The server's certificate authority must exist before the agent's kubeconfig can be written.
pub fn prepare(paths: &Paths, args: &UpArgs, node: &str) -> Result<()> {
    let pki = pki::Pki::open(&paths.pki())?;
    let address = std::net::SocketAddr::new(args.server.listen, args.server.port);
    let kubeconfig = pki::kubeconfig(
        &pki.ca_pem(),
        &[pki::Place::only(kubeconfig::local_url(address))],
        pki::CLUSTER,
        &format!("system:node:{node}"),
        &pki.issue_node(node)?,
    );
    pki::write_private(&paths.node_kubeconfig(), &kubeconfig)?;
    Ok(())
}

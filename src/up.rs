//! `skiff up`: a cluster for this user on this machine, in the background.

use std::{
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    check,
    cli::UpArgs,
    cluster, monitor,
    paths::Paths,
    process::{self, Process},
    server, status,
};

/// Starts what does not run yet, waits until the node is ready, and says how to go on.
pub fn run(paths: &Paths, args: &UpArgs) -> Result<()> {
    let begin = Instant::now();
    ensure!(
        args.server.port != 0,
        "`skiff up` needs a fixed --port: the cluster must be found again after a restart"
    );
    check::essentials().context("this machine can't run skiff yet (`skiff check` explains)")?;
    // Whatever may refuse comes before anything is written: a refused first start must not fix the cluster's settings.
    let node = cluster::node_name(args.node.node_name.as_deref())?;
    // One that was killed a moment ago is as good as gone, but only when it is gone can another take its place.
    let running = |role| {
        Process::load(&process::file(&paths.run, role))
            .filter(|process| !process.is_dying() || !process.wait(Duration::from_secs(30)))
    };
    let has_server = running("server").is_some();
    if running("monitor").is_none() && !has_server {
        ports_are_free(args)?;
    }
    paths.create()?;
    let fixed = cluster::Fixed::check(&args.server, &paths.data)?;
    let args = &{
        let mut args = args.clone();
        fixed.spell_out(&mut args.server);
        args
    };
    let timeout = Duration::from_secs(args.timeout);
    match running("monitor") {
        Some(monitor) => {
            is_heeded(monitor, args)?;
            crate::output::say!("skiff runs already (process {})", monitor.pid());
        }
        None => {
            if !has_server {
                monitor::prepare(paths, args, &node)?;
            }
            start_monitor(paths, args)?;
            crate::output::say!("API server ready after {:.2} s", begin.elapsed().as_secs_f64());
        }
    }
    let waited = server::runtime()?.block_on(status::wait_for_node(paths, &node, timeout));
    if let Err(error) = waited {
        bail!(
            "node {node} is not ready: {error:#}\nThe agent's last words: {}\nLogs: {}",
            monitor::last_line(paths, "agent"),
            paths.logs().display()
        );
    }
    crate::output::say!("node {node} ready after {:.2} s", begin.elapsed().as_secs_f64());
    crate::output::say!(
        "\nGo on with\n  export KUBECONFIG={}",
        paths.admin_kubeconfig().display()
    );
    if !is_in_path("kubectl") {
        crate::output::say!("  sudo apt-get install kubernetes-client   # kubectl, which is not there yet");
    }
    crate::output::say!("  kubectl get nodes\nStop with\n  skiff down");
    Ok(())
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What runs was started with options of its own. Others would be ignored, and whoever gives them must not think that they
/// hold.
fn is_heeded(monitor: Process, args: &UpArgs) -> Result<()> {
    let unheeded = unheeded(
        &monitor::arguments(args),
        &monitor::arguments(&UpArgs::none_given()?),
        &monitor.command_line(),
    );
    ensure!(
        unheeded.is_empty(),
        "skiff runs already (process {}), started without {}: run `skiff down` first, objects and images are kept",
        monitor.pid(),
        unheeded.join(" ")
    );
    Ok(())
}

/// What is asked beyond the defaults and is not what runs.
fn unheeded(asked: &[String], defaults: &[String], running: &[String]) -> Vec<String> {
    let is_new = |option: &&String| !defaults.contains(option) && !running.contains(option);
    asked.iter().filter(is_new).cloned().collect()
}

/// The ports must be known to be free before anything is written: server and agent would only say so in their logs.
fn ports_are_free(args: &UpArgs) -> Result<()> {
    let is_free = |address: IpAddr, port: u16, option: &str| {
        std::net::TcpListener::bind((address, port))
            .map(drop)
            .with_context(|| {
                format!("port {port} is taken on {address}: stop what listens there, or choose another with {option}")
            })
    };
    is_free(args.server.listen, args.server.port, "--port")?;
    match args.node.forwarder_port {
        Some(port) => is_free(Ipv4Addr::LOCALHOST.into(), port, "--forwarder-port"),
        None => Ok(()),
    }
}

/// Starts the monitor in a session of its own and waits until the server serves.
fn start_monitor(paths: &Paths, args: &UpArgs) -> Result<()> {
    let log_path = monitor::log_file(paths, "monitor");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .with_context(|| format!("open {log_path:?}"))?;
    let mut child = Command::new(process::own_program())
        .args([
            "--data-dir".as_ref(),
            paths.data.as_os_str(),
            "--run-dir".as_ref(),
            paths.run.as_os_str(),
        ])
        .arg("monitor")
        .args(monitor::arguments(args))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .context("start the monitor")?;
    let output = child.stdout.take().context("the monitor's output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line == "server ready" {
            return Ok(());
        }
        if let Some(reason) = line.strip_prefix("failed ") {
            bail!("the server did not start: {reason}");
        }
    }
    bail!("the monitor ended: {}", monitor::last_line(paths, "monitor"))
}

#[cfg(test)]
mod tests {
    use super::unheeded;

    fn options(list: &[&str]) -> Vec<String> {
        list.iter().map(|option| (*option).to_owned()).collect()
    }

    #[test]
    fn only_what_was_asked_for_and_does_not_run_is_told() {
        let defaults = options(&["--port=6443", "--max-pods=250"]);
        let running = options(&["skiff", "monitor", "--port=7443", "--max-pods=250", "--tls-san=a"]);
        let told = |asked: &[&str]| unheeded(&options(asked), &defaults, &running);
        assert!(told(&["--port=6443", "--max-pods=250"]).is_empty());
        assert!(told(&["--port=7443", "--tls-san=a"]).is_empty());
        assert_eq!(
            told(&["--port=8443", "--max-pods=250", "--tls-san=b"]),
            ["--port=8443", "--tls-san=b"]
        );
    }
}

//! Hooks: programs of the user's choice that run at fixed points of a container's life.

use std::{
    collections::HashMap,
    io::{self, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use oci_spec::runtime::Hook;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags},
};
use serde_json::{Value, json};

use crate::error::Context;

/// The runtime-spec state that hooks read on their standard input.
pub(crate) fn state(
    id: &str,
    status: &str,
    pid: Option<u32>,
    bundle: &Path,
    annotations: &Option<HashMap<String, String>>,
) -> Value {
    let mut state = json!({ "ociVersion": crate::OCI_VERSION, "id": id, "status": status, "bundle": bundle });
    if let Some(pid) = pid {
        state["pid"] = pid.into();
    }
    if let Some(annotations) = annotations
        && !annotations.is_empty()
    {
        state["annotations"] = json!(annotations);
    }
    state
}

/// Runs the hooks of one kind in order; the first that fails is the error.
pub(crate) fn run(kind: &str, hooks: &Option<Vec<Hook>>, state: &Value) -> io::Result<()> {
    match failures(kind, hooks, state).next() {
        None => Ok(()),
        Some(e) => Err(e),
    }
}

/// Runs the hooks of one kind in order, as far as the result is looked at: each that fails gives an error.
pub(crate) fn failures<'a>(
    kind: &'a str,
    hooks: &'a Option<Vec<Hook>>,
    state: &'a Value,
) -> impl Iterator<Item = io::Error> + 'a {
    // Those that run on the host start where relative paths of the configuration do; the others where the container is.
    let inside = matches!(kind, "createContainer" | "startContainer");
    let bundle = state["bundle"].as_str().map(Path::new);
    let dir = bundle.filter(|dir| !inside && dir.is_dir());
    hooks
        .iter()
        .flatten()
        .enumerate()
        .filter_map(move |(number, hook)| {
            one(hook, dir, state)
                .context(|| format!("error running {kind} hook #{number}: {:?}", hook.path()))
                .err()
        })
}

fn one(hook: &Hook, dir: Option<&Path>, state: &Value) -> io::Result<()> {
    let mut command = Command::new(hook.path());
    if let Some(dir) = dir {
        command.current_dir(dir);
    }
    if let Some((first, rest)) = hook.args().as_ref().and_then(|args| args.split_first()) {
        command.arg0(first).args(rest);
    }
    // Without a word about it a hook has the environment of the runtime, as with runc and crun.
    if let Some(env) = hook.env() {
        command.env_clear();
        command.envs(env.iter().filter_map(|pair| pair.split_once('=')));
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read it.
        let _ = stdin.write_all(state.to_string().as_bytes());
    }
    if let Some(seconds) = hook.timeout()
        && !ended_within(&child, Duration::from_secs(seconds.max(1) as u64))?
    {
        child.kill()?;
        child.wait()?;
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("still running after {seconds} s"),
        ));
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(how_it_ended(status)))
    }
}

/// In the words that people know from runc.
fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(libc::SIGSYS)) => "signal: bad system call".to_owned(),
        (None, Some(libc::SIGKILL)) => "signal: killed".to_owned(),
        _ => status.to_string(),
    }
}

fn ended_within(child: &Child, limit: Duration) -> io::Result<bool> {
    let pid = Pid::from_raw(child.id() as i32).expect("a child's pid is positive");
    let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = Timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: 0,
    };
    Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout))? > 0)
}

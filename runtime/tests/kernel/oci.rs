//! `skiff oci`. The rootless tests run as the user itself, without a user namespace around them.

use std::{
    fs,
    io::{Read, Write},
    os::fd::AsFd,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    Outcome, Test,
    world::{World, alive, eventually},
};

pub const TESTS: &[Test] = &[
    ("oci_spec_writes_a_configuration_that_runs", spec),
    ("oci_create_start_state_kill_delete", lifecycle),
    ("oci_run_passes_output_exit_code_and_signals", run),
    ("oci_exec_runs_in_the_container", exec),
    ("oci_errors_are_those_of_runc", errors),
    ("oci_hooks_run_in_order_with_the_state_on_stdin", hooks),
    ("oci_terminal_goes_to_the_console_socket", console),
    ("oci_namespaces_are_joined_by_path", join),
    ("oci_container_without_pivot_root_runs", no_pivot),
    ("oci_limits_are_in_the_cgroup", limits),
];

/// A bundle with the example configuration, changed by `edit`.
pub fn bundle(world: &World, args: &[&str], edit: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
    let dir = world.dir.path().join("bundle");
    if dir.exists() {
        fs::remove_file(dir.join("config.json"))?;
    } else {
        fs::create_dir(&dir)?;
        std::os::unix::fs::symlink(world.layer(), dir.join("rootfs"))?;
    }
    let path = dir.to_string_lossy().into_owned();
    let mut spec = vec!["spec", "--bundle", &path];
    if world.rootless {
        spec.push("--rootless");
    }
    ok(&mut world.oci(&spec))?;
    let config = dir.join("config.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&config)?)?;
    value["process"]["args"] = json!(args);
    value["process"]["terminal"] = false.into();
    value["process"]["env"] = json!(["PATH=/bin", format!("SKIFF_TEST={}", world.mark)]);
    edit(&mut value);
    fs::write(&config, serde_json::to_vec(&value)?)?;
    Ok(path)
}

pub fn output(command: &mut Command) -> anyhow::Result<Output> {
    Ok(command.stdin(Stdio::null()).output()?)
}

/// Runs a command that must succeed; returns its output.
pub fn ok(command: &mut Command) -> anyhow::Result<String> {
    let output = output(command)?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{out}{err}",
        output.status
    );
    Ok(out.into_owned())
}

/// Runs a command whose output would be inherited by what it leaves running.
pub fn detached(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

pub fn state(world: &World, id: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&ok(&mut world.oci(&["state", id]))?)?)
}

fn spec(world: &World) -> Outcome {
    let bundle = bundle(world, &["sh", "-c", "echo hello from $(hostname); id -u"], |_| ())?;
    let out = ok(&mut world.oci(&["run", "--bundle", &bundle, "a"]))?;
    ensure!(out == "hello from skiff\n0\n", "{out:?}");
    ensure!(
        !output(&mut world.oci(&["spec", "--bundle", &bundle]))?
            .status
            .success(),
        "an existing file is kept"
    );
    ensure!(ok(&mut world.oci(&["list", "-q"]))?.is_empty());
    ok(&mut world.oci(&["features"]))?;
    Ok(None)
}

fn lifecycle(world: &World) -> Outcome {
    let bundle = bundle(world, &["sleep", "1000"], |_| ())?;
    let pid_file = world.dir.path().join("pid");
    detached(
        world
            .oci(&["create", "--bundle", &bundle, "--pid-file"])
            .arg(&pid_file)
            .arg("a"),
    )?;
    let created = state(world, "a")?;
    ensure!(
        created["status"] == "created" && created["id"] == "a",
        "{created}"
    );
    let pid: u32 = fs::read_to_string(&pid_file)?.parse()?;
    ensure!(created["pid"] == pid && alive(pid), "{created}");
    // As with runc: something may be prepared in it.
    ok(&mut world.oci(&["exec", "a", "true"]))?;
    detached(&mut world.oci(&["start", "a"]))?;
    ensure!(state(world, "a")?["status"] == "running");
    ensure!(fs::read_to_string(format!("/proc/{pid}/cmdline"))? == "sleep\x001000\0");
    ensure!(!output(&mut world.oci(&["start", "a"]))?.status.success());
    let error = output(&mut world.oci(&["delete", "a"]))?;
    ensure!(
        String::from_utf8_lossy(&error.stderr)
            .contains("cannot delete container a that is not stopped: running")
    );
    let list = ok(&mut world.oci(&["list"]))?;
    ensure!(
        list.contains("running") && list.contains(&pid.to_string()),
        "{list}"
    );
    ensure!(ok(&mut world.oci(&["ps", "a"]))?.contains("sleep 1000"));
    // The first process of a PID namespace does not mind SIGTERM; SIGKILL is not refused.
    detached(&mut world.oci(&["kill", "a", "KILL"]))?;
    eventually("it stops", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    let error = output(&mut world.oci(&["kill", "a", "0"]))?;
    ensure!(String::from_utf8_lossy(&error.stderr).contains("container not running"));
    detached(&mut world.oci(&["delete", "a"]))?;
    ensure!(!output(&mut world.oci(&["state", "a"]))?.status.success());
    // Deleted before its start, and by force while it runs.
    detached(&mut world.oci(&["create", "--bundle", &bundle, "b"]))?;
    detached(&mut world.oci(&["delete", "b"]))?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &bundle, "c"]))?;
    detached(&mut world.oci(&["delete", "--force", "c"]))?;
    detached(&mut world.oci(&["delete", "--force", "c"]))?;
    Ok(None)
}

fn run(world: &World) -> Outcome {
    let path = bundle(world, &["sh", "-c", "cat; echo err >&2; exit 42"], |_| ())?;
    let mut child = world
        .oci(&["run", "-b", &path, "a"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("stdin")?.write_all(b"through\n")?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.code() == Some(42) && output.stdout == b"through\n" && output.stderr == b"err\n",
        "{output:?}"
    );

    let path = bundle(
        world,
        &[
            "sh",
            "-c",
            "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.01; done",
        ],
        |_| (),
    )?;
    let mut child = world
        .oci(&["run", "-b", &path, "a"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = child.stdout.take().context("stdout")?;
    let mut ready = [0; 6];
    out.read_exact(&mut ready)?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    let mut rest = String::new();
    out.read_to_string(&mut rest)?;
    ensure!(rest == "got it\n" && child.wait()?.code() == Some(9), "{rest:?}");

    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    let mut child = world
        .oci(&["run", "-b", &path, "a"])
        .stdin(Stdio::null())
        .spawn()?;
    eventually("it runs", || {
        (state(world, "a").ok()?["status"] == "running").then_some(())
    })?;
    detached(&mut world.oci(&["kill", "a", "9"]))?;
    ensure!(child.wait()?.code() == Some(137));
    Ok(None)
}

fn exec(world: &World) -> Outcome {
    let bundle = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &bundle, "a"]))?;
    let script = "tr '\\0' ' ' </proc/1/cmdline; pwd; echo $X; id -u; exit 6";
    let done = output(&mut world.oci(&["exec", "--cwd", "/tmp", "--env", "X=1", "a", "sh", "-c", script]))?;
    ensure!(
        done.stdout == b"sleep 1000 /tmp\n1\n0\n" && done.status.code() == Some(6),
        "{done:?}"
    );
    let process = world.dir.path().join("process.json");
    fs::write(
        &process,
        r#"{"user":{"uid":0,"gid":0},"args":["sh","-c","kill -9 $$"],"cwd":"/","env":["PATH=/bin"]}"#,
    )?;
    let done = output(world.oci(&["exec", "--process"]).arg(&process).arg("a"))?;
    ensure!(done.status.code() == Some(137), "{done:?}");
    // Without a terminal of ours, --tty still gives the process one.
    let done = output(&mut world.oci(&["exec", "--tty", "a", "tty"]))?;
    ensure!(
        String::from_utf8_lossy(&done.stdout).contains("/dev/pts/0"),
        "{done:?}"
    );
    let pid_file = world.dir.path().join("exec-pid");
    detached(
        world
            .oci(&["exec", "--detach", "--pid-file"])
            .arg(&pid_file)
            .args(["a", "sleep", "1002"]),
    )?;
    let pid: u32 = fs::read_to_string(&pid_file)?.parse()?;
    ensure!(alive(pid));
    let failed = output(&mut world.oci(&["exec", "a", "nope"]))?;
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(
        text.contains("exec: \"nope\": executable file not found in $PATH"),
        "{text}"
    );
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    eventually("what exec started is gone", || (!alive(pid)).then_some(()))?;
    Ok(None)
}

fn errors(world: &World) -> Outcome {
    let log = world.dir.path().join("log");
    let path = bundle(world, &["nope"], |_| ())?;
    let mut command = world.oci(&["--log-format", "json", "--log"]);
    let failed = output(command.arg(&log).args(["create", "--bundle", &path, "a"]))?;
    ensure!(failed.status.code() == Some(1));
    let line = fs::read_to_string(&log)?;
    let logged: Value = serde_json::from_str(line.lines().last().context("a line")?)?;
    ensure!(
        logged["level"] == "error"
            && logged["msg"]
                == "unable to start container process: exec: \"nope\": executable file not found in $PATH",
        "{line}"
    );
    ensure!(
        !output(&mut world.oci(&["state", "a"]))?.status.success(),
        "nothing is left of it"
    );
    let failed = output(&mut world.oci(&["state", "no/such"]))?;
    ensure!(String::from_utf8_lossy(&failed.stderr).contains("invalid container ID format"));
    let path = bundle(world, &["true"], |v| v["mounts"][0]["type"] = "nofs".into())?;
    let failed = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    ensure!(text.contains("nofs") && text.contains("/proc"), "{text}");
    let path = bundle(world, &["true"], |v| v["ociVersion"] = "9.9".into())?;
    ensure!(
        output(&mut world.oci(&["run", "--bundle", &path, "a"]))?
            .status
            .code()
            == Some(1)
    );
    Ok(None)
}

fn hooks(world: &World) -> Outcome {
    let record = world.dir.path().join("record");
    let hook = |name: &str| {
        let script = format!("printf '{name} '; cat; echo");
        json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("{{ {script}; }} >> {}", record.display())]}])
    };
    let path = bundle(world, &["true"], |v| {
        v["hooks"] = json!({
            "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "createContainer": hook("createContainer"),
            "poststart": hook("poststart"), "poststop": hook("poststop"),
        });
    })?;
    ok(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    let text = fs::read_to_string(&record)?;
    let names: Vec<_> = text.lines().filter_map(|l| l.split(' ').next()).collect();
    ensure!(
        names
            == [
                "prestart",
                "createRuntime",
                "createContainer",
                "poststart",
                "poststop"
            ],
        "{text}"
    );
    let statuses: Vec<String> = text
        .lines()
        .filter_map(|l| {
            Some(
                serde_json::from_str::<Value>(l.split_once(' ')?.1).ok()?["status"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    ensure!(
        statuses == ["creating", "creating", "creating", "running", "stopped"],
        "{text}"
    );
    let path = bundle(world, &["true"], |v| {
        v["hooks"] = json!({"createRuntime": [{"path": "/bin/false"}]})
    })?;
    let failed = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(
        String::from_utf8_lossy(&failed.stderr)
            .contains("error running createRuntime hook #0: \"/bin/false\": exit status 1"),
        "{failed:?}"
    );
    let path = bundle(world, &["true"], |v| {
        v["hooks"] =
            json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]});
    })?;
    let failed = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(
        String::from_utf8_lossy(&failed.stderr).contains("still running after 1 s"),
        "{failed:?}"
    );
    Ok(None)
}

fn console(world: &World) -> Outcome {
    let path = bundle(
        world,
        &["sh", "-c", "tty; [ -t 0 ] && echo terminal; sleep 1000"],
        |v| {
            v["process"]["terminal"] = true.into();
            v["process"]["consoleSize"] = json!({"height": 20, "width": 70});
        },
    )?;
    let socket = world.dir.path().join("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket)?;
    detached(
        world
            .oci(&["run", "--detach", "-b", &path, "--console-socket"])
            .arg(&socket)
            .arg("a"),
    )?;
    let (stream, _) = listener.accept()?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 64];
    let mut iov = [std::io::IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(
        &stream,
        &mut iov,
        &mut control,
        rustix::net::RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let rustix::net::RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let terminal = fds.pop().context("a terminal")?;
    let size = rustix::termios::tcgetwinsize(&terminal)?;
    ensure!((size.ws_row, size.ws_col) == (20, 70), "{size:?}");
    crate::pods::read_until(terminal.as_fd(), "terminal")?;
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    Ok(None)
}

fn join(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
    let rootless = world.rootless;
    let path = bundle(
        world,
        &[
            "sh",
            "-c",
            "for n in pid ipc uts user; do readlink /proc/self/ns/$n; done; hostname",
        ],
        |v| {
            for namespace in v["linux"]["namespaces"].as_array_mut().expect("namespaces") {
                let kind = namespace["type"].as_str().unwrap_or_default().to_owned();
                if kind == "user" || (!rootless && ["pid", "ipc", "uts"].contains(&kind.as_str())) {
                    namespace["path"] = format!("/proc/{pid}/ns/{kind}").into();
                }
                if rootless && ["pid", "ipc", "uts"].contains(&kind.as_str()) {
                    namespace["path"] = format!("/proc/{pid}/ns/{kind}").into();
                }
            }
            if rootless {
                v["linux"]["uidMappings"] = Value::Null;
                v["linux"]["gidMappings"] = Value::Null;
            }
            v["hostname"] = "other".into();
        },
    )?;
    let out = ok(&mut world.oci(&["run", "--bundle", &path, "b"]))?;
    for kind in ["pid", "ipc", "uts", "user"] {
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
        ensure!(
            out.contains(&*theirs.to_string_lossy()),
            "{kind} {theirs:?} is not in {out}"
        );
    }
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    Ok(None)
}

fn no_pivot(world: &World) -> Outcome {
    let path = bundle(world, &["sh", "-c", "ls /; cat /proc/1/comm"], |_| ())?;
    let out = ok(&mut world.oci(&["run", "--no-pivot", "--bundle", &path, "a"]))?;
    ensure!(
        out.contains("bin\n") && !out.contains("lost+found") && !out.contains("usr\n"),
        "{out}"
    );
    Ok(None)
}

fn limits(world: &World) -> Outcome {
    let available = skiff_runtime::cgroups_available();
    if !available.has("memory") {
        let reason = available.reason.clone().unwrap_or_default();
        // No container without the limits it asks for; without limits it runs, and the log says that it has no cgroup.
        let log = world.dir.path().join("log");
        let path = bundle(world, &["true"], |v| {
            v["linux"]["resources"] = json!({"memory": {"limit": 1 << 24}})
        })?;
        let refused = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
        ensure!(
            String::from_utf8_lossy(&refused.stderr).contains("rootless needs no limits"),
            "{refused:?}"
        );
        let path = bundle(world, &["true"], |_| ())?;
        ok(world
            .oci(&["--log"])
            .arg(&log)
            .args(["run", "--bundle", &path, "a"]))?;
        let text = fs::read_to_string(&log)?;
        ensure!(text.contains("limits cannot be enforced"), "{text}");
        return Ok(Some(reason));
    }
    let group = format!("/skiff-test-{}/a", std::process::id());
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["linux"]["cgroupsPath"] = group.clone().into();
        v["linux"]["resources"] = json!({"memory": {"limit": 1 << 24}, "pids": {"limit": 7}});
    })?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
    let member = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let version = available.version;
    ensure!(
        member
            .lines()
            .any(|l| l.contains("memory:") && l.ends_with(&group) || l.ends_with(&group)),
        "{member}"
    );
    let (dir, file) = match version {
        skiff_runtime::Version::V2 => ("/sys/fs/cgroup", "memory.max"),
        _ => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    };
    let limit = fs::read_to_string(format!("{dir}{group}/{file}"))?;
    ensure!(limit.trim() == (1 << 24).to_string(), "{limit}");
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    ensure!(!fs::exists(format!("{dir}{group}"))?);
    // The parent was asked for by path and is not the runtime's to remove.
    for hierarchy in fs::read_dir("/sys/fs/cgroup")?.flatten() {
        let _ = fs::remove_dir(hierarchy.path().join(group.split('/').nth(1).unwrap_or_default()));
    }
    let _ = fs::remove_dir(format!("/sys/fs/cgroup/skiff-test-{}", std::process::id()));
    Ok(None)
}

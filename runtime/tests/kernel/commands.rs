//! `skiff oci`: the commands beside create, start and delete, and what they print.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    Outcome, Test,
    oci::{bundle, detached, ok, output, state},
    world::{World, alive, eventually},
};

pub const TESTS: &[Test] = &[
    ("oci_pause_stops_and_resume_goes_on", pause),
    ("oci_update_changes_limits_and_events_tell_them", update),
    ("oci_each_limit_is_in_its_file", each_limit),
    ("oci_events_tell_an_oom_kill", oom),
    ("oci_exec_takes_the_options_of_runc", exec_options),
    ("oci_descriptors_are_passed_on", preserve_fds),
    ("oci_list_ps_features_print_as_runc_does", formats),
    ("oci_commands_refuse_in_the_words_of_runc", refusals),
];

/// Why there is no limiting and freezing here.
fn without_cgroups() -> Option<String> {
    let available = skiff_runtime::cgroups_available();
    (available.version == skiff_runtime::Version::None).then(|| available.reason.unwrap_or_default())
}

fn refused(world: &World, args: &[&str], words: &str) -> anyhow::Result<()> {
    let done = output(&mut world.oci(args))?;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(
        !done.status.success() && text.contains(words),
        "{args:?}: {words:?} is not in {text:?}"
    );
    Ok(())
}

fn pause(world: &World) -> Outcome {
    let script = "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; done";
    let path = bundle(world, &["sh", "-c", script], |v| {
        v["root"]["readonly"] = false.into();
        let mounts = v["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
    })?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    if let Some(reason) = without_cgroups() {
        refused(world, &["pause", "a"], "the container has no cgroup")?;
        detached(&mut world.oci(&["delete", "-f", "a"]))?;
        return Ok(Some(reason));
    }
    let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
    // What the process has used: it stands still while it is paused.
    let used = || -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let rest = stat.rsplit_once(')').context("stat")?.1;
        Ok(rest.split_whitespace().nth(11).context("utime")?.parse()?)
    };
    eventually("it runs", || used().ok().filter(|n| *n > 2))?;
    refused(world, &["resume", "a"], "container not paused")?;
    detached(&mut world.oci(&["pause", "a"]))?;
    ensure!(state(world, "a")?["status"] == "paused");
    let before = used()?;
    refused(world, &["exec", "a", "true"], "--ignore-paused")?;
    refused(
        world,
        &["start", "a"],
        "cannot start a container in the paused state",
    )?;
    refused(world, &["delete", "a"], "that is not stopped: paused")?;
    ensure!(used()? == before, "it went on");
    detached(&mut world.oci(&["resume", "a"]))?;
    ensure!(state(world, "a")?["status"] == "running");
    eventually("it goes on", || used().ok().filter(|n| *n > before))?;
    // A paused container can be killed and removed.
    detached(&mut world.oci(&["pause", "a"]))?;
    detached(&mut world.oci(&["kill", "a", "KILL"]))?;
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    refused(world, &["pause", "a"], "container not running")?;
    detached(&mut world.oci(&["delete", "a"]))?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "b"]))?;
    detached(&mut world.oci(&["pause", "b"]))?;
    detached(&mut world.oci(&["delete", "--force", "b"]))?;
    Ok(None)
}

/// What a file of the container's memory or pids cgroup says; names of v1 and v2.
/// What a limit of the configuration is in the files of v1, where this machine has them. `tests/oci/v2` does the same for v2.
fn each_limit(world: &World) -> Outcome {
    if skiff_runtime::cgroups_available().version != skiff_runtime::Version::V1 {
        return Ok(Some(
            without_cgroups().unwrap_or_else(|| "this machine has cgroup v2".into()),
        ));
    }
    let disk = fs::read_dir("/sys/class/block")?.flatten().find_map(|entry| {
        let path = entry.path();
        // A whole disk, of which alone the kernel counts the bytes.
        let whole = !path.join("partition").exists() && path.join("device").exists();
        fs::read_to_string(path.join("dev")).ok().filter(|_| whole)
    });
    let cases = [
        json!({"memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20, "swappiness": 13, "kernelTCP": 16 << 20,
            "useHierarchy": true}}),
        json!({"memory": {"limit": 64 << 20, "disableOOMKiller": true}}),
        json!({"cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "burst": 10_000, "cpus": "0", "mems": "0"}}),
        json!({"cpu": {"idle": 1, "realtimePeriod": 500_000}}),
        json!({"pids": {"limit": 7}}),
    ];
    let files = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("memory", "memory.memsw.limit_in_bytes", "100663296"),
        ("memory", "memory.swappiness", "13"),
        ("memory", "memory.kmem.tcp.limit_in_bytes", "16777216"),
        ("memory", "memory.oom_control", "oom_kill_disable 1"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_burst_us", "10000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("cpu", "cpu.idle", "1"),
        ("cpu", "cpu.rt_period_us", "500000"),
        ("pids", "pids.max", "7"),
    ];
    let mut seen = Vec::new();
    let throttle = disk.as_deref().map(|disk| {
        let (major, minor) = disk.trim().split_once(':').expect("two numbers");
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let device = json!([{"major": number(major), "minor": number(minor), "rate": 1 << 20}]);
        json!({"blockIO": {"throttleReadBpsDevice": device, "throttleWriteBpsDevice": device,
            "throttleReadIOPSDevice": device, "throttleWriteIOPSDevice": device}})
    });
    for resources in cases.into_iter().chain(throttle.clone()) {
        let path = bundle(world, &["sleep", "1000"], |v| v["linux"]["resources"] = resources)?;
        detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
        let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
        let held = |controller: &str, file: &str| limit(pid, controller, file, "");
        for (at, (controller, file, value)) in files.iter().enumerate() {
            // Not all kernels have every file; what they have not must be refused, below.
            if held(controller, file).is_ok_and(|held| held.lines().any(|line| line == *value)) {
                seen.push(at);
            }
        }
        for way in ["read_bps", "write_bps", "read_iops", "write_iops"] {
            let rate = held("blkio", &format!("blkio.throttle.{way}_device")).unwrap_or_default();
            if rate == format!("{} 1048576", disk.as_deref().unwrap_or_default().trim()) {
                seen.push(files.len());
            }
        }
        detached(&mut world.oci(&["delete", "--force", "a"]))?;
    }
    for (at, (_, file, value)) in files.iter().enumerate() {
        ensure!(seen.contains(&at), "{file} was never {value}");
    }
    let throttled = seen.iter().filter(|at| **at == files.len()).count();
    ensure!(throttled == 4 || throttle.is_none(), "{throttled} of 4 rates");

    let path = bundle(world, &["true"], |v| {
        v["linux"]["resources"] = json!({"blockIO": {"leafWeight": 300}});
    })?;
    refused(
        world,
        &["run", "--bundle", &path, "a"],
        "leaf weights of block devices are not available",
    )?;
    // Weights, where the kernel has them; else they are refused.
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["linux"]["resources"] = json!({"blockIO": {"weight": 300}});
    })?;
    let log = world.dir.path().join("log");
    let done = detached(
        world
            .oci(&["--log"])
            .arg(&log)
            .args(["run", "--detach", "--bundle", &path, "a"]),
    );
    if done.is_ok() {
        let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
        let weight = limit(pid, "blkio", "blkio.bfq.weight", "")
            .or_else(|_| limit(pid, "blkio", "blkio.weight", ""))?;
        ensure!(weight == "300", "{weight}");
        detached(&mut world.oci(&["delete", "--force", "a"]))?;
    } else {
        let words = fs::read_to_string(&log)?;
        ensure!(
            words.contains("weights of block devices are not available"),
            "{words}"
        );
    }
    Ok(None)
}

fn limit(pid: u64, controller: &str, v1: &str, v2: &str) -> anyhow::Result<String> {
    let member = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    for line in member.lines() {
        let parts: Vec<_> = line.splitn(3, ':').collect();
        let path = parts[2];
        let file = if parts[1].split(',').any(|c| c == controller) {
            format!("/sys/fs/cgroup/{controller}{path}/{v1}")
        } else if parts[1].is_empty() {
            format!("/sys/fs/cgroup{path}/{v2}")
        } else {
            continue;
        };
        if let Ok(text) = fs::read_to_string(file) {
            return Ok(text.trim().to_owned());
        }
    }
    anyhow::bail!("no {controller} in {member}")
}

fn update(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    if let Some(reason) = without_cgroups() {
        refused(
            world,
            &["update", "--memory", "64m", "a"],
            "the container has no cgroup",
        )?;
        detached(&mut world.oci(&["delete", "-f", "a"]))?;
        return Ok(Some(reason));
    }
    let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
    let memory = || limit(pid, "memory", "memory.limit_in_bytes", "memory.max");
    let pids = || limit(pid, "pids", "pids.max", "pids.max");
    detached(&mut world.oci(&["update", "--memory", "64m", "--pids-limit", "33", "a"]))?;
    ensure!(memory()? == (64 << 20).to_string(), "{}", memory()?);
    ensure!(pids()? == "33");
    // More, less, and no limit at all; what is not named stays.
    let mut child = world
        .oci(&["update", "--resources", "-", "a"])
        .stdin(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("stdin")?
        .write_all(br#"{"memory":{"limit":134217728},"cpu":{"shares":0,"quota":50000,"period":100000}}"#)?;
    ensure!(child.wait()?.success());
    ensure!(memory()? == (128 << 20).to_string() && pids()? == "33");
    let file = world.dir.path().join("resources.json");
    fs::write(&file, r#"{"memory":{"limit":67108864}}"#)?;
    detached(world.oci(&["update", "-r"]).arg(&file).arg("a"))?;
    ensure!(memory()? == (64 << 20).to_string());
    detached(&mut world.oci(&["update", "--pids-limit", "-1", "a"]))?;
    ensure!(pids()? == "max");
    refused(
        world,
        &["update", "--l3-cache-schema", "L3:0=f", "a"],
        "l3 cache schema is not enabled",
    )?;
    refused(world, &["update", "--memory", "lots", "a"], "invalid size")?;
    fs::write(&file, r#"{"memory":{"limit":4096,"checkBeforeUpdate":true}}"#)?;
    refused(
        world,
        &["update", "-r", &file.to_string_lossy(), "a"],
        "unable to set memory limit to 4096",
    )?;

    let line = ok(&mut world.oci(&["events", "--stats", "a"]))?;
    let event: Value = serde_json::from_str(&line)?;
    ensure!(event["type"] == "stats" && event["id"] == "a", "{line}");
    let data = &event["data"];
    ensure!(data["memory"]["usage"]["limit"] == 64 << 20, "{line}");
    ensure!(
        data["memory"]["usage"]["usage"].as_u64().is_some_and(|n| n > 0),
        "{line}"
    );
    ensure!(
        data["cpu"]["usage"]["total"].as_u64().is_some_and(|n| n > 0),
        "{line}"
    );
    ensure!(
        data["pids"]["current"] == 1 && data["intel_rdt"].is_object(),
        "{line}"
    );
    detached(&mut world.oci(&["kill", "a", "KILL"]))?;
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    refused(
        world,
        &["events", "--stats", "a"],
        "container with id a is not running",
    )?;
    refused(world, &["update", "--memory", "1g", "a"], "container not running")?;
    detached(&mut world.oci(&["delete", "a"]))?;
    Ok(None)
}

fn oom(world: &World) -> Outcome {
    if !skiff_runtime::cgroups_available().has("memory") {
        return Ok(Some("no memory controller".into()));
    }
    let script = "read go < /fifo; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1000";
    let fifo = world.dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666))?;
    let path = bundle(world, &["sh", "-c", script], |v| {
        v["linux"]["resources"] = json!({"memory": {"limit": 16 << 20}});
        let mounts = v["mounts"].as_array_mut().expect("mounts");
        mounts.push(json!({"destination": "/fifo", "type": "bind", "source": fifo, "options": ["bind"]}));
    })?;
    // The place for the mount; the root is read-only.
    fs::write(world.layer().join("fifo"), "")?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let mut events = world
        .oci(&["events", "--interval", "20ms", "a"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(events.stdout.take().context("stdout")?).lines();
    let first = lines.next().context("a first line")??;
    ensure!(first.contains("\"stats\""), "{first}");
    fs::write(&fifo, "go\n")?;
    let told = lines.map_while(Result::ok).find(|line| line.contains("\"oom\""));
    ensure!(told.as_deref() == Some(r#"{"type":"oom","id":"a"}"#), "{told:?}");
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    // It ends with the container.
    eventually("events end", || events.try_wait().ok().flatten())?;
    Ok(None)
}

fn exec_options(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let gids = if world.rootless { "0" } else { "7" };
    let mut args = vec!["exec", "--no-new-privs", "--cap", "CAP_SYS_PTRACE"];
    if !world.rootless {
        args.extend(["--user", "5:6", "-g", gids]);
    }
    args.extend([
        "a",
        "sh",
        "-c",
        "id -u; id -g; id -G; grep -E 'NoNewPrivs|CapBnd' /proc/self/status",
    ]);
    let out = ok(&mut world.oci(&args))?;
    let lines: Vec<_> = out.lines().collect();
    if !world.rootless {
        ensure!(lines[..2] == ["5", "6"] && lines[2].contains('7'), "{out}");
    }
    let bounding = out
        .lines()
        .find_map(|l| l.strip_prefix("CapBnd:"))
        .context("CapBnd")?;
    let bounding = u64::from_str_radix(bounding.trim(), 16)?;
    // CAP_SYS_PTRACE is 19.
    ensure!(
        bounding & (1 << 19) != 0 && out.contains("NoNewPrivs:\t1"),
        "{out}"
    );
    let done = output(&mut world.oci(&["exec", "--apparmor", "nope", "a", "true"]))?;
    ensure!(done.status.code() == Some(255), "{done:?}");
    refused(
        world,
        &["exec", "--cgroup", "/nope", "a", "true"],
        if without_cgroups().is_some() {
            "has no cgroup"
        } else {
            "error adding pid"
        },
    )?;
    let affinity = world.dir.path().join("affinity.json");
    let process = |extra: Value| -> anyhow::Result<()> {
        let mut process = json!({"user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"],
            "args": ["grep", "Cpus_allowed_list", "/proc/self/status"]});
        process["execCPUAffinity"] = extra;
        Ok(fs::write(&affinity, process.to_string())?)
    };
    process(json!({"initial": "0", "final": "0"}))?;
    let out = ok(world.oci(&["exec", "-p"]).arg(&affinity).arg("a"))?;
    ensure!(out == "Cpus_allowed_list:\t0\n", "{out}");
    process(json!({"initial": "0"}))?;
    let out = ok(world.oci(&["exec", "-p"]).arg(&affinity).arg("a"))?;
    ensure!(out == "Cpus_allowed_list:\t0\n", "{out}");
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    Ok(None)
}

fn preserve_fds(world: &World) -> Outcome {
    let file = world.dir.path().join("passed");
    fs::write(&file, "through\n")?;
    let path = bundle(
        world,
        &[
            "sh",
            "-c",
            "cat <&3; ls /proc/self/fd | wc -l; echo $LISTEN_FDS $LISTEN_PID",
        ],
        |_| (),
    )?;
    let oci = world.oci(&["run"]);
    let program: Vec<_> = std::iter::once(oci.get_program())
        .chain(oci.get_args())
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let run = |script: &str, rest: &[&str]| -> anyhow::Result<String> {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", script, "sh"])
            .arg(&file)
            .args(&program)
            .args(rest)
            .args(["--bundle", &path, "a"])
            .env("SKIFF_TEST", &world.mark);
        ok(&mut command)
    };
    let open = "exec 3< \"$1\" 4< /etc/passwd; shift; exec \"$@\"";
    // 0 to 3, and the directory that ls reads.
    let out = run(open, &["--preserve-fds", "1"])?;
    ensure!(out == "through\n5\n\n", "{out}");
    let listen = "exec 3< \"$1\"; shift; export LISTEN_FDS=1; export LISTEN_PID=$$; exec \"$@\"";
    let out = run(listen, &[])?;
    ensure!(out == "through\n5\n1 1\n", "{out}");
    Ok(None)
}

fn formats(world: &World) -> Outcome {
    ensure!(ok(&mut world.oci(&["list", "--format", "json"]))? == "[]\n");
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["annotations"] = json!({"org.example.key": "value"});
    })?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let state = state(world, "a")?;
    for key in [
        "ociVersion",
        "id",
        "pid",
        "status",
        "bundle",
        "rootfs",
        "created",
        "owner",
    ] {
        ensure!(!state[key].is_null(), "{key} is not in {state}");
    }
    ensure!(state["annotations"]["org.example.key"] == "value", "{state}");
    let list = ok(&mut world.oci(&["list"]))?;
    ensure!(
        list.starts_with("ID          PID         STATUS      BUNDLE"),
        "{list}"
    );
    let json: Value = serde_json::from_str(&ok(&mut world.oci(&["list", "-f", "json"]))?)?;
    ensure!(json[0] == state, "{json}");
    ensure!(ok(&mut world.oci(&["list", "-q"]))? == "a\n");
    let pid = state["pid"].as_u64().context("a pid")?;
    let pids = ok(&mut world.oci(&["ps", "--format", "json", "a"]))?;
    ensure!(pids == format!("[{pid}]\n"), "{pids}");
    let table = ok(&mut world.oci(&["ps", "a"]))?;
    ensure!(
        table.lines().count() == 2 && table.contains("PID") && table.contains("sleep 1000"),
        "{table}"
    );
    let table = ok(&mut world.oci(&["ps", "a", "-o", "pid,comm"]));
    ensure!(table.is_err() || table?.contains("sleep"));
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    ensure!(!alive(pid as u32));

    let features: Value = serde_json::from_str(&ok(&mut world.oci(&["features"]))?)?;
    for list in ["hooks", "mountOptions"] {
        ensure!(
            features[list].as_array().is_some_and(|l| !l.is_empty()),
            "{features}"
        );
    }
    ensure!(
        features["linux"]["mountExtensions"]["idmap"]["enabled"] == true
            && features["linux"]["seccomp"]["actions"]
                .as_array()
                .is_some_and(|a| a.contains(&json!("SCMP_ACT_NOTIFY")))
            && features["linux"]["namespaces"]
                .as_array()
                .is_some_and(|n| n.contains(&json!("time"))),
        "{features}"
    );
    let version = ok(std::process::Command::new(world.oci(&[]).get_program()).args(["__oci", "--version"]))?;
    ensure!(version.contains("\nspec: 1."), "{version}");
    Ok(None)
}

fn refusals(world: &World) -> Outcome {
    for command in ["state", "start", "delete", "pause", "resume", "ps", "kill"] {
        refused(world, &[command, "nope"], "container does not exist")?;
    }
    refused(world, &["exec", "nope", "true"], "container does not exist")?;
    detached(&mut world.oci(&["delete", "--force", "nope"]))?;
    refused(world, &["state", "no/pe"], "invalid container ID format")?;
    refused(
        world,
        &["checkpoint", "a"],
        "checkpoint and restore are not supported",
    )?;
    refused(
        world,
        &["restore", "--bundle", "x", "a"],
        "checkpoint and restore are not supported",
    )?;
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["create", "--bundle", &path, "a"]))?;
    refused(
        world,
        &["create", "--bundle", &path, "a"],
        "container with given ID already exists",
    )?;
    detached(&mut world.oci(&["start", "a"]))?;
    refused(
        world,
        &["start", "a"],
        "cannot start an already running container",
    )?;
    refused(world, &["kill", "a", "NOSUCH"], "unknown signal")?;
    detached(&mut world.oci(&["kill", "--all", "a", "KILL"]))?;
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    ensure!(state(world, "a")?["pid"] == 0);
    refused(
        world,
        &["start", "a"],
        "cannot start a container that has stopped",
    )?;
    refused(world, &["kill", "a"], "container not running")?;
    refused(world, &["exec", "a", "true"], "stopped container")?;
    detached(&mut world.oci(&["delete", "a"]))?;
    // Nothing to create from, and a terminal with nobody to give it to.
    let empty = world.dir.path().join("empty");
    fs::create_dir(&empty)?;
    refused(
        world,
        &["create", "--bundle", &empty.to_string_lossy(), "a"],
        "config.json not found",
    )?;
    let path = bundle(world, &["true"], |v| v["process"]["terminal"] = true.into())?;
    refused(world, &["create", "--bundle", &path, "a"], "console socket")?;
    // The log file gets what stderr gets, one JSON object a line.
    let log = world.dir.path().join("log.json");
    output(
        world
            .oci(&["--log-format", "json", "--log"])
            .arg(&log)
            .args(["start", "nope"]),
    )?;
    let line: Value = serde_json::from_str(fs::read_to_string(&log)?.trim())?;
    ensure!(
        line["level"] == "error" && line["msg"] == "container does not exist" && line["time"].is_string(),
        "{line}"
    );
    Ok(None)
}

//! `skiff oci`: what a configuration asks of process, namespaces, devices and system calls.

use std::{
    fs,
    io::Read,
    os::fd::{AsRawFd, OwnedFd},
    os::unix::net::UnixListener,
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
    ("oci_process_attributes_are_set", attributes),
    ("oci_scheduling_is_set", scheduling),
    ("oci_time_namespace_has_its_offsets", time),
    ("oci_sysctls_are_set_in_own_namespaces_only", sysctls),
    ("oci_devices_are_made_as_asked", devices),
    ("oci_devices_can_be_denied", device_rules),
    ("oci_limits_without_their_controller_are_refused", controllers),
    (
        "oci_network_devices_come_in_with_their_addresses",
        network_devices,
    ),
    ("oci_later_processes_have_what_the_first_has", later_processes),
    ("oci_hooks_inside_are_filtered_and_told_by_number", hooks_inside),
    ("oci_seccomp_asks_its_agent", notify),
    ("oci_session_keyring_is_the_containers_own", keyring),
    ("oci_namespace_of_another_kind_is_refused", wrong_namespace),
    ("oci_failing_hooks_end_what_they_belong_to", failing_hooks),
    (
        "oci_configuration_that_cannot_be_kept_is_refused",
        refused_configurations,
    ),
];

fn run(world: &World, script: &str, edit: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
    let path = bundle(world, &["sh", "-c", script], edit)?;
    ok(&mut world.oci(&["run", "--bundle", &path, "a"]))
}

/// Runs what must be refused; returns why.
fn refused(world: &World, edit: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
    let path = bundle(world, &["true"], edit)?;
    let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(!done.status.success(), "not refused");
    ensure!(
        ok(&mut world.oci(&["list", "-q"]))?.is_empty(),
        "something is left of it"
    );
    Ok(String::from_utf8_lossy(&done.stderr).into_owned())
}

fn attributes(world: &World) -> Outcome {
    let script = "umask; ulimit -n; cat /proc/self/oom_score_adj; uname -m; id -G; cat /proc/sys/kernel/domainname; \
                  grep -E '^(CapAmb|NoNewPrivs)' /proc/self/status; pwd";
    let rootless = world.rootless;
    let out = run(world, script, |v| {
        let process = &mut v["process"];
        process["user"]["umask"] = 0o27.into();
        if !rootless {
            process["user"]["additionalGids"] = json!([7, 8]);
        }
        process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 78}]);
        process["oomScoreAdj"] = 500.into();
        process["noNewPrivileges"] = true.into();
        process["cwd"] = "/tmp".into();
        let kill = json!(["CAP_KILL"]);
        process["capabilities"] = json!({"bounding": kill, "effective": kill, "permitted": kill,
            "inheritable": kill, "ambient": kill});
        v["domainname"] = "example.org".into();
        v["linux"]["personality"] = json!({"domain": "LINUX32"});
    })?;
    let lines: Vec<_> = out.lines().collect();
    ensure!(lines[..4] == ["0027", "77", "500", "i686"], "{out}");
    ensure!(rootless || lines[4] == "0 7 8", "{out}");
    ensure!(lines[5] == "example.org", "{out}");
    ensure!(out.contains("CapAmb:\t0000000000000020"), "{out}");
    ensure!(
        out.contains("NoNewPrivs:\t1") && lines.last() == Some(&"/tmp"),
        "{out}"
    );
    Ok(None)
}

fn scheduling(world: &World) -> Outcome {
    // Field 41 of proc_pid_stat(5) is the policy (3: SCHED_BATCH), field 19 the nice value.
    let script = "set -- $(cut -d' ' -f19,41 /proc/self/stat); echo $1 $2; ionice";
    let out = run(world, script, |v| {
        v["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
        v["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
    })?;
    ensure!(out.starts_with("5 3\n") && out.contains("idle"), "{out}");
    let text = refused(world, |v| {
        v["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 40});
    })?;
    ensure!(text.contains("nice"), "{text}");
    // A kernel without NUMA refuses every policy.
    let done = run(world, "cat /proc/self/numa_maps", |v| {
        v["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    });
    match done {
        Ok(out) => ensure!(out.contains("bind:0"), "{out}"),
        Err(e) => ensure!(format!("{e}").contains("memory policy"), "{e}"),
    }
    Ok(None)
}

fn time(world: &World) -> Outcome {
    let out = run(
        world,
        "cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time",
        |v| {
            let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
            namespaces.push(json!({"type": "time"}));
            v["linux"]["timeOffsets"] = json!({
                "boottime": {"secs": 864_000_000_u64, "nanosecs": 5}, "monotonic": {"secs": 100},
            });
        },
    )?;
    let mut lines = out.lines();
    let uptime: u64 = lines.next().context("a line")?.parse()?;
    ensure!(uptime > 864_000_000, "{out}");
    let own = fs::read_link("/proc/self/ns/time")?;
    ensure!(lines.next() != own.to_str(), "{out}");
    // Joined by path, it is the same one.
    let path = bundle(world, &["sleep", "1000"], |v| {
        let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({"type": "time"}));
        v["linux"]["timeOffsets"] = json!({"boottime": {"secs": 864_000_000_u64}});
    })?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let out = ok(&mut world.oci(&["exec", "a", "cut", "-d.", "-f1", "/proc/uptime"]))?;
    ensure!(out.trim().parse::<u64>()? > 864_000_000, "{out}");
    let pid = state(world, "a")?["pid"].as_u64().context("a pid")?;
    let rootless = world.rootless;
    let path = bundle(world, &["cut", "-d.", "-f1", "/proc/uptime"], |v| {
        let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({"type": "time", "path": format!("/proc/{pid}/ns/time")}));
        if rootless {
            for namespace in namespaces.iter_mut().filter(|n| n["type"] == "user") {
                namespace["path"] = format!("/proc/{pid}/ns/user").into();
            }
            v["linux"]["uidMappings"] = Value::Null;
            v["linux"]["gidMappings"] = Value::Null;
        }
    })?;
    let out = ok(&mut world.oci(&["run", "--bundle", &path, "b"]))?;
    ensure!(out.trim().parse::<u64>()? > 864_000_000, "{out}");
    detached(&mut world.oci(&["delete", "-f", "a"]))?;
    Ok(None)
}

fn sysctls(world: &World) -> Outcome {
    let out = run(
        world,
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max",
        |v| {
            let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
            if !namespaces.iter().any(|n| n["type"] == "network") {
                namespaces.push(json!({"type": "network"}));
            }
            v["linux"]["sysctl"] = json!({
                "net.ipv4.ip_unprivileged_port_start": "7", "kernel/shmmni": "99", "fs.mqueue.msg_max": "11",
            });
        },
    )?;
    ensure!(out == "7\n99\n11\n", "{out}");
    let text = refused(world, |v| v["linux"]["sysctl"] = json!({"vm.swappiness": "1"}))?;
    ensure!(text.contains("is not in a separate kernel namespace"), "{text}");
    let text = refused(world, |v| {
        v["linux"]["namespaces"]
            .as_array_mut()
            .expect("namespaces")
            .retain(|n| n["type"] != "network");
        v["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    })?;
    ensure!(text.contains("hosts network namespace"), "{text}");
    Ok(None)
}

fn devices(world: &World) -> Outcome {
    let rootless = world.rootless;
    let out = run(
        world,
        "stat -c '%F %a %u %t:%T' /dev/pipe /dev/own; echo x > /dev/own && echo written; ls -l /dev | grep -c '^l'",
        |v| {
            let mut own = json!({"path": "/dev/own", "type": "c", "major": 1, "minor": 3});
            if !rootless {
                own["fileMode"] = 0o660.into();
                own["uid"] = 5.into();
            }
            v["linux"]["devices"] = json!([{"path": "/dev/pipe", "type": "p", "fileMode": 0o620}, own]);
        },
    )?;
    let lines: Vec<_> = out.lines().collect();
    ensure!(lines[0].starts_with("fifo 620 0"), "{out}");
    ensure!(
        lines[1]
            == if rootless {
                "character special file 666 65534 1:3"
            } else {
                "character special file 660 5 1:3"
            },
        "{out}"
    );
    ensure!(lines[2] == "written" && lines[3] == "5", "{out}");
    // Another file at the path is not taken for the device, nor put away for it.
    let text = refused(world, |v| {
        v["linux"]["devices"] = json!([{"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}]);
    })?;
    ensure!(text.contains("another file"), "{text}");
    let text = refused(world, |v| {
        v["linux"]["devices"] = json!([{"path": "/dev/x", "type": "a", "major": 1, "minor": 3}]);
    })?;
    ensure!(text.contains("type a"), "{text}");
    Ok(None)
}

fn device_rules(world: &World) -> Outcome {
    if !skiff_runtime::cgroups_available().has("devices") {
        return Ok(Some(
            "no devices controller (v2's filter has a test of its own)".into(),
        ));
    }
    let fuse = |rules: Value| {
        move |v: &mut Value| {
            v["linux"]["devices"] = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]);
            v["linux"]["resources"] = json!({ "devices": rules });
        }
    };
    let script = "(: < /dev/fuse) 2>&1; : < /dev/null && echo null; (: > /dev/fuse) 2>&1; true";
    let out = run(world, script, fuse(json!([])))?;
    ensure!(
        out.matches("Operation not permitted").count() == 2 && out.contains("null"),
        "{out}"
    );
    let rule = json!([{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"}]);
    let out = run(world, script, fuse(rule))?;
    ensure!(out.matches("Operation not permitted").count() == 1, "{out}");
    let out = run(world, script, fuse(json!([{"allow": true, "access": "rwm"}])))?;
    ensure!(!out.contains("Operation not permitted"), "{out}");
    Ok(None)
}

fn controllers(world: &World) -> Outcome {
    // Not on v1, and not without cgroups.
    if skiff_runtime::cgroups_available().version != skiff_runtime::Version::V2 {
        let text = refused(world, |v| {
            v["linux"]["resources"] = json!({"unified": {"memory.high": "1000000"}});
        })?;
        if skiff_runtime::cgroups_available().version == skiff_runtime::Version::None {
            // No limit is left out without a word.
            let text = refused(world, |v| {
                v["linux"]["resources"] = json!({"memory": {"limit": 100_000_000}});
            })?;
            ensure!(text.contains("rootless needs no limits"), "{text}");
        }
        ensure!(text.contains("unified") || text.contains("cgroups"), "{text}");
    }
    let there = |name: &str| {
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap_or_default()
            .lines()
            .any(|line| line.contains("- cgroup ") && line.contains(name))
    };
    for (name, resources) in [
        ("net_cls", json!({"network": {"classID": 1_048_577}})),
        (
            "net_prio",
            json!({"network": {"priorities": [{"name": "lo", "priority": 2}]}}),
        ),
        ("rdma", json!({"rdma": {"mlx5_1": {"hcaHandles": 3}}})),
        (
            "hugetlb",
            json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}]}),
        ),
    ] {
        if !there(name) {
            refused(world, |v| v["linux"]["resources"] = resources)?;
        }
    }
    Ok(None)
}

fn network_devices(world: &World) -> Outcome {
    if world.rootless {
        let text = refused(world, |v| v["linux"]["netDevices"] = json!({"lo": {}}))?;
        ensure!(text.contains("without a NET namespace"), "{text}");
        let text = refused(world, |v| {
            v["linux"]["netDevices"] = json!({"lo": {}});
            let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
            namespaces.push(json!({"type": "network"}));
        })?;
        ensure!(text.contains("not supported for rootless"), "{text}");
        return Ok(None);
    }
    let pair = Pair::new()?;
    // Its name inside is taken: it stays where it is, with its address.
    let give = |name: &str| json!({pair.0.clone(): {"name": name}});
    let text = refused(world, |v| v["linux"]["netDevices"] = give("lo"))?;
    ensure!(text.contains("exists there already"), "{text}");
    ensure!(pair.address()?.contains("169.254.77.1/32"));
    // Nor does it go with a container that is not made for another reason.
    refused(world, |v| {
        v["linux"]["netDevices"] = give("ctr0");
        v["process"]["args"] = json!(["/nope"]);
    })?;
    ensure!(pair.address()?.contains("169.254.77.1/32"));
    refused(world, |v| v["linux"]["netDevices"] = json!({"nope0": {}}))?;
    let out = run(world, "ip addr show dev ctr0", |v| {
        v["linux"]["netDevices"] = give("ctr%d");
    })?;
    ensure!(out.contains("169.254.77.1/32") && out.contains(",UP"), "{out}");
    // A virtual device ends with the namespace it is in.
    ensure!(pair.address().is_err());
    Ok(None)
}

/// A pair of virtual devices, the first with an address.
struct Pair(String);

impl Pair {
    fn new() -> anyhow::Result<Self> {
        let pair = Pair(format!("skt{}", std::process::id() % 100_000));
        let (name, peer) = (&pair.0, format!("{}p", pair.0));
        ip(&["link", "add", name, "type", "veth", "peer", "name", &peer])?;
        ip(&["addr", "add", "169.254.77.1/32", "dev", name])?;
        Ok(pair)
    }

    fn address(&self) -> anyhow::Result<String> {
        ip(&["addr", "show", "dev", &self.0])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.0]);
    }
}

fn ip(args: &[&str]) -> anyhow::Result<String> {
    ok(std::process::Command::new("/bin/busybox").arg("ip").args(args))
}

fn later_processes(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["linux"]["personality"] = json!({"domain": "LINUX32"});
        // Nobody may set it any more then.
        v["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}]});
        let env = v["process"]["env"].as_array_mut().expect("an environment");
        env.extend(["A=1".into(), "HOME=".into(), "A=2".into()]);
    })?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let out = ok(&mut world.oci(&["exec", "a", "sh", "-c", "uname -m; echo $A $HOME"]))?;
    ensure!(out == "i686\n2 /root\n", "{out}");
    // Somebody who was confined to one processor does not confine the container.
    let all = fs::read_to_string("/proc/self/status")?;
    let all = all
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"))
        .context("a list of processors")?;
    let mut confined = nix::sched::CpuSet::new();
    confined.set(0)?;
    let own = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &confined)?;
    let out = ok(&mut world.oci(&["exec", "a", "grep", "Cpus_allowed_list", "/proc/self/status"]));
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &own)?;
    ensure!(out?.trim() == all);
    detached(&mut world.oci(&["delete", "--force", "a"]))?;
    Ok(None)
}

fn hooks_inside(world: &World) -> Outcome {
    let hook = |script: &str| json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
    let text = refused(world, |v| {
        v["process"]["noNewPrivileges"] = true.into();
        v["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
        v["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]});
        v["hooks"] = json!({"startContainer": [hook("true"), hook("mkdir /dev/shm/x; exit 0"), hook("exec mkdir /dev/shm/y")]});
    })?;
    ensure!(
        text.contains("error running startContainer hook #2:") && text.contains("bad system call"),
        "{text}"
    );
    // Those of the host start in the bundle, those of the container's namespaces in its root.
    run(world, "true", |v| {
        v["hooks"] = json!({"createRuntime": [hook("test -e config.json")], "createContainer": [hook("test -e bin/busybox")],
            "poststop": [hook("test -e config.json")]});
    })?;
    Ok(None)
}

/// Receives what the runtime tells an agent.
fn agent(listener: &UnixListener) -> anyhow::Result<(Value, OwnedFd)> {
    let (stream, _) = listener.accept()?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 8192];
    let got = rustix::net::recvmsg(
        &stream,
        &mut [std::io::IoSliceMut::new(&mut text)],
        &mut control,
        rustix::net::RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let rustix::net::RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    let value = serde_json::from_slice(&text[..got.bytes])?;
    Ok((value, fds.pop().context("a descriptor")?))
}

fn notify(world: &World) -> Outcome {
    let socket = world.dir.path().join("agent.sock");
    let listener = UnixListener::bind(&socket)?;
    for no_new_privileges in [true, false] {
        let path = bundle(world, &["sh", "-c", "mkdir /tmp/x; echo $?"], |v| {
            v["process"]["noNewPrivileges"] = no_new_privileges.into();
            v["annotations"] = json!({"k": "v"});
            v["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "about it",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
            });
        })?;
        let mut child = world
            .oci(&["run", "--bundle", &path, "a"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (told, fd) = agent(&listener)?;
        ensure!(
            told["fds"] == json!(["seccompFd"])
                && told["metadata"] == "about it"
                && told["state"]["id"] == "a"
                && told["state"]["annotations"]["k"] == "v"
                && told["pid"].as_u64().is_some_and(|pid| alive(pid as u32)),
            "{told}"
        );
        let request = libseccomp::ScmpNotifReq::receive(fd.as_raw_fd())?;
        ensure!(u64::from(request.pid) != 0, "{request:?}");
        // EDQUOT, which mkdir would hardly meet here by itself.
        libseccomp::ScmpNotifResp::new_error(request.id, -122, libseccomp::ScmpNotifRespFlags::empty())
            .respond(fd.as_raw_fd())?;
        let mut text = String::new();
        child.stdout.take().context("stdout")?.read_to_string(&mut text)?;
        let mut error = String::new();
        child
            .stderr
            .take()
            .context("stderr")?
            .read_to_string(&mut error)?;
        ensure!(child.wait()?.success(), "{error}");
        ensure!(
            text == "1\n" && error.to_lowercase().contains("quota"),
            "{text}{error}"
        );
    }
    // Nobody there to ask: the container does not run.
    let text = refused(world, |v| {
        v["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": world.dir.path().join("nobody.sock"),
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
        });
    })?;
    ensure!(text.contains("seccomp agent"), "{text}");
    Ok(None)
}

fn keyring(world: &World) -> Outcome {
    if !fs::exists("/proc/keys")? {
        return Ok(Some("no keyrings in this kernel".into()));
    }
    let path = bundle(world, &["cat", "/proc/keys"], |v| {
        v["linux"]["maskedPaths"] = json!([]);
    })?;
    // Keys of others who are root are seen too.
    let [with, without] = ["with", "without"].map(|word| format!("{word}-{}", std::process::id()));
    let out = ok(&mut world.oci(&["run", "--bundle", &path, &with]))?;
    ensure!(out.contains(&format!("_ses.{with}")), "{out}");
    let out = ok(&mut world.oci(&["run", "--no-new-keyring", "--bundle", &path, &without]))?;
    ensure!(!out.contains(&format!("_ses.{without}")), "{out}");
    Ok(None)
}

fn wrong_namespace(world: &World) -> Outcome {
    let text = refused(world, |v| {
        for namespace in v["linux"]["namespaces"].as_array_mut().expect("namespaces") {
            if namespace["type"] == "uts" {
                namespace["path"] = "/proc/self/ns/ipc".into();
            }
        }
    })?;
    ensure!(text.contains("is no uts namespace"), "{text}");
    let text = refused(world, |v| {
        for namespace in v["linux"]["namespaces"].as_array_mut().expect("namespaces") {
            if namespace["type"] == "ipc" {
                namespace["path"] = "/etc/passwd".into();
            }
        }
    })?;
    ensure!(text.contains("is no ipc namespace"), "{text}");
    let text = refused(world, |v| {
        let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({"type": "ipc"}));
    })?;
    ensure!(text.contains("listed twice"), "{text}");
    Ok(None)
}

fn failing_hooks(world: &World) -> Outcome {
    let record = world.dir.path().join("record");
    let write = |name: &str| json!({"path": "/bin/sh", "args": ["sh", "-c", format!("echo {name} >> {}", record.display())]});
    let fails = json!({"path": "/bin/false"});
    let recorded = || {
        let text = fs::read_to_string(&record).unwrap_or_default();
        let _ = fs::remove_file(&record);
        text
    };
    // Before the start: an error, and the hooks after the end run.
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let text = refused(world, |v| {
            v["hooks"] =
                json!({ kind: [write("first"), fails, write("second")], "poststop": [write("stop")] });
        })?;
        ensure!(text.contains(kind) && text.contains("/bin/false"), "{text}");
        ensure!(recorded() == "first\nstop\n");
    }
    // At the start: the process ends.
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["hooks"] = json!({"startContainer": [{"path": "/bin/false"}]});
    })?;
    detached(&mut world.oci(&["create", "--bundle", &path, "a"]))?;
    let done = output(&mut world.oci(&["start", "a"]))?;
    ensure!(
        !done.status.success() && String::from_utf8_lossy(&done.stderr).contains("startContainer"),
        "{done:?}"
    );
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    detached(&mut world.oci(&["delete", "a"]))?;
    // After the start: the process is killed. At the end: the others run all the same.
    let path = bundle(world, &["sleep", "1000"], |v| {
        v["hooks"] = json!({"poststart": [fails], "poststop": [fails, write("stop")]});
    })?;
    detached(&mut world.oci(&["create", "--bundle", &path, "a"]))?;
    ensure!(!output(&mut world.oci(&["start", "a"]))?.status.success());
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    ok(&mut world.oci(&["delete", "a"]))?;
    ensure!(recorded() == "stop\n");
    // Environment, arguments and place of a hook are its own.
    let script = format!("echo \"$0 $A\" > {}; cat >> {0}", record.display());
    let out = run(world, "true", |v| {
        v["hooks"] =
            json!({"createRuntime": [{"path": "/bin/sh", "args": ["named", "-c", script], "env": ["A=b"]}]});
    })?;
    ensure!(out.is_empty());
    let text = recorded();
    ensure!(text.starts_with("named b\n{"), "{text}");
    let told: Value = serde_json::from_str(text.lines().nth(1).context("the state")?)?;
    ensure!(
        told["id"] == "a"
            && told["status"] == "creating"
            && told["pid"].is_u64()
            && told["bundle"].is_string(),
        "{told}"
    );
    Ok(None)
}

fn refused_configurations(world: &World) -> Outcome {
    type Edit = fn(&mut Value);
    let cases: &[(&str, Edit)] = &[
        ("intelRdt", |v| v["linux"]["intelRdt"] = json!({"closID": "x"})),
        ("vm is not supported", |v| {
            v["vm"] = json!({"kernel": {"path": "/x"}})
        }),
        ("selinux", |v| v["process"]["selinuxLabel"] = "a:b:c:s0".into()),
        ("apparmor", |v| v["process"]["apparmorProfile"] = "nope".into()),
        ("ociVersion", |v| v["ociVersion"] = "3.1.0".into()),
        ("invalid rootfs", |v| v["root"]["path"] = "nowhere".into()),
        ("Cwd", |v| v["process"]["cwd"] = "x".into()),
        ("cgroup path", |v| v["linux"]["cgroupsPath"] = "/".into()),
        ("cgroup path", |v| v["linux"]["cgroupsPath"] = "/a/../..".into()),
        ("SCMP_ACT_NOTIFY", |v| {
            v["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"});
        }),
    ];
    for (word, edit) in cases {
        let text = refused(world, edit)?;
        ensure!(text.contains(word), "{word}: {text}");
    }
    Ok(None)
}

//! Spawner, supervisor and the containers of a pod.

use std::{
    fs,
    io::{Read, Write},
    os::fd::AsFd,
};

use anyhow::{Context, ensure};
use serde_json::json;
use skiff_runtime::{
    spawner::Spawner,
    supervisor::{Event, Exec, Pod, clean},
};

use crate::{
    Outcome, Test,
    world::{World, alive, event, eventually, exited},
};

pub const TESTS: &[Test] = &[
    ("pod_container_runs_and_its_exit_and_log_are_reported", runs),
    ("pod_missing_program_is_told_as_runc_does", missing_program),
    ("pod_exec_returns_output_and_exit_code", exec_pipes),
    ("pod_exec_with_a_terminal_has_one", exec_terminal),
    ("pod_attach_gives_stdin_and_output", attach),
    ("pod_container_terminal_can_be_attached_and_resized", terminal),
    (
        "pod_survives_its_agent_and_reports_what_happened_meanwhile",
        adopt,
    ),
    (
        "pod_containers_die_with_a_killed_supervisor_and_clean_removes_the_rest",
        killed_supervisor,
    ),
    ("pod_containers_share_a_pid_namespace_when_asked", shared_pid),
    ("pod_containers_see_host_processes_when_asked", host_pid),
    ("pod_container_is_confined", confined),
    ("pod_container_runs_as_the_user_asked_for", user),
    ("pod_mounts_cannot_leave_the_root", escape),
    ("pod_supervisor_is_small", small),
    ("pod_limits_hold_and_oom_is_told", limits),
    ("pod_cgroups_work_in_the_unified_hierarchy", unified),
    ("pod_log_is_rotated_and_long_lines_are_split", rotation),
    ("pod_degrades_where_the_host_allows_less_and_says_so", degrades),
    ("pod_start_is_quick", quick),
    ("pod_stop_ends_everything_at_once", stop),
    ("pod_supervisor_is_ready_before_it_is_asked_for", spare),
];

fn start(world: &World) -> anyhow::Result<(Spawner, Pod)> {
    let spawner = Spawner::start().context("start the spawner")?;
    let pod = spawner.create_pod(&world.sandbox()).context("create a pod")?;
    Ok((spawner, pod))
}

fn runs(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let (state, log) = world.run(
        &pod,
        &world.shell("a", "echo out; echo err >&2; hostname; exit 3"),
    )?;
    let exit = state.exit.context("an exit")?;
    ensure!(
        (exit.code, exit.signal, exit.oom_killed) == (3, None, false),
        "{exit:?}"
    );
    ensure!(state.started_at > 0 && exit.finished_at >= state.started_at);
    for line in ["out\n", "err\n", "pod-one\n"] {
        ensure!(log.contains(line), "{line:?} is not in {log:?}");
    }
    let raw = fs::read_to_string(world.log("a"))?;
    ensure!(raw.lines().any(|l| l.contains(" stderr F err")), "{raw}");
    ensure!(pod.list()?.len() == 1);
    pod.remove("a")?;
    pod.remove("a")?;
    ensure!(pod.list()?.is_empty());
    // The same name again, and a signal this time.
    let b = world.shell("b", "exec sleep 1000");
    pod.create(&b)?;
    pod.start("b")?;
    pod.kill("b", 9, false)?;
    let exit = exited(&pod, "b")?.exit.context("an exit")?;
    ensure!((exit.code, exit.signal) == (137, Some(9)), "{exit:?}");
    pod.stop()?;
    ensure!(!world.sandbox().dir.exists());
    Ok(None)
}

fn missing_program(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let e = pod
        .create(&world.container("a", &["no-such-program"]))
        .unwrap_err();
    ensure!(
        e.to_string() == "exec: \"no-such-program\": executable file not found in $PATH",
        "{e}"
    );
    ensure!(e.kind() == std::io::ErrorKind::NotFound);
    let e = pod.create(&world.container("a", &["/etc/passwd"])).unwrap_err();
    ensure!(e.kind() == std::io::ErrorKind::PermissionDenied, "{e}");
    ensure!(pod.list()?.is_empty());
    pod.stop()?;
    Ok(None)
}

fn exec(args: &[&str], terminal: bool) -> Exec {
    let process = json!({
        "terminal": terminal, "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/",
    });
    Exec {
        container: "a".into(),
        process: serde_json::from_value(process).expect("a process"),
    }
}

fn exec_pipes(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    pod.create(&world.shell("a", "exec sleep 1000"))?;
    ensure!(pod.exec(&exec(&["true"], false)).is_err(), "exec before start");
    pod.start("a")?;
    let (number, pid, streams) = pod.exec(&exec(
        &[
            "sh",
            "-c",
            "cat; echo oops >&2; tr '\\0' ' ' </proc/1/cmdline; exit 5",
        ],
        false,
    ))?;
    ensure!(pid > 1);
    let mut stdin = fs::File::from(streams.stdin.context("stdin")?);
    stdin.write_all(b"hello\n")?;
    drop(stdin);
    let mut out = String::new();
    fs::File::from(streams.stdout.context("stdout")?).read_to_string(&mut out)?;
    let mut err = String::new();
    fs::File::from(streams.stderr.context("stderr")?).read_to_string(&mut err)?;
    ensure!(out == "hello\nsleep 1000 " && err == "oops\n", "{out:?} {err:?}");
    let exit = event(&pod, |e| match e {
        Event::ExecExited { exec, exit } if *exec == number => Some(exit.clone()),
        _ => None,
    })?;
    ensure!(exit.code == 5);
    let e = pod.exec(&exec(&["nope"], false)).unwrap_err();
    ensure!(
        e.to_string() == "exec: \"nope\": executable file not found in $PATH",
        "{e}"
    );
    let (number, _, _streams) = pod.exec(&exec(&["sleep", "1000"], false))?;
    pod.kill_exec(number, 15)?;
    let exit = event(&pod, |e| match e {
        Event::ExecExited { exec, exit } if *exec == number => Some(exit.clone()),
        _ => None,
    })?;
    ensure!(exit.signal == Some(15), "{exit:?}");
    pod.stop()?;
    Ok(None)
}

/// Reads from a terminal or socket until `text` has come.
pub fn read_until(fd: impl AsFd, text: &str) -> anyhow::Result<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let mut polled = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
        let ready = nix::poll::poll(&mut polled, 10_000_u16)?;
        let so_far = String::from_utf8_lossy(&all).into_owned();
        ensure!(ready > 0, "{text:?} never came: {so_far:?}");
        let n = nix::unistd::read(fd.as_fd(), &mut buffer).with_context(|| so_far.clone())?;
        ensure!(n > 0, "the end came before {text:?}: {so_far:?}");
        all.extend_from_slice(&buffer[..n]);
        let now = String::from_utf8_lossy(&all).into_owned();
        if now.contains(text) {
            return Ok(now);
        }
    }
}

fn exec_terminal(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    pod.create(&world.shell("a", "exec sleep 1000"))?;
    pod.start("a")?;
    let (number, _, streams) = pod.exec(&exec(&["sh"], true))?;
    ensure!(streams.stdin.is_none() && streams.stderr.is_none());
    let terminal = streams.stdout.context("a terminal")?;
    pod.resize("a", Some(number), 123, 45)?;
    nix::unistd::write(&terminal, b"stty size; tty; exit 7\n")?;
    let text = read_until(&terminal, "/dev/pts/")?;
    ensure!(text.contains("45 123"), "{text}");
    let exit = event(&pod, |e| match e {
        Event::ExecExited { exec, exit } if *exec == number => Some(exit.clone()),
        _ => None,
    })?;
    ensure!(exit.code == 7);
    pod.stop()?;
    Ok(None)
}

fn attach(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut container = world.shell("a", "while read l; do echo got $l; done; echo end >&2");
    (container.stdin, container.stdin_once) = (true, true);
    pod.create(&container)?;
    let streams = pod.attach("a")?;
    pod.start("a")?;
    let mut stdin = fs::File::from(streams.stdin.context("stdin")?);
    stdin.write_all(b"one\ntwo\n")?;
    let stdout = streams.stdout.context("stdout")?;
    read_until(&stdout, "got two\n")?;
    // stdinOnce: the last one attached closes it.
    drop(stdin);
    let mut err = String::new();
    fs::File::from(streams.stderr.context("stderr")?).read_to_string(&mut err)?;
    ensure!(err == "end\n", "{err}");
    exited(&pod, "a")?;
    ensure!(
        world.logged("a").contains("got one\ngot two\n"),
        "{}",
        world.logged("a")
    );
    pod.stop()?;
    Ok(None)
}

fn terminal(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut container = world.shell(
        "a",
        "stty -echo; echo ready; read x; stty size; echo typed $x; tty; ls -l /dev/console",
    );
    let mut process = container.spec.process().clone().context("a process")?;
    process.set_terminal(Some(true));
    container.spec.set_process(Some(process));
    pod.create(&container)?;
    let first = pod.attach("a")?.stdout.context("a terminal")?;
    let second = pod.attach("a")?.stdout.context("a terminal")?;
    pod.start("a")?;
    read_until(&first, "ready")?;
    pod.resize("a", None, 99, 33)?;
    nix::unistd::write(&first, b"words\n")?;
    let text = read_until(&second, "console")?;
    ensure!(
        text.contains("33 99") && text.contains("typed words") && text.contains("/dev/pts/0"),
        "{text}"
    );
    exited(&pod, "a")?;
    ensure!(world.logged("a").contains("typed words"));
    pod.stop()?;
    Ok(None)
}

fn adopt(world: &World) -> Outcome {
    // The agent: a process that is killed while its pod runs.
    let sandbox = world.sandbox();
    let skiff_sys::process::Forked::Parent(agent) = skiff_sys::process::fork()? else {
        let work = || -> anyhow::Result<Spawner> {
            let (spawner, pod) = start(world)?;
            let mut a = world.shell(
                "a",
                "while [ ! -e /signals/go ]; do sleep 0.01; done; echo meanwhile; exit 4",
            );
            let mut mounts = a.spec.mounts().clone().context("mounts")?;
            mounts.push(serde_json::from_value(
                json!({"destination": "/signals", "type": "bind", "source": world.dir.path(), "options": ["bind"]}),
            )?);
            a.spec.set_mounts(Some(mounts));
            pod.create(&a)?;
            pod.start("a")?;
            pod.create(&world.shell("b", "exec sleep 1000"))?;
            pod.start("b")?;
            std::mem::forget(pod);
            Ok(spawner)
        };
        match work() {
            Ok(spawner) => {
                fs::write(world.dir.path().join("spawner"), spawner.pid().to_string())?;
                loop {
                    nix::unistd::pause();
                }
            }
            Err(e) => {
                fs::write(world.dir.path().join("failed"), format!("{e:?}"))?;
                skiff_sys::process::exit(1);
            }
        }
    };
    let spawner: u32 = eventually("the agent's pod runs", || {
        if let Ok(e) = fs::read_to_string(world.dir.path().join("failed")) {
            return Some(Err(anyhow::anyhow!(e)));
        }
        fs::read_to_string(world.dir.path().join("spawner"))
            .ok()?
            .parse()
            .ok()
            .map(Ok)
    })??;
    skiff_sys::process::pidfd_signal(agent.pidfd.as_fd(), 9)?;
    rustix::process::waitid(
        rustix::process::WaitId::PidFd(agent.pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    )?;
    eventually("the spawner ends with its agent", || {
        (!alive(spawner)).then_some(())
    })?;
    fs::write(world.dir.path().join("go"), "")?;
    eventually("the log goes on", || {
        world.logged("a").contains("meanwhile").then_some(())
    })?;
    let pod = Pod::adopt(&sandbox.dir)?;
    let ended = eventually("the exit is reported", || {
        pod.list().ok()?.into_iter().find(|c| c.id == "a")?.exit
    })?;
    ensure!(ended.code == 4);
    let b = pod.list()?.into_iter().find(|c| c.id == "b").context("b")?;
    ensure!(b.exit.is_none() && alive(b.pid));
    pod.netns()?;
    pod.kill("b", 9, true)?;
    exited(&pod, "b")?;
    pod.stop()?;
    pod.stop()?;
    ensure!(Pod::adopt(&sandbox.dir).is_err());
    Ok(None)
}

fn killed_supervisor(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut as_user = world.shell("u", "exec sleep 1000");
    let mut process = as_user.spec.process().clone().context("a process")?;
    process.set_user(serde_json::from_value(json!({"uid": 1000, "gid": 1000}))?);
    as_user.spec.set_process(Some(process));
    pod.create(&as_user)?;
    let user = pod.start("u")?;
    pod.create(&world.shell("a", "exec sleep 1000"))?;
    let a = pod.start("a")?;
    ensure!(alive(user.pid) && alive(a.pid));
    ensure!(clean(&world.sandbox().dir).unwrap_err().kind() == std::io::ErrorKind::AddrInUse);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pod.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )?;
    eventually("the containers are gone", || {
        (!alive(user.pid) && !alive(a.pid)).then_some(())
    })?;
    ensure!(matches!(pod.next_event(), Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof));
    ensure!(Pod::adopt(&world.sandbox().dir).unwrap_err().kind() == std::io::ErrorKind::ConnectionRefused);
    pod.stop()?;
    clean(&world.sandbox().dir)?;
    ensure!(!world.sandbox().dir.exists());
    Ok(None)
}

fn shared_pid(world: &World) -> Outcome {
    let spawner = Spawner::start()?;
    let pod = spawner.create_pod(&skiff_runtime::supervisor::Sandbox {
        shared_pid: true,
        ..world.sandbox()
    })?;
    pod.create(&world.shell("a", "exec sleep 1001"))?;
    pod.start("a")?;
    let (_, log) = world.run(
        &pod,
        &world.shell("b", "cat /proc/1/comm; cat /proc/*/cmdline | tr '\\0' ' '"),
    )?;
    ensure!(log.contains("pause") && log.contains("sleep 1001"), "{log}");
    let mut c = exec(&["sh", "-c", "echo $$"], false);
    c.container = "a".into();
    let (_, _, streams) = pod.exec(&c)?;
    let mut out = String::new();
    fs::File::from(streams.stdout.context("stdout")?).read_to_string(&mut out)?;
    ensure!(out.trim().parse::<u32>()? < 100, "{out}");
    pod.stop()?;
    Ok(None)
}

fn host_pid(world: &World) -> Outcome {
    let spawner = Spawner::start()?;
    let pod = spawner.create_pod(&skiff_runtime::supervisor::Sandbox {
        host_pid: true,
        ..world.sandbox()
    })?;
    let script = format!(
        "test -d /proc/{} && echo seen; readlink /proc/self/ns/pid",
        pod.pid()
    );
    let (_, log) = world.run(&pod, &world.shell("a", &script))?;
    let own = fs::read_link("/proc/self/ns/pid")?;
    ensure!(
        log.contains("seen") && log.contains(&own.to_string_lossy().into_owned()),
        "{log}"
    );
    pod.stop()?;
    Ok(None)
}

fn confined(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let script = r#"
        echo pid $$
        for n in mnt pid net ipc uts cgroup; do echo $n $(readlink /proc/self/ns/$n); done
        grep -E 'NoNewPrivs|Seccomp:|CapBnd|CapEff' /proc/self/status
        for d in null zero full random urandom tty ptmx fd stdin stdout stderr shm pts; do [ -e /dev/$d ] || echo no $d; done
        echo ok >/dev/null && echo null works
        head -c 4 /dev/urandom | wc -c
        echo x 2>/dev/null >/proc/sys/kernel/domainname || echo sys is read-only
        cat /proc/kcore 2>/dev/null | wc -c
        ls /proc/acpi 2>/dev/null | wc -l
        touch /x && echo root is writable
        unshare -m true 2>/dev/null || echo unshare is refused
        mount -t tmpfs x /tmp 2>/dev/null || echo mount is refused
        ip link show lo | grep -q UP && echo lo is up
        ulimit -n
        grep -c . /proc/self/mountinfo
        ls /sys/class/net
    "#;
    let (state, log) = world.run(&pod, &world.shell("a", script))?;
    for line in [
        "pid 1\n",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapBnd:\t00000000000004e1",
        "null works",
        "\n4\n",
        "sys is read-only",
        "root is writable",
        "unshare is refused",
        "mount is refused",
        "lo is up",
        "\n1024\n",
        "\nlo\n",
    ] {
        ensure!(
            log.contains(line),
            "{line:?} is missing in:\n{log}\n{:?}",
            state.notes
        );
    }
    ensure!(!log.contains("\nno "), "{log}");
    for ns in ["mnt", "pid", "net", "ipc", "uts"] {
        let own = fs::read_link(format!("/proc/self/ns/{ns}"))?;
        ensure!(
            !log.contains(&format!("{ns} {}\n", own.display())),
            "the {ns} namespace is ours:\n{log}"
        );
    }
    pod.stop()?;
    Ok(None)
}

fn user(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut container = world.shell(
        "a",
        "id; pwd; echo home $HOME; umask; grep CapEff /proc/self/status; touch f && ls -n f",
    );
    let mut process = container.spec.process().clone().context("a process")?;
    process.set_user(serde_json::from_value(
        json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 2000], "umask": 0o027}),
    )?);
    process.set_cwd("/work/dir".into());
    container.spec.set_process(Some(process));
    let (_, log) = world.run(&pod, &container)?;
    for text in [
        "uid=1000(user) gid=1000(user) groups=5,2000",
        "/work/dir\n",
        "home /home/user",
        "0027",
        "CapEff:\t0000000000000000",
    ] {
        ensure!(log.contains(text), "{text:?} is missing in:\n{log}");
    }
    pod.stop()?;
    Ok(None)
}

fn escape(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside)?;
    let mut container = world.shell("a", "cat /evil/data/f; cat /abs/f");
    let upper = world.dir.path().join("overlay/a/upper");
    std::os::unix::fs::symlink("../../../../../../../../../../../../", upper.join("evil"))?;
    std::os::unix::fs::symlink(&outside, upper.join("abs"))?;
    fs::create_dir_all(upper.join(outside.strip_prefix("/")?))?;
    let source = world.dir.path().join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("f"), "inside\n")?;
    let mut mounts = container.spec.mounts().clone().context("mounts")?;
    for destination in ["/evil/data", "/abs"] {
        mounts.push(serde_json::from_value(
            json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", "ro"]}),
        )?);
    }
    container.spec.set_mounts(Some(mounts));
    let (_, log) = world.run(&pod, &container)?;
    ensure!(log == "inside\ninside\n", "{log}");
    ensure!(fs::read_dir(&outside)?.count() == 0);
    ensure!(!fs::exists("/data")?);
    pod.stop()?;
    Ok(None)
}

fn small(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    pod.create(&world.shell("a", "exec sleep 1000"))?;
    pod.start("a")?;
    let read = || fs::read_to_string(format!("/proc/{}/smaps_rollup", pod.pid())).unwrap_or_default();
    let of = |rollup: &str, name: &str| -> u64 {
        rollup
            .lines()
            .find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    // Given back after a moment without work. Code is shared with the agent and all other supervisors: what each pod costs
    // in addition is what is private.
    let mut last = String::new();
    let given_back = eventually("memory is given back", || {
        last = read();
        (of(&last, "Private_Dirty:") < 400).then_some(())
    });
    println!(
        "supervisor: PSS {} kB, private {} kB, RSS {} kB",
        of(&last, "Pss:"),
        of(&last, "Private_Dirty:"),
        of(&last, "Rss:")
    );
    if given_back.is_err() {
        println!("{}", fs::read_to_string(format!("/proc/{}/smaps", pod.pid()))?);
    }
    given_back?;
    // It still works.
    ensure!(pod.list()?.len() == 1);
    let open = fs::read_dir(format!("/proc/{}/fd", pod.pid()))?.count();
    ensure!(open < 20, "{open} descriptors");
    pod.stop()?;
    Ok(None)
}

fn limits(world: &World) -> Outcome {
    let available = skiff_runtime::cgroups_available();
    if !available.has("memory") || !available.has("pids") {
        let reason = available.reason.clone().unwrap_or_default();
        ensure!(reason.starts_with("limits cannot be enforced"), "{available:?}");
        return Ok(Some(reason));
    }
    let spawner = Spawner::start()?;
    let group = format!("test-{}/pod", std::process::id());
    let pod = spawner.create_pod(&skiff_runtime::supervisor::Sandbox {
        cgroup: Some(group.clone()),
        resources: Some(json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}})),
        ..world.sandbox()
    })?;
    // Doubles a string until the limit ends it.
    let mut container = world.shell("a", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
    container.cgroup = Some(format!("{group}/a"));
    let mut linux = container.spec.linux().clone().context("linux")?;
    linux.set_resources(serde_json::from_value(json!({"memory": {"limit": 16 << 20}, "cpu": {"shares": 512, "quota": 50000, "period": 100000}, "pids": {"limit": 20}}))?);
    container.spec.set_linux(Some(linux));
    let (state, _) = world.run(&pod, &container)?;
    let exit = state.exit.context("an exit")?;
    ensure!(exit.oom_killed && exit.signal == Some(9), "{exit:?}");
    let mut forks = container.clone();
    forks.id = "b".into();
    forks.cgroup = Some(format!("{group}/b"));
    forks.rootfs = world.overlay("b");
    forks.log = Some(world.log("b"));
    let mut process = forks.spec.process().clone().context("a process")?;
    process.set_args(Some(["sh", "-c", "for i in $(seq 40); do sleep 100 & done; echo still here; cat /proc/self/cgroup; ls /sys/fs/cgroup"].map(str::to_owned).to_vec()));
    forks.spec.set_process(Some(process));
    let (state, log) = world.run(&pod, &forks)?;
    ensure!(log.contains("can't fork"), "{log} {state:?}");
    pod.update("b", &json!({"memory": {"limit": 32 << 20}}))?;
    pod.stop()?;
    Ok(None)
}

fn stop(world: &World) -> Outcome {
    let (spawner, pod) = start(world)?;
    let mut pids = vec![pod.pid()];
    for id in ["a", "b", "c"] {
        pod.create(&world.shell(id, "sleep 1000 & sleep 1000"))?;
        pids.push(pod.start(id)?.pid);
    }
    pod.create(&world.shell("never-started", "true"))?;
    let started = std::time::Instant::now();
    pod.stop()?;
    println!("stop took {:?}", started.elapsed());
    eventually("everything is gone", || {
        pids.iter().all(|p| !alive(*p)).then_some(())
    })?;
    let spawned = spawner.pid();
    drop(spawner);
    eventually("the spawner ends", || (!alive(spawned)).then_some(()))?;
    Ok(None)
}

/// cgroup v2 where the host has it (on a hybrid host without controllers, which is enough for all but limits).
fn unified(world: &World) -> Outcome {
    if world.rootless {
        return Ok(Some(
            "needs root to make a cgroup at the top of the unified hierarchy".into(),
        ));
    }
    if fs::exists("/sys/fs/cgroup/unified/cgroup.procs")? {
        // A hybrid host: show ourselves the unified hierarchy where it is on a v2 host.
        use nix::mount::{MsFlags, mount};
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )?;
        mount(
            Some("/sys/fs/cgroup/unified"),
            "/sys/fs/cgroup",
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )?;
    } else if !fs::exists("/sys/fs/cgroup/cgroup.procs")? {
        return Ok(Some("this host has no cgroup v2".into()));
    }
    let available = skiff_runtime::cgroups_available();
    ensure!(available.version == skiff_runtime::Version::V2, "{available:?}");
    let spawner = Spawner::start()?;
    let group = format!("test-{}/pod", std::process::id());
    let sandbox = skiff_runtime::supervisor::Sandbox {
        cgroup: Some(group.clone()),
        ..world.sandbox()
    };
    let pod = spawner.create_pod(&sandbox)?;
    let mut container = world.shell(
        "a",
        "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/*; exec sleep 1000",
    );
    container.cgroup = Some(format!("{group}/a"));
    let mut mounts = container.spec.mounts().clone().context("mounts")?;
    mounts.retain(|m| m.destination() != std::path::Path::new("/sys/fs/cgroup"));
    mounts.push(serde_json::from_value(
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"]}),
    )?);
    container.spec.set_mounts(Some(mounts));
    pod.create(&container)?;
    let state = pod.start("a")?;
    let path = format!("/sys/fs/cgroup/skiff/{group}/a");
    let members = fs::read_to_string(format!("{path}/cgroup.procs"))?;
    ensure!(members.lines().any(|l| l == state.pid.to_string()), "{members}");
    let log = eventually("it has looked around", || {
        Some(world.logged("a")).filter(|l| l.contains("cgroup.procs"))
    })?;
    ensure!(log.contains("0::/\n") && !log.contains("/skiff"), "{log}");
    let (_, pid, _streams) = pod.exec(&exec(&["sleep", "1000"], false))?;
    let members = fs::read_to_string(format!("{path}/cgroup.procs"))?;
    ensure!(members.contains(&pid.to_string()), "{members}");
    pod.stop()?;
    ensure!(!fs::exists("/sys/fs/cgroup/skiff")?);
    Ok(None)
}

fn rotation(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut container = world.shell("a", "head -c 20000 /dev/zero | tr '\\0' x; echo; for i in $(seq 500); do echo line $i; done; echo -n rest");
    (container.log_max_bytes, container.log_files) = (8192, 3);
    world.run(&pod, &container)?;
    let mut files: Vec<_> = fs::read_dir(world.dir.path().join("logs"))?
        .map(|e| e.map(|e| e.file_name()))
        .collect::<Result<_, _>>()?;
    files.sort();
    ensure!(files.len() <= 3 && files[0] == "a", "{files:?}");
    // The last rotation may have come at any line: the youngest two files together have the end.
    // Or all of it came at once, into one file.
    let younger = fs::read_to_string(world.log("a").with_extension("1")).unwrap_or_default();
    let last = younger + &fs::read_to_string(world.log("a"))?;
    ensure!(
        last.contains("stdout F line 500") && last.ends_with("stdout P rest\n"),
        "{last}"
    );
    pod.stop()?;
    Ok(None)
}

fn degrades(world: &World) -> Outcome {
    let (_spawner, pod) = start(world)?;
    let mut container = world.shell("a", "ulimit -n; cat /proc/self/oom_score_adj");
    let mut process = serde_json::to_value(container.spec.process())?;
    process["oomScoreAdj"] = (-999).into();
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 1 << 20, "hard": 1 << 20}]);
    process["apparmorProfile"] = "some-profile".into();
    container.spec.set_process(serde_json::from_value(process)?);
    let (state, log) = world.run(&pod, &container)?;
    ensure!(state.exit.as_ref().is_some_and(|e| e.code == 0), "{state:?}");
    // What the host allows is done; what not is told.
    if !log.ends_with("-999\n") {
        ensure!(
            state.notes.iter().any(|n| n.contains("oom_score_adj")),
            "{log} {:?}",
            state.notes
        );
    }
    if !log.starts_with("1048576\n") {
        ensure!(
            state.notes.iter().any(|n| n.contains("RLIMIT_NOFILE")),
            "{log} {:?}",
            state.notes
        );
    }
    pod.stop()?;
    Ok(None)
}

fn quick(world: &World) -> Outcome {
    let spawner = Spawner::start()?;
    let mut times = Vec::new();
    world.layer();
    for n in 0..5 {
        let began = std::time::Instant::now();
        let pod = spawner.create_pod(&world.sandbox())?;
        let made = began.elapsed();
        let id = format!("c{n}");
        pod.create(&world.container(&id, &["true"]))?;
        let created = began.elapsed();
        pod.start(&id)?;
        let started = began.elapsed();
        exited(&pod, &id)?;
        times.push((made, created - made, started - created, began.elapsed() - started));
        pod.stop()?;
    }
    times
        .iter()
        .for_each(|t| println!("pod {:?}, create {:?}, start {:?}, exit {:?}", t.0, t.1, t.2, t.3));
    Ok(None)
}

/// One supervisor without a pod, whose death is no harm, and which ends with the spawner.
fn spare(world: &World) -> Outcome {
    let spawner = Spawner::start()?;
    let children = format!("/proc/{0}/task/{0}/children", spawner.pid());
    let waiting = || {
        let text = fs::read_to_string(&children).ok()?;
        text.split_whitespace().find_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name == "skiff-spare\n")
                .then(|| pid.parse::<u32>().ok())
                .flatten()
        })
    };
    let first = eventually("a spare supervisor", waiting)?;
    let pod = spawner.create_pod(&world.sandbox())?;
    ensure!(pod.pid() == first, "{} instead of {first}", pod.pid());
    let (_, log) = world.run(&pod, &world.shell("a", "hostname"))?;
    ensure!(Some(log.trim()) == world.sandbox().hostname.as_deref(), "{log}");
    pod.stop()?;

    let second = eventually("another one", || waiting().filter(|pid| *pid != first))?;
    let pid = nix::unistd::Pid::from_raw(second as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
    eventually("its end", || (!alive(second)).then_some(()))?;
    let pod = spawner.create_pod(&world.sandbox())?;
    let started = pod.run(&world.shell("b", "exit 3"))?;
    ensure!(started.started_at > 0);
    ensure!(exited(&pod, "b")?.exit.is_some_and(|exit| exit.code == 3));
    // Of one that can't be started nothing is left.
    ensure!(pod.run(&world.container("c", &["no-such-program"])).is_err());
    ensure!(pod.list()?.iter().all(|c| c.id != "c"));
    pod.stop()?;

    let third = eventually("a third", waiting)?;
    drop(spawner);
    eventually("its end with the spawner", || (!alive(third)).then_some(()))?;
    Ok(None)
}

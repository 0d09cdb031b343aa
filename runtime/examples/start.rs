//! How much the library adds to what the kernel itself takes: `start ROUNDS` starts containers in turns through spawner and
//! supervisor, and by the bare system calls (clone3, the same mounts, execve), each until the program is executed. Prints
//! JSON: milliseconds per round, and the memory (PSS, KiB) of a supervisor among ten. For tests/bench/runtime; as root.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::symlink},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use oci_spec::runtime::Spec;
use serde_json::json;
use skiff_runtime::{
    spawner::Spawner,
    supervisor::{Container, Pod, RootFs, Sandbox},
};
use skiff_sys::process::{Forked, clone3};

const POD: i32 = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
const CONTAINER: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWPID;

fn main() -> anyhow::Result<()> {
    let rounds: usize = std::env::args().nth(1).unwrap_or_default().parse().unwrap_or(50);
    // In memory, as /run is.
    let dir = tempfile::tempdir_in("/dev/shm")?;
    let root = dir.path().join("root");
    make_root(&root)?;
    let spawner = Spawner::start()?;
    let shared = spawner.create_pod(&sandbox(dir.path(), "shared"))?;
    let [mut pod, mut pod_floor, mut container, mut container_floor] = [const { Vec::new() }; 4];
    for round in 0..rounds {
        pod.push(start_pod(&spawner, dir.path(), &root, round)?);
        pod_floor.push(bare(POD | CONTAINER, &root)?);
        container.push(start_container(&shared, &root, round)?);
        container_floor.push(bare(CONTAINER, &root)?);
    }
    shared.stop()?;
    let supervisor = supervisor_memory(&spawner, dir.path(), &root)?;
    println!(
        "{}",
        json!({"pod": pod, "pod_floor": pod_floor, "container": container, "container_floor": container_floor,
            "supervisor_kib": supervisor})
    );
    Ok(())
}

fn make_root(root: &Path) -> io::Result<()> {
    for name in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/true"))?;
    symlink("busybox", root.join("bin/sleep"))
}

fn sandbox(dir: &Path, uid: &str) -> Sandbox {
    Sandbox {
        dir: dir.join("pods").join(uid),
        uid: uid.to_owned(),
        hostname: Some(uid.to_owned()),
        net: true,
        ipc: true,
        shared_pid: false,
        host_pid: false,
        sysctls: Vec::new(),
        cgroup: None,
        resources: None,
    }
}

/// The default configuration without cgroups, which the bare calls have neither.
fn configuration(args: &[&str]) -> Spec {
    let mut spec = Spec::default();
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_args(Some(args.iter().map(|a| (*a).to_owned()).collect()));
    process.set_env(Some(vec!["PATH=/bin".to_owned()]));
    spec.set_process(Some(process));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.retain(|m| m.typ().as_deref() != Some("cgroup"));
    spec.set_mounts(Some(mounts));
    spec
}

fn container(id: &str, root: &Path, args: &[&str]) -> Container {
    Container {
        id: id.to_owned(),
        spec: configuration(args),
        rootfs: RootFs::Dir(root.to_owned()),
        log: None,
        log_max_bytes: 0,
        log_files: 1,
        stdin: false,
        stdin_once: false,
        cgroup: None,
        labels: Default::default(),
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn start_pod(spawner: &Spawner, dir: &Path, root: &Path, round: usize) -> anyhow::Result<f64> {
    let one = container("one", root, &["/bin/true"]);
    let begin = Instant::now();
    let pod = spawner.create_pod(&sandbox(dir, &format!("pod-{round}")))?;
    pod.run(&one)?;
    let spent = milliseconds(begin);
    pod.stop()?;
    Ok(spent)
}

fn start_container(pod: &Pod, root: &Path, round: usize) -> anyhow::Result<f64> {
    let id = format!("c{round}");
    let one = container(&id, root, &["/bin/true"]);
    let begin = Instant::now();
    pod.run(&one)?;
    let spent = milliseconds(begin);
    while pod.list()?.iter().any(|c| c.id == id && c.exit.is_none()) {
        pod.next_event()?;
    }
    pod.remove(&id)?;
    Ok(spent)
}

/// What no runtime can do without.
fn bare(namespaces: i32, root: &Path) -> anyhow::Result<f64> {
    let spec = configuration(&["/bin/true"]);
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let begin = Instant::now();
    let Forked::Parent(child) = clone3(namespaces as u64, None)? else {
        let error = become_container(root, &spec).expect_err("does not return after the exec");
        let _ = rustix::io::write(&write, format!("{error:#}").as_bytes());
        skiff_sys::process::exit(1)
    };
    drop(write);
    let mut message = [0; 200];
    // Its end is the exec.
    let length = rustix::io::read(&read, &mut message)?;
    let spent = milliseconds(begin);
    rustix::process::waitid(
        rustix::process::WaitId::PidFd(child.pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    )?;
    ensure!(length == 0, "{}", String::from_utf8_lossy(&message[..length]));
    Ok(spent)
}

fn become_container(root: &Path, spec: &Spec) -> anyhow::Result<std::convert::Infallible> {
    const NOTHING: Option<&str> = None;
    mount(
        NOTHING,
        "/",
        NOTHING,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        NOTHING,
    )?;
    mount(
        Some(root),
        root,
        NOTHING,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NOTHING,
    )?;
    nix::unistd::chdir(root)?;
    for one in spec.mounts().iter().flatten() {
        let at = root.join(one.destination().strip_prefix("/")?);
        let _ = fs::create_dir_all(&at);
        let data = (one.typ().as_deref() == Some("devpts")).then_some("newinstance,ptmxmode=0666,mode=620");
        let kind = one.typ().as_deref();
        mount(kind, &at, kind, MsFlags::MS_NOSUID, data).with_context(|| format!("mount {at:?}"))?;
    }
    for (name, minor) in [
        ("null", 3),
        ("zero", 5),
        ("full", 7),
        ("random", 8),
        ("urandom", 9),
    ] {
        nix::sys::stat::mknod(
            &root.join("dev").join(name),
            nix::sys::stat::SFlag::S_IFCHR,
            nix::sys::stat::Mode::from_bits_truncate(0o666),
            nix::sys::stat::makedev(1, minor),
        )?;
    }
    let linux = spec.linux().clone().unwrap_or_default();
    for path in linux.readonly_paths().iter().flatten() {
        let at = root.join(path.trim_start_matches('/'));
        if mount(
            Some(&at),
            &at,
            NOTHING,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            NOTHING,
        )
        .is_ok()
        {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(NOTHING, &at, NOTHING, flags, NOTHING)?;
        }
    }
    for path in linux.masked_paths().iter().flatten() {
        let at = root.join(path.trim_start_matches('/'));
        if at.is_dir() {
            mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::MS_RDONLY, NOTHING)?;
        } else if at.exists() {
            mount(Some("/dev/null"), &at, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        }
    }
    nix::unistd::pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    let [program, path] = [c"/bin/true", c"PATH=/bin"];
    Ok(nix::unistd::execve(program, &[program], &[path])?)
}

/// Of one among ten, idle for a moment: the program's pages are shared, as they are between an agent's supervisors.
fn supervisor_memory(spawner: &Spawner, dir: &Path, root: &Path) -> anyhow::Result<f64> {
    let mut pods = Vec::new();
    for number in 0..10 {
        let pod = spawner.create_pod(&sandbox(dir, &format!("idle-{number}")))?;
        pod.create(&container("one", root, &["/bin/sleep", "1000"]))?;
        pod.start("one")?;
        pods.push(pod);
    }
    // They give memory back after 200 ms.
    thread::sleep(Duration::from_secs(1));
    let mut all = 0.0;
    for pod in &pods {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pod.pid()))?;
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("Pss:"))
            .context("no Pss")?;
        all += line.trim().trim_end_matches(" kB").parse::<f64>()?;
    }
    let count = pods.len() as f64;
    for pod in pods {
        pod.stop()?;
    }
    Ok(all / count)
}

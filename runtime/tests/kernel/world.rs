//! What every test starts from: a directory, a root file system made of busybox, a user namespace when rootless.

use std::{
    ffi::OsString,
    fs, io,
    os::{fd::AsFd, unix::fs::symlink},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use oci_spec::runtime::Spec;
use serde_json::json;
use skiff_runtime::supervisor::{Container, ContainerState, Event, Pod, RootFs, Sandbox};
use skiff_sys::{
    idmap::{IdRange, write_id_maps},
    process::{Forked, clone3},
};

use crate::Test;

/// One test's surroundings; all of it goes when it is dropped.
pub struct World {
    /// Temporary directory.
    pub dir: tempfile::TempDir,
    /// In a user namespace of an ordinary user.
    pub rootless: bool,
    /// Mark in the environment of every process.
    pub mark: String,
}

/// Runs one test in this process: `MODE NAME`.
pub fn run_one(all: &[Test], args: &[OsString]) -> ExitCode {
    let mode = args[0].to_string_lossy();
    let name = args[1].to_string_lossy();
    let (_, test) = all.iter().find(|(n, _)| *n == name).expect("a known test");
    let rootless = mode == "rootless";
    if rootless && !name.starts_with("oci") {
        return in_user_namespace(|| run_here(*test, true));
    }
    run_here(*test, rootless)
}

fn run_here(test: fn(&World) -> crate::Outcome, rootless: bool) -> ExitCode {
    let dir = tempfile::Builder::new()
        .prefix("skiff-rt-")
        .tempdir_in("/tmp")
        .expect("a temporary directory");
    let world = World {
        dir,
        rootless,
        mark: std::env::var("SKIFF_TEST").unwrap_or_default(),
    };
    let outcome = test(&world);
    // A failed test has not stopped its pod.
    let pod = world.sandbox().dir;
    let _ = Pod::adopt(&pod).and_then(|p| p.stop());
    let _ = skiff_runtime::supervisor::clean(&pod);
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(reason)) => {
            println!("{reason}");
            ExitCode::from(77)
        }
        Err(e) => {
            println!("{e:?}");
            ExitCode::FAILURE
        }
    }
}

/// What the agent does at its start: user 0 inside is us, the rest comes from /etc/subuid.
fn in_user_namespace(test: impl FnOnce() -> ExitCode) -> ExitCode {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let (go_read, go_write) = nix::unistd::pipe().expect("a pipe");
    match clone3((libc_flags::NEWUSER | libc_flags::NEWNS) as u64, None).expect("a user namespace") {
        Forked::Child => {
            drop(go_write);
            let mut byte = [0];
            let n = nix::unistd::read(&go_read, &mut byte).unwrap_or(0);
            if n != 1 {
                skiff_sys::process::exit(1);
            }
            let code = test();
            // ExitCode tells nothing; its exit does.
            std::process::exit(if code == ExitCode::SUCCESS {
                0
            } else if code == ExitCode::from(77) {
                77
            } else {
                1
            })
        }
        Forked::Parent(child) => {
            let range = |file: &str, own: u32| -> Vec<IdRange> {
                let name = nix::unistd::User::from_uid(nix::unistd::getuid())
                    .expect("a user")
                    .expect("a user")
                    .name;
                let text = fs::read_to_string(file).expect("a range of subordinate ids");
                let line = text
                    .lines()
                    .find(|l| l.starts_with(&format!("{name}:")))
                    .expect("a range for this user");
                let parts: Vec<_> = line.split(':').collect();
                vec![
                    IdRange {
                        inside: 0,
                        outside: own,
                        size: 1,
                    },
                    IdRange {
                        inside: 1,
                        outside: parts[1].parse().unwrap(),
                        size: parts[2].parse().unwrap(),
                    },
                ]
            };
            write_id_maps(child.pid, &range("/etc/subuid", uid), &range("/etc/subgid", gid))
                .expect("id maps");
            nix::unistd::write(&go_write, b"x").expect("let the child go");
            let status = rustix::process::waitid(
                rustix::process::WaitId::PidFd(child.pidfd.as_fd()),
                rustix::process::WaitIdOptions::EXITED,
            );
            let code = status.ok().flatten().and_then(|s| s.exit_status()).unwrap_or(1);
            ExitCode::from(code as u8)
        }
    }
}

mod libc_flags {
    pub const NEWUSER: i32 = 0x1000_0000;
    pub const NEWNS: i32 = 0x0002_0000;
}

impl World {
    /// A read-only layer with busybox.
    pub fn layer(&self) -> PathBuf {
        let layer = self.dir.path().join("layer");
        if !layer.exists() {
            make_rootfs(&layer).expect("a root file system");
        }
        layer
    }

    /// A new overlay root over [`World::layer`].
    pub fn overlay(&self, name: &str) -> RootFs {
        let base = self.dir.path().join("overlay").join(name);
        let (upper, work) = (base.join("upper"), base.join("work"));
        fs::create_dir_all(&upper).expect("an upper directory");
        fs::create_dir_all(&work).expect("a work directory");
        RootFs::Overlay {
            lower: vec![self.layer()],
            upper,
            work,
            userxattr: self.rootless,
        }
    }

    /// A pod with all namespaces of its own.
    pub fn sandbox(&self) -> Sandbox {
        Sandbox {
            dir: self.dir.path().join("run/pods/one"),
            uid: "one".into(),
            hostname: Some("pod-one".into()),
            net: true,
            ipc: true,
            shared_pid: false,
            host_pid: false,
            sysctls: Vec::new(),
            cgroup: None,
            resources: None,
        }
    }

    /// Where containers log.
    pub fn log(&self, id: &str) -> PathBuf {
        self.dir.path().join("logs").join(id)
    }

    /// A container running a shell command.
    pub fn shell(&self, id: &str, script: &str) -> Container {
        self.container(id, &["/bin/sh", "-c", script])
    }

    /// A container as the agent describes it.
    pub fn container(&self, id: &str, args: &[&str]) -> Container {
        let mut spec = Spec::default();
        let mut process = spec.process().clone().expect("a default process");
        process.set_args(Some(args.iter().map(|a| (*a).to_owned()).collect()));
        let env = vec!["PATH=/bin".to_owned(), format!("SKIFF_TEST={}", self.mark)];
        process.set_env(Some(env));
        process.set_capabilities(
            serde_json::from_value(json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"],
                "effective": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"],
                "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"],
            }))
            .expect("capabilities"),
        );
        spec.set_process(Some(process));
        let mut root = spec.root().clone().expect("a default root");
        root.set_readonly(Some(false));
        spec.set_root(Some(root));
        let mut linux = spec.linux().clone().expect("a default linux section");
        linux.set_seccomp(Some(skiff_runtime::default_seccomp()));
        linux.set_resources(None);
        spec.set_linux(Some(linux));
        Container {
            id: id.into(),
            spec,
            rootfs: self.overlay(id),
            log: Some(self.log(id)),
            log_max_bytes: 0,
            log_files: 1,
            stdin: false,
            stdin_once: false,
            cgroup: None,
            labels: Default::default(),
        }
    }

    /// The messages of a log, without time and stream.
    pub fn logged(&self, id: &str) -> String {
        let text = fs::read_to_string(self.log(id)).unwrap_or_default();
        text.lines()
            .map(|l| l.splitn(4, ' ').nth(3).unwrap_or("").to_owned() + "\n")
            .collect()
    }

    /// Runs a container to its end; returns its state and log.
    pub fn run(&self, pod: &Pod, container: &Container) -> anyhow::Result<(ContainerState, String)> {
        pod.create(container).context("create")?;
        pod.start(&container.id).context("start")?;
        let state = exited(pod, &container.id)?;
        Ok((state, self.logged(&container.id)))
    }

    /// Our own program as `skiff oci`.
    pub fn oci(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("our own path"));
        command
            .arg("__oci")
            .arg("--root")
            .arg(self.dir.path().join("state"))
            .args(args);
        command.env("SKIFF_TEST", &self.mark);
        command
    }
}

/// Waits for the exit of a container.
pub fn exited(pod: &Pod, id: &str) -> anyhow::Result<ContainerState> {
    let found = event(pod, |e| match e {
        Event::Exited(state) if state.id == id => Some(state.clone()),
        _ => None,
    })?;
    Ok(found)
}

/// Waits for an event.
pub fn event<T>(pod: &Pod, wanted: impl Fn(&Event) -> Option<T>) -> anyhow::Result<T> {
    let fd = pod.events()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        while let Some(event) = pod.next_event()? {
            if let Some(found) = wanted(&event) {
                return Ok(found);
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("no such event; containers: {:?}", pod.list()?);
        }
        let mut polled = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut polled, nix::poll::PollTimeout::try_from(left)?)?;
    }
}

/// Waits until `condition` gives something.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("never: {what}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A process exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| {
        !s.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    })
}

fn make_rootfs(root: &Path) -> io::Result<()> {
    for dir in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "home/user"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    let applets = Command::new("/bin/busybox").arg("--list").output()?;
    for name in String::from_utf8_lossy(&applets.stdout)
        .lines()
        .filter(|n| *n != "busybox")
    {
        symlink("busybox", root.join("bin").join(name))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n")?;
    Ok(())
}

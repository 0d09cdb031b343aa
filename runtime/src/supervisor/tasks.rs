//! The containers of a pod and the processes started in them.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    time::{SystemTime, UNIX_EPOCH},
};

use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Spec};
use rustix::{
    event::epoll::EventFlags,
    fs::{Mode, OFlags},
    process::{WaitOptions, WaitStatus},
};
use skiff_sys::process::{Child, Forked, pidfd_signal};

use super::{
    Container, ContainerState, Event, Exec, Exit, Sandbox,
    log::Log,
    output::{Stream, duplicate},
    protocol::{STATE, StreamKinds},
    server::{Poll, Source},
    task::{Task, streams},
};
use crate::{
    cgroup::Cgroup,
    container::{self, Join, Plan, create, exec, hooks, schedule::Domain},
    error::{Context, invalid},
    seccomp::Filter,
    state::{PodState, SavedContainer},
};

/// Directory in the pod's run directory where overlays are mounted, in the containers' mount namespaces only.
pub(super) const MOUNTPOINT: &str = "rootfs";

/// Reads of one stream before others have their turn.
const ROUNDS: usize = 4;

/// Bytes read from a stream at once.
const CHUNK: usize = 16 * 1024;

/// A process started in a container.
struct Started {
    child: Child,
    console: Option<OwnedFd>,
    container: String,
}

/// All of them.
pub(super) struct Tasks<'a> {
    sandbox: &'a Sandbox,
    pid: u32,
    start_time: u64,
    cgroup: Option<Cgroup>,
    pause: Option<(Child, u64)>,
    tasks: BTreeMap<String, Task>,
    execs: BTreeMap<u64, Started>,
    next_exec: u64,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as i64)
}

fn not_found(id: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no container {id:?} in this pod"),
    )
}

impl<'a> Tasks<'a> {
    /// Makes the pod's cgroup and, when asked for, its shared PID namespace.
    pub fn new(sandbox: &'a Sandbox, pid: u32, start_time: u64) -> io::Result<Self> {
        let cgroup = sandbox.cgroup.as_deref().map(Cgroup::create).transpose()?;
        let mut tasks = Tasks {
            sandbox,
            pid,
            start_time,
            cgroup,
            pause: None,
            tasks: BTreeMap::new(),
            execs: BTreeMap::new(),
            next_exec: 1,
            events: Vec::new(),
            buffer: Vec::new(),
        };
        let done = tasks.prepare();
        if let Err(e) = done {
            if let Some(cgroup) = &tasks.cgroup {
                let _ = cgroup.remove(|| ());
            }
            return Err(e);
        }
        Ok(tasks)
    }

    fn prepare(&mut self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            let resources = match &self.sandbox.resources {
                Some(json) => {
                    serde_json::from_value(json.clone()).context(|| "read the pod's resources".into())?
                }
                None => LinuxResources::default(),
            };
            // No device filter here: it would apply to containers in addition to their own.
            let mut resources = resources;
            resources.set_devices(None);
            cgroup.apply(&resources, true)?;
        }
        if self.sandbox.shared_pid && !self.sandbox.host_pid {
            let child = pause()?;
            let start_time = exec::start_time(child.pid)?;
            self.pause = Some((child, start_time));
        }
        self.save()
    }

    /// Gives back what is only needed while something happens.
    pub fn shrink(&mut self) {
        self.buffer = Vec::new();
    }

    /// Events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn list(&self) -> Vec<ContainerState> {
        self.tasks.values().map(|t| t.state.clone()).collect()
    }

    fn get(&mut self, id: &str) -> io::Result<&mut Task> {
        self.tasks.get_mut(id).ok_or_else(|| not_found(id))
    }

    fn save(&self) -> io::Result<()> {
        let state = PodState {
            version: 1,
            pid: self.pid,
            start_time: self.start_time,
            sandbox: self.sandbox.clone(),
            cgroup: self.cgroup.clone(),
            pause: self.pause.as_ref().map(|(child, start)| (child.pid, *start)),
            containers: self
                .tasks
                .values()
                .map(|t| SavedContainer {
                    state: t.state.clone(),
                    start_time: t.start_time,
                    cgroup: t.cgroup.clone(),
                })
                .collect(),
        };
        crate::state::replace(&self.sandbox.dir.join(STATE), &serde_json::to_vec(&state)?)
    }

    /// Creates a container.
    pub fn create(&mut self, poll: &mut Poll, container: Container) -> io::Result<ContainerState> {
        self.make(poll, container, false)
    }

    /// Creates a container that goes on by itself if it is to be started `at_once`.
    fn make(&mut self, poll: &mut Poll, container: Container, at_once: bool) -> io::Result<ContainerState> {
        let Container {
            id,
            spec,
            rootfs,
            log,
            log_max_bytes,
            log_files,
            stdin,
            stdin_once,
            cgroup,
            labels,
        } = container;
        if self.tasks.contains_key(&id) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("container {id:?} exists"),
            ));
        }
        let process = spec
            .process()
            .as_ref()
            .ok_or_else(|| invalid("the configuration has no process"))?;
        let terminal = process.terminal().unwrap_or(false);
        let log = log
            .map(|path| Log::open(&path, log_max_bytes, log_files))
            .transpose()?;
        let seccomp = self.filter(&spec)?;
        let domain = Domain::of(&spec);
        let (stdio, ours) = streams(terminal, stdin, process.console_size())?;
        let mut plan = Plan {
            id: id.clone(),
            bundle: self.sandbox.dir.clone(),
            rootfs,
            mountpoint: self.sandbox.dir.join(MOUNTPOINT),
            new: libc::CLONE_NEWNS as u64,
            join: Vec::new(),
            cgroup: None,
            resources: None,
            seccomp: seccomp.clone(),
            stdio,
            die_with_parent: true,
            no_pivot: false,
            keyring: true,
            preserve_fds: 0,
            prepared_mounts: Default::default(),
            gate: None,
            spec,
        };
        self.namespaces(&mut plan)?;
        let spec_hooks = plan.spec.hooks().clone().map(Box::new);
        let annotations = plan.spec.annotations().clone();
        plan.resources = plan.spec.linux().as_ref().and_then(|l| l.resources().clone());
        plan.cgroup = cgroup.as_deref().map(Cgroup::ours).transpose()?;
        let cgroup = plan.cgroup.clone();
        let created = match create::create(plan, |_| at_once) {
            Ok(created) => created,
            Err(e) => {
                if let Some(cgroup) = &cgroup {
                    let _ = cgroup.remove(|| ());
                }
                return Err(e);
            }
        };
        let start_time = exec::start_time(created.child.pid)?;
        let state = ContainerState {
            id: id.clone(),
            pid: created.child.pid,
            started_at: 0,
            exit: None,
            labels,
            notes: created.notes,
        };
        let mut task = Task {
            state: state.clone(),
            start_time,
            child: Some(created.child),
            gate: Some(created.gate),
            told: created.started,
            cgroup,
            seccomp,
            domain,
            spec_hooks,
            annotations,
            terminal,
            streams: Vec::new(),
            stdin: ours.stdin,
            stdin_once,
            log,
            sinks: Vec::new(),
            inputs: BTreeMap::new(),
            typed: Vec::new(),
        };
        let outputs = [(created.console.or(ours.stdout), false), (ours.stderr, true)];
        for (fd, stderr) in outputs {
            if let Some(fd) = fd {
                let stream = Stream::new(fd, stderr)?;
                let token = poll.add(&stream.fd, Source::Output(id.clone()), EventFlags::IN)?;
                task.streams.push((token, stream));
            }
        }
        self.tasks.insert(id, task);
        self.save()?;
        Ok(state)
    }

    fn filter(&self, spec: &Spec) -> io::Result<Option<Filter>> {
        let Some(profile) = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()) else {
            return Ok(None);
        };
        // Shared by all pods of the node: `<run dir>/pods/<uid>` and `<run dir>/seccomp`.
        let cache = self
            .sandbox
            .dir
            .parent()
            .and_then(|d| d.parent())
            .map(|d| d.join("seccomp"));
        if let Some(cache) = &cache {
            let _ = std::fs::create_dir(cache);
        }
        Filter::compile(profile, cache.as_deref()).map(Some)
    }

    /// Which namespaces a container gets, by the pod's settings and its own list.
    fn namespaces(&self, plan: &mut Plan) -> io::Result<()> {
        let listed = plan
            .spec
            .linux()
            .as_ref()
            .and_then(|l| l.namespaces().clone())
            .unwrap_or_default();
        let mut own_pid = !self.sandbox.shared_pid && !self.sandbox.host_pid;
        for ns in &listed {
            let Some(path) = ns.path() else {
                // The others are the pod's: ours. Cgroup and time are made by the process itself.
                if ns.typ() == LinuxNamespaceType::User {
                    plan.new |= libc::CLONE_NEWUSER as u64;
                }
                continue;
            };
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .context(|| format!("open the namespace {path:?}"))?;
            if ns.typ() == LinuxNamespaceType::Pid {
                own_pid = false;
            }
            plan.join.push(Join { kind: ns.typ(), fd });
        }
        if own_pid {
            plan.new |= libc::CLONE_NEWPID as u64;
        }
        if let Some((pause, _)) = &self.pause
            && !plan.join.iter().any(|j| j.kind == LinuxNamespaceType::Pid)
        {
            let path = format!("/proc/{}/ns/pid", pause.pid);
            let fd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .context(|| format!("open {path}"))?;
            plan.join.push(Join {
                kind: LinuxNamespaceType::Pid,
                fd,
            });
        }
        Ok(())
    }

    /// Creates a container and starts it; of one that can't be started nothing is left.
    pub fn run(&mut self, poll: &mut Poll, container: Container) -> io::Result<ContainerState> {
        let id = container.id.clone();
        // Before the start there is nothing to do, unless a hook runs then.
        let at_once = container.spec.hooks().is_none();
        self.make(poll, container, at_once)?;
        self.start(poll, &id).inspect_err(|_| {
            let _ = self.remove(poll, &id);
        })
    }

    /// Starts a created container. What was written down at its creation is all that a cleaner needs.
    pub fn start(&mut self, poll: &mut Poll, id: &str) -> io::Result<ContainerState> {
        let bundle = self.sandbox.dir.clone();
        let task = self.get(id)?;
        let Some(gate) = task.gate.take() else {
            return Err(invalid(format!("container {id:?} has been started already")));
        };
        if task.state.exit.is_some() {
            return Err(invalid(format!(
                "container {id:?} has exited before it was started"
            )));
        }
        let started_at = now();
        let told = task.told;
        let started = if told {
            container::started(&gate, None)
        } else {
            container::start(&gate, None)
        };
        if let Err(e) = started {
            // Its process ends with the error; the caller removes the container.
            self.reap(poll);
            return Err(e);
        }
        let task = self.get(id)?;
        task.state.started_at = started_at;
        if let Some(all) = &task.spec_hooks {
            let state = hooks::state(id, "running", Some(task.state.pid), &bundle, &task.annotations);
            // Source: runtime-spec, "poststart": the container is killed when one fails.
            if let Err(e) = hooks::run("poststart", all.poststart(), &state) {
                let _ = signal(task.child.as_ref(), libc::SIGKILL);
                return Err(e);
            }
        }
        Ok(task.state.clone())
    }

    /// Sends a signal.
    pub fn kill(&mut self, id: &str, number: i32, all: bool) -> io::Result<()> {
        let task = self.get(id)?;
        if all && let Some(cgroup) = &task.cgroup {
            cgroup.signal(number);
            return Ok(());
        }
        if task.child.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("container {id:?} has exited"),
            ));
        }
        signal(task.child.as_ref(), number)
            .context(|| format!("send signal {number} to container {id:?}"))?;
        if all {
            // Without a cgroup the others known to us are those started by exec; the kernel ends the rest with the
            // first process of their PID namespace.
            for exec in self.execs.values().filter(|e| e.container == id) {
                let _ = signal(Some(&exec.child), number);
            }
        }
        Ok(())
    }

    /// Removes a container, killing it first.
    pub fn remove(&mut self, poll: &mut Poll, id: &str) -> io::Result<()> {
        if !self.tasks.contains_key(id) {
            return Ok(());
        }
        self.end(poll, id);
        let Some(task) = self.tasks.get_mut(id) else {
            return Ok(());
        };
        if let Some(cgroup) = &task.cgroup {
            cgroup.remove(reap_orphans)?;
        }
        let mut task = self.tasks.remove(id).expect("looked up above");
        task.close(poll);
        if let Some(all) = &task.spec_hooks {
            let state = hooks::state(id, "stopped", None, &self.sandbox.dir, &task.annotations);
            let _ = hooks::run("poststop", all.poststop(), &state);
        }
        self.save()
    }

    /// Kills a container's processes and waits for its first one.
    fn end(&mut self, poll: &mut Poll, id: &str) {
        let execs: Vec<u64> = self
            .execs
            .iter()
            .filter(|(_, e)| e.container == id)
            .map(|(n, _)| *n)
            .collect();
        for number in &execs {
            let _ = signal(self.execs.get(number).map(|e| &e.child), libc::SIGKILL);
        }
        let Some(task) = self.tasks.get(id) else { return };
        let Some(child) = &task.child else { return };
        let _ = pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
        self.wait_until(poll, |tasks| {
            tasks.tasks.get(id).is_none_or(|t| t.child.is_none())
        });
    }

    /// Collects children, all of them: the first process of a PID namespace ends only when the others in it have been
    /// collected, and those started by exec are ours. Only for something that SIGKILL makes happen.
    fn wait_until(&mut self, poll: &mut Poll, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => self.ended(poll, pid.as_raw_nonzero().get() as u32, status),
                Ok(None) | Err(rustix::io::Errno::INTR) => (),
                Err(_) => return,
            }
        }
    }

    /// Changes limits.
    pub fn update(&mut self, id: &str, resources: serde_json::Value) -> io::Result<()> {
        let cgroup = self.get(id)?.cgroup.clone();
        change_limits(cgroup.as_ref(), &format!("container {id:?}"), resources)
    }

    /// Changes limits of the pod.
    pub fn update_pod(&mut self, resources: serde_json::Value) -> io::Result<()> {
        change_limits(self.cgroup.as_ref(), "the pod", resources)
    }

    /// Runs a process in a container.
    pub fn exec(&mut self, request: Exec) -> io::Result<(u64, u32, StreamKinds, Vec<OwnedFd>)> {
        let Exec { container, process } = request;
        let task = self.get(&container)?;
        if task.child.is_none() || task.gate.is_some() {
            return Err(invalid(format!("container {container:?} is not running")));
        }
        let (stdio, ours) = streams(process.terminal().unwrap_or(false), true, process.console_size())?;
        let running = exec::exec(exec::Request {
            exact_cgroup: false,
            domain: task.domain.clone(),
            target: task.state.pid,
            process,
            cgroup: task.cgroup.clone(),
            seccomp: task.seccomp.clone(),
            stdio,
            die_with_parent: true,
            keyring: Some(container.clone()),
            preserve_fds: 0,
            agent: None,
        })?;
        // What an exec does differently is seen in what it does: nobody keeps a state of it.
        let _ = running.notes;
        let number = self.next_exec;
        self.next_exec += 1;
        let console = running.console.as_ref().map(duplicate).transpose()?;
        let pid = running.child.pid;
        self.execs.insert(
            number,
            Started {
                child: running.child,
                console,
                container,
            },
        );
        let kinds = StreamKinds {
            stdin: ours.stdin.is_some(),
            stdout: running.console.is_some() || ours.stdout.is_some(),
            stderr: ours.stderr.is_some(),
        };
        let fds = [ours.stdin, running.console.or(ours.stdout), ours.stderr]
            .into_iter()
            .flatten()
            .collect();
        Ok((number, pid, kinds, fds))
    }

    /// Sends a signal to a process started by [`Tasks::exec`].
    pub fn kill_exec(&mut self, exec: u64, number: i32) -> io::Result<()> {
        let exec = self
            .execs
            .get(&exec)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such exec"))?;
        signal(Some(&exec.child), number)
    }

    /// Attaches somebody.
    pub fn attach(&mut self, poll: &mut Poll, id: &str) -> io::Result<(StreamKinds, Vec<OwnedFd>)> {
        self.get(id)?.attach(poll)
    }

    /// Sets the size of a terminal.
    pub fn resize(&mut self, id: &str, exec: Option<u64>, columns: u16, rows: u16) -> io::Result<()> {
        let size = rustix::termios::Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = match exec {
            Some(number) => self.execs.get(&number).and_then(|e| e.console.as_ref()),
            None => {
                let task = self.tasks.get(id).ok_or_else(|| not_found(id))?;
                if task.terminal {
                    task.streams.first().map(|(_, stream)| &stream.fd)
                } else {
                    None
                }
            }
        };
        let terminal = terminal.ok_or_else(|| invalid("the process has no terminal"))?;
        Ok(rustix::termios::tcsetwinsize(terminal, size)?)
    }

    /// A stream has something.
    pub fn output(&mut self, poll: &mut Poll, id: &str, token: u64, flags: EventFlags) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        if flags.contains(EventFlags::OUT) {
            task.type_on(poll);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.buffer.resize(CHUNK, 0);
            task.read(poll, token, &mut self.buffer, ROUNDS);
        }
    }

    /// An attached reader can take more, or is gone.
    pub fn sink(&mut self, poll: &mut Poll, id: &str, token: u64, flags: EventFlags) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.sink(poll, token, flags);
        }
    }

    /// Somebody attached to a terminal types, or is gone.
    pub fn input(&mut self, poll: &mut Poll, id: &str, token: u64) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.input(poll, token);
        }
    }

    /// Collects ended children.
    pub fn reap(&mut self, poll: &mut Poll) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            self.ended(poll, pid.as_raw_nonzero().get() as u32, status);
        }
    }

    fn ended(&mut self, poll: &mut Poll, pid: u32, status: WaitStatus) {
        if let Some((number, _)) = self.execs.iter().find(|(_, e)| e.child.pid == pid) {
            let number = *number;
            let started = self.execs.remove(&number).expect("found above");
            let oom_killed = false;
            let exit = exit(status, oom_killed);
            drop(started);
            self.events.push(Event::ExecExited { exec: number, exit });
            return;
        }
        if self.pause.as_ref().is_some_and(|(child, _)| child.pid == pid) {
            self.pause = None;
            return;
        }
        // Anything else is an orphan of the host's PID namespace.
        let Some((_, task)) = self
            .tasks
            .iter_mut()
            .find(|(_, t)| t.child.as_ref().is_some_and(|c| c.pid == pid))
        else {
            return;
        };
        // What it wrote last belongs before its end.
        self.buffer.resize(CHUNK, 0);
        let tokens: Vec<u64> = task.streams.iter().map(|(token, _)| *token).collect();
        for token in tokens {
            task.read(poll, token, &mut self.buffer, 64);
        }
        let oom = task.cgroup.as_ref().is_some_and(|c| c.oom_kills() > 0);
        task.child = None;
        task.gate = None;
        task.stdin = None;
        task.state.pid = 0;
        task.state.exit = Some(exit(status, oom));
        // Readers that have everything are told the end; the others when they have.
        task.sinks.retain(|sink| {
            if !sink.is_behind() {
                poll.remove(sink.fd.as_fd(), sink.token);
            }
            sink.is_behind()
        });
        let inputs: Vec<u64> = task.inputs.keys().copied().collect();
        for token in inputs {
            task.drop_input(poll, token);
        }
        // With a PID namespace of its own the kernel has killed the rest already.
        if let Some(cgroup) = &task.cgroup {
            cgroup.kill();
        }
        let event = Event::Exited(task.state.clone());
        self.events.push(event);
        let _ = self.save();
    }

    /// Ends everything.
    pub fn stop(&mut self, poll: &mut Poll) -> io::Result<()> {
        let ids: Vec<String> = self.tasks.keys().cloned().collect();
        let mut first_error = None;
        for id in ids {
            if let Err(e) = self.remove(poll, &id) {
                first_error.get_or_insert(e);
            }
        }
        if let Some((pause, _)) = &self.pause {
            let _ = pidfd_signal(pause.pidfd.as_fd(), libc::SIGKILL);
            self.wait_until(poll, |tasks| tasks.pause.is_none());
        }
        if let Some(cgroup) = &self.cgroup {
            match cgroup.remove(reap_orphans) {
                Ok(()) => self.cgroup = None,
                Err(e) => {
                    first_error.get_or_insert(e);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

fn signal(child: Option<&Child>, number: i32) -> io::Result<()> {
    match child {
        Some(child) => pidfd_signal(child.pidfd.as_fd(), number),
        None => Ok(()),
    }
}

fn exit(status: WaitStatus, oom_killed: bool) -> Exit {
    let signal = status.terminating_signal();
    let code = status.exit_status().or(signal.map(|s| 128 + s)).unwrap_or(255);
    Exit {
        code,
        signal,
        oom_killed,
        finished_at: now(),
    }
}

/// While a cgroup is emptied: children of ours that were orphans in it.
fn reap_orphans() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

fn change_limits(cgroup: Option<&Cgroup>, of: &str, resources: serde_json::Value) -> io::Result<()> {
    let resources: LinuxResources =
        serde_json::from_value(resources).context(|| "read the resources".into())?;
    match cgroup {
        Some(cgroup) => cgroup.apply(&resources, false).map(drop),
        None => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{of} has no cgroup"),
        )),
    }
}

/// The first process of a shared PID namespace: it does nothing but collect orphans.
fn pause() -> io::Result<Child> {
    match skiff_sys::process::clone3(libc::CLONE_NEWPID as u64, None).context(|| "clone3".into())? {
        Forked::Parent(child) => Ok(child),
        Forked::Child => {
            let _ = skiff_sys::process::close_inherited(&[]);
            let _ = rustix::thread::set_name(c"pause");
            let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
            // Process 1 of a namespace has no parent it could see.
            skiff_sys::process::ignore_signal(libc::SIGCHLD);
            loop {
                nix::unistd::pause();
            }
        }
    }
}

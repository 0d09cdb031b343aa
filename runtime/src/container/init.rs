//! The container's first process, from its birth to the exec.

use std::{
    fs,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use nix::sched::CloneFlags;
use oci_spec::runtime::{LinuxNamespaceType, Process, User};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::{FromChild, Plan, Stdio, ToChild, hooks, network, process, schedule};
use crate::{
    cgroup::{self, hierarchy},
    error::{Context, Failure, invalid},
    rootfs::{self, Cgroups, Membership, Root},
    supervisor::RootFs,
    wire,
};

/// How the new process came to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// In its cgroup.
    pub in_cgroup: bool,
    /// The creator makes its network namespace meanwhile.
    pub without_network: bool,
}

/// Runs in the new process and never returns.
pub(super) fn run(mut plan: Plan, birth: Birth, socket: OwnedFd) -> ! {
    let gate = plan.gate.take();
    let guarded = std::panic::AssertUnwindSafe(|| set_up(&mut plan, birth, &socket));
    let error = match std::panic::catch_unwind(guarded) {
        Err(_) => io::Error::other("the container's first process panicked while it was set up"),
        Ok(Err(e)) => e,
        Ok(Ok(program)) => {
            // From here on the one to tell is who starts us.
            let by_creator = gate.is_none();
            let starter = match gate {
                None => socket,
                Some(gate) => {
                    // Not before somebody who comes later can find us: until then we end with the creator.
                    if !matches!(wire::receive::<ToChild>(&socket), Ok((ToChild::Kept, _))) {
                        skiff_sys::process::exit(1);
                    }
                    drop(socket);
                    match accept(&gate) {
                        Ok(starter) => starter,
                        Err(_) => skiff_sys::process::exit(1),
                    }
                }
            };
            let error = begin(&plan, program, &starter, by_creator);
            let _ = wire::send(&starter, &FromChild::Failed(Failure::from(error)), &[]);
            skiff_sys::process::exit(1)
        }
    };
    let _ = wire::send(&socket, &FromChild::Failed(Failure::from(error)), &[]);
    skiff_sys::process::exit(1)
}

/// Waits for somebody to connect and say `Start`; one who goes away without a word changes nothing.
fn accept(gate: &OwnedFd) -> io::Result<OwnedFd> {
    loop {
        let starter = match rustix::net::accept_with(gate, rustix::net::SocketFlags::CLOEXEC) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => continue,
            done => done?,
        };
        if matches!(wire::receive::<ToChild>(&starter), Ok((ToChild::Start, _))) {
            return Ok(starter);
        }
    }
}

/// From the start to the exec; returns what went wrong.
fn begin(plan: &Plan, mut program: process::Program, starter: &OwnedFd, by_creator: bool) -> io::Error {
    if by_creator {
        match wire::receive::<ToChild>(starter) {
            Ok((ToChild::Start, _)) => (),
            // The creator is gone: nobody will ever start us.
            _ => skiff_sys::process::exit(1),
        }
    }
    // Hooks in the container may do no more than its processes.
    if let Err(e) = program.confine(starter.as_fd()) {
        return e;
    }
    if let Some(all) = plan.spec.hooks() {
        let pid = rustix::process::getpid().as_raw_nonzero().get() as u32;
        let state = hooks::state(
            &plan.id,
            "created",
            Some(pid),
            &plan.bundle,
            plan.spec.annotations(),
        );
        if let Err(e) = hooks::run("startContainer", all.start_container(), &state) {
            return e;
        }
    }
    program.execute()
}

fn expect(socket: &OwnedFd, message: &ToChild) -> io::Result<()> {
    let (got, _) = wire::receive::<ToChild>(socket)?;
    if got == *message {
        Ok(())
    } else {
        Err(invalid(format!("expected {message:?}, got {got:?}")))
    }
}

/// The limits of the cgroup, which are still being set when this process was born there.
struct Limits<'a> {
    born_inside: bool,
    socket: &'a OwnedFd,
    hold: bool,
}

impl Limits<'_> {
    /// Waits until they hold. What they leave of the processors is then used.
    fn wait(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.hold, true) {
            return Ok(());
        }
        if self.born_inside {
            expect(self.socket, &ToChild::Go)?;
        }
        schedule::all_processors()
    }
}

fn set_up(plan: &mut Plan, birth: Birth, socket: &OwnedFd) -> io::Result<process::Program> {
    if plan.new & libc::CLONE_NEWUSER as u64 != 0 {
        expect(socket, &ToChild::Mapped)?;
    }
    enter_namespaces(plan)?;
    let _ = rustix::process::setsid();
    let process = plan
        .spec
        .process()
        .clone()
        .ok_or_else(|| invalid("the configuration has no process"))?;
    let linux = plan.spec.linux().clone().unwrap_or_default();
    let mut notes = Vec::new();
    process::early(&process, &mut notes)?;
    if plan.keyring {
        process::keyring(&plan.id, &mut notes)?;
    }

    if plan.wants(LinuxNamespaceType::Time) {
        time_namespace(&linux)?;
    }
    if plan.owns_uts() {
        if let Some(name) = plan.spec.hostname() {
            nix::unistd::sethostname(name).context(|| format!("set the host name {name:?}"))?;
        }
        if let Some(name) = plan.spec.domainname() {
            rustix::system::setdomainname(name.as_bytes())
                .context(|| format!("set the domain name {name:?}"))?;
        }
    }
    // The creator has done that unless it has many directories of v1 to make.
    let by_creator = birth.without_network && birth.in_cgroup;
    let new_network = birth.without_network || plan.new & libc::CLONE_NEWNET as u64 != 0;
    let (creator, sysctl) = (socket.try_clone()?, linux.sysctl().clone());
    let enter_network = move || {
        if birth.without_network {
            let (ToChild::Network, fds) = wire::receive::<ToChild>(&creator)? else {
                return Err(invalid("expected Network"));
            };
            let namespace = fds.first().ok_or_else(|| invalid("no network namespace"))?;
            network::enter(namespace).context(|| "enter the network namespace".into())?;
        }
        if new_network && !by_creator {
            network::loopback_up()?;
        }
        for (key, value) in sysctl.iter().flatten() {
            set_sysctl(key, value)?;
        }
        Ok(())
    };

    let propagation = linux.rootfs_propagation().as_deref();
    let mut root = match &plan.rootfs {
        RootFs::Dir(dir) if plan.shares_mounts() => {
            end_with_creator(socket)?;
            Root::mount_shared(dir)?
        }
        rootfs => Root::mount(rootfs, &plan.mountpoint, propagation)?,
    };
    if birth.without_network {
        root.enter_network_with(enter_network);
    } else {
        enter_network()?;
    }
    let (own_cgroup_namespace, joined) = (plan.wants(LinuxNamespaceType::Cgroup), socket.try_clone()?);
    root.show_cgroups(Membership::new(move || {
        if !birth.in_cgroup {
            let (ToChild::Go, doors) = wire::receive::<ToChild>(&joined)? else {
                return Err(invalid("expected Go"));
            };
            cgroup::enter(&doors)?;
        }
        // As the host names them, before a cgroup namespace makes ours the root.
        let hierarchies = hierarchy::own().unwrap_or_default();
        // Not made at birth: its root would be the creator's cgroup.
        if own_cgroup_namespace {
            nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)
                .context(|| "unshare the cgroup namespace".into())?;
        }
        Ok(Cgroups {
            hierarchies,
            own_namespace: own_cgroup_namespace,
        })
    }));
    let mut prepared = std::mem::take(&mut plan.prepared_mounts);
    let mounts = plan.spec.mounts().as_deref().unwrap_or_default();
    let label = linux.mount_label().as_deref();
    let masked = || linux.masked_paths().iter().flatten();
    let readonly = || linux.readonly_paths().iter().flatten();
    // Of hooks in the container nothing is hidden yet.
    let hooked = plan.spec.hooks().is_some();
    let hidden_early = |path: &&String| !hooked && path.starts_with("/proc/");
    let late = rootfs::mounts::below_sys(mounts);
    root.mounts(mounts, 0..late, &plan.bundle, label, &mut prepared)?;
    if !rootfs::mounts::bind_dev(mounts) {
        root.devices(linux.devices().as_deref().unwrap_or_default())?;
    }
    root.hide(masked().filter(hidden_early), readonly().filter(hidden_early))?;
    root.mounts(mounts, late..mounts.len(), &plan.bundle, label, &mut prepared)?;
    root.make_directory(process.cwd());
    // Nothing of the container's own may run before.
    root.enter_network()?;
    root.join_cgroup()?;
    let mut limits = Limits {
        born_inside: birth.in_cgroup,
        socket,
        hold: false,
    };
    if let Some(all) = plan.spec.hooks() {
        limits.wait()?;
        wire::send(socket, &FromChild::NeedHooks, &[])?;
        expect(socket, &ToChild::HooksDone)?;
        let pid = rustix::process::getpid().as_raw_nonzero().get() as u32;
        let state = hooks::state(
            &plan.id,
            "creating",
            Some(pid),
            &plan.bundle,
            plan.spec.annotations(),
        );
        rustix::process::fchdir(root.as_fd()).context(|| "enter the root file system".into())?;
        hooks::run("createContainer", all.create_container(), &state)?;
    }
    let stdio = std::mem::replace(&mut plan.stdio, Stdio::Inherit);
    let console = match &stdio {
        Stdio::Terminal { size } => {
            let (ours, theirs) = process::terminal(root.as_fd(), *size, process.user().uid())?;
            wire::send(socket, &FromChild::Console, &[ours.as_fd()])?;
            let path = format!("/proc/self/fd/{}", theirs.as_raw_fd());
            root.console(Path::new(&path))
                .context(|| "bind the terminal to /dev/console".into())?;
            Some(theirs)
        }
        _ => None,
    };
    root.hide(
        masked().filter(|path| !hidden_early(path)),
        readonly().filter(|path| !hidden_early(path)),
    )?;
    let readonly = plan
        .spec
        .root()
        .as_ref()
        .and_then(|r| r.readonly())
        .unwrap_or(false);
    notes.extend(root.enter(readonly, propagation, plan.no_pivot)?);

    limits.wait()?;
    process::streams(stdio, console.as_ref())?;
    schedule::Domain::of(&plan.spec).enter()?;
    let setting = process::Setting {
        seccomp: plan.seccomp.as_ref(),
        die_with_parent: plan.die_with_parent,
        preserve_fds: plan.preserve_fds,
        keep_groups: plan.keeps_groups(),
        creator: socket.as_fd(),
    };
    let program = process::prepare(&process, &setting, &mut notes)?;
    if plan.shares_mounts() && !plan.die_with_parent {
        rustix::process::set_parent_process_death_signal(None)?;
    }
    wire::send(socket, &FromChild::Ready(notes), &[])?;
    Ok(program)
}

/// Who mounts where everybody sees it may not go on once its creator has been killed: what it mounts then, nobody would find.
fn end_with_creator(creator: &OwnedFd) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may be gone already.
    let mut end = [PollFd::new(creator, PollFlags::empty())];
    let now = Timespec::default();
    if rustix::event::poll(&mut end, Some(&now))? > 0 && end[0].revents().contains(PollFlags::HUP) {
        skiff_sys::process::exit(1);
    }
    Ok(())
}

impl Plan {
    /// The configuration asks for a new namespace of this kind.
    fn wants(&self, kind: LinuxNamespaceType) -> bool {
        let namespaces = self.spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
        namespaces
            .into_iter()
            .flatten()
            .any(|n| n.typ() == kind && n.path().is_none())
    }

    /// An annotation of crun's, by which engines let a container reach files of the caller's groups.
    fn keeps_groups(&self) -> bool {
        let annotations = self.spec.annotations().as_ref();
        annotations
            .and_then(|all| all.get("run.oci.keep_original_groups"))
            .is_some_and(|value| value != "0")
    }

    /// There is no mount namespace of its own.
    fn shares_mounts(&self) -> bool {
        self.new & libc::CLONE_NEWNS as u64 == 0
            && !self.join.iter().any(|j| j.kind == LinuxNamespaceType::Mount)
    }

    fn owns_uts(&self) -> bool {
        self.new & libc::CLONE_NEWUTS as u64 != 0
            || self.join.iter().any(|j| j.kind == LinuxNamespaceType::Uts)
    }
}

fn enter_namespaces(plan: &Plan) -> io::Result<()> {
    // User and PID namespaces were joined at birth.
    let at_birth = |kind| matches!(kind, LinuxNamespaceType::User | LinuxNamespaceType::Pid);
    for join in plan.join.iter().filter(|j| !at_birth(j.kind)) {
        rustix::thread::move_into_link_name_space(join.fd.as_fd(), None)
            .context(|| format!("join the {} namespace", join.kind))?;
    }
    let new_user = plan.new & libc::CLONE_NEWUSER as u64 != 0
        || plan.join.iter().any(|j| j.kind == LinuxNamespaceType::User);
    if new_user {
        become_root(plan.spec.process().as_ref().map(Process::user))?;
    }
    Ok(())
}

/// In a new user namespace we are nobody until we say who we are: its root, or where it has none `user`.
pub(super) fn become_root(user: Option<&User>) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    let set_group = |gid: u32| setresgid(Gid::from_raw(gid), Gid::from_raw(gid), Gid::from_raw(gid));
    let set_user = |uid: u32| setresuid(Uid::from_raw(uid), Uid::from_raw(uid), Uid::from_raw(uid));
    // Without a mapping the kernel knows no such id.
    match (set_group(0), user) {
        (Err(nix::errno::Errno::EINVAL), Some(user)) => set_group(user.gid()),
        (done, _) => done,
    }
    .context(|| "become group 0 of the user namespace".into())?;
    match (set_user(0), user) {
        (Err(nix::errno::Errno::EINVAL), Some(user)) => set_user(user.uid()),
        (done, _) => done,
    }
    .context(|| "become user 0 of the user namespace".into())?;
    match setgroups(&[]) {
        // setgroups is denied in namespaces made without privilege.
        Ok(()) | Err(nix::errno::Errno::EPERM) => Ok(()),
        Err(e) => Err(e).context(|| "drop additional groups".into()),
    }
}

/// The exec moves us into the new time namespace (Linux 6.1; before, only children).
fn time_namespace(linux: &oci_spec::runtime::Linux) -> io::Result<()> {
    nix::sched::unshare(CloneFlags::from_bits_retain(skiff_sys::process::NEWTIME as i32))
        .context(|| "unshare the time namespace".into())?;
    let mut text = String::new();
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        text.push_str(&format!(
            "{clock} {} {}\n",
            offset.secs().unwrap_or(0),
            offset.nanosecs().unwrap_or(0)
        ));
    }
    if text.is_empty() {
        return Ok(());
    }
    fs::write("/proc/self/timens_offsets", &text).context(|| format!("set time offsets {text:?}"))
}

/// Sets one sysctl of the current namespaces; `key` with dots or slashes.
pub(crate) fn set_sysctl(key: &str, value: &str) -> io::Result<()> {
    // The first of both is the separator, and the other stands for it (net/ipv4/conf/eth0.1/…, net.ipv4.conf.eth0/1.…).
    let path: String = match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'.' => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        _ => key.to_owned(),
    };
    if Path::new(&path)
        .components()
        .any(|c| !matches!(c, std::path::Component::Normal(_)))
    {
        return Err(invalid(format!("sysctl {key:?}")));
    }
    write_sysctl(&Path::new("/proc/sys").join(path), value)
        .context(|| format!("set sysctl {key} to {value:?}"))
}

/// Writes only to the kernel's own file, whatever may be mounted where it should be.
fn write_sysctl(path: &Path, value: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    if !crate::rootfs::procfs::is_procfs(&file)? {
        return Err(invalid(format!("{path:?} is not procfs")));
    }
    file.write_all(value.as_bytes())
}

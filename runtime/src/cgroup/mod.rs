//! Control groups: which are there, a group per pod and per container, limits, and removal without leftovers.
//!
//! Directories, membership and removal are done here (they need birth in a cgroup and waiting without sleeping);
//! `libcgroups` translates OCI resources into what the files of v1 and v2 want.

mod devices;
mod freeze;
pub(crate) mod hierarchy;
mod limits;
mod oom;
mod remove;
pub(crate) mod stats;
mod systemd;

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use skiff_sys::file::read;

use self::hierarchy::Hierarchy;
use crate::error::{Context, invalid};

/// Name of the cgroup below which everything of ours lies where we may write to the top of a hierarchy.
const TOP: &str = "skiff";

/// Name of the cgroup that holds the agent and its supervisors in a delegated v2 subtree, whose inner cgroups may hold
/// no processes.
const OWN: &str = "skiff-agent";

/// Controllers of v1 that containers are put into; the rest (perf_event, named hierarchies) limit nothing.
const V1: &[&str] = &[
    "cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "devices", "blkio", "hugetlb", "net_cls",
    "net_prio", "rdma",
];

/// Kind of control groups in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// None that we may use.
    None,
    /// One hierarchy per controller (also on hybrid hosts, whose v2 hierarchy has no controllers).
    V1,
    /// The unified hierarchy.
    V2,
}

/// What this process can do with control groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    /// Which kind.
    pub version: Version,
    /// Controllers that limits can be set with, in the kernel's words (`cpu`, `memory`, `pids`, …).
    pub controllers: Vec<String>,
    /// Why there are none, or why some are missing; a sentence for people.
    pub reason: Option<String>,
}

impl Available {
    /// Limits of this controller are enforced.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// Where our cgroups go.
#[derive(Clone, Debug)]
struct Base {
    available: Available,
    /// v1: one per controller; v2: one.
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    /// First controller of the hierarchy, `""` for v2.
    controller: String,
    /// Mount point.
    mount: PathBuf,
    /// Relative to the mount: cgroups are made below.
    prefix: PathBuf,
}

/// Finds out once per process, and for v2 makes the subtree ready: our own processes move to a leaf of it and the
/// controllers are handed down.
fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        find().unwrap_or_else(|e| Base {
            available: Available {
                version: Version::None,
                controllers: Vec::new(),
                reason: Some(e.to_string()),
            },
            places: Vec::new(),
        })
    })
}

/// What this process can do with control groups. The first call may move it into a leaf of its delegated cgroup.
pub fn cgroups_available() -> Available {
    base().available.clone()
}

fn find() -> io::Result<Base> {
    let own = hierarchy::own()?;
    if let Some(v2) = own
        .iter()
        .find(|h| h.is_v2() && h.mount == Path::new(hierarchy::TOP))
    {
        return find_v2(v2);
    }
    find_v1(&own)
}

fn writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
        && fs::OpenOptions::new()
            .write(true)
            .open(dir.join("cgroup.procs"))
            .is_ok()
}

fn find_v1(own: &[Hierarchy]) -> io::Result<Base> {
    let mut places = Vec::new();
    let mut controllers = Vec::new();
    // Root may write to all of the many or to none.
    let by_right = rustix::process::geteuid().is_root() && skiff_sys::idmap::in_first_namespace();
    for h in own.iter().filter(|h| !h.is_v2()) {
        let may_write = || match by_right {
            true => rustix::fs::access(&h.mount, rustix::fs::Access::WRITE_OK).is_ok(),
            false => writable(&h.mount),
        };
        if !h.controllers.iter().any(|c| V1.contains(&c.as_str())) || !may_write() {
            continue;
        }
        places.push(Place {
            controller: h.controllers[0].clone(),
            mount: h.mount.clone(),
            prefix: TOP.into(),
        });
        controllers.extend(h.controllers.iter().cloned());
    }
    if places.is_empty() {
        let kind = if own.iter().any(|h| !h.is_v2()) {
            "cgroup v1"
        } else {
            "no usable cgroup file system"
        };
        return Err(io::Error::other(format!(
            "limits cannot be enforced: this host has {kind}, which this user may not write to; boot with \
             systemd.unified_cgroup_hierarchy=1 (cgroup v2) and delegate a cgroup to the user"
        )));
    }
    Ok(Base {
        available: Available {
            version: Version::V1,
            controllers,
            reason: None,
        },
        places,
    })
}

fn find_v2(v2: &Hierarchy) -> io::Result<Base> {
    let place = |prefix: PathBuf| Place {
        controller: String::new(),
        mount: v2.mount.clone(),
        prefix,
    };
    if writable(&v2.mount) {
        // The cgroup that holds ours is made with the first of them.
        let enabled = enable(&v2.mount)?;
        return Ok(Base {
            available: v2_available(&v2.mount, &enabled),
            places: vec![place(TOP.into())],
        });
    }
    // A process in the leaf already (the agent was started by one of ours): the subtree is the parent.
    let path = if v2.path.ends_with(OWN) {
        v2.path.parent().unwrap_or(&v2.path).to_owned()
    } else {
        v2.path.clone()
    };
    let group = v2.mount.join(&path);
    if !writable(&group) {
        return Err(io::Error::other(format!(
            "limits cannot be enforced: cgroup {} is not delegated to this user; start it with `systemd-run --user \
             --scope -p Delegate=yes`",
            group.display()
        )));
    }
    // An inner cgroup with processes in it hands nothing down, and others are not ours to move.
    let own = std::process::id().to_string();
    let members = read(group.join("cgroup.procs")).unwrap_or_default();
    let others: Vec<_> = members.split_whitespace().filter(|pid| *pid != own).collect();
    if !others.is_empty() {
        return Err(io::Error::other(format!(
            "limits cannot be enforced: processes {} share cgroup {}; start it in a scope of its own with \
             `systemd-run --user --scope -p Delegate=yes`",
            others.join(", "),
            group.display()
        )));
    }
    let leaf = group.join(OWN);
    make(&leaf)?;
    fs::write(leaf.join("cgroup.procs"), "0").context(|| format!("move into {leaf:?}"))?;
    let available = v2_available(&group, &enable(&group)?);
    if available.controllers.is_empty() {
        return Err(io::Error::other(format!(
            "limits cannot be enforced: cgroup {} has no controllers delegated",
            group.display()
        )));
    }
    Ok(Base {
        available,
        places: vec![place(path)],
    })
}

fn v2_available(group: &Path, enabled: &str) -> Available {
    let controllers: Vec<String> = enabled.split_whitespace().map(str::to_owned).collect();
    let missing: Vec<_> = ["cpu", "memory", "pids"]
        .into_iter()
        .filter(|c| !controllers.iter().any(|e| e == c))
        .collect();
    let reason = (!missing.is_empty()).then(|| {
        format!(
            "controllers {} are not delegated to {}",
            missing.join(", "),
            group.display()
        )
    });
    Available {
        version: Version::V2,
        controllers,
        reason,
    }
}

/// Hands every controller of a v2 cgroup down to its children, each by itself: one that is refused must not keep the
/// others back. Returns those that are handed down.
fn enable(group: &Path) -> io::Result<String> {
    let file = group.join("cgroup.subtree_control");
    let enabled = || read(&file).context(|| format!("read {file:?}"));
    let before = enabled()?;
    let controllers = read(group.join("cgroup.controllers")).unwrap_or_default();
    let mut missing = controllers
        .split_whitespace()
        .filter(|controller| !before.split_whitespace().any(|e| e == *controller))
        .peekable();
    if missing.peek().is_none() {
        return Ok(before);
    }
    for controller in missing {
        let _ = fs::write(&file, format!("+{controller}"));
    }
    enabled()
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done.context(|| format!("make cgroup {dir:?}")),
    }
}

/// One cgroup of ours, in every hierarchy that is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    version: Version,
    /// Controller (`""` for v2) and directory.
    directories: Vec<(String, PathBuf)>,
    /// From the mount of each hierarchy.
    path: PathBuf,
    /// How many components of `path`, from the left, are not ours to remove.
    keep: usize,
    /// systemd makes it.
    #[serde(default)]
    unit: Option<systemd::Unit>,
}

impl Cgroup {
    /// Makes the cgroup `relative` and what is missing above it.
    ///
    /// # Errors
    /// `Unsupported` when no cgroup may be used, with the reason.
    pub fn create(relative: &str) -> io::Result<Self> {
        let cgroup = Self::ours(relative)?;
        cgroup.make()?;
        Ok(cgroup)
    }

    /// The cgroup `relative` below where ours start, which need not exist.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn ours(relative: &str) -> io::Result<Self> {
        Self::plan(relative, false)
    }

    /// The cgroup at `path`, which need not exist: with a leading slash from the top of the hierarchies where we may write
    /// there (parents are not ours to remove then), and otherwise where ours start.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn at(path: &str) -> io::Result<Self> {
        Self::plan(path, path.starts_with('/'))
    }

    /// The cgroup that a configuration asks for, made by systemd or by us, or one of that `name`.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn of(id: &str, spec: &Spec, name: &str, by_systemd: bool) -> io::Result<Self> {
        let path = spec.linux().as_ref().and_then(|l| l.cgroups_path().as_ref());
        let path = path.map(|path| path.to_string_lossy()).unwrap_or_default();
        match &*path {
            path if by_systemd => Self::of_systemd(path, id),
            // At the top, with no parent that would have to be made and removed each time.
            "" => Self::at(&format!("/{name}")),
            path => Self::at(path),
        }
    }

    /// Limits can only be set when it has a process.
    pub fn needs_process(&self) -> bool {
        self.unit.is_some()
    }

    fn plan(relative: &str, from_top: bool) -> io::Result<Self> {
        let relative = Path::new(relative.trim_start_matches('/'));
        // The empty path would be the hierarchy itself, and with it everything on this machine.
        if relative.as_os_str().is_empty()
            || relative
                .components()
                .any(|c| !matches!(c, std::path::Component::Normal(_)))
        {
            return Err(invalid(format!("cgroup path {relative:?}")));
        }
        if from_top && let Some(cgroup) = Self::delegated(relative)? {
            return Ok(cgroup);
        }
        let base = base();
        let Some(first) = base.places.first() else {
            let reason = base
                .available
                .reason
                .clone()
                .unwrap_or_else(|| "no cgroups".into());
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        };
        // Where only a subtree is ours, a path from the top starts there all the same.
        let ours = first.prefix == Path::new(TOP);
        let prefix = if from_top && ours {
            Path::new("")
        } else {
            first.prefix.as_path()
        };
        let path = prefix.join(relative);
        let keep = if from_top {
            path.components().count().saturating_sub(1)
        } else if ours {
            0
        } else {
            prefix.components().count()
        };
        let directories = base
            .places
            .iter()
            .map(|place| (place.controller.clone(), place.mount.join(&path)))
            .collect();
        Ok(Cgroup {
            version: base.available.version,
            directories,
            path,
            keep,
            unit: None,
        })
    }

    /// In v2, a path from the top whose nearest existing parent the user may write to, though not the top itself: part of
    /// a subtree that was delegated to the user.
    fn delegated(path: &Path) -> io::Result<Option<Self>> {
        let top = Path::new("/sys/fs/cgroup");
        if !top.join("cgroup.controllers").exists() || writable(top) {
            return Ok(None);
        }
        let dir = top.join(path);
        let parent = dir.ancestors().skip(1).find(|parent| parent.exists());
        if path.as_os_str().is_empty() || !parent.is_some_and(|p| p.starts_with(top) && writable(p)) {
            return Ok(None);
        }
        Ok(Some(Cgroup {
            version: Version::V2,
            directories: vec![(String::new(), dir)],
            path: path.to_owned(),
            keep: path.components().count() - 1,
            unit: None,
        }))
    }

    /// Makes its directories and what is missing above them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn make(&self) -> io::Result<()> {
        if self.unit.is_some() {
            return Ok(());
        }
        for (controller, dir) in &self.directories {
            let mount = self.mount_of(dir);
            // A parent may vanish between two steps, removed with the last container in it: begin again.
            let mut tries = 0;
            loop {
                match make_below(mount, &self.path, controller) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 100 => tries += 1,
                    done => break done?,
                }
            }
        }
        Ok(())
    }

    /// The mount point of the hierarchy that one of its directories is in.
    fn mount_of<'a>(&self, dir: &'a Path) -> &'a Path {
        let depth = self.path.components().count();
        dir.ancestors().nth(depth).unwrap_or(dir)
    }

    /// A cgroup below this one: `path` in every hierarchy, or `controller[,controller…]:path` in some of v1.
    pub fn below(&self, text: &str) -> io::Result<Self> {
        let (controllers, path) = match text.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, text),
        };
        let relative = Path::new(path.trim_start_matches('/'));
        if relative
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_)))
        {
            return Err(invalid(format!("bad sub cgroup path: {text:?}")));
        }
        let (mut below, mut known) = (self.clone(), false);
        for (controller, dir) in &mut below.directories {
            let chosen = controllers.is_none_or(|all| {
                all.split(',')
                    .any(|c| self.directory(c) == Some(dir.as_path()) || c == controller)
            });
            if chosen {
                known = true;
                dir.push(relative);
            }
        }
        if !known {
            return Err(invalid(format!("unknown controller in {text:?}")));
        }
        Ok(below)
    }

    /// A descriptor to be born into (v2).
    pub fn birthplace(&self) -> io::Result<Option<OwnedFd>> {
        let dir = &self.directories[0].1;
        // Into a scope of systemd's, an ordinary user's processes outside it are moved by systemd only.
        let by_systemd = self.unit.is_some() && (!dir.exists() || !rustix::process::geteuid().is_root());
        if self.version != Version::V2 || by_systemd {
            return Ok(None);
        }
        let fd = rustix::fs::open(
            dir,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .context(|| format!("open cgroup {dir:?}"))?;
        Ok(Some(fd))
    }

    /// Files by which a process moves itself in with [`enter`]; none where it is born there or must be moved.
    ///
    /// To move another process the kernel stops every fork and exit of this machine, for which it waits for all
    /// processors: 4 to 20 ms after a quiet while. A thread that moves itself needs none of that, and a process with one
    /// thread is moved with it. v2 has this for threads of threaded cgroups only. Source: Linux 5.7,
    /// cgroup_procs_write_start.
    pub fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        if self.version != Version::V1 {
            return Ok(Vec::new());
        }
        self.directories
            .iter()
            .map(|(_, dir)| {
                let file = dir.join("tasks");
                rustix::fs::open(&file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                    .context(|| format!("open {file:?}"))
            })
            .collect()
    }

    /// A process can be born in it, once it is made.
    pub fn is_birthplace(&self) -> bool {
        self.version == Version::V2
    }

    /// Moves a process in.
    pub fn attach(&self, pid: u32) -> io::Result<()> {
        if let Some(unit) = &self.unit {
            return unit.attach(pid);
        }
        for (_, dir) in &self.directories {
            fs::write(dir.join("cgroup.procs"), pid.to_string())
                .context(|| format!("error adding pid {pid} to cgroups: {dir:?}"))?;
        }
        Ok(())
    }

    /// Moves a process to where process `first` of the container is now (v2): one that has made cgroups below its own and
    /// handed controllers down has left it, and nobody can be in it any more.
    pub fn attach_beside(&self, pid: u32, first: u32) -> io::Result<()> {
        let membership = read(format!("/proc/{first}/cgroup"))
            .context(|| format!("look at the cgroup of process {first}"))?;
        let path = membership.lines().find_map(|line| line.strip_prefix("0::/"));
        let dir = match (path, self.directories.first()) {
            (Some(path), Some((_, own))) if self.version == Version::V2 => self.mount_of(own).join(path),
            _ => return self.attach(pid),
        };
        fs::write(dir.join("cgroup.procs"), pid.to_string())
            .context(|| format!("error adding pid {pid} to cgroups: {dir:?}"))
    }

    /// The directory for one controller.
    fn directory(&self, controller: &str) -> Option<&Path> {
        self.directories
            .iter()
            .find(|(c, dir)| {
                c.is_empty() || c == controller || dir.starts_with(format!("/sys/fs/cgroup/{controller}"))
            })
            .map(|(_, dir)| dir.as_path())
    }

    /// How many processes the kernel's OOM killer has taken here.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.version == Version::V2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        let Some(dir) = self.directory("memory") else {
            return 0;
        };
        let text = read(dir.join(file)).unwrap_or_default();
        text.lines()
            .find_map(|l| l.strip_prefix("oom_kill ")?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Processes in it and below.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        if let Some((_, dir)) = self.directories.first() {
            collect_pids(dir, &mut pids);
        }
        pids
    }
}

/// Moves the calling process, which has one thread, through `doors` into a cgroup. What may open the files need not be
/// allowed to the caller: the kernel asks for the right of who has opened them.
pub(crate) fn enter(doors: &[OwnedFd]) -> io::Result<()> {
    for door in doors {
        rustix::io::write(door, b"0").context(|| "move into the cgroup".into())?;
    }
    Ok(())
}

fn collect_pids(dir: &Path, pids: &mut Vec<u32>) {
    let procs = read(dir.join("cgroup.procs")).unwrap_or_default();
    pids.extend(procs.lines().filter_map(|l| l.parse::<u32>().ok()));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect_pids(&entry.path(), pids);
        }
    }
}

/// Makes each component of `relative` below `dir`, where controllers are handed down already; inner ones of v2 do the same.
fn make_below(dir: &Path, relative: &Path, controller: &str) -> io::Result<()> {
    let mut at = dir.to_owned();
    for part in relative {
        if controller.is_empty() && at != dir {
            let _ = enable(&at);
        }
        at.push(part);
        make(&at)?;
        inherit_cpuset(controller, &at)?;
    }
    Ok(())
}

/// A new v1 cpuset is empty and takes no process until it has processors and memory nodes.
fn inherit_cpuset(controller: &str, dir: &Path) -> io::Result<()> {
    if controller != "cpuset" {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = read(dir.join(file)).unwrap_or_default();
        if own.trim().is_empty()
            && let Some(parent) = dir.parent()
        {
            let value = read(parent.join(file)).context(|| format!("read {file} of {parent:?}"))?;
            fs::write(dir.join(file), value.trim()).context(|| format!("write {file} of {dir:?}"))?;
        }
    }
    Ok(())
}

//! Control groups: which are there, a group per pod and per container, limits, and removal without leftovers.
//!
//! Directories, membership and removal are done here (they need birth in a cgroup and waiting without sleeping);
//! `libcgroups` translates OCI resources into what the files of v1 and v2 want.

pub(crate) mod hierarchy;
mod remove;

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use libcgroups::common::{CgroupManager, ControllerOpt};
use oci_spec::runtime::LinuxResources;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use self::hierarchy::Hierarchy;
use crate::error::{Context, invalid};

/// Name of the cgroup below which everything of ours lies where we may write to the top of a hierarchy.
const TOP: &str = "skiff";

/// Name of the cgroup that holds the agent and its supervisors in a delegated v2 subtree, whose inner cgroups may hold
/// no processes.
const OWN: &str = "skiff-agent";

/// Controllers of v1 that containers are put into; the rest cost time at each start and limit nothing here.
const V1: &[&str] = &[
    "cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "devices", "blkio", "hugetlb",
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
    let top = Path::new("/sys/fs/cgroup");
    if let Some(v2) = own.iter().find(|h| h.is_v2() && h.mount == top) {
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
    for h in own.iter().filter(|h| !h.is_v2()) {
        if !h.controllers.iter().any(|c| V1.contains(&c.as_str())) || !writable(&h.mount) {
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
        enable(&v2.mount);
        let group = v2.mount.join(TOP);
        make(&group)?;
        enable(&group);
        return Ok(Base {
            available: v2_available(&group)?,
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
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
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
    enable(&group);
    let available = v2_available(&group)?;
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

fn v2_available(group: &Path) -> io::Result<Available> {
    let path = group.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&path).context(|| format!("read {path:?}"))?;
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
    Ok(Available {
        version: Version::V2,
        controllers,
        reason,
    })
}

/// Hands every controller of a v2 cgroup down to its children, each by itself: one that is refused must not keep the
/// others back.
fn enable(group: &Path) {
    let Ok(controllers) = fs::read_to_string(group.join("cgroup.controllers")) else {
        return;
    };
    for controller in controllers.split_whitespace() {
        let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
    }
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
}

impl Cgroup {
    /// Makes the cgroup `relative` and what is missing above it.
    ///
    /// # Errors
    /// `Unsupported` when no cgroup may be used, with the reason.
    pub fn create(relative: &str) -> io::Result<Self> {
        Self::make(relative, false)
    }

    /// Makes the cgroup `path`, which starts at the top of the hierarchies where we may write there, and otherwise
    /// where ours start. Parents are not ours to remove.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_from_top(path: &str) -> io::Result<Self> {
        Self::make(path, true)
    }

    fn make(relative: &str, from_top: bool) -> io::Result<Self> {
        let base = base();
        if base.places.is_empty() {
            let reason = base
                .available
                .reason
                .clone()
                .unwrap_or_else(|| "no cgroups".into());
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        let relative = Path::new(relative.trim_start_matches('/'));
        if relative
            .components()
            .any(|c| !matches!(c, std::path::Component::Normal(_)))
        {
            return Err(invalid(format!("cgroup path {relative:?}")));
        }
        let mut directories = Vec::new();
        let mut places = base.places.clone();
        if from_top {
            places
                .iter_mut()
                .filter(|p| p.prefix == Path::new(TOP))
                .for_each(|p| p.prefix = PathBuf::new());
        }
        for place in &places {
            let mut dir = place.mount.join(&place.prefix);
            // Our top cgroup goes with the last pod; a delegated one is not ours to make.
            let ours = place.prefix == Path::new(TOP);
            if ours {
                make_below(&place.mount, &place.prefix, place)?;
            }
            // A parent may vanish between two steps, removed with the last pod in it: begin again.
            let mut tries = 0;
            loop {
                match make_below(&dir, relative, place) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 100 => {
                        tries += 1;
                        if ours {
                            make_below(&place.mount, &place.prefix, place)?;
                        }
                    }
                    done => break done?,
                }
            }
            dir.push(relative);
            directories.push((place.controller.clone(), dir));
        }
        let prefix = &places[0].prefix;
        let path = prefix.join(relative);
        let keep = if from_top {
            path.components().count() - 1
        } else if prefix == Path::new(TOP) {
            0
        } else {
            prefix.components().count()
        };
        Ok(Cgroup {
            version: base.available.version,
            directories,
            path,
            keep,
        })
    }

    /// A descriptor to be born into (v2).
    pub fn birthplace(&self) -> io::Result<Option<OwnedFd>> {
        if self.version != Version::V2 {
            return Ok(None);
        }
        let dir = &self.directories[0].1;
        let fd = rustix::fs::open(
            dir,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .context(|| format!("open cgroup {dir:?}"))?;
        Ok(Some(fd))
    }

    /// Moves a process in.
    pub fn attach(&self, pid: u32) -> io::Result<()> {
        for (_, dir) in &self.directories {
            fs::write(dir.join("cgroup.procs"), pid.to_string())
                .context(|| format!("move process {pid} into cgroup {dir:?}"))?;
        }
        Ok(())
    }

    /// Sets limits. Inner cgroups of v2 (pods) hand their controllers down too when `inner`.
    pub fn apply(&self, resources: &LinuxResources, inner: bool) -> io::Result<()> {
        if inner && self.version == Version::V2 {
            enable(&self.directories[0].1);
        }
        let mut resources = resources.clone();
        // The device filter of v2 is a BPF program, which most of our users may not load.
        if self.version == Version::V2 || !base().available.has("devices") {
            resources.set_devices(None);
        }
        if resources == LinuxResources::default() {
            return Ok(());
        }
        let opt = ControllerOpt {
            resources: &resources,
            disable_oom_killer: resources
                .memory()
                .and_then(|m| m.disable_oom_killer())
                .unwrap_or(false),
            oom_score_adj: None,
            freezer_state: None,
        };
        let done = match self.version {
            Version::None => Ok(()),
            Version::V1 => libcgroups::v1::manager::Manager::new(&self.path)
                .and_then(|m| m.apply(&opt))
                .map_err(|e| e.to_string()),
            Version::V2 => {
                let mount = base().places[0].mount.clone();
                libcgroups::v2::manager::Manager::new(mount, self.path.clone())
                    .and_then(|m| m.apply(&opt))
                    .map_err(|e| e.to_string())
            }
        };
        done.map_err(|e| io::Error::other(format!("set limits of cgroup {}: {e}", self.path.display())))
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
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
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

fn collect_pids(dir: &Path, pids: &mut Vec<u32>) {
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    pids.extend(procs.lines().filter_map(|l| l.parse::<u32>().ok()));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect_pids(&entry.path(), pids);
        }
    }
}

/// Makes each component of `relative` below `dir`; inner ones hand controllers down.
fn make_below(dir: &Path, relative: &Path, place: &Place) -> io::Result<()> {
    let mut at = dir.to_owned();
    for part in relative {
        if place.controller.is_empty() {
            enable(&at);
        }
        at.push(part);
        make(&at)?;
        inherit_cpuset(place, &at)?;
    }
    Ok(())
}

/// A new v1 cpuset is empty and takes no process until it has processors and memory nodes.
fn inherit_cpuset(place: &Place, dir: &Path) -> io::Result<()> {
    if place.controller != "cpuset" {
        return Ok(());
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = fs::read_to_string(dir.join(file)).unwrap_or_default();
        if own.trim().is_empty()
            && let Some(parent) = dir.parent()
        {
            let value =
                fs::read_to_string(parent.join(file)).context(|| format!("read {file} of {parent:?}"))?;
            fs::write(dir.join(file), value.trim()).context(|| format!("write {file} of {dir:?}"))?;
        }
    }
    Ok(())
}

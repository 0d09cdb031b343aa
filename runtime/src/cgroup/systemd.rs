//! Cgroups that systemd makes: a transient scope per container (`--systemd-cgroup`).

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use libcgroups::{
    common::{CgroupManager, ControllerOpt},
    systemd::manager::Manager,
};
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

use super::{Cgroup, Version};
use crate::error::invalid;

/// How long systemd may take to put a process into a new scope.
const PATIENCE: Duration = Duration::from_secs(5);

/// The unit of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unit {
    /// `slice:prefix:name`.
    path: String,
    /// Container id.
    id: String,
    /// Of the system's manager, not the user's.
    system: bool,
}

impl Cgroup {
    /// The cgroup of the unit that `path` (`slice:prefix:name`) names; systemd makes it with its first process.
    ///
    /// # Errors
    /// For another path, and where systemd does not run or cgroup v2 is not in use.
    pub(super) fn of_systemd(path: &str, id: &str) -> io::Result<Self> {
        let top = Path::new("/sys/fs/cgroup");
        if !top.join("cgroup.controllers").exists() || !Path::new("/run/systemd/system").is_dir() {
            return Err(invalid(
                "systemd cgroup flag passed, but systemd support for managing cgroups is not available",
            ));
        }
        let system = rustix::process::geteuid().is_root();
        // As with runc.
        let path = if path.is_empty() {
            format!(":skiff:{id}")
        } else {
            path.to_owned()
        };
        let parts: Vec<&str> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(invalid(format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
            )));
        };
        let slice = match slice {
            "" if system => "system.slice",
            "" => "user.slice",
            slice => slice,
        };
        let unit = if name.ends_with(".slice") {
            name.to_owned()
        } else {
            format!("{prefix}-{name}.scope")
        };
        let relative = if system {
            PathBuf::new()
        } else {
            let uid = rustix::process::geteuid().as_raw();
            PathBuf::from(format!("user.slice/user-{uid}.slice/user@{uid}.service"))
        };
        let relative = relative.join(expand(slice)?).join(unit);
        Ok(Cgroup {
            version: Version::V2,
            directories: vec![(String::new(), top.join(&relative))],
            keep: relative.components().count().saturating_sub(1),
            path: relative,
            unit: Some(Unit {
                path: format!("{slice}:{prefix}:{name}"),
                id: id.to_owned(),
                system,
            }),
        })
    }
}

/// The directory of a slice, which has the slices its name consists of above it: `a-b.slice` is `a.slice/a-b.slice`.
fn expand(slice: &str) -> io::Result<PathBuf> {
    let wrong = || invalid(format!("invalid slice name: {slice}"));
    let name = slice
        .strip_suffix(".slice")
        .filter(|name| !name.contains('/'))
        .ok_or_else(wrong)?;
    let mut path = PathBuf::new();
    if name == "-" {
        return Ok(path);
    }
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() {
            return Err(wrong());
        }
        path.push(format!("{prefix}{part}.slice"));
        prefix.push_str(part);
        prefix.push('-');
    }
    Ok(path)
}

impl Unit {
    fn manager(&self) -> io::Result<Manager> {
        Manager::new(
            "/sys/fs/cgroup".into(),
            self.path.clone().into(),
            self.id.clone(),
            self.system,
            PATIENCE,
        )
        .map_err(failed)
    }

    /// Starts the scope with a process, or moves it there.
    pub fn attach(&self, pid: u32) -> io::Result<()> {
        let pid = libcgroups_nix::unistd::Pid::from_raw(pid as i32);
        self.manager()?.add_task(pid).map_err(failed)
    }

    /// Sets limits as properties of the scope.
    pub fn limit(&self, resources: &LinuxResources) -> io::Result<()> {
        let opt = ControllerOpt {
            resources,
            disable_oom_killer: false,
            oom_score_adj: None,
            freezer_state: None,
        };
        self.manager()?.apply(&opt).map_err(failed)
    }

    /// Lets systemd forget the scope, when it has not yet by itself.
    pub fn stop(&self) {
        if let Ok(manager) = self.manager() {
            let _ = manager.remove();
        }
    }
}

fn failed(e: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("systemd: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_lies_below_those_its_name_begins_with() {
        assert_eq!(expand("system.slice").unwrap(), Path::new("system.slice"));
        assert_eq!(
            expand("a-b-c.slice").unwrap(),
            Path::new("a.slice/a-b.slice/a-b-c.slice")
        );
        assert_eq!(expand("-.slice").unwrap(), Path::new(""));
        for bad in ["", "x", "a/b.slice", "a--b.slice", ".slice"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}

//! Limits: OCI resources as the files of v1 and v2, and properties of systemd's units, want them.

use std::{collections::HashMap, fs, io};

use libcgroups::common::{CgroupManager, ControllerOpt};
use oci_spec::runtime::{LinuxBlockIo, LinuxNetwork, LinuxRdma, LinuxResources};

use super::{Cgroup, Version, enable};
use crate::error::{Context, invalid};

/// Limits that v2 has nothing for: told and ignored, as with runc.
fn unknown_to_v2(resources: &LinuxResources) -> Option<String> {
    let memory = resources.memory().unwrap_or_default();
    let cpu = resources.cpu().clone().unwrap_or_default();
    let ignored: Vec<&str> = [
        (memory.swappiness().is_some(), "memory.swappiness"),
        (
            memory.kernel_tcp().is_some_and(|limit| limit > 0),
            "memory.kernelTCP",
        ),
        (
            memory.disable_oom_killer() == Some(true),
            "memory.disableOOMKiller",
        ),
        (
            cpu.realtime_period().is_some_and(|time| time > 0),
            "cpu.realtimePeriod",
        ),
        (
            cpu.realtime_runtime().is_some_and(|time| time > 0),
            "cpu.realtimeRuntime",
        ),
    ]
    .into_iter()
    .filter_map(|(asked, name)| asked.then_some(name))
    .collect();
    (!ignored.is_empty()).then(|| format!("not known to cgroup v2 and ignored: {}", ignored.join(", ")))
}

impl Cgroup {
    /// Sets limits; returns what could not be done as asked. Inner cgroups of v2 (pods) hand their controllers down too
    /// when `inner`.
    pub fn apply(&self, resources: &LinuxResources, inner: bool) -> io::Result<Vec<String>> {
        if inner && self.version == Version::V2 {
            let _ = enable(&self.directories[0].1);
        }
        if self.version == Version::V1 && resources.unified().as_ref().is_some_and(|u| !u.is_empty()) {
            return Err(invalid("invalid configuration: cannot use unified on cgroup v1"));
        }
        let mut resources = resources.clone();
        let mut notes = Vec::new();
        if let Some(memory) = resources.memory_mut()
            && memory.kernel().is_some()
        {
            // As with runc: newer kernels have no such limit, and the specification advises against it.
            memory.set_kernel(None);
            notes.push("kernel memory settings are ignored".to_owned());
        }
        if resources.network().as_ref() == Some(&LinuxNetwork::default()) {
            resources.set_network(None);
        }
        let devices = resources.devices().clone();
        resources.set_devices(None);
        let rdma = resources.rdma().clone();
        resources.set_rdma(None);
        if let Some(io) = resources.block_io() {
            self.weigh_devices(io)?;
        }
        if self.version == Version::V2 {
            notes.extend(unknown_to_v2(&resources));
        }
        if resources != LinuxResources::default() {
            self.check_usage(&resources)?;
            self.limit(&resources)?;
        }
        if let Some(rdma) = rdma {
            self.limit_rdma(&rdma)?;
        }
        notes.extend(devices.map_or(Ok(None), |devices| self.limit_devices(&devices))?);
        Ok(notes)
    }

    fn limit(&self, resources: &LinuxResources) -> io::Result<()> {
        if let Some(unit) = &self.unit {
            return unit.limit(resources);
        }
        let opt = ControllerOpt {
            resources,
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
                let mount = self.mount_of(&self.directories[0].1).to_owned();
                libcgroups::v2::manager::Manager::new(mount, self.path.clone())
                    .and_then(|m| m.apply(&opt))
                    .map_err(|e| e.to_string())
            }
        };
        done.map_err(|e| io::Error::other(format!("set limits of cgroup {}: {e}", self.path.display())))
    }

    /// What `libcgroups` would leave out without a word: weights that the kernel has no file for, and those of devices on v1.
    fn weigh_devices(&self, io: &LinuxBlockIo) -> io::Result<()> {
        let devices = io.weight_device().iter().flatten();
        let of_leaves = devices.clone().map(|device| device.leaf_weight());
        if of_leaves
            .chain([io.leaf_weight()])
            .any(|weight| weight.is_some_and(|w| w > 0))
        {
            return Err(io::Error::other(
                "leaf weights of block devices are not available: no kernel since 5.0 has them",
            ));
        }
        let weighted = devices.clone().next().is_some();
        if self.version != Version::V1 || !(weighted || io.weight().is_some_and(|weight| weight > 0)) {
            return Ok(());
        }
        let files = ["blkio.weight", "blkio.bfq.weight"];
        let file = files
            .iter()
            .find_map(|name| Some(self.directory("blkio")?.join(name)).filter(|path| path.exists()))
            .ok_or_else(|| {
                io::Error::other("weights of block devices are not available: no scheduler has them")
            })?;
        for device in devices {
            let Some(weight) = device.weight() else { continue };
            let path = file.with_file_name(format!(
                "{}_device",
                file.file_name().unwrap_or_default().display()
            ));
            let line = format!("{}:{} {weight}", device.major(), device.minor());
            fs::write(&path, &line).context(|| format!("write {line:?} to {path:?}"))?;
        }
        Ok(())
    }

    /// `libcgroups` does not know this controller.
    fn limit_rdma(&self, limits: &HashMap<String, LinuxRdma>) -> io::Result<()> {
        for (device, limit) in limits {
            let path = self
                .directory("rdma")
                .map(|dir| dir.join("rdma.max"))
                .filter(|path| path.exists())
                .ok_or_else(|| io::Error::other("the rdma controller is not available"))?;
            let mut line = device.clone();
            for (key, value) in [
                ("hca_handle", limit.hca_handles()),
                ("hca_object", limit.hca_objects()),
            ] {
                if let Some(value) = value {
                    line.push_str(&format!(" {key}={value}"));
                }
            }
            fs::write(&path, &line).context(|| format!("write {line:?} to {path:?}"))?;
        }
        Ok(())
    }

    /// With `checkBeforeUpdate`, a memory limit below what is in use is refused rather than paid for with processes.
    fn check_usage(&self, resources: &LinuxResources) -> io::Result<()> {
        let Some(memory) = resources.memory() else {
            return Ok(());
        };
        let (Some(limit), Some(true)) = (memory.limit(), memory.check_before_update()) else {
            return Ok(());
        };
        let files = match self.version {
            Version::V2 => ["memory.current", "memory.peak"],
            _ => ["memory.usage_in_bytes", "memory.max_usage_in_bytes"],
        };
        let [usage, peak] = files.map(|file| {
            let path = self.directory("memory").map(|dir| dir.join(file));
            path.map_or(0, |path| super::stats::number(&path))
        });
        if limit >= 0 && usage > limit.unsigned_abs() {
            return Err(io::Error::other(format!(
                "unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn resources(json: serde_json::Value) -> LinuxResources {
        serde_json::from_value(json).unwrap()
    }

    fn nowhere(version: Version) -> Cgroup {
        Cgroup {
            version,
            directories: Vec::new(),
            path: PathBuf::new(),
            keep: 0,
            unit: None,
        }
    }

    #[test]
    fn what_v2_has_nothing_for_is_told() {
        let asked = resources(serde_json::json!({
            "memory": {"limit": 1 << 20, "swappiness": 0, "kernelTCP": 5, "disableOOMKiller": true},
            "cpu": {"shares": 5, "realtimePeriod": 5, "realtimeRuntime": 5},
        }));
        assert_eq!(
            unknown_to_v2(&asked).unwrap(),
            "not known to cgroup v2 and ignored: memory.swappiness, memory.kernelTCP, memory.disableOOMKiller, \
             cpu.realtimePeriod, cpu.realtimeRuntime"
        );
        let usual =
            serde_json::json!({"memory": {"limit": 1, "disableOOMKiller": false}, "cpu": {"quota": 5}});
        assert_eq!(unknown_to_v2(&resources(usual)), None);
    }

    #[test]
    fn leaf_weights_are_refused() {
        for io in [
            serde_json::json!({"leafWeight": 10}),
            serde_json::json!({"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 10}]}),
        ] {
            let asked = resources(serde_json::json!({"blockIO": io}));
            for version in [Version::V1, Version::V2] {
                let refused = nowhere(version).apply(&asked, false).unwrap_err();
                assert!(refused.to_string().contains("leaf weights"), "{refused}");
            }
        }
    }

    #[test]
    fn kernel_memory_is_told_and_ignored() {
        let asked = resources(serde_json::json!({"memory": {"kernel": 5}}));
        let told = nowhere(Version::None).apply(&asked, false).unwrap();
        assert_eq!(told, ["kernel memory settings are ignored"]);
    }
}

//! config.json: read, and refused where it can't be carried out as it says.

use std::{fs, io, path::Path};

use oci_spec::runtime::{
    Hook, Linux, LinuxNamespaceType, LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType,
    PosixRlimitType, Process, Spec,
};
use serde_json::Value;

use super::sysctl;
use crate::{
    container::{net_devices, schedule},
    error::{Context, invalid},
    lsm,
};

/// Reads and checks a configuration; tells what of it is not taken as it is.
pub(super) fn load(path: &Path, told: &mut Vec<String>) -> io::Result<Spec> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::new(
                e.kind(),
                format!("JSON specification file {} not found", path.display()),
            ));
        }
        done => done.context(|| format!("read {path:?}"))?,
    };
    let spec = parse(&text, told).context(|| format!("read {path:?}"))?;
    check(&spec)?;
    Ok(spec)
}

fn parse(text: &[u8], told: &mut Vec<String>) -> io::Result<Spec> {
    let first = match serde_json::from_slice(text) {
        Ok(spec) => return Ok(spec),
        Err(e) => e,
    };
    // What runc takes and our types do not: rare, so only looked for when the straight way has failed.
    let Ok(mut value) = serde_json::from_slice::<Value>(text) else {
        return Err(first.into());
    };
    if let Some(process) = value.get_mut("process") {
        relax_process(process, told);
    }
    // No number is no limit, since version 1.3.
    if let Some(resources) = value
        .pointer_mut("/linux/resources")
        .and_then(Value::as_object_mut)
        && let Some(Value::Object(pids)) = resources.get("pids")
        && pids.get("limit").is_none_or(Value::is_null)
    {
        resources.remove("pids");
    }
    if let Some(linux) = value.get_mut("linux").and_then(Value::as_object_mut)
        && let Some(policy) = linux.get("memoryPolicy").and_then(Value::as_object)
    {
        if policy.is_empty() {
            linux.remove("memoryPolicy");
        } else {
            memory_policy(policy)?;
        }
    }
    serde_json::from_value(value).map_err(|_| first.into())
}

/// Refuses words that our types do not know, as runc does.
fn memory_policy(policy: &serde_json::Map<String, Value>) -> io::Result<()> {
    let mode = policy.get("mode").unwrap_or(&Value::Null);
    if serde_json::from_value::<MemoryPolicyModeType>(mode.clone()).is_err() {
        return Err(invalid(format!("invalid memory policy mode: {mode}")));
    }
    let flags = policy.get("flags").and_then(Value::as_array);
    for flag in flags.into_iter().flatten() {
        if serde_json::from_value::<MemoryPolicyFlagType>(flag.clone()).is_err() {
            return Err(invalid(format!("invalid memory policy flag: {flag}")));
        }
    }
    Ok(())
}

/// Reads the process of `exec --process`.
pub(super) fn read_process(path: &Path, told: &mut Vec<String>) -> io::Result<Process> {
    let text = fs::read(path).context(|| format!("read {path:?}"))?;
    if let Ok(process) = serde_json::from_slice(&text) {
        return Ok(process);
    }
    let mut value: Value = serde_json::from_slice(&text).context(|| format!("read {path:?}"))?;
    relax_process(&mut value, told);
    serde_json::from_value(value).context(|| format!("read {path:?}"))
}

/// Gives a process what is missing (user 0, no directory), takes numbers for arguments, leaves out unknown capabilities, and
/// spells the scheduler's flags as our types do.
fn relax_process(process: &mut Value, told: &mut Vec<String>) {
    let Some(process) = process.as_object_mut() else {
        return;
    };
    process.entry("cwd").or_insert_with(|| "".into());
    let user = process.entry("user").or_insert_with(|| serde_json::json!({}));
    if let Some(user) = user.as_object_mut() {
        for id in ["uid", "gid"] {
            user.entry(id).or_insert_with(|| 0.into());
        }
    }
    for arg in process
        .get_mut("args")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if arg.is_number() {
            *arg = arg.to_string().into();
        }
    }
    if let Some(sets) = process.get_mut("capabilities") {
        drop_unknown(sets, told);
    }
    let flags = process
        .get_mut("scheduler")
        .and_then(|s| s.get_mut("flags"))
        .and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
            _ => (),
        }
    }
}

/// Leaves out capabilities that this runtime does not know, as runc does: a newer engine may ask for a newer kernel's.
pub(super) fn drop_unknown(sets: &mut Value, told: &mut Vec<String>) {
    let mut unknown: Vec<String> = Vec::new();
    for names in sets
        .as_object_mut()
        .into_iter()
        .flat_map(|sets| sets.values_mut())
        .filter_map(Value::as_array_mut)
    {
        names.retain(|name| {
            let known = serde_json::from_value::<oci_spec::runtime::Capability>(name.clone()).is_ok();
            let name = name.as_str().unwrap_or_default();
            if !known && !unknown.iter().any(|u| u == name) {
                unknown.push(name.to_owned());
            }
            known
        });
    }
    if !unknown.is_empty() {
        told.push(format!(
            "ignoring unknown or unavailable capabilities: {unknown:?}"
        ));
    }
}

/// What the specification forbids, and what this runtime or this machine can't do: never ignored.
pub(super) fn check(spec: &Spec) -> io::Result<()> {
    version(spec.version())?;
    if spec.root().is_none() {
        return Err(invalid("root must be specified"));
    }
    process(spec.process().as_ref())?;
    hooks(spec)?;
    if spec.annotations().iter().flatten().any(|(key, _)| key.is_empty()) {
        return Err(invalid("annotations: a key must not be empty"));
    }
    for (there, name) in [
        (spec.vm().is_some(), "vm"),
        (spec.zos().is_some(), "zos"),
        (spec.solaris().is_some(), "solaris"),
        (spec.windows().is_some(), "windows"),
    ] {
        if there {
            return Err(unsupported(name));
        }
    }
    if let Some(all) = spec.linux() {
        namespaces(spec, all)?;
        linux(all)?;
    }
    sysctl::check(spec)
}

/// A property whose value is not supported. Source: config.md, "Valid values".
fn unsupported(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{name} is not supported by this runtime"),
    )
}

fn version(version: &str) -> io::Result<()> {
    let wrong = || invalid(format!("ociVersion {version:?} is not supported"));
    let number = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<Option<u64>> = number.split('.').map(|p| p.parse().ok()).collect();
    match parts[..] {
        [Some(1), Some(_), Some(_)] => Ok(()),
        _ => Err(wrong()),
    }
}

/// Checks a process, of a container or of an exec.
pub(super) fn process(process: Option<&Process>) -> io::Result<()> {
    let process = process.ok_or_else(|| invalid("process property must not be empty"))?;
    if process.cwd().as_os_str().is_empty() {
        return Err(invalid("Cwd property must not be empty"));
    }
    if !process.cwd().is_absolute() {
        return Err(invalid("Cwd must be an absolute path"));
    }
    if process.command_line().is_some() {
        return Err(unsupported("process.commandLine"));
    }
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        return Err(invalid("args must not be empty"));
    }
    let nameless = |variable: &&String| variable.split_once('=').is_none_or(|(name, _)| name.is_empty());
    if let Some(variable) = process.env().iter().flatten().find(nameless) {
        return Err(invalid(format!("invalid environment variable: {variable:?}")));
    }
    let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if set(process.selinux_label()) && !lsm::active("selinux") {
        return Err(invalid(
            "selinux label is specified in config, but selinux is disabled or not supported",
        ));
    }
    if set(process.apparmor_profile()) && !lsm::active("apparmor") {
        return Err(invalid(
            "apparmor profile is specified in config, but apparmor is disabled or not supported",
        ));
    }
    let mut seen: Vec<PosixRlimitType> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        if seen.contains(&limit.typ()) {
            return Err(invalid(format!("rlimits: {} is there twice", limit.typ())));
        }
        seen.push(limit.typ());
    }
    if let Some(priority) = process.io_priority()
        && !(0..=7).contains(&priority.priority())
    {
        return Err(invalid(format!(
            "invalid ioPriority.Priority: {}",
            priority.priority()
        )));
    }
    let affinity = process.exec_cpu_affinity().as_ref();
    for list in [
        affinity.and_then(|a| a.initial().as_deref()),
        affinity.and_then(|a| a.cpu_affinity_final().as_deref()),
    ]
    .into_iter()
    .flatten()
    .filter(|list| !list.is_empty())
    {
        schedule::processors(list)?;
    }
    scheduler(process)
}

fn scheduler(process: &Process) -> io::Result<()> {
    let Some(scheduler) = process.scheduler() else {
        return Ok(());
    };
    use LinuxSchedulerPolicy as Policy;
    let policy = scheduler.policy();
    if let Some(nice) = scheduler.nice()
        && !(-20..=19).contains(nice)
    {
        return Err(invalid(format!("invalid scheduler.nice: {nice}")));
    }
    if scheduler.priority().is_some_and(|p| p != 0) && !matches!(policy, Policy::SchedFifo | Policy::SchedRr)
    {
        return Err(invalid(
            "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        ));
    }
    let deadline = [scheduler.runtime(), scheduler.deadline(), scheduler.period()];
    if deadline.iter().any(|t| t.is_some_and(|t| t != 0)) && *policy != Policy::SchedDeadline {
        return Err(invalid(
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        ));
    }
    Ok(())
}

fn hooks(spec: &Spec) -> io::Result<()> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    #[allow(deprecated, reason = "prestart hooks must still run")]
    let prestart = hooks.prestart();
    let kinds: [&Option<Vec<Hook>>; 6] = [
        prestart,
        hooks.create_runtime(),
        hooks.create_container(),
        hooks.start_container(),
        hooks.poststart(),
        hooks.poststop(),
    ];
    for hook in kinds.into_iter().flatten().flatten() {
        if !hook.path().is_absolute() {
            return Err(invalid(format!(
                "hook path {:?} must be an absolute path",
                hook.path()
            )));
        }
        if hook.timeout().is_some_and(|t| t <= 0) {
            return Err(invalid(format!(
                "timeout of hook {:?} must be greater than zero",
                hook.path()
            )));
        }
    }
    Ok(())
}

fn namespaces(spec: &Spec, linux: &Linux) -> io::Result<()> {
    let listed = |kind| linux.namespaces().iter().flatten().find(|n| n.typ() == kind);
    let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if listed(LinuxNamespaceType::Uts).is_none() {
        if set(spec.hostname()) {
            return Err(invalid("unable to set hostname without a private UTS namespace"));
        }
        if set(spec.domainname()) {
            return Err(invalid(
                "unable to set domainname without a private UTS namespace",
            ));
        }
    }
    let some = |m: &Option<Vec<_>>| m.as_ref().is_some_and(|m| !m.is_empty());
    let mapped = some(linux.uid_mappings()) || some(linux.gid_mappings());
    match listed(LinuxNamespaceType::User) {
        None if mapped => {
            return Err(invalid(
                "user namespace mappings specified, but user namespace isn't enabled in the config",
            ));
        }
        Some(user) if user.path().is_none() && !mapped => {
            return Err(invalid(
                "user namespaces enabled, but no namespace path to join nor mappings to apply specified",
            ));
        }
        None if !rustix::process::geteuid().is_root() => {
            return Err(invalid("rootless container requires user namespaces"));
        }
        _ => (),
    }
    let restricted = linux
        .masked_paths()
        .iter()
        .chain(linux.readonly_paths())
        .any(|paths| !paths.is_empty());
    if restricted && listed(LinuxNamespaceType::Mount).is_none() {
        return Err(invalid(
            "unable to restrict sys entries without a private MNT namespace",
        ));
    }
    let offsets = linux.time_offsets().as_ref().is_some_and(|o| !o.is_empty());
    match listed(LinuxNamespaceType::Time) {
        None if offsets => Err(invalid(
            "time namespace offsets specified, but time namespace isn't enabled in the config",
        )),
        Some(time) if offsets && time.path().is_some() => Err(invalid(
            "time namespace offsets specified, but the namespace is joined by path",
        )),
        _ => Ok(()),
    }
}

fn linux(linux: &Linux) -> io::Result<()> {
    if linux.intel_rdt().is_some() {
        return Err(invalid(
            "intelRdt is specified in config, but Intel RDT is not enabled",
        ));
    }
    net_devices(linux)?;
    if let Some(policy) = linux.memory_policy() {
        schedule::memory_nodes(policy)?;
    }
    if let Some(personality) = linux.personality()
        && personality.flags().as_ref().is_some_and(|f| !f.is_empty())
    {
        return Err(unsupported("linux.personality.flags"));
    }
    if let Some(propagation) = linux.rootfs_propagation().as_deref().filter(|p| !p.is_empty())
        && crate::rootfs::options::Propagation::parse(propagation).is_none()
    {
        return Err(invalid(format!(
            "rootfsPropagation={propagation} is not supported"
        )));
    }
    Ok(())
}

fn net_devices(linux: &Linux) -> io::Result<()> {
    let Some(devices) = linux.net_devices().as_ref().filter(|d| !d.is_empty()) else {
        return Ok(());
    };
    if !linux
        .namespaces()
        .iter()
        .flatten()
        .any(|n| n.typ() == LinuxNamespaceType::Network)
    {
        return Err(invalid("unable to move network devices without a NET namespace"));
    }
    if !rustix::process::geteuid().is_root() || !skiff_sys::idmap::in_first_namespace() {
        return Err(invalid(
            "network devices are not supported for rootless containers: only root may take them from the host",
        ));
    }
    for (name, device) in devices {
        let new = device.name().as_deref().filter(|name| !name.is_empty());
        for name in std::iter::once(name.as_str()).chain(new) {
            if !net_devices::valid_name(name) {
                return Err(invalid(format!("invalid network device name {name:?}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{cgroup::Cgroup, container::schedule::Domain, rootfs::options::Options, seccomp::Filter};

    fn config() -> Value {
        let user = if rustix::process::geteuid().is_root() {
            json!([{"type": "mount"}, {"type": "uts"}])
        } else {
            json!([{"type": "mount"}, {"type": "uts"}, {"type": "user", "path": "/proc/self/ns/user"}])
        };
        json!({
            "ociVersion": "1.2.0", "root": {"path": "rootfs"},
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/"},
            "linux": {"namespaces": user},
        })
    }

    fn refused(edit: impl FnOnce(&mut Value)) -> Option<String> {
        let mut value = config();
        edit(&mut value);
        let text = serde_json::to_vec(&value).unwrap();
        parse(&text, &mut Vec::new())
            .and_then(|spec| check(&spec))
            .err()
            .map(|e| e.to_string())
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        assert_eq!(refused(|_| ()), None);
        type Edit = fn(&mut Value);
        let cases: Vec<(&str, Edit)> = vec![
            ("ociVersion", |v| v["ociVersion"] = "2.0.0".into()),
            ("ociVersion", |v| v["ociVersion"] = "1.0".into()),
            ("root must", |v| drop(v.as_object_mut().unwrap().remove("root"))),
            ("process property", |v| {
                drop(v.as_object_mut().unwrap().remove("process"));
            }),
            ("Cwd must be an absolute", |v| v["process"]["cwd"] = "tmp".into()),
            ("Cwd property", |v| v["process"]["cwd"] = "".into()),
            ("args", |v| v["process"]["args"] = json!([])),
            ("invalid environment variable: \"A\"", |v| {
                v["process"]["env"] = json!(["A"])
            }),
            ("invalid environment variable", |v| {
                v["process"]["env"] = json!(["=1"])
            }),
            ("MNT namespace", |v| {
                let namespaces = v["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.retain(|n| n["type"] != "mount");
                v["linux"]["maskedPaths"] = json!(["/proc/keys"]);
            }),
            ("commandLine", |v| v["process"]["commandLine"] = "dir".into()),
            ("twice", |v| {
                let limit = json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1});
                v["process"]["rlimits"] = json!([limit, limit]);
            }),
            ("RLIMIT_X", |v| {
                v["process"]["rlimits"] = json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]);
            }),
            ("ioPriority", |v| {
                v["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 9});
            }),
            ("nice", |v| {
                v["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 20});
            }),
            ("priority", |v| {
                v["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "priority": 2});
            }),
            ("runtime/deadline/period", |v| {
                v["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "deadline": 2});
            }),
            ("absolute path", |v| {
                v["hooks"] = json!({"poststop": [{"path": "true"}]});
            }),
            ("greater than zero", |v| {
                v["hooks"] = json!({"poststop": [{"path": "/bin/true", "timeout": 0}]});
            }),
            ("annotations", |v| v["annotations"] = json!({"": "x"})),
            ("vm is not supported", |v| {
                v["vm"] = json!({"kernel": {"path": "/k"}})
            }),
            ("UTS", |v| {
                v["hostname"] = "x".into();
                v["linux"]["namespaces"].as_array_mut().unwrap().remove(1);
            }),
            ("time namespace", |v| {
                v["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1}});
            }),
            ("intelRdt", |v| v["linux"]["intelRdt"] = json!({"closID": "x"})),
            ("without a NET namespace", |v| {
                v["linux"]["netDevices"] = json!({"eth0": {}});
            }),
            ("network device", |v| {
                v["linux"]["netDevices"] = json!({"eth0": {"name": "a/b"}});
                let namespaces = v["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.push(json!({"type": "network"}));
            }),
            ("invalid memory policy mode", |v| {
                v["linux"]["memoryPolicy"] = json!({"mode": "INTERLEAVE", "nodes": "0"});
            }),
            ("invalid memory policy mode", |v| {
                v["linux"]["memoryPolicy"] = json!({"nodes": "0"});
            }),
            ("invalid memory policy flag", |v| {
                v["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["x"]});
            }),
            ("invalid memory policy node", |v| {
                v["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0-9876543210"});
            }),
            ("execCPUAffinity", |v| {
                v["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "some"});
            }),
            ("personality", |v| {
                v["linux"]["personality"] = json!({"domain": "LINUX", "flags": ["X"]});
            }),
            ("rootfsPropagation", |v| {
                v["linux"]["rootfsPropagation"] = "sideways".into();
            }),
            ("sysctl", |v| {
                v["linux"]["sysctl"] = json!({"vm.swappiness": "1"});
            }),
        ];
        for (word, edit) in cases {
            let text = refused(edit).unwrap_or_else(|| panic!("not refused: {word}"));
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn unknown_properties_are_no_error() {
        assert_eq!(
            refused(|v| {
                v["somethingNew"] = json!({"a": 1});
                v["linux"]["somethingNew"] = 1.into();
                // Of Windows, and of our types only.
                v["process"]["user"]["username"] = "somebody".into();
                v["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
            }),
            None
        );
    }

    #[test]
    fn what_runc_takes_is_taken() {
        let mut value = config();
        value["process"].as_object_mut().unwrap().remove("user");
        value["process"]["args"] = json!(["sleep", 5]);
        value["process"]["capabilities"] = json!({"bounding": ["CAP_KILL", "CAP_OF_TOMORROW"]});
        value["process"]["scheduler"] =
            json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
        value["linux"]["memoryPolicy"] = json!({});
        value["linux"]["resources"] = json!({"pids": {"limit": null}});
        let mut told = Vec::new();
        let spec = parse(&serde_json::to_vec(&value).unwrap(), &mut told).unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("CAP_OF_TOMORROW"), "{told:?}");
        let process = spec.process().as_ref().unwrap();
        assert_eq!(process.user().uid(), 0);
        assert_eq!(process.args().as_deref().unwrap(), ["sleep", "5"]);
        let resources = spec.linux().as_ref().unwrap().resources().as_ref().unwrap();
        assert!(resources.pids().is_none());
    }

    /// Any JSON, not too deep.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-zA-Z]{0,10}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Every place in a document.
    fn places(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| {
                places(
                    inner,
                    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }),
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    places(inner, format!("{at}/{index}"), found);
                }
            }
            _ => (),
        }
        found.push(at);
    }

    /// Reads a configuration as far as that does nothing to this machine, whether it is refused in between or not.
    fn load_bytes(bytes: &[u8]) {
        let Ok(spec) = parse(bytes, &mut Vec::new()) else {
            return;
        };
        let _ = check(&spec);
        for mount in spec.mounts().iter().flatten() {
            Options::parse(mount.options().as_deref().unwrap_or_default());
        }
        if let Some(profile) = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref()) {
            let _ = Filter::compile(profile, None);
        }
        let _ = Domain::of(&spec);
        let _ = Cgroup::of("id", &spec, "name", true);
    }

    /// A configuration in which every property is there that a mistake could be in.
    fn everything() -> Value {
        json!({
            "ociVersion": "1.3.0", "hostname": "h", "domainname": "d", "annotations": {"a": "b"},
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "rro"]},
                {"destination": "/x", "source": "/tmp", "options": ["rbind", "idmap", "size=1", "tmpcopyup"],
                 "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
                 "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
            "process": {"terminal": true, "consoleSize": {"height": 1, "width": 2}, "cwd": "/", "args": ["a"], "env": ["A=1"],
                "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [1]},
                "capabilities": {"bounding": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}], "noNewPrivileges": true, "oomScoreAdj": 1,
                "scheduler": {"policy": "SCHED_BATCH", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
                "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
                "execCPUAffinity": {"initial": "0-1", "final": "0"}},
            "hooks": {"createRuntime": [{"path": "/a", "args": ["a"], "env": ["A=1"], "timeout": 1}], "poststop": [{"path": "/b"}]},
            "linux": {
                "namespaces": [{"type": "mount"}, {"type": "network", "path": "/proc/self/ns/net"}, {"type": "time"}],
                "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}], "timeOffsets": {"boottime": {"secs": 1}},
                "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
                "netDevices": {"eth0": {"name": "eth1"}}, "cgroupsPath": "a.slice:b:c", "sysctl": {"net.ipv4.ip_forward": "1"},
                "resources": {"devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
                    "memory": {"limit": 1, "swap": 2, "reservation": 1}, "cpu": {"shares": 1, "quota": 1, "cpus": "0-1"},
                    "pids": {"limit": 1}, "unified": {"memory.high": "1"}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
                    "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]},
                    "network": {"classID": 1}, "rdma": {"a": {"hcaHandles": 1}}},
                "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64"],
                    "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/a", "syscalls": [{"names": ["mkdir"],
                        "action": "SCMP_ACT_TRACE", "errnoRet": 1, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]},
                "rootfsPropagation": "rslave", "maskedPaths": ["/a"], "readonlyPaths": ["/b"], "mountLabel": "l",
                "personality": {"domain": "LINUX32"}, "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": []},
            },
        })
    }

    #[test]
    fn what_the_fuzzer_starts_from_is_read() {
        parse(everything().to_string().as_bytes(), &mut Vec::new()).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_documents_never_panic(document in any_json()) {
            load_bytes(document.to_string().as_bytes());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            load_bytes(&bytes);
        }

        #[test]
        fn arbitrary_processes_of_exec_never_panic(document in any_json()) {
            let mut document = document;
            relax_process(&mut document, &mut Vec::new());
            if let Ok(read) = serde_json::from_value::<Process>(document) {
                let _ = process(Some(&read));
            }
        }

        #[test]
        fn a_valid_configuration_with_one_place_replaced_never_panics(
            choice in any::<prop::sample::Index>(),
            replacement in any_json(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut document = everything();
            let mut all = Vec::new();
            places(&document, String::new(), &mut all);
            *document.pointer_mut(&all[choice.index(all.len())]).unwrap() = replacement;
            let text = document.to_string();
            load_bytes(text.as_bytes());
            load_bytes(&text.as_bytes()[..cut.index(text.len())]);
        }
    }
}

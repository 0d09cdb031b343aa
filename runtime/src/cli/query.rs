//! state, list, ps, features.

use std::{fs, io};

use serde_json::{Value, json};

use super::{
    args::List,
    store::{Entry, Saved, Store},
};

fn describe(entry: &Entry, saved: &Saved) -> io::Result<Value> {
    let status = entry.status(saved);
    let mut value = json!({
        "ociVersion": saved.oci_version,
        "id": saved.id,
        "pid": if status == "stopped" { 0 } else { saved.pid },
        "status": status,
        "bundle": saved.bundle,
        "rootfs": saved.rootfs,
        "created": saved.created,
        "owner": owner(saved.owner),
    });
    if let Some(annotations) = entry.spec()?.annotations()
        && !annotations.is_empty()
    {
        value["annotations"] = json!(annotations);
    }
    Ok(value)
}

fn owner(uid: u32) -> String {
    match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("#{uid}"),
    }
}

pub(super) fn state(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    println!("{}", serde_json::to_string_pretty(&describe(&entry, &saved)?)?);
    Ok(0)
}

pub(super) fn list(store: &Store, args: &List) -> io::Result<i32> {
    let all = store.all()?;
    if args.quiet {
        all.iter().for_each(|(entry, _)| println!("{}", entry.id));
        return Ok(0);
    }
    let all = all
        .iter()
        .map(|(entry, saved)| describe(entry, saved))
        .collect::<io::Result<Vec<_>>>()?;
    if args.format == "json" {
        println!("{}", serde_json::to_string(&all)?);
        return Ok(0);
    }
    let columns = ["id", "pid", "status", "bundle", "created", "owner"];
    let mut rows = vec![columns.map(str::to_uppercase)];
    rows.extend(
        all.iter()
            .map(|one| columns.map(|c| one[c].as_str().map_or(one[c].to_string(), str::to_owned))),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|c| rows.iter().map(|r| r[c].len()).max().unwrap_or(0).max(11))
        .collect();
    for row in rows {
        let line: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$} "))
            .collect();
        println!("{}", line.trim_end());
    }
    Ok(0)
}

/// The processes that share the container's PID namespace or cgroup.
pub(super) fn ps(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    let mut pids = Vec::new();
    if let Some(cgroup) = &saved.cgroup {
        pids = cgroup.pids();
    } else if entry.status(&saved) != "stopped" {
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", saved.pid))?;
        for process in fs::read_dir("/proc")?.flatten() {
            if let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>()
                && fs::read_link(process.path().join("ns/pid")).is_ok_and(|n| n == namespace)
            {
                pids.push(pid);
            }
        }
    }
    pids.sort_unstable();
    println!("{:>7} CMD", "PID");
    for pid in pids {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        println!("{pid:>7} {}", command.trim_end());
    }
    Ok(0)
}

pub(super) fn features() -> io::Result<i32> {
    let capabilities: Vec<String> = {
        let mut all: Vec<_> = caps::all().into_iter().map(|c| c.to_string()).collect();
        all.sort_unstable();
        all
    };
    let available = crate::cgroups_available();
    let value = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::OCI_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": crate::rootfs::options::KNOWN,
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": {
                "v1": available.version == crate::Version::V1,
                "v2": available.version == crate::Version::V2,
                "systemd": false, "systemdUser": false, "rdma": false,
            },
            "seccomp": {
                "enabled": true,
                "actions": ["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                            "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"],
                "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                              "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                "knownFlags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
            },
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "mountExtensions": {"idmap": {"enabled": false}},
        },
    });
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(0)
}

//! state, list, ps.

use std::{collections::BTreeMap, fs, io, path::PathBuf, process::Command};

use serde::Serialize;

use super::{
    args::List,
    store::{Entry, Saved, Store},
};

/// What is told of a container, in runc's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    oci_version: String,
    id: String,
    pid: u32,
    status: &'static str,
    bundle: PathBuf,
    rootfs: PathBuf,
    created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    owner: String,
}

fn describe(entry: &Entry, saved: &Saved) -> io::Result<Description> {
    let status = entry.status(saved);
    let annotations = entry.spec()?.annotations().clone();
    Ok(Description {
        oci_version: saved.oci_version.clone(),
        id: saved.id.clone(),
        pid: if status == "stopped" { 0 } else { saved.pid },
        status,
        bundle: saved.bundle.clone(),
        rootfs: saved.rootfs.clone(),
        created: saved.created.clone(),
        annotations: annotations.into_iter().flatten().collect(),
        owner: owner(saved.owner),
    })
}

fn owner(uid: u32) -> String {
    match nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("#{uid}"),
    }
}

pub(super) fn state(store: &Store, id: &str) -> io::Result<i32> {
    let (entry, saved) = store.get(id)?;
    super::say(&serde_json::to_string_pretty(&describe(&entry, &saved)?)?)
}

pub(super) fn list(store: &Store, args: &List) -> io::Result<i32> {
    let all = store.all()?;
    if args.quiet {
        let ids: Vec<&str> = all.iter().map(|(entry, _)| entry.id.as_str()).collect();
        return if ids.is_empty() {
            Ok(0)
        } else {
            super::say(&ids.join("\n"))
        };
    }
    let all = all
        .iter()
        .map(|(entry, saved)| describe(entry, saved))
        .collect::<io::Result<Vec<_>>>()?;
    if args.format == "json" {
        return super::say(&serde_json::to_string(&all)?);
    }
    let columns = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut rows = vec![columns.map(str::to_owned)];
    rows.extend(all.into_iter().map(|one| {
        let (pid, status) = (one.pid.to_string(), one.status.to_owned());
        let bundle = one.bundle.to_string_lossy().into_owned();
        [one.id, pid, status, bundle, one.created, one.owner]
    }));
    // At least 12 wide, 3 apart.
    let widths: Vec<usize> = (0..columns.len())
        .map(|c| (rows.iter().map(|r| r[c].len()).max().unwrap_or(0) + 3).max(12))
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&widths);
            let line: String = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
            line.trim_end().to_owned()
        })
        .collect();
    super::say(&lines.join("\n"))
}

/// The processes that share the container's PID namespace or cgroup.
pub(super) fn ps(store: &Store, id: &str, format: &str, rest: &[String]) -> io::Result<i32> {
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
    if format == "json" {
        return super::say(&serde_json::to_string(&pids)?);
    }
    let default = ["-ef".to_owned()];
    let rest = if rest.is_empty() { &default[..] } else { rest };
    let all = match Command::new("ps").args(rest).output() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return without_ps(&pids),
        done => done?,
    };
    let text = String::from_utf8_lossy(&all.stdout);
    if !all.status.success() {
        let why = String::from_utf8_lossy(&all.stderr);
        return Err(io::Error::other(format!("{}: {text}{why}", all.status)));
    }
    let mut lines = text.lines();
    let titles = lines.next().unwrap_or_default();
    let column = titles
        .split_whitespace()
        .position(|title| title == "PID")
        .ok_or_else(|| io::Error::other("couldn't find PID field in ps output"))?;
    let ours = lines.filter(|line| {
        let pid = line.split_whitespace().nth(column).and_then(|p| p.parse().ok());
        pid.is_some_and(|pid: u32| pids.contains(&pid))
    });
    let shown: Vec<&str> = std::iter::once(titles).chain(ours).collect();
    super::say(&shown.join("\n"))
}

/// A host need not have the program.
fn without_ps(pids: &[u32]) -> io::Result<i32> {
    let mut shown = format!("{:>7} CMD", "PID");
    for pid in pids {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap_or_default()
            .replace('\0', " ");
        shown.push_str(&format!("\n{pid:>7} {}", command.trim_end()));
    }
    super::say(&shown)
}

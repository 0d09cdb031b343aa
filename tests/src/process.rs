//! The processes of a cluster, as the kernel shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Keeps server and agent running.
    Monitor,
    /// Control plane.
    Server,
    /// Node agent.
    Agent,
    /// Forks the supervisors.
    Spawner,
    /// A supervisor that has no pod yet.
    Spare,
    /// Parent of a pod's containers.
    Supervisor,
    /// Anything in a pod.
    Container,
}

/// A process, known by id and start time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// What it does.
    pub role: Role,
    /// Process id.
    pub pid: i32,
    /// Clock ticks after boot (proc(5), stat field 22).
    pub start_time: u64,
    /// Command line.
    pub command: String,
}

impl Process {
    /// Whether it still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && stat.state != 'Z')
    }

    /// Whether it is dead and nobody has asked for its exit code.
    pub fn is_zombie(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && stat.state == 'Z')
    }

    /// Sends a signal to this process, never to another one that got its id; nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        let pidfd = Pid::from_raw(self.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if let Some(pidfd) = pidfd.filter(|_| self.is_alive()) {
            let _ = pidfd_send_signal(pidfd, signal);
        }
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }
}

struct Stat {
    parent: i32,
    state: char,
    start_time: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name may hold spaces and parentheses: fields are counted after the last one.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// All processes of the cluster with this folder: those started with it, what descends from them, and what has mounts
/// from it.
pub(crate) fn of_cluster(dir: &Path) -> Vec<Process> {
    let dir = dir.to_string_lossy().into_owned();
    let own_mounts = fs::read_link("/proc/self/ns/mnt").ok();
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for pid in pids() {
        let Some(stat) = stat(pid) else { continue };
        children.entry(stat.parent).or_default().push(pid);
        let command = command_line(pid);
        let role = command
            .split_once(" --data-dir ")
            .filter(|_| command.contains(&dir))
            .and_then(|(_, rest)| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                match (name.trim(), rest.split(' ').nth(3)?) {
                    ("skiff-spawner", _) => Some(Role::Spawner),
                    ("skiff-spare", _) => Some(Role::Spare),
                    ("skiff-pod", _) => Some(Role::Supervisor),
                    (_, "monitor") => Some(Role::Monitor),
                    (_, "server") => Some(Role::Server),
                    (_, "agent") => Some(Role::Agent),
                    _ => None,
                }
            });
        let mounts_from_it = || {
            fs::read_link(format!("/proc/{pid}/ns/mnt")).ok() != own_mounts
                && fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|text| text.contains(&dir))
        };
        match role {
            Some(role) => found.insert((pid, stat.start_time, role, command)),
            None if mounts_from_it() => found.insert((pid, stat.start_time, Role::Container, command)),
            None => false,
        };
    }
    let mut below: Vec<i32> = found
        .iter()
        .filter(|(_, _, role, _)| *role == Role::Supervisor)
        .map(|(pid, ..)| *pid)
        .collect();
    while let Some(parent) = below.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            below.push(*child);
            if !found.iter().any(|(pid, ..)| pid == child)
                && let Some(stat) = stat(*child)
            {
                found.insert((*child, stat.start_time, Role::Container, command_line(*child)));
            }
        }
    }
    let list = found.into_iter().map(|(pid, start_time, role, command)| Process {
        role,
        pid,
        start_time,
        command,
    });
    let mut list: Vec<_> = list.collect();
    list.sort();
    list
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .replace('\0', " ")
}

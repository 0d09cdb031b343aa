//! Scheduling, I/O priority, processors, memory placement and personality of a process.

use std::io;

use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, Process, Scheduler, Spec,
};
use skiff_sys::schedule;

use crate::error::{Context, invalid};

/// Carries out `scheduler` and `ioPriority` in this process.
pub(super) fn process(process: &Process) -> io::Result<()> {
    if let Some(scheduler) = process.scheduler() {
        schedule::set_scheduler(&attributes(scheduler)).context(|| match scheduler.policy() {
            // The kernel wants all processors for it. Source: sched_setattr(2), EPERM.
            LinuxSchedulerPolicy::SchedDeadline => {
                "set the scheduler (a deadline for the process scheduler can't be used together with AllowedCPUs)".into()
            }
            _ => "set the scheduler".into(),
        })?;
    }
    if let Some(priority) = process.io_priority() {
        io_priority(priority)?;
    }
    Ok(())
}

fn attributes(scheduler: &Scheduler) -> schedule::Scheduler {
    let policy = match scheduler.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flags = scheduler
        .flags()
        .iter()
        .flatten()
        .map(|flag| match flag {
            LinuxSchedulerFlag::SchedResetOnFork => 0x01,
            LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
            LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
            LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
            LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
            LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
            LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
        })
        .sum();
    schedule::Scheduler {
        policy,
        flags,
        nice: scheduler.nice().unwrap_or(0),
        priority: scheduler.priority().unwrap_or(0) as u32,
        runtime: scheduler.runtime().unwrap_or(0),
        deadline: scheduler.deadline().unwrap_or(0),
        period: scheduler.period().unwrap_or(0),
    }
}

fn io_priority(priority: &LinuxIOPriority) -> io::Result<()> {
    let class = match priority.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    schedule::set_io_priority(class, priority.priority() as u32).context(|| "set the I/O priority".into())
}

/// What a configuration asks of every process of its container, the first one and later ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Domain {
    personality: Option<LinuxPersonality>,
    memory_policy: Option<LinuxMemoryPolicy>,
}

impl Domain {
    /// The domain that a configuration describes.
    pub fn of(spec: &Spec) -> Self {
        let linux = spec.linux().as_ref();
        Domain {
            personality: linux.and_then(|l| l.personality().clone()),
            memory_policy: linux.and_then(|l| l.memory_policy().clone()),
        }
    }

    /// Puts this process into it. Before a system call filter may forbid that.
    pub(super) fn enter(&self) -> io::Result<()> {
        if let Some(personality) = &self.personality {
            let domain = match personality.domain() {
                LinuxPersonalityDomain::PerLinux => 0,
                LinuxPersonalityDomain::PerLinux32 => 8,
            };
            skiff_sys::process::set_personality(domain).context(|| "set the personality".into())?;
        }
        self.memory_policy.as_ref().map_or(Ok(()), memory_policy)
    }
}

/// Carries out `linux.memoryPolicy` in this process.
fn memory_policy(policy: &LinuxMemoryPolicy) -> io::Result<()> {
    let mode = match policy.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flags: i32 = policy
        .flags()
        .iter()
        .flatten()
        .map(|flag| match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        })
        .sum();
    let nodes = memory_nodes(policy)?;
    let mut mask = vec![0_u64; nodes.iter().max().map_or(0, |last| last / 64 + 1)];
    for node in nodes {
        mask[node / 64] |= 1 << (node % 64);
    }
    schedule::set_memory_policy(mode | flags, &mask).context(|| "set the memory policy: set_mempolicy".into())
}

/// The nodes of a memory policy.
///
/// # Errors
/// For what is no list, or names a node that no kernel has.
pub(crate) fn memory_nodes(policy: &LinuxMemoryPolicy) -> io::Result<Vec<usize>> {
    list(policy.nodes().as_deref().unwrap_or_default())
        .map_err(|part| invalid(format!("invalid memory policy node: {part:?}")))
}

/// Processors of an `execCPUAffinity`.
///
/// # Errors
/// For what is no list, or names a processor that no kernel has.
pub(crate) fn processors(text: &str) -> io::Result<Vec<usize>> {
    match list(text) {
        Ok(cpus) if !cpus.is_empty() => Ok(cpus),
        _ => Err(invalid(format!("bad CPU list {text:?} in execCPUAffinity"))),
    }
}

/// Counts out `0-2,5`; the part that is wrong is the error. As many as the kernel can be built for at most.
fn list(text: &str) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
            (Ok(first), Ok(last)) if first <= last && last < nix::sched::CpuSet::count() => {
                all.extend(first..=last);
            }
            _ => return Err(part.to_owned()),
        }
    }
    Ok(all)
}

/// Lets this process run on all processors of its cgroup, whatever its creator had been confined to.
pub(super) fn all_processors() -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    for cpu in 0..nix::sched::CpuSet::count() {
        set.set(cpu)?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)
        .context(|| "reset the CPU affinity".into())
}

/// When an affinity holds: before the process is in the container's cgroup, or from then on.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Initial,
    Final,
}

/// Carries out `execCPUAffinity` for process `pid` (0: this one).
pub(super) fn affinity(affinity: Option<&ExecCPUAffinity>, when: When, pid: u32) -> io::Result<()> {
    let list = affinity.and_then(|a| match when {
        When::Initial => a.initial().as_deref(),
        When::Final => a.cpu_affinity_final().as_deref(),
    });
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(());
    };
    let mut set = nix::sched::CpuSet::new();
    for cpu in processors(list)? {
        set.set(cpu)?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(pid as i32), &set)
        .context(|| format!("set the CPU affinity {list:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_counted_out_or_refused() {
        assert_eq!(list("0-2, 5").unwrap(), [0, 1, 2, 5]);
        assert_eq!(list("").unwrap(), [0_usize; 0]);
        for bad in ["x", "2-1", "0-9876543210", "-", "1-"] {
            assert_eq!(list(bad).unwrap_err(), bad);
        }
        assert!(processors("").is_err());
    }
}

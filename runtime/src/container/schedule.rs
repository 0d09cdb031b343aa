//! Scheduling, I/O priority, processors and memory placement of a process.

use std::io;

use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Process, Scheduler,
};
use skiff_sys::schedule;

use crate::{
    cgroup::stats::ranges,
    error::{Context, invalid},
};

/// Carries out `scheduler` and `ioPriority` in this process.
pub(super) fn process(process: &Process) -> io::Result<()> {
    if let Some(scheduler) = process.scheduler() {
        schedule::set_scheduler(&attributes(scheduler)).context(|| "set the scheduler".into())?;
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

/// Carries out `linux.memoryPolicy` in this process.
pub(super) fn memory_policy(policy: &LinuxMemoryPolicy) -> io::Result<()> {
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
    let nodes = ranges(policy.nodes().as_deref().unwrap_or_default());
    let mut mask = vec![0_u64; nodes.iter().max().map_or(0, |last| usize::from(*last) / 64 + 1)];
    for node in nodes {
        mask[usize::from(node) / 64] |= 1 << (node % 64);
    }
    schedule::set_memory_policy(mode | flags, &mask).context(|| "set the memory policy".into())
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
    let cpus = ranges(list);
    if cpus.is_empty() {
        return Err(invalid(format!("bad CPU list {list:?} in execCPUAffinity")));
    }
    for cpu in cpus {
        set.set(cpu.into())
            .context(|| format!("CPU {cpu} of execCPUAffinity"))?;
    }
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(pid as i32), &set)
        .context(|| format!("set the CPU affinity {list:?}"))
}

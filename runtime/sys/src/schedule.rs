//! How the kernel schedules this process and places its memory.

use std::io;

/// What [`set_scheduler`] sets. Source: sched_setattr(2), `struct sched_attr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value of the policies that are not real-time.
    pub nice: i32,
    /// Static priority of the real-time policies.
    pub priority: u32,
    /// Nanoseconds, for deadline scheduling.
    pub runtime: u64,
    /// Nanoseconds, for deadline scheduling.
    pub deadline: u64,
    /// Nanoseconds, for deadline scheduling.
    pub period: u64,
}

/// Sets policy and parameters of this process. Source: sched_setattr(2).
///
/// # Errors
/// `EPERM` without CAP_SYS_NICE for what needs it, `EINVAL` for values that do not belong together.
pub fn set_scheduler(scheduler: &Scheduler) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: scheduler.policy,
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    };
    // SAFETY: `attributes` is a live sched_attr (first version) that says its own size; 0 is the caller.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    result(done)
}

/// Sets the I/O priority of this process: class 1 to 3, level 0 to 7. Source: ioprio_set(2).
///
/// # Errors
/// `EPERM` for the real-time class without privilege.
pub fn set_io_priority(class: u32, level: u32) -> io::Result<()> {
    // SAFETY: three integers; IOPRIO_WHO_PROCESS (1) with 0 is the caller.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, (class << 13) | level) };
    result(done)
}

/// Sets the memory policy of this process: `mode` is `MPOL_*` with `MPOL_F_*`, `nodes` the bits of the nodes.
/// Source: set_mempolicy(2).
///
/// # Errors
/// `EINVAL` for nodes that do not exist or do not fit the mode, `ENOSYS` on a kernel without NUMA.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> io::Result<()> {
    let mask = if nodes.is_empty() {
        std::ptr::null()
    } else {
        nodes.as_ptr()
    };
    // The kernel reads one bit less than it is told.
    let bits = if nodes.is_empty() {
        0
    } else {
        nodes.len() as u64 * 64 + 1
    };
    // SAFETY: the mask is null or points to live words with as many bits as are read (whole words of `bits - 1`).
    let done = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
    result(done)
}

fn result(done: libc::c_long) -> io::Result<()> {
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

//! Making, signalling and preparing processes.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

/// A process made by [`clone3`] or [`fork`].
#[derive(Debug)]
pub struct Child {
    /// Its process id in the caller's PID namespace.
    pub pid: u32,
    /// Its pidfd, close-on-exec.
    pub pidfd: OwnedFd,
}

/// Which side of a fork the caller is on.
#[derive(Debug)]
pub enum Forked {
    /// The caller, with the new process.
    Parent(Child),
    /// The new process.
    Child,
}

/// Number of threads of the calling process.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn thread_count() -> io::Result<usize> {
    // A directory's links are its own two and one of each directory in it, which is a thread here. Source: Linux,
    // fs/proc/base.c, proc_task_getattr.
    let found = rustix::fs::stat("/proc/self/task")?;
    Ok((found.st_nlink as usize).saturating_sub(2))
}

/// When a process began, and whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Clock ticks from boot to its start: with the id it names the process for good.
    pub started: u64,
    /// It has ended and waits to be reaped (a zombie).
    pub ended: bool,
}

/// Looks at process `pid`. Source: proc_pid_stat(5).
///
/// # Errors
/// `NotFound` when there is none, and those of a `/proc` that can't be read.
pub fn life(pid: u32) -> io::Result<Life> {
    let path = format!("/proc/{pid}/stat");
    let stat = crate::file::read(&path).map_err(|e| match e.raw_os_error() {
        // It has gone between the opening and the reading.
        Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
        _ => e,
    })?;
    parse_life(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, path))
}

/// Start time of process `pid`; `None` when there is none or it has ended.
pub fn alive_since(pid: u32) -> Option<u64> {
    life(pid).ok().filter(|life| !life.ended).map(|life| life.started)
}

/// Fields 3 and 22; the name in field 2 may hold spaces and parentheses.
fn parse_life(stat: &str) -> Option<Life> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Life {
        started: fields.nth(18)?.parse().ok()?,
        ended: matches!(state, "Z" | "X"),
    })
}

/// Has a command's process killed when the thread that starts it ends. Source: PR_SET_PDEATHSIG(2const); a program that changes its
/// user undoes it.
pub fn end_with_thread(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call with integers, and neither allocates nor locks.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                .map_err(io::Error::from)
        });
    }
}

/// Makes a process with the namespaces in `namespaces` (`CLONE_NEW*`), born in the cgroup v2 directory `cgroup`.
///
/// The child gets a copy of the caller's memory and must end with an exec or [`exit`].
/// Source: clone3(2), Linux 5.7 for the cgroup.
///
/// # Errors
/// `Other` when the caller has more than one thread: the child would inherit locks that nobody opens again. Otherwise
/// clone3's own errors, and `InvalidInput` for flags that are not namespaces.
pub fn clone3(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    clone3_with(namespaces, cgroup, 0, libc::SIGCHLD as u64)
}

/// Like [`clone3`], but the new process is a child of the caller's parent. For a helper that enters a PID namespace,
/// which only a child can be in, on behalf of its parent.
///
/// # Errors
/// As [`clone3`].
pub fn clone3_sibling(namespaces: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    // A sibling inherits the exit signal of the process that makes it.
    clone3_with(namespaces, cgroup, libc::CLONE_PARENT as u64, 0)
}

fn clone3_with(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    flags: u64,
    exit_signal: u64,
) -> io::Result<Forked> {
    const NAMESPACES: u64 = (libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP) as u64
        | NEWTIME;
    if namespaces & !NAMESPACES != 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "clone3: not a namespace flag",
        ));
    }
    let threads = thread_count()?;
    if threads != 1 {
        return Err(io::Error::other(format!(
            "clone3: the process has {threads} threads, not one"
        )));
    }
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero is a valid value of this struct of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces | flags | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = exit_signal;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a live clone_args of the size given and `pidfd` outlives the call. Without CLONE_VM the child
    // has its own copy of memory and stack (stack is 0), so it returns here like the parent. The process has one
    // thread, so no lock is held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = pid as u32;
            Ok(Forked::Parent(Child { pid, pidfd }))
        }
    }
}

/// `libc` has it as a c_int, which overflows.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// CLONE_NEWTIME; `libc` has it as a negative-looking c_int only.
pub const NEWTIME: u64 = 0x80;

/// Makes a process that shares the caller's namespaces. See [`clone3`].
///
/// # Errors
/// As [`clone3`].
pub fn fork() -> io::Result<Forked> {
    clone3(0, None)
}

/// Ends the process at once: no destructors, no exit handlers, nothing flushed. For the child of a fork.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit takes any value and does not return.
    unsafe { libc::_exit(code) }
}

/// Sends any signal (also real-time ones and 0) to the process behind `pidfd`. Source: pidfd_send_signal(2).
///
/// # Errors
/// `ESRCH` when it has been reaped, `EPERM` when it is not ours, `EINVAL` for an unknown signal.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed; a null siginfo is allowed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Marks every descriptor from `first` on close-on-exec. Source: close_range(2), Linux 5.11; where a system call filter
/// refuses that, one by one.
///
/// # Errors
/// The system call's.
pub fn cloexec_from(first: u32) -> io::Result<()> {
    // SAFETY: setting the flag invalidates no descriptor.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    for entry in fs::read_dir("/proc/self/fd")? {
        let Ok(fd) = entry?.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        if fd < first {
            continue;
        }
        // SAFETY: setting the flag invalidates no descriptor.
        let done = unsafe { libc::fcntl(fd as libc::c_int, libc::F_SETFD, libc::FD_CLOEXEC) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Closes all descriptors from 3 on but those in `keep`, for a process that has just been forked and goes on with
/// nothing but them. The values that owned the others must have been forgotten (they live in frames that never return).
///
/// # Errors
/// The system call's, or `Other` when more than one thread runs (another thread might own one of them).
pub fn close_inherited(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    if thread_count()? != 1 {
        return Err(io::Error::other(
            "close_inherited: the process has more than one thread",
        ));
    }
    let mut keep: Vec<u32> = keep
        .iter()
        .map(|fd| fd.as_raw_fd() as u32)
        .filter(|fd| *fd >= 3)
        .collect();
    keep.sort_unstable();
    let mut first = 3_u32;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if fd > first {
            let last = if fd == u32::MAX { fd } else { fd - 1 };
            // SAFETY: single-threaded, and the documented contract: the owners' frames are never returned to in this
            // freshly forked process, so no destructor or use can reach a closed (or reused) number.
            let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Sets every signal to its default action and unblocks all of them, as a program expects to be started.
pub fn reset_signals() {
    // SAFETY: all-zero is a valid sigset_t.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL is a valid action for any signal number; errors (numbers the C library keeps for itself)
        // change nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `none` is a live sigset_t; the old mask is not asked for.
    unsafe {
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Ignores a signal. For SIGCHLD this also lets the kernel reap the children of this process by itself.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN is a valid action for any signal; an unknown number changes nothing.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sets the soft and hard limit of `resource` (`RLIMIT_*`) of this process.
///
/// # Errors
/// `EPERM` when the hard limit would rise without CAP_SYS_RESOURCE.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is a live rlimit.
    let done = unsafe { libc::setrlimit(resource as _, &raw const limit) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives free heap memory back to the kernel.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes any padding.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the program's own unchanged pages (code, constants), which come back from the page cache when they are
/// used again, and of the part of the stack that an earlier, deeper call has used. For a process that has done its large
/// work and then waits: all of that counts for its memory.
///
/// # Errors
/// When `/proc/self/smaps` cannot be read.
pub fn forget_unused_pages() -> io::Result<()> {
    let text = fs::read_to_string("/proc/self/smaps")?;
    let mut range = None;
    let here = (&raw const range) as usize;
    for line in text.lines() {
        if let Some((start, end)) = line.ends_with("[stack]").then(|| mapping_range(line)).flatten()
            && (start..end).contains(&here)
        {
            // A generous distance below this frame, for what is called from here.
            let unused = (here - 64 * 1024) & !0xfff;
            if unused > start {
                // SAFETY: the stack of this, the only thread that uses it, grows downwards; below its lowest live frame
                // nothing is alive, and the pages come back zeroed when a deeper call touches them.
                unsafe { libc::madvise(start as *mut libc::c_void, unused - start, libc::MADV_DONTNEED) };
            }
        } else if let Some(mapping) = clean_candidate(line) {
            range = mapping;
        } else if let Some(rest) = line.strip_prefix("Anonymous:")
            && let Some((start, end)) = range.take()
            // Pages that differ from the file (relocated tables that were made read-only) would be lost.
            && rest.trim() == "0 kB"
        {
            // SAFETY: a mapping of this process by its own account, private, backed by a file, not writable, with no
            // page that differs from the file: dropping its pages changes nothing that can be read there.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    Ok(())
}

/// For the first line of a mapping in smaps: its range when it is a private, unwritable mapping of a file. `None` for
/// other lines.
fn clean_candidate(line: &str) -> Option<Option<(usize, usize)>> {
    let range = mapping_range(line)?;
    let mut words = line.split_ascii_whitespace().skip(1);
    let permissions = words.next()?;
    let inode = words.nth(2)?;
    let fits = permissions.starts_with('r')
        && permissions.as_bytes().get(1) == Some(&b'-')
        && permissions.ends_with('p');
    Some((fits && inode != "0").then_some(range))
}

fn mapping_range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
    Some((
        usize::from_str_radix(start, 16).ok()?,
        usize::from_str_radix(end, 16).ok()?,
    ))
}

/// Sets the execution domain of this process (`PER_LINUX`, `PER_LINUX32`). Source: personality(2).
///
/// # Errors
/// `EINVAL` when the kernel knows no such domain.
pub fn set_personality(domain: u64) -> io::Result<()> {
    // SAFETY: takes any integer.
    let done = unsafe { libc::personality(domain) };
    if done == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unwritable_private_file_mappings_are_forgotten() {
        let line = |text: &str| clean_candidate(text);
        assert_eq!(
            line("1000-3000 r-xp 00000000 fe:00 77    /bin/x"),
            Some(Some((0x1000, 0x3000)))
        );
        assert_eq!(line("1000-3000 rw-p 00000000 fe:00 77    /bin/x"), Some(None));
        assert_eq!(line("1000-3000 r--s 00000000 fe:00 77    /bin/x"), Some(None));
        assert_eq!(line("1000-3000 r--p 00000000 00:00 0     [vvar]"), Some(None));
        assert_eq!(line("Rss:                   4 kB"), None);
        forget_unused_pages().unwrap();
    }

    #[test]
    fn a_hostile_name_hides_neither_state_nor_start_time() {
        let rest = "7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 2";
        let life = |ended| {
            Some(Life {
                started: 12345,
                ended,
            })
        };
        assert_eq!(parse_life(&format!("7 (a) b (c) S 1 {rest}")), life(false));
        assert_eq!(parse_life(&format!("7 (a) S b) Z 1 {rest}")), life(true));
        assert_eq!(parse_life("7 (a) S 1"), None);
        assert!(alive_since(std::process::id()).is_some_and(|started| started > 0));
        assert_eq!(super::life(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn clone3_refuses_a_process_with_threads() {
        // The test harness runs this on a second thread.
        assert!(thread_count().unwrap() > 1);
        assert!(clone3(0, None).unwrap_err().to_string().contains("threads"));
    }

    #[test]
    fn clone3_refuses_flags_that_are_not_namespaces() {
        assert_eq!(
            clone3(libc::CLONE_VM as u64, None).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}

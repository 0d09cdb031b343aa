//! Device filters of cgroup v2: BPF programs attached to a cgroup.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// One instruction. Source: Linux, `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub registers: u8,
    /// Jump or memory offset.
    pub offset: i16,
    /// Constant.
    pub immediate: i32,
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Loads a program that decides on devices. Source: bpf(2), BPF_PROG_LOAD.
///
/// # Errors
/// `EPERM` without CAP_BPF or CAP_SYS_ADMIN, `ENOSYS` where the kernel has no such programs, `EINVAL` or `EACCES` when the
/// verifier refuses it.
pub fn load_device_filter(program: &[Instruction]) -> io::Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Load {
        program_type: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
    }
    let mut attributes = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        ..Default::default()
    };
    // SAFETY: the attributes are live, zero where not set, and point to `count` live instructions and a C string.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec) for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// Lets `program` decide on devices for the processes of `cgroup`, beside those of its parents; the programs that were
/// attached to it go. Source: bpf(2), BPF_PROG_ATTACH.
///
/// # Errors
/// `EPERM` when a parent forbids it.
pub fn replace_device_filter(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let old = attached(cgroup).unwrap_or_default();
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
        ..Default::default()
    };
    // SAFETY: live attributes with two open descriptors.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attributes) }?;
    for id in old {
        #[repr(C)]
        #[derive(Default)]
        struct ById {
            id: u32,
            next: u32,
            flags: u32,
        }
        let mut by_id = ById {
            id,
            ..Default::default()
        };
        // SAFETY: live attributes.
        let Ok(fd) = (unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut by_id) }) else {
            continue;
        };
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let mut attributes = Attach {
            target: cgroup.as_raw_fd() as u32,
            program: fd.as_raw_fd() as u32,
            attach_type: BPF_CGROUP_DEVICE,
            ..Default::default()
        };
        // SAFETY: live attributes with two open descriptors.
        unsafe { bpf(BPF_PROG_DETACH, &mut attributes) }?;
    }
    Ok(())
}

/// Ids of the device filters attached to `cgroup` itself. Source: bpf(2), BPF_PROG_QUERY.
fn attached(cgroup: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    #[repr(C)]
    #[derive(Default)]
    struct Query {
        target: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        ids: u64,
        count: u32,
        padding: u32,
        flags: u64,
    }
    let mut ids = [0_u32; 64];
    let mut attributes = Query {
        target: cgroup.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        ..Default::default()
    };
    // SAFETY: live attributes that point to as many live words as they say.
    unsafe { bpf(BPF_PROG_QUERY, &mut attributes) }?;
    Ok(ids[..(attributes.count as usize).min(ids.len())].to_vec())
}

/// # Safety
/// `attributes` must be what `command` takes, with pointers to live memory.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the caller's promise; the size is that of the live attributes.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    if done == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(done)
    }
}

//! Loading a compiled seccomp filter.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// Loads the BPF program `filter` (`struct sock_filter` after `struct sock_filter`, 8 bytes each, native byte order)
/// into this process. `flags` are `SECCOMP_FILTER_FLAG_*`; with `NEW_LISTENER` the descriptor on which another process
/// hears of calls comes back, close-on-exec. Source: seccomp(2).
///
/// # Errors
/// `EACCES` without no_new_privs and without CAP_SYS_ADMIN, `EINVAL` when the program is not valid, `EBUSY` when there is
/// a listener already.
pub fn load_filter(filter: &[u8], flags: u64) -> io::Result<Option<OwnedFd>> {
    let instructions: Vec<libc::sock_filter> = filter
        .chunks_exact(8)
        .map(|c| libc::sock_filter {
            code: u16::from_ne_bytes([c[0], c[1]]),
            jt: c[2],
            jf: c[3],
            k: u32::from_ne_bytes([c[4], c[5], c[6], c[7]]),
        })
        .collect();
    let Ok(len) = u16::try_from(instructions.len()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "seccomp filter too long",
        ));
    };
    let program = libc::sock_fprog {
        len,
        filter: instructions.as_ptr().cast_mut(),
    };
    // SAFETY: `program` points to `len` live instructions, which the kernel copies and checks.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    match done {
        -1 => Err(io::Error::last_os_error()),
        fd if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 => {
            // SAFETY: with this flag the result is a descriptor that the kernel has just made for us and nobody else knows.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) }))
        }
        _ => Ok(None),
    }
}

//! Loading a compiled seccomp filter.

use std::io;

/// Loads the BPF program `filter` (`struct sock_filter` after `struct sock_filter`, 8 bytes each, native byte order)
/// into this process. `flags` are `SECCOMP_FILTER_FLAG_*`. Source: seccomp(2).
///
/// # Errors
/// `EACCES` without no_new_privs and without CAP_SYS_ADMIN, `EINVAL` when the program is not valid.
pub fn load_filter(filter: &[u8], flags: u64) -> io::Result<()> {
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
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

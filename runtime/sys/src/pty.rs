//! Pseudo-terminals of a given devpts instance.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Unlocks the terminal whose controlling end is `controller` and opens its other end, whatever is mounted at
/// `/dev/pts`. Source: ioctl_tty(2), TIOCSPTLCK and TIOCGPTPEER (Linux 4.13).
///
/// # Errors
/// `ENOTTY` when `controller` is no such end.
pub fn open_peer(controller: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlock: libc::c_int = 0;
    // SAFETY: the descriptor is open while borrowed and the argument points to a live int.
    if unsafe { libc::ioctl(controller.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open while borrowed; the argument is open flags, an integer.
    let fd = unsafe {
        libc::ioctl(
            controller.as_raw_fd(),
            libc::TIOCGPTPEER,
            libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

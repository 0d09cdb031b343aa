//! Session keyrings.

use std::{ffi::CStr, io};

// Operations of keyctl(2), which `libc` does not name.
const JOIN_SESSION_KEYRING: libc::c_long = 1;
const SETPERM: libc::c_long = 5;
const DESCRIBE: libc::c_long = 6;

/// Search permission for the user's other processes.
const USER_SEARCH: u32 = 0x0008_0000;

/// Gives this process a new session keyring called `name`, in which other processes of its user may search. Source: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_SETPERM.
///
/// # Errors
/// `ENOSYS` on a kernel without keyrings, `EDQUOT` when the user has too many.
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: `name` is a live C string.
    let id = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    if id == -1 {
        return Err(io::Error::last_os_error());
    }
    let mut text = [0_u8; 256];
    // SAFETY: the buffer is live and of the length given.
    let len = unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, id, text.as_mut_ptr(), text.len()) };
    // `type;uid;gid;permissions;name`
    let permissions = usize::try_from(len)
        .ok()
        .and_then(|len| std::str::from_utf8(text.get(..len)?).ok())
        .and_then(|text| u32::from_str_radix(text.split(';').nth(3)?, 16).ok());
    let Some(permissions) = permissions else {
        return Err(io::Error::other("the new keyring has no description"));
    };
    // SAFETY: three integers.
    let done = unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, id, permissions | USER_SEARCH) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

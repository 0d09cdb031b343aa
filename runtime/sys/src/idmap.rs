//! User and group maps of a user namespace.

use std::{fs, io, process::Command};

/// One line of a map: `size` ids from `inside` on are `outside` and so on in the parent namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id in the parent namespace.
    pub outside: u32,
    /// How many.
    pub size: u32,
}

/// This process is in the first user namespace, which knows all ids.
pub fn in_first_namespace() -> bool {
    crate::file::read("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"))
}

/// Writes the maps of the user namespace of process `pid`, a child of the caller that waits for it.
///
/// With CAP_SETUID over the parent namespace directly, or when each map is one id, the caller's own; otherwise with
/// `newuidmap` and `newgidmap`, which check /etc/subuid and /etc/subgid.
///
/// # Errors
/// The write's, or `Other` with the helper's message.
pub fn write_id_maps(pid: u32, uids: &[IdRange], gids: &[IdRange]) -> io::Result<()> {
    let text = |ranges: &[IdRange]| -> String {
        ranges
            .iter()
            .map(|r| format!("{} {} {}\n", r.inside, r.outside, r.size))
            .collect()
    };
    let proc = format!("/proc/{pid}");
    match fs::write(format!("{proc}/uid_map"), text(uids)) {
        Ok(()) => {
            // Without CAP_SETGID over the parent, the kernel takes a group map only once setgroups is given up.
            if fs::write(format!("{proc}/gid_map"), text(gids)).is_ok() {
                return Ok(());
            }
            if gids.len() == 1 && gids[0].size == 1 {
                fs::write(format!("{proc}/setgroups"), "deny")?;
                return fs::write(format!("{proc}/gid_map"), text(gids));
            }
            helper("newgidmap", pid, gids)
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            helper("newuidmap", pid, uids)?;
            helper("newgidmap", pid, gids)
        }
        Err(e) => Err(e),
    }
}

fn helper(program: &str, pid: u32, ranges: &[IdRange]) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for r in ranges {
        command.args([r.inside.to_string(), r.outside.to_string(), r.size.to_string()]);
    }
    let output = command
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

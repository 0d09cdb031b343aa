//! Security modules of the kernel.

use std::{fs, path::Path};

/// The kernel has the module (`apparmor`, `selinux`) and uses it.
pub(crate) fn active(module: &str) -> bool {
    // securityfs is not mounted everywhere; SELinux and AppArmor have places of their own.
    match fs::read_to_string("/sys/kernel/security/lsm") {
        Ok(enabled) => enabled.split(',').any(|m| m.trim() == module),
        Err(_) => match module {
            "selinux" => Path::new("/sys/fs/selinux/enforce").exists(),
            "apparmor" => {
                fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.trim() == "Y")
            }
            _ => false,
        },
    }
}

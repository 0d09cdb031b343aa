//! User, groups, capabilities and resource limits of a process.

use std::{collections::HashSet, io};

use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitType, User};
use rustix::thread::CapabilitySet;

use crate::error::Context;

/// Sets resource limits. A hard limit above ours without CAP_SYS_RESOURCE becomes ours, with a note.
pub(super) fn rlimits(limits: &[PosixRlimit], notes: &mut Vec<String>) -> io::Result<()> {
    for limit in limits {
        let resource = resource(limit.typ());
        match skiff_sys::process::set_rlimit(resource, limit.soft(), limit.hard()) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                let (_, hard) = nix::sys::resource::getrlimit(nix_resource(limit.typ()))?;
                let soft = limit.soft().min(hard);
                skiff_sys::process::set_rlimit(resource, soft, hard.min(limit.hard()))
                    .context(|| format!("set {}", limit.typ()))?;
                notes.push(format!(
                    "{} is {soft}, not {}: the hard limit may not be raised",
                    limit.typ(),
                    limit.soft()
                ));
            }
            done => done.context(|| format!("set {}", limit.typ()))?,
        }
    }
    Ok(())
}

fn nix_resource(typ: PosixRlimitType) -> nix::sys::resource::Resource {
    use nix::sys::resource::Resource as R;
    match typ {
        PosixRlimitType::RlimitCpu => R::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => R::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => R::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => R::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => R::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => R::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => R::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => R::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => R::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => R::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => R::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => R::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => R::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => R::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => R::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => R::RLIMIT_RTTIME,
    }
}

fn resource(typ: PosixRlimitType) -> u32 {
    nix_resource(typ) as u32
}

/// Changes to the user: groups (unless the creator's are kept), group, user. Capabilities are kept for
/// [`capabilities`].
pub(super) fn user(user: &User, keep_groups: bool) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    let extra: Vec<Gid> = user
        .additional_gids()
        .iter()
        .flatten()
        .map(|g| Gid::from_raw(*g))
        .collect();
    match if keep_groups { Ok(()) } else { setgroups(&extra) } {
        // A user namespace made without privilege may not set groups at all.
        Err(nix::errno::Errno::EPERM) if extra.is_empty() => (),
        done => done.context(|| {
            format!(
                "set additional groups {:?}",
                user.additional_gids().iter().flatten()
            )
        })?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    setresgid(gid, gid, gid).context(|| format!("set group id {gid}"))?;
    rustix::thread::set_keep_capabilities(true).context(|| "keep capabilities".into())?;
    setresuid(uid, uid, uid).context(|| format!("set user id {uid}"))?;
    rustix::thread::set_keep_capabilities(false).context(|| "stop keeping capabilities".into())?;
    Ok(())
}

/// Drops every capability from the bounding set that is not asked for. Before the user changes.
pub(super) fn bounding(asked: Option<&LinuxCapabilities>) -> io::Result<()> {
    let Some(asked) = asked else { return Ok(()) };
    let keep = set(asked.bounding());
    for bit in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if keep.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            // Past the last capability of this kernel.
            Err(rustix::io::Errno::INVAL) => break,
            // Without the right to, but not there either.
            Err(rustix::io::Errno::PERM)
                if !rustix::thread::capability_is_in_bounding_set(one).unwrap_or(true) => {}
            done => done.context(|| format!("drop capability {bit} from the bounding set"))?,
        }
    }
    Ok(())
}

/// Sets the other capability sets. After the user has changed. What the runtime itself lacks is left out, with a note.
pub(super) fn capabilities(asked: Option<&LinuxCapabilities>, notes: &mut Vec<String>) -> io::Result<()> {
    let Some(asked) = asked else { return Ok(()) };
    let have = rustix::thread::capabilities(None)?.permitted;
    let missing = set(asked.permitted()).difference(have);
    if !missing.is_empty() {
        notes.push(format!("capabilities {} are not available here", names(missing)));
    }
    let permitted = set(asked.permitted()).intersection(have);
    let inheritable = set(asked.inheritable()).intersection(have);
    let sets = rustix::thread::CapabilitySets {
        permitted,
        effective: set(asked.effective()).intersection(permitted),
        inheritable,
    };
    rustix::thread::set_capabilities(None, sets).context(|| "set capabilities".into())?;
    rustix::thread::clear_ambient_capability_set().context(|| "clear ambient capabilities".into())?;
    for one in set(asked.ambient())
        .intersection(permitted)
        .intersection(inheritable)
        .iter()
    {
        rustix::thread::configure_capability_in_ambient_set(one, true)
            .context(|| format!("raise ambient capability {}", names(one)))?;
    }
    Ok(())
}

fn set(capabilities: &Option<Capabilities>) -> CapabilitySet {
    let mut bits = 0;
    for capability in capabilities.iter().flatten() {
        // Both name them as the kernel does, one without CAP_.
        if let Ok(c) = format!("CAP_{capability}").parse::<caps::Capability>() {
            bits |= c.bitmask();
        }
    }
    CapabilitySet::from_bits_retain(bits)
}

fn names(set: CapabilitySet) -> String {
    let all: HashSet<caps::Capability> = caps::all();
    let mut names: Vec<_> = all
        .into_iter()
        .filter(|c| set.bits() & c.bitmask() != 0)
        .map(|c| c.to_string())
        .collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::Capability;

    use super::*;

    #[test]
    fn every_capability_of_the_specification_has_a_number() {
        let all = [
            Capability::Chown,
            Capability::SysAdmin,
            Capability::NetBindService,
            Capability::CheckpointRestore,
            Capability::Bpf,
            Capability::LinuxImmutable,
            Capability::SysTtyConfig,
        ];
        for c in all {
            assert_eq!(set(&Some([c].into())).bits().count_ones(), 1, "{c}");
        }
        assert_eq!(names(CapabilitySet::SYS_RESOURCE), "CAP_SYS_RESOURCE");
    }
}

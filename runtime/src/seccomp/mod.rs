//! System call filters: compiled with libseccomp, loaded as BPF.

mod default;
mod future;

use std::{
    fs,
    io::{self, Read, Seek},
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex},
};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
};
use sha2::{Digest, Sha256};

pub use self::default::{default_seccomp, default_seccomp_for};
use crate::error::{Context, invalid};

type Hash = [u8; 32];

/// Part of the hash: what the same profile is compiled to changes with it.
const FORMAT: &[u8] = b"2";

/// What this process has compiled, and what it was forked with.
static COMPILED: Mutex<Vec<(Hash, Filter)>> = Mutex::new(Vec::new());

/// A compiled filter.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    bpf: Arc<[u8]>,
    flags: u64,
}

impl Filter {
    /// Compiles `profile`, unless that has been done: in this process or one it was forked from, or by another process
    /// that left the result in the directory `cache`.
    pub fn compile(profile: &LinuxSeccomp, cache: Option<&Path>) -> io::Result<Self> {
        let flags = flags(profile)?;
        check_listener(profile)?;
        let hash: Hash = Sha256::new()
            .chain_update(FORMAT)
            .chain_update(serde_json::to_vec(profile)?)
            .finalize()
            .into();
        let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, filter)) = compiled.iter().find(|(known, _)| *known == hash) {
            return Ok(filter.clone());
        }
        let path = cache.map(|dir| dir.join(format!("{}.bpf", hex::encode(hash))));
        let kept = path.as_ref().and_then(|path| fs::read(path).ok());
        let bpf = match kept.filter(|bpf| !bpf.is_empty() && bpf.len() % 8 == 0) {
            Some(bpf) => bpf,
            None => {
                let bpf = bpf(profile)?;
                if let Some(path) = &path {
                    // The cache is a convenience: without it the next container compiles again.
                    let _ = path.parent().map(fs::create_dir_all);
                    let _ = crate::state::replace(path, &bpf);
                }
                bpf
            }
        };
        let filter = Filter {
            bpf: bpf.into(),
            flags,
        };
        compiled.push((hash, filter.clone()));
        Ok(filter)
    }

    /// Loads it into this process. When calls are to be decided by an agent, the descriptor for it comes back.
    pub fn load(&self) -> io::Result<Option<OwnedFd>> {
        skiff_sys::seccomp::load_filter(&self.bpf, self.flags).context(|| "load the seccomp filter".into())
    }
}

fn flags(profile: &LinuxSeccomp) -> io::Result<u64> {
    let mut bits = 0;
    if notifies(profile) {
        bits |= libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    }
    // As with runc: who says nothing need not pay for a protection that filters have no use of.
    if profile.flags().is_none() {
        bits |= libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    }
    for flag in profile.flags().iter().flatten() {
        bits |= match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            // A process has one thread when it is loaded.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if notifies(profile) => {
                libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
            }
            // The kernel takes it with a listener only.
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
        };
    }
    Ok(bits)
}

/// Some calls are to be decided by an agent.
fn notifies(profile: &LinuxSeccomp) -> bool {
    let notify = LinuxSeccompAction::ScmpActNotify;
    profile.default_action() == notify
        || profile
            .syscalls()
            .iter()
            .flatten()
            .any(|rule| rule.action() == notify)
}

/// Calls between the filter and the agent's first answer, through which the agent gets its descriptor.
const NEEDED_TO_NOTIFY: &[&str] = &["write", "sendmsg"];

fn check_listener(profile: &LinuxSeccomp) -> io::Result<()> {
    if !notifies(profile) {
        return Ok(());
    }
    if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
        return Err(invalid("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    if profile
        .listener_path()
        .as_ref()
        .is_none_or(|path| path.as_os_str().is_empty())
    {
        return Err(invalid("seccomp: listenerPath is needed for SCMP_ACT_NOTIFY"));
    }
    for rule in profile.syscalls().iter().flatten() {
        if rule.action() == LinuxSeccompAction::ScmpActNotify
            && let Some(call) = rule
                .names()
                .iter()
                .find(|n| NEEDED_TO_NOTIFY.contains(&n.as_str()))
        {
            return Err(invalid(format!(
                "SCMP_ACT_NOTIFY cannot be used for the {call} syscall"
            )));
        }
    }
    Ok(())
}

fn failed(e: libseccomp::error::SeccompError) -> io::Error {
    io::Error::other(format!("compile the seccomp filter: {e}"))
}

fn bpf(profile: &LinuxSeccomp) -> io::Result<Vec<u8>> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(failed)?;
    filter.set_ctl_nnp(false).map_err(failed)?;
    // A binary tree instead of a list: some 10 comparisons instead of some 300 per system call.
    let _ = filter.set_ctl_optimize(2);
    for arch in profile.architectures().iter().flatten() {
        filter.add_arch(architecture(*arch)?).map_err(failed)?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret())?;
        if action == default {
            continue;
        }
        for name in rule.names() {
            // A call this libseccomp does not know is no call of this machine.
            let Ok(call) = ScmpSyscall::from_name(name) else {
                continue;
            };
            add(
                &mut filter,
                action,
                call,
                rule.args().as_deref().unwrap_or_default(),
            )?;
        }
    }
    let mut file = fs::File::from(
        rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)
            .context(|| "memfd_create".into())?,
    );
    filter.export_bpf(&file).map_err(failed)?;
    file.rewind()?;
    let mut bpf = future::prologue(profile);
    file.read_to_end(&mut bpf)?;
    Ok(bpf)
}

fn add(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    call: ScmpSyscall,
    args: &[LinuxSeccompArg],
) -> io::Result<()> {
    let compares: Vec<_> = args.iter().map(compare).collect();
    let mut indices: Vec<_> = args.iter().map(LinuxSeccompArg::index).collect();
    indices.sort_unstable();
    indices.dedup();
    if indices.len() < args.len() {
        // Several conditions on one argument mean "or", which libseccomp takes as several rules.
        for one in &compares {
            filter
                .add_rule_conditional(action, call, std::slice::from_ref(one))
                .map_err(failed)?;
        }
        return Ok(());
    }
    filter
        .add_rule_conditional(action, call, &compares)
        .map_err(failed)?;
    Ok(())
}

fn compare(arg: &LinuxSeccompArg) -> ScmpArgCompare {
    let (op, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => (
            ScmpCompareOp::MaskedEqual(arg.value()),
            arg.value_two().unwrap_or(0),
        ),
    };
    ScmpArgCompare::new(arg.index() as u32, op, value)
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> io::Result<ScmpAction> {
    let takes_errno = matches!(
        action,
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace
    );
    if errno.is_some() && !takes_errno {
        return Err(invalid(format!("seccomp: {action} takes no errnoRet")));
    }
    let errno = errno.unwrap_or(libc::EPERM as u32);
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(errno as i32),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(errno as u16),
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => ScmpAction::Notify,
    })
}

fn architecture(arch: Arch) -> io::Result<ScmpArch> {
    // The numbers of the specification's enum are the kernel's audit numbers; libseccomp reads its own names.
    let name = serde_json::to_value(arch)?;
    let name = name.as_str().unwrap_or_default();
    name.parse()
        .map_err(|_| invalid(format!("seccomp architecture {name:?} is not known")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_compiles_and_is_cached() {
        let cache = tempfile::tempdir().unwrap();
        let first = Filter::compile(&default_seccomp(), Some(cache.path())).unwrap();
        assert!(first.bpf.len() > 1000);
        let kept = fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap();
        assert_eq!(fs::read(kept.path()).unwrap(), *first.bpf);
        let second = Filter::compile(&default_seccomp(), None).unwrap();
        assert!(Arc::ptr_eq(&first.bpf, &second.bpf));
    }

    fn profile(text: &str) -> LinuxSeccomp {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_agent_is_asked_only_when_it_can_be_reached() {
        let without = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        );
        assert!(Filter::compile(&without, None).is_err());
        let mut with = without.clone();
        with.set_listener_path(Some("/run/agent.sock".into()));
        let filter = Filter::compile(&with, None).unwrap();
        assert!(filter.flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0);
        let needed = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/a","syscalls":[{"names":["write"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        );
        let e = Filter::compile(&needed, None).unwrap_err();
        assert_eq!(
            e.to_string(),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall"
        );
    }

    #[test]
    fn every_action_operator_and_architecture_compiles() {
        let all = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_AARCH64"],
            "flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW","SECCOMP_FILTER_FLAG_TSYNC"],
            "syscalls":[
            {"names":["getcwd"],"action":"SCMP_ACT_ERRNO","errnoRet":18},
            {"names":["mkdir"],"action":"SCMP_ACT_KILL"},{"names":["rmdir"],"action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["link"],"action":"SCMP_ACT_KILL_THREAD"},{"names":["unlink"],"action":"SCMP_ACT_TRAP"},
            {"names":["chmod"],"action":"SCMP_ACT_TRACE","errnoRet":3},{"names":["chown"],"action":"SCMP_ACT_LOG"},
            {"names":["personality"],"action":"SCMP_ACT_ERRNO","args":[
              {"index":0,"value":1,"op":"SCMP_CMP_NE"},{"index":1,"value":1,"op":"SCMP_CMP_LT"},
              {"index":2,"value":1,"op":"SCMP_CMP_LE"},{"index":3,"value":1,"op":"SCMP_CMP_EQ"},
              {"index":4,"value":1,"op":"SCMP_CMP_GE"},{"index":5,"value":1,"op":"SCMP_CMP_GT"}]},
            {"names":["clone"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
        );
        assert!(Filter::compile(&all, None).is_ok());
        let errno = profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_KILL","errnoRet":1}]}"#,
        );
        assert!(Filter::compile(&errno, None).is_err());
    }
}

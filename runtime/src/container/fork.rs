//! Making a child in another PID namespace, which a process itself can never enter.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use skiff_sys::process::{Child, Forked, clone3_sibling, exit, fork};

use crate::{
    error::{Context, Failure},
    wire,
};

/// Makes a child after `enter`, which may change namespaces: it runs in a helper that makes the child as its sibling and
/// ends. (To enter and come back would need privilege over our own namespace, which an ordinary user lacks.)
pub(super) fn fork_after(
    enter: impl FnOnce() -> io::Result<()>,
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Forked> {
    let (ours, theirs) = wire::pair()?;
    let Forked::Parent(helper) = fork().context(|| "fork".into())? else {
        drop(ours);
        match enter().and_then(|()| clone3_sibling(namespaces, cgroup).context(|| "clone3".into())) {
            Ok(Forked::Child) => return Ok(Forked::Child),
            Ok(Forked::Parent(child)) => {
                let sent = wire::send(&theirs, &Ok::<_, Failure>(child.pid), &[child.pidfd.as_fd()]);
                exit(i32::from(sent.is_err()))
            }
            Err(e) => {
                let _ = wire::send(&theirs, &Err::<u32, _>(Failure::from(e)), &[]);
                exit(1)
            }
        }
    };
    drop(theirs);
    let answer = wire::receive::<Result<u32, Failure>>(&ours);
    let _ = rustix::process::waitid(
        rustix::process::WaitId::PidFd(helper.pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    );
    let (pid, fds) = answer.context(|| "enter a PID namespace".into())?;
    let pid = pid?;
    let pidfd = fds
        .into_iter()
        .next()
        .ok_or_else(|| io::Error::other("no pidfd came with the child"))?;
    Ok(Forked::Parent(Child { pid, pidfd }))
}

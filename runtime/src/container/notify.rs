//! The agent that decides on system calls of a container (`SCMP_ACT_NOTIFY`).

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use oci_spec::runtime::Spec;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::{Value, json};

use crate::error::Context;

/// Who listens, and what it is told. Source: OCI runtime-spec, config-linux.md, "The Container Process State".
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    path: PathBuf,
    metadata: String,
    state: Value,
}

impl Agent {
    /// The agent of a configuration; `state` is that of the container.
    pub fn of(spec: &Spec, state: Value) -> Option<Self> {
        let seccomp = spec.linux().as_ref()?.seccomp().as_ref()?;
        Some(Agent {
            path: seccomp
                .listener_path()
                .clone()
                .filter(|path| !path.as_os_str().is_empty())?,
            metadata: seccomp.listener_metadata().clone().unwrap_or_default(),
            state,
        })
    }

    /// Hands it the descriptor on which it hears of the calls of process `pid`.
    pub fn tell(&self, pid: u32, listener: &OwnedFd) -> io::Result<()> {
        let text = json!({
            "ociVersion": crate::OCI_VERSION,
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": self.metadata,
            "state": self.state,
        })
        .to_string();
        send_descriptor(&self.path, text.as_bytes(), listener)
            .context(|| "failed to connect with seccomp agent".into())
    }
}

/// Connects to a Unix socket and sends `text` with a descriptor.
pub(crate) fn send_descriptor(path: &std::path::Path, text: &[u8], fd: &OwnedFd) -> io::Result<()> {
    let address = rustix::net::SocketAddrUnix::new(path)?;
    let stream = rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&stream, &address).context(|| format!("connect to {path:?}"))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(&stream, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)
        .context(|| "send".into())?;
    Ok(())
}

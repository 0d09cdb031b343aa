//! Readiness of a service in a container, told to the service manager that started us. Source: sd_notify(3).
//!
//! With `NOTIFY_SOCKET` in our environment the container gets a socket of ours at the same place, in a directory of its
//! own that is bound there: the manager's would accept messages from its own services only. What arrives is passed on.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
};

use oci_spec::runtime::{MountBuilder, Spec};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType},
};

use crate::error::{Context, invalid};

/// Name of the socket in its directory.
const NAME: &str = "notify";

/// The manager's socket and ours.
#[derive(Debug)]
pub(super) struct Readiness {
    manager: PathBuf,
    /// Directory in the container's state directory.
    dir: PathBuf,
}

/// Our socket, from the start of the container until it is ready.
#[derive(Debug)]
pub(super) struct Relay {
    socket: OwnedFd,
    manager: PathBuf,
    pid: u32,
}

impl Readiness {
    /// What our environment asks for; `None` without a manager. `state` is the container's state directory.
    pub fn wanted(state: &Path) -> Option<Self> {
        let manager = PathBuf::from(std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?);
        Some(Readiness {
            manager,
            dir: state.join(NAME),
        })
    }

    /// Makes the directory and shows it to the container.
    pub fn prepare(&self, spec: &mut Spec) -> io::Result<()> {
        fs::create_dir(&self.dir).context(|| format!("make {:?}", self.dir))?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o755))?;
        // An abstract name has no place in a file system.
        let place = if self.manager.is_absolute() {
            self.manager.clone()
        } else {
            "/run/notify".into()
        };
        let mount = MountBuilder::default()
            .destination(&place)
            .typ("bind")
            .source(&self.dir)
            .options(vec![
                "bind".to_owned(),
                "nosuid".into(),
                "nodev".into(),
                "noexec".into(),
            ])
            .build()
            .map_err(|e| invalid(e.to_string()))?;
        let mut mounts = spec.mounts().clone().unwrap_or_default();
        mounts.push(mount);
        spec.set_mounts(Some(mounts));
        if let Some(process) = spec.process_mut() {
            let mut env = process.env().clone().unwrap_or_default();
            env.retain(|pair| !pair.starts_with("NOTIFY_SOCKET="));
            env.push(format!("NOTIFY_SOCKET={}", place.join(NAME).display()));
            process.set_env(Some(env));
        }
        Ok(())
    }

    /// Listens for what the container's process `pid` has to say. Before it starts.
    ///
    /// # Errors
    /// The socket's; `NotFound` when the container was made without a manager.
    pub fn listen(self, pid: u32) -> io::Result<Relay> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&self.dir, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd());
        let socket = datagram()?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)
            .context(|| "bind the notify socket".into())?;
        // The service may run as anybody.
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o777))?;
        Ok(Relay {
            socket,
            manager: self.manager,
            pid,
        })
    }
}

impl Relay {
    /// Readable when there is something to [`Relay::pass_on`].
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads one message and, when it says that the service is ready, tells the manager: true then, and nothing more will
    /// come.
    pub fn pass_on(&self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let length = rustix::io::read(&self.socket, &mut buffer)?;
        if !buffer[..length]
            .split(|b| *b == b'\n')
            .any(|line| line == b"READY=1")
        {
            return Ok(false);
        }
        let address = match self.manager.as_os_str().as_bytes() {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path => SocketAddrUnix::new(path)?,
        };
        let out = datagram()?;
        for message in ["READY=1".to_owned(), format!("MAINPID={}", self.pid)] {
            rustix::net::sendto(&out, message.as_bytes(), SendFlags::NOSIGNAL, &address)
                .context(|| format!("tell {:?} that the service is ready", self.manager))?;
        }
        Ok(true)
    }

    /// Reads what has come until now, from a process that has ended.
    pub fn pass_on_rest(&self) -> io::Result<()> {
        let now = Timespec::default();
        while poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&now))? > 0 {
            if self.pass_on()? {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the service is ready or its process has ended.
    pub fn wait(&self, process: impl AsFd) -> io::Result<()> {
        loop {
            let mut polled = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&process, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                done => done.context(|| "wait for readiness".into())?,
            };
            let said = !polled[0].revents().is_empty();
            if (said && self.pass_on()?) || (!said && !polled[1].revents().is_empty()) {
                return Ok(());
            }
        }
    }
}

fn datagram() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

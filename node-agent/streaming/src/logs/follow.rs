//! Noticing that a log file grew or was rotated, without polling (inotify(7)).

use std::{io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// Changes in the directory of a log file, which holds the logs of one container only.
pub struct Changes {
    inotify: AsyncFd<OwnedFd>,
}

impl Changes {
    /// Begins to watch.
    pub fn of(path: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let dir = path.parent().unwrap_or(Path::new("/"));
        let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&fd, dir, events)?;
        // Deprecated because a type may lie about its descriptor; an OwnedFd does not.
        #[expect(
            deprecated,
            reason = "its replacement is unsafe for the sake of other types than OwnedFd"
        )]
        let inotify = AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)?;
        Ok(Self { inotify })
    }

    /// Resolves after one or more changes. Cancel safe: what was not read yet is read next time.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(ready.get_inner(), &mut buffer);
            let mut seen = false;
            let ended = loop {
                match reader.next() {
                    Ok(_) => seen = true,
                    Err(error) => break error,
                }
            };
            if ended != rustix::io::Errno::AGAIN {
                return Err(ended.into());
            }
            ready.clear_ready();
            if seen {
                return Ok(());
            }
        }
    }
}

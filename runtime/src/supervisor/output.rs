//! Output of a container: into its log, and to those attached.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::log::{Lines, Log};

/// Bytes one attached reader may be behind before it is dropped: it must not hold up the container or our memory.
const BEHIND: usize = 256 * 1024;

/// One stream of a container.
#[derive(Debug)]
pub(super) struct Stream {
    /// We read here; for a terminal its controlling end.
    pub fd: OwnedFd,
    /// stderr rather than stdout.
    pub stderr: bool,
    lines: Lines,
}

impl Stream {
    /// Takes over the reading end of a stream.
    pub fn new(fd: OwnedFd, stderr: bool) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Stream {
            fd,
            stderr,
            lines: Lines::new(if stderr { "stderr" } else { "stdout" }),
        })
    }
}

/// Somebody attached.
#[derive(Debug)]
pub(super) struct Sink {
    /// We write here.
    pub fd: OwnedFd,
    /// Which stream it wants.
    pub stderr: bool,
    /// Registered in epoll under this number.
    pub token: u64,
    waiting: Vec<u8>,
}

impl Sink {
    /// Takes over a writing end.
    pub fn new(fd: OwnedFd, stderr: bool, token: u64) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Sink {
            fd,
            stderr,
            token,
            waiting: Vec::new(),
        })
    }

    /// Something waits to be written.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what can be written now; false when the sink is to be dropped.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if !self.waiting.is_empty() {
            self.waiting.extend_from_slice(bytes);
            return self.flush() && self.waiting.len() <= BEHIND;
        }
        let mut left = bytes;
        while !left.is_empty() {
            match rustix::io::write(&self.fd, left) {
                Ok(n) => left = &left[n..],
                Err(rustix::io::Errno::INTR) => (),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        self.waiting.extend_from_slice(left);
        self.waiting.len() <= BEHIND
    }

    /// Writes what was waiting; false when the sink is to be dropped.
    pub fn flush(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        self.write(&waiting)
    }
}

/// What reading a stream came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing more for now.
    Empty,
    /// The stream has ended.
    End,
    /// There is more, but others are to have their turn.
    More,
}

/// Moves what a stream has to the log and the sinks; sinks that fail are dropped. `rounds` bounds the work.
pub(super) fn pump(
    stream: &mut Stream,
    log: &mut Option<Log>,
    sinks: &mut Vec<Sink>,
    buffer: &mut [u8],
    rounds: usize,
) -> Read {
    let mut entries = Vec::new();
    let mut result = Read::More;
    for _ in 0..rounds {
        match rustix::io::read(&stream.fd, &mut *buffer) {
            // A terminal whose last process end is closed gives EIO.
            Ok(0) | Err(rustix::io::Errno::IO) => {
                result = Read::End;
                break;
            }
            Ok(n) => {
                let bytes = &buffer[..n];
                if log.is_some() {
                    stream.lines.feed(bytes, &super::log::now(), &mut entries);
                }
                sinks.retain_mut(|sink| sink.stderr != stream.stderr || sink.write(bytes));
            }
            Err(rustix::io::Errno::INTR) => (),
            Err(rustix::io::Errno::AGAIN) => {
                result = Read::Empty;
                break;
            }
            Err(_) => {
                result = Read::End;
                break;
            }
        }
    }
    if let Some(log) = log {
        if result == Read::End {
            stream.lines.finish(&super::log::now(), &mut entries);
        }
        log.write(&entries);
    }
    result
}

/// A pipe: reading and writing end, both close-on-exec.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// A second descriptor of the same.
pub(super) fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attached_reader_that_does_not_read_is_dropped_and_the_log_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Some(Log::open(&path, 0, 1).unwrap());
        let (read, write) = pipe().unwrap();
        let (_idle, sink) = pipe().unwrap();
        let mut sinks = vec![Sink::new(sink, false, 1).unwrap()];
        let mut stream = Stream::new(read, false).unwrap();
        let line = [b"z".repeat(4095), b"\n".to_vec()].concat();
        let mut buffer = vec![0; 16 * 1024];
        let mut written = 0;
        while !sinks.is_empty() {
            written += rustix::io::write(&write, &line).unwrap();
            pump(&mut stream, &mut log, &mut sinks, &mut buffer, 16);
            assert!(written < 1 << 20, "the reader was never dropped");
        }
        drop(write);
        assert_eq!(
            pump(&mut stream, &mut log, &mut sinks, &mut buffer, 16),
            Read::End
        );
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert_eq!(lines, written / 4096);
    }
}

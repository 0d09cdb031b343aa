//! One container: its streams, its log, and those attached.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::event::epoll::EventFlags;
use skiff_sys::process::Child;

use super::{
    ContainerState,
    log::Log,
    output::{Read, Sink, Stream, duplicate, pipe, pump},
    protocol::StreamKinds,
    server::{Poll, Source},
};
use crate::{
    cgroup::Cgroup,
    container::{Stdio, schedule::Domain},
    error::invalid,
    seccomp::Filter,
};

/// One container.
pub(super) struct Task {
    pub state: ContainerState,
    pub start_time: u64,
    pub child: Option<Child>,
    /// Set until it is started.
    pub gate: Option<OwnedFd>,
    /// It does not wait there: it has been told to go on.
    pub told: bool,
    pub cgroup: Option<Cgroup>,
    pub seccomp: Option<Filter>,
    /// For exec.
    pub domain: Domain,
    /// For hooks and for exec.
    pub spec_hooks: Option<Box<oci_spec::runtime::Hooks>>,
    pub annotations: Option<std::collections::HashMap<String, String>>,
    pub terminal: bool,
    pub streams: Vec<(u64, Stream)>,
    pub stdin: Option<OwnedFd>,
    pub stdin_once: bool,
    pub log: Option<Log>,
    pub sinks: Vec<Sink>,
    /// Ends of attached terminals, by number.
    pub inputs: BTreeMap<u64, OwnedFd>,
    /// Typed, but not yet taken by the terminal.
    pub typed: Vec<u8>,
}

impl Task {
    /// Reads a stream.
    pub fn read(&mut self, poll: &mut Poll, token: u64, buffer: &mut [u8], rounds: usize) {
        let Some(at) = self.streams.iter().position(|(t, _)| *t == token) else {
            return;
        };
        let known: Vec<u64> = self.sinks.iter().map(|s| s.token).collect();
        let stderr = self.streams[at].1.stderr;
        if pump(
            &mut self.streams[at].1,
            &mut self.log,
            &mut self.sinks,
            buffer,
            rounds,
        ) == Read::End
        {
            let (token, stream) = self.streams.remove(at);
            poll.remove(stream.fd.as_fd(), token);
            self.sinks.retain(|sink| {
                let keep = sink.stderr != stderr || sink.is_behind();
                if !keep {
                    poll.remove(sink.fd.as_fd(), sink.token);
                }
                keep
            });
        }
        for sink in self.sinks.iter().filter(|s| s.is_behind()) {
            let _ = poll.change(&sink.fd, sink.token, EventFlags::OUT);
        }
        for token in known {
            if !self.sinks.iter().any(|s| s.token == token) {
                poll.forget(token);
            }
        }
    }

    /// Gives the terminal what was typed; while it takes no more, nobody is listened to.
    pub fn type_on(&mut self, poll: &mut Poll) {
        let Some((token, stream)) = self.streams.first() else {
            self.typed.clear();
            return;
        };
        while !self.typed.is_empty() {
            match rustix::io::write(&stream.fd, &self.typed) {
                Ok(n) => drop(self.typed.drain(..n)),
                Err(rustix::io::Errno::INTR) => (),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => self.typed.clear(),
            }
        }
        let full = !self.typed.is_empty();
        let flags = if full {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let _ = poll.change(&stream.fd, *token, flags);
        let flags = if full {
            EventFlags::empty()
        } else {
            EventFlags::IN | EventFlags::RDHUP
        };
        for (token, input) in &self.inputs {
            let _ = poll.change(input, *token, flags);
        }
    }

    /// Stops listening to one of those attached.
    pub fn drop_input(&mut self, poll: &mut Poll, token: u64) {
        if let Some(fd) = self.inputs.remove(&token) {
            poll.remove(fd.as_fd(), token);
        }
    }

    /// Attaches somebody.
    pub fn attach(&mut self, poll: &mut Poll) -> io::Result<(StreamKinds, Vec<OwnedFd>)> {
        let id = self.state.id.clone();
        if self.child.is_none() {
            return Err(invalid(format!("container {id:?} has exited")));
        }
        let name = id;
        if self.terminal {
            // Both directions over one socket: what we read there is typed, what the terminal shows is written there.
            let (ours, theirs) = crate::wire::pair()?;
            let input = duplicate(&ours)?;
            rustix::io::ioctl_fionbio(&input, true)?;
            let token = poll.add(
                &input,
                Source::Input(name.clone()),
                EventFlags::IN | EventFlags::RDHUP,
            )?;
            self.inputs.insert(token, input);
            let token = poll.add(&ours, Source::Sink(name), EventFlags::empty())?;
            self.sinks.push(Sink::new(ours, false, token)?);
            return Ok((
                StreamKinds {
                    stdout: true,
                    ..Default::default()
                },
                vec![theirs],
            ));
        }
        let mut kinds = StreamKinds::default();
        let mut fds = Vec::new();
        if let Some(stdin) = &self.stdin {
            fds.push(duplicate(stdin)?);
            kinds.stdin = true;
        }
        if kinds.stdin && self.stdin_once {
            // From now on only those attached hold it open.
            self.stdin = None;
        }
        for stderr in [false, true] {
            let (read, write) = pipe()?;
            // Nothing to wait for but the reader's end (EPOLLERR, which is always told).
            let token = poll.add(&write, Source::Sink(name.clone()), EventFlags::empty())?;
            self.sinks.push(Sink::new(write, stderr, token)?);
            fds.push(read);
        }
        (kinds.stdout, kinds.stderr) = (true, true);
        Ok((kinds, fds))
    }

    /// An attached reader can take more, or is gone.
    pub fn sink(&mut self, poll: &mut Poll, token: u64, flags: EventFlags) {
        let Some(at) = self.sinks.iter().position(|s| s.token == token) else {
            return;
        };
        let gone = flags.intersects(EventFlags::ERR | EventFlags::HUP) || !self.sinks[at].flush();
        let sink = &self.sinks[at];
        let ended = self.child.is_none() || !self.streams.iter().any(|(_, s)| s.stderr == sink.stderr);
        if gone || (ended && !sink.is_behind()) {
            let sink = self.sinks.remove(at);
            poll.remove(sink.fd.as_fd(), token);
        } else {
            let flags = if sink.is_behind() {
                EventFlags::OUT
            } else {
                EventFlags::empty()
            };
            let _ = poll.change(&sink.fd, token, flags);
        }
    }

    /// Somebody attached to a terminal types, or is gone.
    pub fn input(&mut self, poll: &mut Poll, token: u64) {
        let Some(fd) = self.inputs.get(&token) else { return };
        let mut bytes = [0; 4096];
        match rustix::io::read(fd, &mut bytes) {
            Ok(0) => self.drop_input(poll, token),
            Ok(n) => {
                self.typed.extend_from_slice(&bytes[..n]);
                self.type_on(poll);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => (),
            Err(_) => self.drop_input(poll, token),
        }
    }

    /// Stops watching everything of it.
    pub fn close(&mut self, poll: &mut Poll) {
        for (token, stream) in self.streams.drain(..) {
            poll.remove(stream.fd.as_fd(), token);
        }
        for sink in self.sinks.drain(..) {
            poll.remove(sink.fd.as_fd(), sink.token);
        }
        for (token, fd) in std::mem::take(&mut self.inputs) {
            poll.remove(fd.as_fd(), token);
        }
    }
}

/// Our ends of a process's streams.
pub(super) struct Ours {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// Streams for a new process: its ends and ours.
pub(super) fn streams(
    terminal: bool,
    stdin: bool,
    size: Option<oci_spec::runtime::Box>,
) -> io::Result<(Stdio, Ours)> {
    if terminal {
        let size = size
            .map(|s| (s.width() as u16, s.height() as u16))
            .filter(|s| *s != (0, 0));
        return Ok((
            Stdio::Terminal { size },
            Ours {
                stdin: None,
                stdout: None,
                stderr: None,
            },
        ));
    }
    let (theirs_in, ours_in) = if stdin {
        let (read, write) = pipe()?;
        (Some(read), Some(write))
    } else {
        (None, None)
    };
    let (ours_out, theirs_out) = pipe()?;
    let (ours_err, theirs_err) = pipe()?;
    Ok((
        Stdio::Files {
            stdin: theirs_in,
            stdout: Some(theirs_out),
            stderr: Some(theirs_err),
        },
        Ours {
            stdin: ours_in,
            stdout: Some(ours_out),
            stderr: Some(ours_err),
        },
    ))
}

//! One direction of a relay as a state machine over two descriptors and what is known of their readiness. Knows nothing
//! of who waits for events: the proxy's workers and tokio tasks drive the same machine.
//!
//! ```text
//!            readable            two full buffers             pipe empty, source has nothing
//!   Copying ─────────► scratch ────────────────► Splicing ─────────────────────────────────► Copying
//!      │  destination full: the rest is kept in a box until it is writable                   (pipe returned)
//!      └─ end of file ─► shutdown(write) on the destination ─► Closed
//! ```
//! Small exchanges go through a scratch buffer of the thread; bulk goes through a pipe from a pool (splice(2): the
//! bytes never enter user space). A half-closed connection stays half closed.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use parking_lot::Mutex;
use rustix::{
    net::{RecvFlags, SendFlags, recv, send},
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use skiff_sys::net::is_at_urgent_mark;

/// What one read may bring; also what is read before splicing is considered.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Wanted size of the first pipes, which ordinary users are not given more than, and of further ones. A large segment fits into the
/// first in one go. The kernel counts the size of pipes, also while they are empty, against what a user may have of all programs
/// (`pipe-user-pages-soft`, 64 MiB by default), and then makes very small ones: the first are at most a quarter of that.
const LARGE_PIPE_BYTES: usize = 1024 * 1024;
const LARGE_PIPES: usize = 16;
const PIPE_BYTES: usize = 256 * 1024;
/// Asked of one splice: a pipe's slots may hold more than a page each.
const SPLICE_BYTES: usize = 1024 * 1024;
/// Idle pipes kept, of both sizes: no memory while empty.
const POOLED_PIPES: usize = 64;
/// Rounds of work per direction before other connections of the thread get their turn.
const TURNS: u32 = 16;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Runs `work` with the calling thread's scratch buffer (64 KiB). It must not nest.
pub fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| work(scratch))
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    is_large: bool,
}

/// Pipes nobody uses now, large ones last, so that they are taken first.
static POOL: Mutex<VecDeque<Pipe>> = Mutex::new(VecDeque::new());

/// Large pipes there are, in use or not.
static LARGE: AtomicUsize = AtomicUsize::new(0);

impl Pipe {
    /// None when descriptors or pipe memory have run out: the caller goes on copying.
    fn take() -> Option<Self> {
        if let Some(pipe) = POOL.lock().pop_back() {
            return Some(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let mut is_large = LARGE.fetch_add(1, Relaxed) < LARGE_PIPES;
        is_large = is_large && fcntl_setpipe_size(&write, LARGE_PIPE_BYTES).is_ok();
        if !is_large {
            LARGE.fetch_sub(1, Relaxed);
            // Smaller is slower, not wrong.
            let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        }
        Some(Self {
            read,
            write,
            is_large,
        })
    }

    /// Only an empty pipe may be given back.
    fn give_back(self) {
        let mut pool = POOL.lock();
        if self.is_large {
            pool.push_back(self);
        } else if pool.len() < POOLED_PIPES {
            pool.push_front(self);
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.is_large {
            LARGE.fetch_sub(1, Relaxed);
        }
    }
}

/// What is known of a stream. Wrongly true costs a system call; wrongly false stalls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    /// There may be something to read.
    pub readable: bool,
    /// There may be room.
    pub writable: bool,
    /// A read that brings less than asked for does not mean that nothing is left: the end of the stream was announced
    /// (its event has been had, and there will be no other), or there is an urgent byte, before which every read stops.
    pub ending: bool,
    /// There has been an urgent byte: before every read it is asked whether the next one is reached, since reading goes on
    /// behind it and loses it.
    pub urgent: bool,
}

/// One stream, as the machine sees it.
pub(crate) struct End<'a> {
    pub stream: BorrowedFd<'a>,
    pub ready: &'a mut Readiness,
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Waits for one of the streams.
    Blocked,
    /// Could go on, but others shall have their turn.
    Again,
    /// End of file was passed on.
    Closed,
}

enum State {
    /// Nothing held.
    Copying { full: u8 },
    /// The destination was full: these bytes from this offset come first.
    Held { bytes: Box<[u8]>, from: usize },
    /// `inside` bytes are in the pipe.
    Splicing { pipe: Pipe, inside: usize },
    /// End of file was passed on.
    Closed,
}

/// One direction of a relay.
pub(crate) struct Direction {
    state: State,
}

impl Default for Direction {
    fn default() -> Self {
        Self {
            state: State::Copying { full: 0 },
        }
    }
}

/// The outcome of a non-blocking call: `None` when it would have blocked.
fn unless_blocked<T>(outcome: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes the urgent byte out of the source, which has been read up to it, and sends it as what it is. False: it is
/// announced but not here yet; its arrival is another event.
fn carry_urgent(from: &mut End<'_>, to: &mut End<'_>) -> io::Result<bool> {
    let mut byte = [0; 1];
    match recv(from.stream, &mut byte, RecvFlags::OOB) {
        Err(rustix::io::Errno::AGAIN) => return Ok(false),
        // Taken already.
        Err(_) => {}
        // Without room even for one byte it is lost, as urgent bytes are when the next one comes too soon.
        Ok(_) => drop(unless_blocked(send(
            to.stream,
            &byte,
            SendFlags::OOB | SendFlags::NOSIGNAL,
        ))?),
    }
    Ok(true)
}

impl Direction {
    /// Moves what can be moved and adds it to `moved`.
    pub fn pump(&mut self, from: &mut End<'_>, to: &mut End<'_>, moved: &mut u64) -> io::Result<Progress> {
        for _ in 0..TURNS {
            let waits = match &self.state {
                State::Closed => return Ok(Progress::Closed),
                State::Held { .. } => !to.ready.writable,
                State::Splicing { inside, .. } if *inside > 0 => !to.ready.writable,
                // A full destination keeps what is read next from going anywhere.
                State::Splicing { .. } => false,
                State::Copying { .. } => !from.ready.readable || !to.ready.writable,
            };
            if waits {
                return Ok(Progress::Blocked);
            }
            match &mut self.state {
                State::Closed => {}
                State::Held { bytes, from: start } => {
                    match unless_blocked(send(to.stream, &bytes[*start..], SendFlags::NOSIGNAL))? {
                        None => to.ready.writable = false,
                        Some(count) => {
                            *moved += count as u64;
                            *start += count;
                            if *start == bytes.len() {
                                self.state = State::Copying { full: 2 };
                            }
                        }
                    }
                }
                State::Copying { .. } if from.ready.urgent && is_at_urgent_mark(from.stream)? => {
                    if !carry_urgent(from, to)? {
                        from.ready.readable = false;
                        return Ok(Progress::Blocked);
                    }
                    // The mark is passed by reading on.
                    self.copy_once(from, to, moved)?;
                }
                State::Copying { full } if *full >= 2 && !from.ready.urgent => match Pipe::take() {
                    Some(pipe) => self.state = State::Splicing { pipe, inside: 0 },
                    None => *full = 0,
                },
                State::Copying { .. } => self.copy_once(from, to, moved)?,
                State::Splicing { .. } => self.splice_once(from, to, moved)?,
            }
        }
        Ok(Progress::Again)
    }

    /// One read and one write through the scratch buffer.
    fn copy_once(&mut self, from: &mut End<'_>, to: &mut End<'_>, moved: &mut u64) -> io::Result<()> {
        with_scratch(|scratch| {
            let count = match unless_blocked(recv(from.stream, &mut *scratch, RecvFlags::empty()))? {
                None => {
                    from.ready.readable = false;
                    return Ok(());
                }
                Some((0, _)) => return self.finish(to),
                Some((count, _)) => count,
            };
            let full = count == scratch.len();
            if !full && !from.ready.ending {
                from.ready.readable = false;
            }
            if let State::Copying { full: times } = &mut self.state {
                *times = if full { *times + 1 } else { 0 };
            }
            let sent = unless_blocked(send(to.stream, &scratch[..count], SendFlags::NOSIGNAL))?;
            let written = sent.unwrap_or_default();
            *moved += written as u64;
            if written < count {
                to.ready.writable = false;
                self.state = State::Held {
                    bytes: scratch[written..count].into(),
                    from: 0,
                };
            }
            Ok(())
        })
    }

    /// One step of splicing: empties the pipe before it fills it again, so that "would block" on the way in always means
    /// an empty source and never a full pipe.
    fn splice_once(&mut self, from: &mut End<'_>, to: &mut End<'_>, moved: &mut u64) -> io::Result<()> {
        let State::Splicing { pipe, inside } = &mut self.state else {
            return Ok(());
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        if *inside > 0 {
            match unless_blocked(splice(&pipe.read, None, to.stream, None, *inside, flags))? {
                None => to.ready.writable = false,
                Some(count) => {
                    *moved += count as u64;
                    *inside -= count;
                }
            }
            return Ok(());
        }
        let got = if from.ready.readable {
            unless_blocked(splice(from.stream, None, &pipe.write, None, SPLICE_BYTES, flags))?
        } else {
            None
        };
        match got {
            Some(0) => {
                self.give_back_pipe();
                self.finish(to)?;
            }
            Some(count) => *inside = count,
            // The source pauses: an idle connection holds no pipe. At an urgent byte it only seems to.
            None => {
                from.ready.readable = from.ready.urgent;
                self.give_back_pipe();
            }
        }
        Ok(())
    }

    fn give_back_pipe(&mut self) {
        if let State::Splicing { pipe, inside: 0 } =
            std::mem::replace(&mut self.state, State::Copying { full: 1 })
        {
            pipe.give_back();
        }
    }

    /// Passes end of file on. A destination that is gone already needs none.
    fn finish(&mut self, to: &End<'_>) -> io::Result<()> {
        self.state = State::Closed;
        match rustix::net::shutdown(to.stream, rustix::net::Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

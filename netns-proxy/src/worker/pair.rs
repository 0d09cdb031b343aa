//! A client and its backend, connected.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, epoll::EventFlags, poll},
    time::Timespec,
};
use tracing::debug;

use super::{Entry, Side, Worker};
use crate::{
    metrics::add,
    port::Held,
    pump::{Direction, End, Progress, Readiness},
    relay::abort,
};

/// Both sockets and what is on its way between them.
pub(super) struct Pair {
    client: OwnedFd,
    backend: OwnedFd,
    ready: [Readiness; 2],
    forward: Direction,
    back: Direction,
    /// The backend has sent something.
    answered: bool,
    held: Held,
}

impl Pair {
    pub fn new(client: OwnedFd, backend: OwnedFd, held: Held) -> Self {
        // What clients send first is often there by now; what backends do comes as an event.
        let ready = |readable| Readiness {
            readable,
            writable: true,
            ending: false,
            urgent: false,
        };
        Self {
            client,
            backend,
            ready: [ready(true), ready(false)],
            forward: Direction::default(),
            back: Direction::default(),
            answered: false,
            held,
        }
    }

    pub fn client(&self) -> &OwnedFd {
        &self.client
    }

    pub fn backend(&self) -> &OwnedFd {
        &self.backend
    }

    /// Takes note of an event.
    pub fn note(&mut self, side: Side, flags: EventFlags) {
        let ready = &mut self.ready[side as usize];
        let urgent = flags.contains(EventFlags::PRI);
        let ending = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR | EventFlags::PRI;
        ready.urgent |= urgent;
        ready.readable |= flags.intersects(EventFlags::IN | ending);
        ready.writable |= flags.intersects(EventFlags::OUT | EventFlags::ERR);
        ready.ending |= flags.intersects(ending);
    }

    fn pump(&mut self) -> io::Result<Progress> {
        let (mut received, mut sent) = (0, 0);
        let [client_ready, backend_ready] = &mut self.ready;
        let mut client = End {
            stream: self.client.as_fd(),
            ready: client_ready,
        };
        let mut backend = End {
            stream: self.backend.as_fd(),
            ready: backend_ready,
        };
        let forward = self.forward.pump(&mut client, &mut backend, &mut received);
        let back = self.back.pump(&mut backend, &mut client, &mut sent);
        let metrics = &self.held.port.metrics;
        if sent > 0 && !self.answered {
            self.answered = true;
            self.held.port.answered(&self.held.load);
        }
        add(&metrics.received, received);
        add(&metrics.sent, sent);
        Ok(match (forward?, back?) {
            (Progress::Closed, Progress::Closed) => Progress::Closed,
            (Progress::Again, _) | (_, Progress::Again) => Progress::Again,
            _ => Progress::Blocked,
        })
    }

    /// Tells the balancer of a backend that takes connections and resets them. Its socket is asked which side broke: the
    /// error may have come by either, and before any event.
    fn blame(&self) {
        let hung_up = || {
            let mut socket = [PollFd::new(&self.backend, PollFlags::empty())];
            let asked = poll(&mut socket, Some(&Timespec::default()));
            asked.is_ok() && socket[0].revents().contains(PollFlags::HUP)
        };
        if !self.answered && hung_up() {
            self.held.port.reset(self.held.load.address);
        }
    }
}

impl Worker {
    /// Moves what can be moved on a connection; takes it out of the table when it has ended.
    pub(super) fn pump(&mut self, index: u32) {
        let Some((_, Entry::Pair(pair))) = self.entries.get_mut(index as usize) else {
            return;
        };
        match pair.pump() {
            Ok(Progress::Blocked) => {}
            Ok(Progress::Again) => self.again.push(index),
            Ok(Progress::Closed) => drop(self.remove(index)),
            Err(error) => {
                pair.blame();
                abort(&pair.client);
                abort(&pair.backend);
                debug!(service = %pair.held.port.service, backend = %pair.held.load.address, %error, "connection broke");
                drop(self.remove(index));
            }
        }
    }
}

//! What goes wrong: crashes, cuts, slow and full disks, jumping clocks, and members that come and go.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, rngs::StdRng};
use skiff_raft::{
    MemberChange, Request,
    core::Input,
    eraftpb::{ConfChangeSingle, ConfChangeType, ConfState},
};

use super::{Event, MILLISECOND, SECOND, Sabotage, World};
use crate::simulation::{disk::SimDisk, member::Member};

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Crash(u64),
    /// Messages from the first to the second are lost.
    Cut(u64, u64),
    Isolate(u64),
    Freeze(u64),
    Slow(u64),
    Full(u64),
    Broken(u64),
    Jump(u64),
    Lossy,
    Transfer,
    Members,
    /// A member's process is said to have ended, and has not.
    Rumour(u64),
}

/// How bad this seed's world is.
pub struct Weather {
    pub loss: u32,
    pub repeat: u32,
    pub delay: u64,
    /// Most microseconds between faults.
    pub pause: u64,
    kinds: Vec<fn(u64) -> Fault>,
}

impl Weather {
    pub fn new(random: &mut StdRng) -> Self {
        let every: [fn(u64) -> Fault; 12] = [
            Fault::Crash,
            |id| Fault::Cut(id, id % 3 + 1),
            |id| Fault::Cut(id, (id + 1) % 3 + 1),
            Fault::Isolate,
            Fault::Freeze,
            Fault::Slow,
            Fault::Full,
            Fault::Broken,
            Fault::Jump,
            |_| Fault::Transfer,
            |_| Fault::Members,
            Fault::Rumour,
        ];
        // Some of all the kinds, so that each seed has a character of its own.
        let mut kinds: Vec<fn(u64) -> Fault> =
            every.into_iter().filter(|_| random.random_bool(0.4)).collect();
        if random.random_bool(0.5) {
            kinds.push(|_| Fault::Lossy);
        }
        kinds.push(Fault::Crash);
        Self {
            loss: [0, 0, 2, 10][random.random_range(0..4)],
            repeat: [0, 0, 2, 10][random.random_range(0..4)],
            delay: [500, 2 * MILLISECOND, 10 * MILLISECOND, 60 * MILLISECOND][random.random_range(0..4)],
            pause: [200 * MILLISECOND, 500 * MILLISECOND, SECOND][random.random_range(0..3)],
            kinds,
        }
    }
}

impl World {
    /// One fault of this seed's kinds.
    pub(super) fn fault(&mut self) {
        let member = self.any_member();
        let kind = self.random.random_range(0..self.weather.kinds.len());
        let fault = self.weather.kinds[kind](member);
        self.trace(format_args!("{fault:?}"));
        let mut lasts = [50 * MILLISECOND, 500 * MILLISECOND, 2 * SECOND][self.random.random_range(0..3)];
        match fault {
            Fault::Crash(id) => return self.crash(id),
            Fault::Cut(from, to) => drop(self.cut.insert((from, to))),
            Fault::Isolate(id) => {
                for other in self.members.keys().copied().filter(|other| *other != id) {
                    self.cut.extend([(id, other), (other, id)]);
                }
            }
            Fault::Freeze(id) => {
                lasts = 0;
                let until = self.now + self.random.random_range(0..2 * SECOND);
                if let Some(run) = self.members.get_mut(&id).and_then(|m| m.run.as_mut()) {
                    run.frozen = until;
                    run.waking = false;
                }
                self.wake(id);
            }
            Fault::Slow(id) => {
                let slowness =
                    [20 * MILLISECOND, 200 * MILLISECOND, 2 * SECOND][self.random.random_range(0..3)];
                self.members
                    .get_mut(&id)
                    .into_iter()
                    .for_each(|m| m.slowness = slowness);
            }
            Fault::Full(id) => self.members[&id].disk.fill(true),
            // A disk that breaks while nobody uses it keeps its member from starting: nothing to see.
            Fault::Broken(id) if self.members[&id].run.is_none() => {}
            Fault::Broken(id) => self.members[&id].disk.break_down(),
            Fault::Jump(id) => {
                let ahead = [1, 3_600, 2 * 365 * 86_400][self.random.random_range(0..3)];
                let pace = self.random.random_range(700..1400);
                if let Some(m) = self.members.get_mut(&id) {
                    m.jumped += Duration::from_secs(ahead);
                    // A clock that goes slower must not go back.
                    m.pace = pace.min(m.pace);
                }
            }
            Fault::Lossy => self.lossy = true,
            Fault::Transfer => {
                if let Some(leader) = self.leader() {
                    self.request(leader, Request::Transfer { to: member });
                }
            }
            Fault::Members => self.change_members(),
            Fault::Rumour(id) => self.tell_of_end(id),
        }
        self.after(lasts, Event::Heal { fault });
    }

    /// A fault is over.
    pub(super) fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(member) => self.start(member),
            Fault::Cut(from, to) => drop(self.cut.remove(&(from, to))),
            Fault::Isolate(id) => self.cut.retain(|(from, to)| *from != id && *to != id),
            Fault::Slow(id) => self
                .members
                .get_mut(&id)
                .into_iter()
                .for_each(|m| m.slowness = MILLISECOND),
            Fault::Full(id) => self.members.get(&id).into_iter().for_each(|m| m.disk.fill(false)),
            Fault::Lossy => self.lossy = false,
            Fault::Freeze(id) => {
                if self.calm
                    && let Some(run) = self.members.get_mut(&id).and_then(|m| m.run.as_mut())
                {
                    run.frozen = 0;
                    run.waking = false;
                    self.wake(id);
                }
            }
            Fault::Broken(_) | Fault::Jump(_) | Fault::Transfer | Fault::Members | Fault::Rumour(_) => {}
        }
    }

    pub(super) fn leader(&self) -> Option<u64> {
        self.members
            .values()
            .find(|member| member.leads())
            .map(|member| member.id)
    }

    pub(super) fn request(&mut self, member: u64, request: Request<Result<crate::Committed, crate::Error>>) {
        if let Some(run) = self.members.get_mut(&member).and_then(|m| m.run.as_mut()) {
            run.inbox.push(Input::Request(request));
            self.wake(member);
        }
    }

    /// The members, as the leader has applied them. One that leads no more, and does not know it, may know less than
    /// others: the one of the latest term counts.
    pub(super) fn membership(&self) -> Option<&ConfState> {
        let runs = self.members.values().filter_map(|m| m.run.as_ref());
        let latest = runs.max_by_key(|run| {
            let leadership = run.shared.leadership();
            (leadership.term, leadership.is_leader)
        })?;
        latest
            .shared
            .leadership()
            .is_leader
            .then(|| latest.core.members())
    }

    /// Whoever the leader has removed ends, and its disk is wiped.
    pub(super) fn bury(&mut self) {
        let Some(members) = self.membership() else { return };
        let gone: Vec<u64> = (self.gone.iter().copied())
            .filter(|id| !members.voters.contains(id) && !members.learners.contains(id))
            .collect();
        for id in gone {
            self.trace(format_args!("{id} is removed for good"));
            self.gone.remove(&id);
            self.members.remove(&id);
        }
    }

    /// Adds a learner, makes one a voter, or removes a member, as the leader sees the group.
    fn change_members(&mut self) {
        let Some(leader) = self.leader() else { return };
        let Some(members) = self.members[&leader]
            .run
            .as_ref()
            .map(|run| run.core.members().clone())
        else {
            return;
        };
        let all: BTreeSet<u64> = members.voters.iter().chain(&members.learners).copied().collect();
        let newest = self.members.keys().next_back().copied().unwrap_or_default();
        self.bury();
        let waiting = self.members.keys().copied().find(|id| !all.contains(id));
        let (kind, id) = if let Some(learner) = members.learners.first() {
            (ConfChangeType::AddNode, *learner)
        } else if members.voters.len() < 5 && self.random.random_bool(0.5) {
            let id = waiting.unwrap_or_else(|| {
                let lies = self.sabotage == Sabotage::AckBeforeFsync;
                self.members
                    .insert(newest + 1, Member::new(newest + 1, SimDisk::empty(lies)));
                self.start(newest + 1);
                newest + 1
            });
            (ConfChangeType::AddLearnerNode, id)
        } else if members.voters.len() > 3 {
            let at = self.random.random_range(0..members.voters.len());
            self.gone.insert(members.voters[at]);
            (ConfChangeType::RemoveNode, members.voters[at])
        } else {
            return;
        };
        self.summary.changes += 1;
        let mut change = MemberChange::default();
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id;
        change.changes.push(single);
        let (answer, _) = tokio::sync::oneshot::channel();
        self.request(leader, Request::Change { change, answer });
    }
}

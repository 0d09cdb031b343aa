//! The world of one seed: time, network, members, clients, faults. One thread; everything random comes from the seed.

mod faults;

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use skiff_raft::{
    Request,
    core::Input,
    eraftpb::{Message, MessageType},
};

use faults::{Fault, Weather};

use super::{
    client::{Client, Watcher},
    disk::SimDisk,
    member::{Asked, Member, TICK},
    truth::Truth,
};

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// What is broken on purpose, to see that it is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    #[default]
    None,
    /// Writes are acknowledged before they are on disk.
    AckBeforeFsync,
    /// A watcher is not given one of many events.
    DropEvent,
    /// Reads do not ask whether they are current.
    CarelessReads,
    /// The network delivers proposals twice.
    RepeatProposals,
}

enum Event {
    Deliver(Box<Message>),
    Wake { member: u64, life: u32 },
    Tick { member: u64, life: u32 },
    Written { member: u64, life: u32 },
    Worked { member: u64, life: u32 },
    Start { member: u64 },
    Ask { client: usize },
    Look { watcher: usize },
    Ended { told: u64, ended: u64 },
    Fault,
    Heal { fault: Fault },
    Settle,
}

/// What happened, to see that a run was worth something.
#[derive(Debug, Default)]
pub struct Summary {
    pub answered: u64,
    pub revision: u64,
    pub relists: u64,
    pub snapshots: u64,
    pub crashes: u64,
    pub changes: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.revision += other.revision;
        self.relists += other.relists;
        self.snapshots += other.snapshots;
        self.crashes += other.crashes;
        self.changes += other.changes;
    }
}

pub struct World {
    random: StdRng,
    now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Event>,
    members: BTreeMap<u64, Member>,
    /// Added and later removed: their disks are gone.
    gone: BTreeSet<u64>,
    cut: BTreeSet<(u64, u64)>,
    lossy: bool,
    weather: Weather,
    clients: Vec<Client>,
    watchers: Vec<Watcher>,
    truth: Truth,
    calm: bool,
    sabotage: Sabotage,
    /// Says what happens, for whoever looks into a seed.
    trace: bool,
    summary: Summary,
}

const PREFIXES: [&[u8]; 4] = [
    b"/registry/",
    b"/registry/core/pods/",
    b"/registry/core/pods/a/",
    b"/registry/core/configmaps/a/1",
];

impl World {
    pub fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let voters = [1, 2, 3];
        let lies = sabotage == Sabotage::AckBeforeFsync;
        let members = voters.map(|id| (id, Member::new(id, SimDisk::of_voter(&voters, lies))));
        let weather = Weather::new(&mut random);
        let mut world = Self {
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            members: members.into(),
            gone: BTreeSet::new(),
            cut: BTreeSet::new(),
            lossy: false,
            weather,
            clients: (0..4).map(Client::new).collect(),
            watchers: PREFIXES.map(Watcher::new).into(),
            truth: Truth::default(),
            calm: false,
            sabotage,
            trace: std::env::var_os("SKIFF_SIM_TRACE").is_some(),
            summary: Summary::default(),
            random,
        };
        for watcher in &mut world.watchers {
            watcher.drops = sabotage == Sabotage::DropEvent;
        }
        for client in &mut world.clients {
            client.careless = sabotage == Sabotage::CarelessReads;
        }
        for id in voters {
            world.at(0, Event::Start { member: id });
        }
        for client in 0..world.clients.len() {
            world.at(SECOND, Event::Ask { client });
        }
        for watcher in 0..world.watchers.len() {
            world.at(0, Event::Look { watcher });
        }
        world.at(SECOND, Event::Fault);
        world
    }

    /// Lets it run for so many simulated seconds with faults, then without, and checks that all members end up with all
    /// that was acknowledged.
    pub fn run(mut self, seconds: u64) -> Summary {
        self.at(seconds * SECOND, Event::Settle);
        let deadline = seconds * SECOND + 60 * SECOND;
        while !self.settled() {
            let ((at, _), event) = self.events.pop_first().expect("something always happens");
            self.now = at;
            assert!(
                self.now < deadline,
                "the group does not recover: {}",
                self.state()
            );
            self.happen(event);
        }
        for member in self.members.values() {
            let run = member.run.as_ref().expect("all run at the end");
            self.truth.check_state(member.id, &run.watched.state.read());
        }
        self.summary.answered = self.clients.iter().map(|client| client.answered).sum();
        self.summary.relists = self.watchers.iter().map(|watcher| watcher.relists).sum();
        self.summary.revision = self.truth.now();
        self.summary
    }

    /// Lets it run without faults on disks that take up to so many microseconds for a write; the leader's term at
    /// each of these seconds.
    pub fn run_on_slow_disks(mut self, slowness: u64, seconds: &[u64]) -> Vec<Option<u64>> {
        (self.weather.loss, self.weather.repeat) = (0, 0);
        for member in self.members.values_mut() {
            member.slowness = slowness;
        }
        let leads_at = |second: &u64| {
            self.run_without_faults(|world| world.now >= second * SECOND);
            let runs = self.members.values().filter_map(|m| m.run.as_ref());
            let leaderships = runs.map(|run| run.shared.leadership());
            leaderships.filter(|l| l.is_leader).map(|l| l.term).max()
        };
        seconds.iter().map(leads_at).collect()
    }

    /// Ends the leader's process on a good network and tells the others so; the microseconds until one of them leads.
    pub fn run_to_succession(mut self) -> u64 {
        self.weather.loss = 0;
        self.weather.delay = 2 * MILLISECOND;
        self.run_without_faults(|world| world.now >= 10 * SECOND && world.leader().is_some());
        let (ended, begun) = (self.leader().expect("somebody leads"), self.now);
        self.crash(ended);
        for told in [1, 2, 3] {
            self.at(begun + 30 * MILLISECOND, Event::Ended { told, ended });
        }
        self.run_without_faults(|world| world.leader().is_some());
        self.now - begun
    }

    /// Loses what the leader sends, or what is sent to it, on a good network. From two seconds later on: how long a client waited at
    /// most until some member, whichever it asked, answered it or refused.
    pub fn run_to_one_way_cut(mut self, is_heard: bool) -> u64 {
        self.weather.loss = 0;
        self.weather.delay = 2 * MILLISECOND;
        self.run_without_faults(|world| world.now >= 10 * SECOND && world.leader().is_some());
        let leader = self.leader().expect("somebody leads");
        for other in [1, 2, 3].into_iter().filter(|other| *other != leader) {
            let pair = if is_heard {
                (other, leader)
            } else {
                (leader, other)
            };
            self.cut.insert(pair);
        }
        let late = self.now + 2 * SECOND;
        let mut longest = 0;
        for step in 0..100 {
            let until = late + step * 30 * MILLISECOND;
            self.run_without_faults(|world| world.now >= until);
            let waiting = self.clients.iter().filter_map(Client::waits_since);
            let begun_late = waiting.filter(|since| *since >= late);
            longest = begun_late.map(|since| self.now - since).fold(longest, u64::max);
        }
        longest
    }

    fn run_without_faults(&mut self, until: impl Fn(&Self) -> bool) {
        while !until(self) {
            let ((at, _), event) = self.events.pop_first().expect("something always happens");
            self.now = at;
            // One fault leads to the next: without the first there are none.
            if !matches!(event, Event::Fault) {
                self.happen(event);
            }
        }
    }

    /// All is calm, nobody waits, and everybody has seen everything.
    fn settled(&self) -> bool {
        let newest = self.truth.now();
        self.calm
            && self.membership().is_some_and(|members| {
                let mut all = members.voters.iter().chain(&members.learners);
                all.all(|id| self.members[id].revision() == newest)
            })
            && self.watchers.iter().all(|watcher| watcher.seen == newest)
            && self.clients.iter().all(|client| !client.waits())
    }

    fn state(&self) -> String {
        let members: Vec<_> = self
            .members
            .values()
            .map(|member| {
                let run = member
                    .run
                    .as_ref()
                    .map(|run| (run.shared.leadership(), run.core.members()));
                format!("{} at {} {run:?}", member.id, member.revision())
            })
            .collect();
        let seen: Vec<_> = self.watchers.iter().map(|watcher| watcher.seen).collect();
        format!("revision {}, watchers {seen:?}, {members:#?}", self.truth.now())
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((time, self.sequence), event);
    }

    fn trace(&self, what: std::fmt::Arguments<'_>) {
        if self.trace {
            println!("{:>10} {what}", self.now);
        }
    }

    fn after(&mut self, most: u64, event: Event) {
        let pause = self.random.random_range(0..=most);
        self.at(self.now + pause, event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver(message) => self.deliver(*message),
            Event::Wake { member, life } => self.step(member, life, false),
            Event::Tick { member, life } => {
                let Some(m) = self
                    .members
                    .get(&member)
                    .filter(|m| m.life == life && m.run.is_some())
                else {
                    return;
                };
                let next = self.now + TICK * m.pace / 1000;
                self.at(next, Event::Tick { member, life });
                self.step(member, life, true);
            }
            Event::Written { member, life } => {
                let Some(m) = self.members.get_mut(&member).filter(|m| m.life == life) else {
                    return;
                };
                let (more, slowness) = (m.written(), m.slowness);
                let log = m.disk.describe();
                self.trace(format_args!("{member} has written: {log}"));
                if more {
                    self.after(slowness, Event::Written { member, life });
                }
                self.wake(member);
            }
            Event::Worked { member, life } => {
                let Some(m) = self.members.get_mut(&member).filter(|m| m.life == life) else {
                    return;
                };
                m.worked();
                self.wake(member);
            }
            Event::Start { member } => self.start(member),
            Event::Ask { client } => self.ask(client),
            Event::Look { watcher } => self.look(watcher),
            Event::Ended { told, ended } => self.request(told, Request::Ended { member: ended }),
            Event::Fault => {
                if !self.calm {
                    let pause = self.weather.pause;
                    self.after(pause, Event::Fault);
                    self.fault();
                }
            }
            Event::Heal { fault } => self.heal(fault),
            Event::Settle => {
                self.calm = true;
                self.cut.clear();
                self.lossy = false;
                (self.weather.loss, self.weather.repeat) = (0, 0);
                for id in self.members.keys().copied().collect::<Vec<_>>() {
                    for fault in [
                        Fault::Slow(id),
                        Fault::Full(id),
                        Fault::Freeze(id),
                        Fault::Crash(id),
                    ] {
                        self.heal(fault);
                    }
                }
            }
        }
    }

    /// Sees to it that a member takes in what waits for it.
    fn wake(&mut self, member: u64) {
        let Some(m) = self.members.get_mut(&member) else {
            return;
        };
        let (life, Some(run)) = (m.life, &mut m.run) else {
            return;
        };
        if !std::mem::replace(&mut run.waking, true) {
            let soon = run.frozen.max(self.now + 100);
            self.at(soon, Event::Wake { member, life });
        }
    }

    fn step(&mut self, member: u64, life: u32, tick: bool) {
        let Some(m) = self.members.get_mut(&member).filter(|m| m.life == life) else {
            return;
        };
        // A thread that is held up misses its ticks.
        if m.run.as_ref().is_none_or(|run| run.frozen > self.now) {
            return;
        }
        let asked = m.step(self.now, tick, &mut self.truth);
        self.carry_out(member, life, asked);
        let m = &self.members[&member];
        for client in &mut self.clients {
            client.listen(self.now, member, m.life, m.run.as_ref(), &mut self.truth);
        }
    }

    fn carry_out(&mut self, member: u64, life: u32, asked: Asked) {
        for message in asked.messages {
            self.send(message);
        }
        if asked.write {
            let slowness = self.members[&member].slowness;
            self.after(slowness, Event::Written { member, life });
        }
        for _ in 0..asked.work {
            // More often than there is work; what comes too early or too late finds none.
            self.after(20 * MILLISECOND, Event::Worked { member, life });
        }
        if asked.ended {
            self.crash(member);
        }
    }

    fn send(&mut self, message: Message) {
        let loss = if self.lossy { 40 } else { self.weather.loss };
        let lost = self.cut.contains(&(message.from, message.to)) || self.random.random_range(0..100) < loss;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            // Whoever carries a snapshot says how it ended.
            self.summary.snapshots += 1;
            let arrived = !lost && self.random.random_bool(0.8);
            let (from, to) = (message.from, message.to);
            if let Some(run) = self.members.get_mut(&from).and_then(|m| m.run.as_mut()) {
                let request = Request::SnapshotSent { member: to, arrived };
                run.inbox.push(Input::Request(request));
            }
            self.wake(from);
            if !arrived {
                return;
            }
        } else if lost {
            return;
        }
        // See `Transport`: a proposal must not come twice.
        let once =
            message.get_msg_type() == MessageType::MsgPropose && self.sabotage != Sabotage::RepeatProposals;
        let repeat = if self.sabotage == Sabotage::RepeatProposals {
            20
        } else {
            self.weather.repeat
        };
        let delay = self.weather.delay;
        if !once && self.random.random_range(0..100) < repeat {
            self.after(5 * delay, Event::Deliver(Box::new(message.clone())));
        }
        self.after(delay, Event::Deliver(Box::new(message)));
    }

    fn deliver(&mut self, message: Message) {
        let to = message.to;
        if self.cut.contains(&(message.from, to)) {
            return;
        }
        self.trace(format_args!(
            "{} -> {to} {:?} term {} index {} of {} commit {} entries {} reject {} snapshot {}",
            message.from,
            message.get_msg_type(),
            message.term,
            message.index,
            message.log_term,
            message.commit,
            message.entries.len(),
            message.reject,
            message.get_snapshot().get_metadata().index,
        ));
        if let Some(run) = self.members.get_mut(&to).and_then(|m| m.run.as_mut()) {
            run.inbox
                .push(Input::Request(Request::Message(Box::new(message))));
            self.wake(to);
        }
    }

    fn start(&mut self, member: u64) {
        let seed = self.random.random();
        let Some(m) = self.members.get_mut(&member).filter(|m| m.run.is_none()) else {
            return;
        };
        let asked = m.start(seed, &mut self.truth);
        let (life, revision, log) = (m.life, m.revision(), m.disk.describe());
        self.trace(format_args!("{member} starts at revision {revision}: {log}"));
        self.carry_out(member, life, asked);
        self.after(TICK, Event::Tick { member, life });
    }

    fn crash(&mut self, member: u64) {
        let random = &mut self.random;
        let Some(m) = self.members.get_mut(&member) else {
            return;
        };
        m.crash(|| random.random_bool(0.5));
        let log = m.disk.describe();
        self.trace(format_args!("{member} crashes: {log}"));
        self.summary.crashes += 1;
        self.tell_of_end(member);
        let m = &self.members[&member];
        for client in &mut self.clients {
            client.listen(self.now, member, m.life + 1, None, &mut self.truth);
        }
        self.after(SECOND, Event::Start { member });
    }

    /// Those whom the network does not keep from it mostly learn that a process has ended.
    fn tell_of_end(&mut self, ended: u64) {
        for told in self.members.keys().copied().collect::<Vec<_>>() {
            if told != ended && !self.cut.contains(&(ended, told)) && self.random.random_bool(0.8) {
                self.after(30 * MILLISECOND, Event::Ended { told, ended });
            }
        }
    }

    fn any_member(&mut self) -> u64 {
        let at = self.random.random_range(0..self.members.len());
        *self.members.keys().nth(at).expect("there are always members")
    }

    fn ask(&mut self, client: usize) {
        // At the end everybody gets to know the last write; one more is needed where a leader has none of its term.
        if self.calm && self.settled() {
            return;
        }
        if let Some(member) = self.clients[client].member() {
            let (life, run) = self
                .members
                .get(&member)
                .map_or((0, None), |m| (m.life, m.run.as_ref()));
            self.clients[client].listen(self.now, member, life, run, &mut self.truth);
        }
        if self.calm {
            self.bury();
        }
        let member = self.any_member();
        let idle = !self.clients[client].waits();
        if idle
            && (!self.calm || self.random.random_bool(0.2))
            && let Some(m) = self.members.get_mut(&member)
            && let (life, Some(run)) = (m.life, &mut m.run)
        {
            let input = self.clients[client].ask(self.now, member, life, run, &self.truth, &mut self.random);
            run.inbox.push(input);
            self.wake(member);
        }
        self.after(100 * MILLISECOND, Event::Ask { client });
    }

    fn look(&mut self, watcher: usize) {
        let any = self.any_member();
        let member = self.watchers[watcher]
            .member()
            .filter(|id| self.members.contains_key(id));
        let member = member.unwrap_or(any);
        let m = &self.members[&member];
        let mut asleep = 100 * MILLISECOND;
        match &m.run {
            Some(run) => self.watchers[watcher].look(member, m.life, run, &self.truth),
            None if member == any => {}
            None => {
                // It moves on.
                if let Some(run) = &self.members[&any].run {
                    self.watchers[watcher].look(any, self.members[&any].life, run, &self.truth);
                }
            }
        }
        if self.calm && self.watchers[watcher].seen < self.truth.now() {
            // Its member may be one that was never added, or does not know yet that it was removed.
            self.watchers[watcher].leave();
        }
        if self.random.random_ratio(1, 20) && !self.calm {
            asleep = 3 * SECOND;
        }
        self.after(asleep, Event::Look { watcher });
    }
}

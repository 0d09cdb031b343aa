//! Which backend gets a connection: power of two choices on connections in flight, client affinity, a pause for
//! backends that just failed. Pure: time and randomness come in as arguments.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{Rng, RngExt};

use crate::{Backend, kernel::Turns};

/// How long a backend is passed over after its first failure in a row; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Connections in a row that a backend resets before it has answered anything, after which it is passed over too. Fewer are
/// what a server does that refuses one client, or that is being restarted.
const MOST_RESETS: u32 = 3;

/// Affinity entries are swept when their number has doubled since the last sweep, beginning here.
const FIRST_SWEEP: usize = 1024;

/// Guesses at two backends of the best class before all are looked at: enough when few are paused or leaving.
const GUESSES: u32 = 4;

/// What the connections of one backend count, without a lock.
#[derive(Debug)]
pub(crate) struct Load {
    pub address: SocketAddr,
    /// Connections (or UDP flows) now.
    pub in_flight: AtomicU32,
    /// Connections ever given: breaks ties, so that quick exchanges spread evenly too.
    given: AtomicU64,
    /// Connections ever given since it became a backend.
    pub connections: AtomicU64,
    /// Failures in a row.
    failures: AtomicU32,
    /// Connections in a row that it took and reset without an answer.
    resets: AtomicU32,
    /// Of those that the kernel gave it: how many there were at the last such reset.
    given_at_reset: AtomicU64,
}

#[derive(Debug)]
struct Candidate {
    load: Arc<Load>,
    terminating: bool,
    paused_until: Option<Instant>,
    /// Gets its share of the connections to cluster addresses by turns.
    has_turns: bool,
}

#[derive(Debug)]
struct Preference {
    backend: SocketAddr,
    until: Instant,
}

/// Who wants a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    /// Address of the client.
    pub client: IpAddr,
    /// At a cluster address, where backends with turns get connections without being picked.
    pub inside: bool,
}

/// The backends of one port.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    candidates: Vec<Candidate>,
    affinity: Option<Duration>,
    preferences: HashMap<IpAddr, Preference>,
    sweep_at: usize,
}

impl Balancer {
    /// Replaces the backends; those that stay keep their counts. A new one starts with the fewest connections given
    /// of any, so that it isn't flooded to catch up.
    pub fn set(&mut self, backends: &[Backend], affinity: Option<Duration>) {
        let given = |candidate: &Candidate| candidate.load.given.load(Relaxed);
        let start = self.candidates.iter().map(given).min().unwrap_or(0);
        let old = std::mem::take(&mut self.candidates);
        let mut old: HashMap<SocketAddr, Candidate> =
            old.into_iter().map(|one| (one.load.address, one)).collect();
        let mut seen = std::collections::HashSet::with_capacity(backends.len());
        self.candidates.reserve_exact(backends.len());
        for backend in backends {
            if !seen.insert(backend.address) {
                continue;
            }
            let mut candidate = old.remove(&backend.address).unwrap_or_else(|| Candidate {
                load: Arc::new(Load {
                    address: backend.address,
                    in_flight: AtomicU32::new(0),
                    given: AtomicU64::new(start),
                    connections: AtomicU64::new(0),
                    failures: AtomicU32::new(0),
                    resets: AtomicU32::new(0),
                    given_at_reset: AtomicU64::new(0),
                }),
                terminating: false,
                paused_until: None,
                has_turns: false,
            });
            candidate.terminating = backend.terminating;
            self.candidates.push(candidate);
        }
        self.affinity = affinity;
        if affinity.is_none() {
            self.preferences = HashMap::new();
        }
        let candidates = &self.candidates;
        self.preferences.retain(|_, preference| {
            candidates
                .iter()
                .any(|known| known.load.address == preference.backend && !known.terminating)
        });
    }

    /// Whether there is a backend with this address, terminating or not.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.candidates.iter().any(|known| known.load.address == address)
    }

    /// The backends' loads.
    pub fn loads(&self) -> impl Iterator<Item = &Arc<Load>> {
        self.candidates.iter().map(|candidate| &candidate.load)
    }

    /// Whom the kernel may give connections in turns: ready backends that it reaches and that have not failed since
    /// they took a connection last, the more turns the fewer connections they have (`carried`: those that the kernel
    /// carries). And when to ask again, if a pause will end. Nobody with client affinity.
    pub fn turns(
        &mut self,
        now: Instant,
        reaches: impl Fn(IpAddr) -> bool,
        carried: &HashMap<SocketAddrV4, u64>,
    ) -> (Turns, Option<Instant>) {
        let mut in_flight = Vec::new();
        let mut turns = Turns {
            is_alone: self.candidates.len() == 1,
            ..Turns::default()
        };
        let mut until: Option<Instant> = None;
        for candidate in &mut self.candidates {
            candidate.has_turns = false;
            let pause = candidate.paused_until.filter(|until| *until > now);
            if self.affinity.is_some() || candidate.terminating {
                continue;
            }
            if let Some(end) = pause {
                until = Some(until.map_or(end, |until| until.min(end)));
                continue;
            }
            let load = &candidate.load;
            match load.address {
                SocketAddr::V4(address)
                    if !load.has_failed() && !load.resets() && reaches(load.address.ip()) =>
                {
                    candidate.has_turns = true;
                    turns.backends.push(address);
                    let of_kernel = carried.get(&address).copied().unwrap_or(0);
                    in_flight.push(of_kernel + u64::from(load.in_flight.load(Relaxed)));
                }
                _ => turns.others += 1,
            }
        }
        if turns.backends.is_empty() {
            turns = Turns::default();
        }
        let shares = shares(&in_flight, &mut turns.others);
        let each = turns.backends.iter().zip(shares);
        turns.backends = each
            .flat_map(|(backend, share)| std::iter::repeat_n(*backend, share))
            .collect();
        (turns, until)
    }

    /// Picks a backend for `asking` that is not among `tried`, and counts the connection on it. None: all tried.
    pub fn pick(
        &mut self,
        asking: Asking,
        tried: &[SocketAddr],
        now: Instant,
        random: &mut impl Rng,
    ) -> Option<Arc<Load>> {
        let client = asking.client;
        let chosen = match self.preferred(client, tried, now) {
            Some(index) => index,
            None => self.choose(asking.inside, tried, now, random)?,
        };
        let load = Arc::clone(&self.candidates[chosen].load);
        load.in_flight.fetch_add(1, Relaxed);
        load.given.fetch_add(1, Relaxed);
        load.connections.fetch_add(1, Relaxed);
        if let Some(timeout) = self.affinity {
            let preference = Preference {
                backend: load.address,
                until: now + timeout,
            };
            self.remember(client, preference, now);
        }
        Some(load)
    }

    fn preferred(&self, client: IpAddr, tried: &[SocketAddr], now: Instant) -> Option<usize> {
        self.affinity?;
        let preference = self.preferences.get(&client)?;
        if preference.until <= now || tried.contains(&preference.backend) {
            return None;
        }
        self.candidates
            .iter()
            .position(|known| known.load.address == preference.backend)
    }

    /// The best class of backends that is not empty (ready, then those with turns, pausing, terminating), and of two random
    /// members of it the less busy one. Turns only count for who asks at a cluster address, `inside`.
    fn choose(
        &self,
        inside: bool,
        tried: &[SocketAddr],
        now: Instant,
        random: &mut impl Rng,
    ) -> Option<usize> {
        let class = |candidate: &Candidate| -> u8 {
            let paused = candidate.paused_until.is_some_and(|until| until > now);
            match (candidate.terminating, paused) {
                (false, false) => u8::from(inside && candidate.has_turns),
                (false, true) => 2,
                (true, _) => 3,
            }
        };
        let untried = |index: usize| !tried.contains(&self.candidates[index].load.address);
        let busy = |index: usize| {
            let load = &self.candidates[index].load;
            (load.in_flight.load(Relaxed), load.given.load(Relaxed))
        };
        let less_busy = |one: usize, other: usize| if busy(other) < busy(one) { other } else { one };
        // With a thousand backends looking at each of them would cost more than the connection.
        let all = self.candidates.len();
        if all > 2 {
            for _ in 0..GUESSES {
                let one = random.random_range(0..all);
                let other = (one + random.random_range(1..all)) % all;
                if [one, other]
                    .iter()
                    .all(|&index| class(&self.candidates[index]) == 0 && untried(index))
                {
                    return Some(less_busy(one, other));
                }
            }
        }
        let best = (0..all)
            .filter(|&index| untried(index))
            .map(|index| class(&self.candidates[index]))
            .min()?;
        let is_member = |&index: &usize| untried(index) && class(&self.candidates[index]) == best;
        let members = || (0..all).filter(is_member);
        let count = members().count();
        let first = random.random_range(0..count);
        let one = members().nth(first)?;
        if count == 1 {
            return Some(one);
        }
        let second = (first + random.random_range(1..count)) % count;
        Some(less_busy(one, members().nth(second)?))
    }

    fn remember(&mut self, client: IpAddr, preference: Preference, now: Instant) {
        self.preferences.insert(client, preference);
        if self.preferences.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.preferences.retain(|_, preference| preference.until > now);
            self.sweep_at = self.preferences.len() * 2;
        }
    }

    /// The backend took the connection. Need not be told when it [has no failures](Load::has_failed).
    pub fn succeeded(&mut self, backend: &Load) {
        backend.failures.store(0, Relaxed);
        if let Some(candidate) = self.candidate(backend.address) {
            candidate.paused_until = None;
        }
    }

    /// The backend did not take a connection: it is passed over for a while. ([`Load::finished`] uncounts it.)
    pub fn failed(&mut self, backend: SocketAddr, now: Instant) {
        if let Some(candidate) = self.candidate(backend) {
            let failures = candidate.load.failures.fetch_add(1, Relaxed);
            candidate.paused_until = Some(now + pause(failures));
        }
        self.forget_preferences(backend);
    }

    /// The backend took a connection and reset it before it had answered anything. The last of several such in a row has
    /// it passed over for a while; connects that it takes say nothing about that, an [answer](Load::answered) ends it.
    pub fn reset(&mut self, backend: SocketAddr, now: Instant) {
        let Some(candidate) = self.candidate(backend) else {
            return;
        };
        let resets = candidate.load.resets.fetch_add(1, Relaxed) + 1;
        if let Some(more) = resets.checked_sub(MOST_RESETS) {
            candidate.paused_until = Some(now + pause(more));
            self.forget_preferences(backend);
        }
    }

    fn forget_preferences(&mut self, backend: SocketAddr) {
        self.preferences
            .retain(|_, preference| preference.backend != backend);
    }

    fn candidate(&mut self, backend: SocketAddr) -> Option<&mut Candidate> {
        self.candidates
            .iter_mut()
            .find(|candidate| candidate.load.address == backend)
    }
}

/// Turns for backends with so many connections each: one for all alike, up to four times as many for who has fewer than
/// the mean. `others` have the mean share each.
fn shares(in_flight: &[u64], others: &mut u32) -> Vec<usize> {
    /// Differences between fewer connections than this say nothing.
    const FEW: u64 = 8;
    let counted: Vec<u64> = in_flight.iter().map(|count| (*count).max(FEW)).collect();
    let mean = counted.iter().sum::<u64>() / (counted.len() as u64).max(1);
    // The mean has two turns, so that there is something below it too.
    let turns = |count: &u64| ((2 * mean + count / 2) / count).clamp(1, 4);
    let shares: Vec<u64> = counted.iter().map(turns).collect();
    if shares.iter().all(|share| share % 2 == 0) {
        return shares.iter().map(|share| (share / 2) as usize).collect();
    }
    *others *= 2;
    shares.into_iter().map(|share| share as usize).collect()
}

/// How long to pass over a backend that has failed this often before.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(MAX_PAUSE)
}

impl Load {
    /// Whether its last connection failed.
    pub fn has_failed(&self) -> bool {
        self.failures.load(Relaxed) > 0
    }

    /// Whether it resets what it takes.
    pub fn resets(&self) -> bool {
        self.resets.load(Relaxed) >= MOST_RESETS
    }

    /// It has sent something on a connection.
    pub fn answered(&self) {
        // Mostly read: the line stays shared between the threads.
        if self.resets.load(Relaxed) > 0 {
            self.resets.store(0, Relaxed);
        }
    }

    /// It has reset a connection when the kernel had given it so many. If more than `between` came since the last such reset,
    /// it has answered some.
    pub fn reset_after(&self, given: u64, between: u64) {
        let before = self.given_at_reset.swap(given, Relaxed);
        if given.saturating_sub(before) > between {
            self.answered();
        }
    }

    /// A connection counted by [`Balancer::pick`] has ended.
    pub fn finished(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn backend(last: u8) -> Backend {
        Backend {
            address: SocketAddr::from(([10, 42, 0, last], 80)),
            terminating: false,
        }
    }

    fn client(last: u8) -> Asking {
        Asking {
            client: IpAddr::from([10, 42, 1, last]),
            inside: true,
        }
    }

    /// The address of what the first client gets.
    fn picked(balancer: &mut Balancer, now: Instant, random: &mut StdRng) -> Option<SocketAddr> {
        Some(balancer.pick(client(1), &[], now, random)?.address)
    }

    fn balancer(count: u8, affinity: Option<Duration>) -> Balancer {
        let mut balancer = Balancer::default();
        balancer.set(&(1..=count).map(backend).collect::<Vec<_>>(), affinity);
        balancer
    }

    #[test]
    fn short_exchanges_spread_within_a_tenth_of_even() {
        let mut random = StdRng::seed_from_u64(1);
        for count in [2_u8, 3, 5, 16] {
            let mut balancer = balancer(count, None);
            let mut given: HashMap<SocketAddr, u64> = HashMap::new();
            for _ in 0..10_000 {
                let chosen = balancer
                    .pick(client(1), &[], Instant::now(), &mut random)
                    .unwrap();
                *given.entry(chosen.address).or_default() += 1;
                chosen.finished();
            }
            let even = 10_000 / u64::from(count);
            assert_eq!(given.len(), usize::from(count));
            assert!(
                given.values().all(|&one| one.abs_diff(even) * 10 <= even),
                "{given:?}"
            );
        }
    }

    #[test]
    fn a_slow_backend_gets_no_more_than_the_others_have_in_flight() {
        let mut random = StdRng::seed_from_u64(2);
        let mut balancer = balancer(2, None);
        let slow = backend(1).address;
        let mut held = 0;
        for _ in 0..100 {
            let chosen = balancer
                .pick(client(1), &[], Instant::now(), &mut random)
                .unwrap();
            if chosen.address == slow {
                held += 1
            } else {
                chosen.finished()
            }
        }
        assert_eq!(held, 1);
    }

    #[test]
    fn every_backend_is_tried_once_and_then_none_is_left() {
        let mut random = StdRng::seed_from_u64(3);
        let mut balancer = balancer(3, None);
        let mut tried = Vec::new();
        while let Some(chosen) = balancer.pick(client(1), &tried, Instant::now(), &mut random) {
            balancer.failed(chosen.address, Instant::now());
            assert!(!tried.contains(&chosen.address));
            tried.push(chosen.address);
        }
        assert_eq!(tried.len(), 3);
    }

    #[test]
    fn a_backend_that_failed_is_passed_over_for_a_while_unless_it_is_the_only_one() {
        let mut random = StdRng::seed_from_u64(4);
        let mut balancer = balancer(2, None);
        let now = Instant::now();
        let bad = balancer.pick(client(1), &[], now, &mut random).unwrap().address;
        balancer.failed(bad, now);
        for _ in 0..20 {
            assert_ne!(
                balancer.pick(client(1), &[], now, &mut random).unwrap().address,
                bad
            );
        }
        let later = now + FIRST_PAUSE;
        assert!((0..20).any(|_| picked(&mut balancer, later, &mut random) == Some(bad)));
        balancer.set(
            &[Backend {
                address: bad,
                terminating: false,
            }],
            None,
        );
        balancer.failed(bad, later);
        assert_eq!(picked(&mut balancer, later, &mut random), Some(bad));
    }

    #[test]
    fn a_terminating_backend_gets_connections_only_when_no_other_is_left() {
        let mut random = StdRng::seed_from_u64(5);
        let mut balancer = Balancer::default();
        let leaving = Backend {
            terminating: true,
            ..backend(1)
        };
        balancer.set(&[leaving.clone(), backend(2)], None);
        for _ in 0..20 {
            let chosen = picked(&mut balancer, Instant::now(), &mut random);
            assert_eq!(chosen, Some(backend(2).address));
        }
        balancer.set(std::slice::from_ref(&leaving), None);
        assert_eq!(
            picked(&mut balancer, Instant::now(), &mut random),
            Some(leaving.address)
        );
    }

    #[test]
    fn a_client_stays_with_its_backend_until_the_timeout_or_until_the_backend_leaves() {
        let mut random = StdRng::seed_from_u64(6);
        let timeout = Duration::from_secs(10);
        let mut balancer = balancer(3, Some(timeout));
        let now = Instant::now();
        let first = picked(&mut balancer, now, &mut random).unwrap();
        for second in 1..30 {
            let again = picked(&mut balancer, now + Duration::from_secs(second), &mut random);
            assert_eq!(again, Some(first), "each connection renews the timeout");
        }
        let leaving = Backend {
            address: first,
            terminating: true,
        };
        let others = (1..=3).map(backend).filter(|one| one.address != first);
        balancer.set(&others.chain([leaving]).collect::<Vec<_>>(), Some(timeout));
        assert_ne!(
            picked(&mut balancer, now + Duration::from_secs(30), &mut random),
            Some(first)
        );
    }

    #[test]
    fn turns_are_for_ready_backends_within_reach_that_have_not_failed() {
        let mut random = StdRng::seed_from_u64(8);
        let mut balancer = balancer(4, None);
        let now = Instant::now();
        let address = |last: u8| SocketAddr::from(([10, 42, 0, last], 80));
        let in_turns = |balancer: &mut Balancer, now| {
            // The fourth is on another node.
            let (turns, until) =
                balancer.turns(now, |ip| ip != IpAddr::from([10, 42, 0, 4]), &HashMap::new());
            let backends = turns.backends.into_iter().map(SocketAddr::V4);
            (backends.collect::<Vec<_>>(), turns.others, until)
        };
        let all = [1, 2, 3].map(address).to_vec();
        assert_eq!(in_turns(&mut balancer, now), (all.clone(), 1, None));
        // Who comes to the proxy at a cluster address has the turn of the one that is left.
        for _ in 0..20 {
            assert_eq!(picked(&mut balancer, now, &mut random), Some(address(4)));
        }
        let elsewhere = Asking {
            inside: false,
            ..client(1)
        };
        let picks = (0..20).map(|_| balancer.pick(elsewhere, &[], now, &mut random).unwrap().address);
        assert!(picks.collect::<std::collections::BTreeSet<_>>().len() > 2);

        balancer.failed(address(2), now);
        let pause_ends = Some(now + FIRST_PAUSE);
        assert_eq!(
            in_turns(&mut balancer, now),
            ([1, 3].map(address).to_vec(), 1, pause_ends)
        );
        // Then the proxy tries it first.
        let later = now + FIRST_PAUSE;
        assert_eq!(
            in_turns(&mut balancer, later),
            ([1, 3].map(address).to_vec(), 2, None)
        );
        let load = Arc::clone(balancer.loads().find(|load| load.address == address(2)).unwrap());
        balancer.succeeded(&load);
        assert_eq!(in_turns(&mut balancer, later), (all, 1, None));
    }

    #[test]
    fn who_has_fewer_connections_gets_more_turns() {
        let shares = |in_flight: &[u64]| {
            let mut others = 1;
            (super::shares(in_flight, &mut others), others)
        };
        assert_eq!(shares(&[]), (vec![], 1));
        assert_eq!(shares(&[0, 7, 3]), (vec![1, 1, 1], 1), "too few to tell");
        assert_eq!(shares(&[1000, 1100, 950]), (vec![1, 1, 1], 1), "much the same");
        assert_eq!(shares(&[1000, 1000, 0]), (vec![1, 1, 4], 2), "a new one");
        assert_eq!(shares(&[100, 300]), (vec![4, 1], 2));
        assert_eq!(
            shares(&[100, 100, 100, 100, 1000]),
            (vec![4, 4, 4, 4, 1], 2),
            "a slow one"
        );
    }

    #[test]
    fn what_takes_a_choice_of_its_own_has_no_turns() {
        let now = Instant::now();
        let mut affine = balancer(2, Some(Duration::from_secs(1)));
        assert_eq!(
            affine.turns(now, |_| true, &HashMap::new()),
            (Turns::default(), None)
        );
        let mut far = balancer(2, None);
        assert_eq!(
            far.turns(now, |_| false, &HashMap::new()),
            (Turns::default(), None)
        );
        let mut alone = balancer(1, None);
        assert!(alone.turns(now, |_| true, &HashMap::new()).0.is_alone);
        alone.set(
            &[Backend {
                terminating: true,
                ..backend(1)
            }],
            None,
        );
        assert_eq!(
            alone.turns(now, |_| true, &HashMap::new()),
            (Turns::default(), None)
        );
    }

    #[test]
    fn resets_with_answers_between_them_are_not_in_a_row() {
        let now = Instant::now();
        let mut balancer = balancer(1, None);
        let load = Arc::clone(balancer.loads().next().unwrap());
        for given in [100, 200, 300, 400, 500] {
            load.reset_after(given, 3);
            balancer.reset(load.address, now);
            assert!(!load.resets(), "after {given}");
        }
        for given in [501, 502] {
            load.reset_after(given, 3);
            balancer.reset(load.address, now);
        }
        assert!(load.resets());
    }

    #[test]
    fn forgotten_clients_do_not_pile_up() {
        let mut random = StdRng::seed_from_u64(7);
        let mut balancer = balancer(2, Some(Duration::from_secs(1)));
        let start = Instant::now();
        for number in 0..100_000_u32 {
            let client = Asking {
                client: IpAddr::from(number.to_be_bytes()),
                inside: true,
            };
            let now = start + Duration::from_millis(u64::from(number));
            let chosen = balancer.pick(client, &[], now, &mut random).unwrap();
            chosen.finished();
        }
        assert!(
            balancer.preferences.len() <= 2 * FIRST_SWEEP,
            "{}",
            balancer.preferences.len()
        );
    }

    #[test]
    fn a_backend_that_resets_what_it_takes_is_passed_over_until_it_answers() {
        let mut random = StdRng::seed_from_u64(8);
        let mut balancer = balancer(2, None);
        let now = Instant::now();
        let bad = backend(1).address;
        let load = Arc::clone(balancer.loads().find(|load| load.address == bad).unwrap());
        let mut share = |balancer: &mut Balancer, now| {
            (0..20)
                .filter(|_| picked(balancer, now, &mut random) == Some(bad))
                .count()
        };
        for _ in 1..MOST_RESETS {
            balancer.reset(bad, now);
        }
        assert!(share(&mut balancer, now) > 0, "a few resets are no fault");
        balancer.reset(bad, now);
        assert_eq!(share(&mut balancer, now), 0);
        let later = now + FIRST_PAUSE;
        assert!(share(&mut balancer, later) > 0, "it is given another chance");
        balancer.reset(bad, later);
        assert_eq!(
            share(&mut balancer, later + FIRST_PAUSE),
            0,
            "the next pause is longer"
        );
        load.answered();
        assert!(!load.resets());
        balancer.reset(bad, later + MAX_PAUSE);
        assert!(
            share(&mut balancer, later + MAX_PAUSE) > 0,
            "the count begins anew"
        );
    }
}

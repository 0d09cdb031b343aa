//! Which backend gets a connection: power of two choices on connections in flight, client affinity, a pause for
//! backends that just failed. Pure: time and randomness come in as arguments.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use rand::{Rng, RngExt};

use crate::Backend;

/// How long a backend is passed over after its first failure in a row; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Affinity entries are swept when their number has doubled since the last sweep, beginning here.
const FIRST_SWEEP: usize = 1024;

#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    terminating: bool,
    /// Connections (or UDP flows) now.
    in_flight: usize,
    /// Connections ever given: breaks ties, so that quick exchanges spread evenly too.
    given: u64,
    failures: u32,
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Preference {
    backend: SocketAddr,
    until: Instant,
}

/// The backends of one port.
#[derive(Debug, Default)]
pub struct Balancer {
    candidates: Vec<Candidate>,
    affinity: Option<Duration>,
    preferences: HashMap<IpAddr, Preference>,
    sweep_at: usize,
}

impl Balancer {
    /// Replaces the backends; those that stay keep their counts. A new one starts with the fewest connections given
    /// of any, so that it isn't flooded to catch up.
    pub fn set(&mut self, backends: &[Backend], affinity: Option<Duration>) {
        let start = self
            .candidates
            .iter()
            .map(|candidate| candidate.given)
            .min()
            .unwrap_or(0);
        let mut old = std::mem::take(&mut self.candidates);
        for backend in backends {
            if self
                .candidates
                .iter()
                .any(|known| known.address == backend.address)
            {
                continue;
            }
            let mut candidate = match old.iter().position(|known| known.address == backend.address) {
                Some(index) => old.swap_remove(index),
                None => Candidate {
                    address: backend.address,
                    terminating: false,
                    in_flight: 0,
                    given: start,
                    failures: 0,
                    paused_until: None,
                },
            };
            candidate.terminating = backend.terminating;
            self.candidates.push(candidate);
        }
        self.affinity = affinity;
        if affinity.is_none() {
            self.preferences.clear();
        }
        let candidates = &self.candidates;
        self.preferences.retain(|_, preference| {
            candidates
                .iter()
                .any(|known| known.address == preference.backend && !known.terminating)
        });
    }

    /// Whether there is a backend with this address, terminating or not.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.candidates
            .iter()
            .any(|candidate| candidate.address == address)
    }

    /// Picks a backend for `client` that is not among `tried`, and counts the connection on it. None: all tried.
    pub fn pick(
        &mut self,
        client: IpAddr,
        tried: &[SocketAddr],
        now: Instant,
        random: &mut impl Rng,
    ) -> Option<SocketAddr> {
        let chosen = match self.preferred(client, tried, now) {
            Some(index) => index,
            None => self.choose(tried, now, random)?,
        };
        let candidate = &mut self.candidates[chosen];
        candidate.in_flight += 1;
        candidate.given += 1;
        let backend = candidate.address;
        if let Some(timeout) = self.affinity {
            self.remember(
                client,
                Preference {
                    backend,
                    until: now + timeout,
                },
                now,
            );
        }
        Some(backend)
    }

    fn preferred(&self, client: IpAddr, tried: &[SocketAddr], now: Instant) -> Option<usize> {
        self.affinity?;
        let preference = self.preferences.get(&client)?;
        if preference.until <= now || tried.contains(&preference.backend) {
            return None;
        }
        self.candidates
            .iter()
            .position(|known| known.address == preference.backend)
    }

    /// The best class of backends that is not empty (ready, then pausing, then terminating), and of two random members
    /// of it the less busy one.
    fn choose(&self, tried: &[SocketAddr], now: Instant, random: &mut impl Rng) -> Option<usize> {
        let class = |candidate: &Candidate| -> u8 {
            let paused = candidate.paused_until.is_some_and(|until| until > now);
            match (candidate.terminating, paused) {
                (false, false) => 0,
                (false, true) => 1,
                (true, _) => 2,
            }
        };
        let untried = || {
            self.candidates
                .iter()
                .enumerate()
                .filter(|(_, one)| !tried.contains(&one.address))
        };
        let best = untried().map(|(_, candidate)| class(candidate)).min()?;
        let members = || untried().filter(|(_, candidate)| class(candidate) == best);
        let count = members().count();
        let first = random.random_range(0..count);
        if count == 1 {
            return members().next().map(|(index, _)| index);
        }
        let second = (first + random.random_range(1..count)) % count;
        let load = |index: usize| (self.candidates[index].in_flight, self.candidates[index].given);
        let (one, _) = members().nth(first)?;
        let (other, _) = members().nth(second)?;
        Some(if load(other) < load(one) { other } else { one })
    }

    fn remember(&mut self, client: IpAddr, preference: Preference, now: Instant) {
        self.preferences.insert(client, preference);
        if self.preferences.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.preferences.retain(|_, preference| preference.until > now);
            self.sweep_at = self.preferences.len() * 2;
        }
    }

    /// The backend took the connection.
    pub fn succeeded(&mut self, backend: SocketAddr) {
        if let Some(candidate) = self.candidate(backend) {
            candidate.failures = 0;
            candidate.paused_until = None;
        }
    }

    /// The backend did not take a connection: it is passed over for a while. ([`Balancer::finished`] uncounts it.)
    pub fn failed(&mut self, backend: SocketAddr, now: Instant) {
        if let Some(candidate) = self.candidate(backend) {
            let pause = FIRST_PAUSE
                .saturating_mul(1 << candidate.failures.min(10))
                .min(MAX_PAUSE);
            candidate.failures = candidate.failures.saturating_add(1);
            candidate.paused_until = Some(now + pause);
        }
        self.preferences
            .retain(|_, preference| preference.backend != backend);
    }

    /// A connection counted by [`Balancer::pick`] has ended.
    pub fn finished(&mut self, backend: SocketAddr) {
        if let Some(candidate) = self.candidate(backend) {
            candidate.in_flight = candidate.in_flight.saturating_sub(1);
        }
    }

    fn candidate(&mut self, backend: SocketAddr) -> Option<&mut Candidate> {
        self.candidates
            .iter_mut()
            .find(|candidate| candidate.address == backend)
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

    fn client(last: u8) -> IpAddr {
        IpAddr::from([10, 42, 1, last])
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
                *given.entry(chosen).or_default() += 1;
                balancer.finished(chosen);
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
            if chosen == slow {
                held += 1
            } else {
                balancer.finished(chosen)
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
            balancer.failed(chosen, Instant::now());
            assert!(!tried.contains(&chosen));
            tried.push(chosen);
        }
        assert_eq!(tried.len(), 3);
    }

    #[test]
    fn a_backend_that_failed_is_passed_over_for_a_while_unless_it_is_the_only_one() {
        let mut random = StdRng::seed_from_u64(4);
        let mut balancer = balancer(2, None);
        let now = Instant::now();
        let bad = balancer.pick(client(1), &[], now, &mut random).unwrap();
        balancer.failed(bad, now);
        for _ in 0..20 {
            assert_ne!(balancer.pick(client(1), &[], now, &mut random).unwrap(), bad);
        }
        let later = now + FIRST_PAUSE;
        assert!((0..20).any(|_| balancer.pick(client(1), &[], later, &mut random) == Some(bad)));
        balancer.set(
            &[Backend {
                address: bad,
                terminating: false,
            }],
            None,
        );
        balancer.failed(bad, later);
        assert_eq!(balancer.pick(client(1), &[], later, &mut random), Some(bad));
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
            let chosen = balancer.pick(client(1), &[], Instant::now(), &mut random);
            assert_eq!(chosen, Some(backend(2).address));
        }
        balancer.set(std::slice::from_ref(&leaving), None);
        assert_eq!(
            balancer.pick(client(1), &[], Instant::now(), &mut random),
            Some(leaving.address)
        );
    }

    #[test]
    fn a_client_stays_with_its_backend_until_the_timeout_or_until_the_backend_leaves() {
        let mut random = StdRng::seed_from_u64(6);
        let timeout = Duration::from_secs(10);
        let mut balancer = balancer(3, Some(timeout));
        let now = Instant::now();
        let first = balancer.pick(client(1), &[], now, &mut random).unwrap();
        for second in 1..30 {
            let again = balancer.pick(client(1), &[], now + Duration::from_secs(second), &mut random);
            assert_eq!(again, Some(first), "each connection renews the timeout");
        }
        let leaving = Backend {
            address: first,
            terminating: true,
        };
        let others = (1..=3).map(backend).filter(|one| one.address != first);
        balancer.set(&others.chain([leaving]).collect::<Vec<_>>(), Some(timeout));
        assert_ne!(
            balancer.pick(client(1), &[], now + Duration::from_secs(30), &mut random),
            Some(first)
        );
    }

    #[test]
    fn forgotten_clients_do_not_pile_up() {
        let mut random = StdRng::seed_from_u64(7);
        let mut balancer = balancer(2, Some(Duration::from_secs(1)));
        let start = Instant::now();
        for number in 0..100_000_u32 {
            let client = IpAddr::from(number.to_be_bytes());
            let now = start + Duration::from_millis(u64::from(number));
            let chosen = balancer.pick(client, &[], now, &mut random).unwrap();
            balancer.finished(chosen);
        }
        assert!(
            balancer.preferences.len() <= 2 * FIRST_SWEEP,
            "{}",
            balancer.preferences.len()
        );
    }
}

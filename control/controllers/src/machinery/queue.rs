//! A queue of keys: each at most once, never while it is being worked on, again later after a failure.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::Hash,
    time::Duration,
};

use parking_lot::Mutex;
use rand::RngExt;
use tokio::{sync::Notify, time::Instant};

const BACKOFF_START: Duration = Duration::from_millis(10);
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// The queue of one controller; one consumer.
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    ready: VecDeque<K>,
    queued: HashSet<K>,
    active: HashSet<K>,
    /// Added while active: to run once more afterwards.
    dirty: HashSet<K>,
    later: BTreeMap<(Instant, u64), K>,
    due: HashMap<K, (Instant, u64)>,
    ticket: u64,
    failures: HashMap<K, u32>,
}

impl<K: Clone + Eq + Hash> Default for Queue<K> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                queued: HashSet::new(),
                active: HashSet::new(),
                dirty: HashSet::new(),
                later: BTreeMap::new(),
                due: HashMap::new(),
                ticket: 0,
                failures: HashMap::new(),
            }),
            changed: Notify::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Asks for a run of `key`.
    pub fn add(&self, key: K) {
        if self.state.lock().add(key) {
            self.changed.notify_one();
        }
    }

    #[cfg(test)]
    /// Asks for a run of `key` after `delay`, or earlier if that was asked for already.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.state.lock().add_at(key, Instant::now() + delay);
        self.changed.notify_one();
    }

    /// The next key; [`Queue::done`] must follow. Nothing is lost when the future is dropped.
    pub async fn next(&self) -> K {
        loop {
            let wake = {
                let mut state = self.state.lock();
                let now = Instant::now();
                while let Some(entry) = state.later.first_entry() {
                    if entry.key().0 > now {
                        break;
                    }
                    let key = entry.remove();
                    state.due.remove(&key);
                    state.add(key);
                }
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    state.active.insert(key.clone());
                    return key;
                }
                state.later.keys().next().map(|(at, _)| *at)
            };
            match wake {
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    /// Ends a run that succeeded, to run again after `again`.
    pub fn done(&self, key: K, again: Option<Duration>) {
        let mut state = self.state.lock();
        state.failures.remove(&key);
        if let Some(delay) = again {
            state.add_at(key.clone(), Instant::now() + delay);
        }
        state.finish(key);
        drop(state);
        self.changed.notify_one();
    }

    /// Ends a run that failed: it will run again after a delay that doubles with each failure in a row. Returns how
    /// many there were.
    pub fn failed(&self, key: K) -> u32 {
        let mut state = self.state.lock();
        let count = {
            let count = state.failures.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        state.add_at(key.clone(), Instant::now() + backoff(count));
        // A change that came in meanwhile must not get around the delay.
        state.dirty.remove(&key);
        state.finish(key);
        drop(state);
        self.changed.notify_one();
        count
    }

    /// How many keys wait to run now.
    pub fn depth(&self) -> usize {
        self.state.lock().ready.len()
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) -> bool {
        if self.active.contains(&key) {
            self.dirty.insert(key);
            return false;
        }
        let new = self.queued.insert(key.clone());
        if new {
            self.ready.push_back(key);
        }
        new
    }

    fn add_at(&mut self, key: K, at: Instant) {
        if let Some(due) = self.due.get(&key).copied() {
            if due.0 <= at {
                return;
            }
            self.later.remove(&due);
        }
        self.ticket += 1;
        self.later.insert((at, self.ticket), key.clone());
        self.due.insert(key, (at, self.ticket));
    }

    fn finish(&mut self, key: K) {
        self.active.remove(&key);
        if self.dirty.remove(&key) {
            self.add(key);
        }
    }
}

/// The delay after `failures` in a row: doubling from 10 ms to a minute, spread by a fifth to either side.
pub fn backoff(failures: u32) -> Duration {
    let delay = BACKOFF_START
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(BACKOFF_CAP);
    delay.mul_f64(rand::rng().random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_it_is_worked_on_runs_once_more_afterwards() {
        let queue = Queue::default();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.depth(), 0);
        queue.done("a", None);
        assert_eq!(queue.next().await, "a");
        queue.done("a", None);
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_delays_the_shorter_counts() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(2));
        queue.add_after("a", Duration::from_secs(5));
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed().as_secs(), 2);
        queue.done("a", None);
        assert!(
            tokio::time::timeout(Duration::from_secs(60), queue.next())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_ever_more_slowly_up_to_the_cap() {
        let queue = Queue::default();
        queue.add("a");
        let mut last = Instant::now();
        let mut delays = Vec::new();
        for _ in 0..20 {
            let key = queue.next().await;
            delays.push(last.elapsed());
            last = Instant::now();
            queue.failed(key);
        }
        assert!(delays[1] < Duration::from_millis(20), "{delays:?}");
        assert!(
            delays[19] > Duration::from_secs(40) && delays[19] < Duration::from_secs(80),
            "{delays:?}"
        );
    }
}

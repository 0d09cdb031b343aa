//! How long a member waits before it asks for an election, by what it has measured.
//!
//! Two things make a timeout too short, and elections that need not be, or never end:
//! - A living leader is silent for that long, because its machine or the network is held up. Each silence that the
//!   same leader broke again is noted; the longest counts, and is forgotten evenly within [`MEMORY`]. It is counted in
//!   ticks, as Raft counts its timeout: a member that was held up itself has not ticked, and the leader is not to blame.
//!   One that is longer than the timeout may become is no pace but a cut, which waiting does not help; counted, it would make
//!   the next failover slow.
//! - The votes do not get to the disks in time: a candidate writes its own before it asks, a voter before it answers. How
//!   long a write takes is smoothed as RFC 6298 smooths round trips (mean and deviation), so that one slow fsync does not
//!   make the next failover slow; the disks of others are taken to be like the own one.
//!
//! The timeout of Raft itself, by which a leader without a majority steps down and voters refuse to depose a leader they
//! hear, stays as configured. Waiting longer than it is always safe: safety does not depend on when a member
//! campaigns, and pre-vote and check-quorum compare with the configured one. Waiting less would ask in vain, so
//! that is the lower bound.

use std::time::Duration;

/// The shortest timeout is at most so many times the configured one: a dead leader is found out in the end.
pub(super) const MOST: usize = 5;
/// Ticks after which a silence no longer counts: half a minute of 50 ms.
const MEMORY: usize = 600;

/// What one member knows of the pace of its leader and its disk.
pub(super) struct Pace {
    tick: Duration,
    /// Bounds of the shortest timeout, in ticks.
    least: usize,
    most: usize,
    write: Smoothed,
    /// The longest silence, in ticks, and how many ticks ago it ended.
    longest: (usize, usize),
    /// The term whose leader was heard last, and the ticks since.
    heard: (u64, usize),
}

impl Pace {
    /// Nothing is measured yet: the timeout is the configured one, of `election_ticks`.
    pub(super) fn new(tick: Duration, election_ticks: usize) -> Self {
        Self {
            tick,
            least: election_ticks,
            most: MOST * election_ticks,
            write: Smoothed::default(),
            longest: (0, 0),
            heard: (0, 0),
        }
    }

    /// A tick of the clock that Raft has seen too.
    pub(super) fn tick(&mut self) {
        self.longest.1 += 1;
        self.heard.1 += 1;
    }

    /// The leader of a term has sent something.
    pub(super) fn heard(&mut self, term: u64) {
        let (last, silence) = std::mem::replace(&mut self.heard, (term, 0));
        // Between two leaders there was none: that is no silence of either.
        if last == term && (self.silence()..=self.most).contains(&silence) {
            self.longest = (silence, 0);
        }
    }

    /// Ticks since the leader of a term was heard.
    pub(super) fn unheard(&self, term: u64) -> usize {
        if self.heard.0 == term { self.heard.1 } else { 0 }
    }

    /// A write has got to the disk after so long.
    pub(super) fn wrote(&mut self, took: Duration) {
        self.write.add(took.min(self.longest_wait()));
    }

    /// The shortest election timeout, in ticks. `waiting` is how long the oldest write under way has taken.
    pub(super) fn shortest(&self, waiting: Duration) -> usize {
        let silence = self.silence();
        let write = self.ticks(self.write.bound().max(waiting));
        (silence + silence / 2)
            .max(2 * write)
            .clamp(self.least, self.most)
    }

    /// The longest silence that counts, less what is forgotten of it.
    fn silence(&self) -> usize {
        let (silence, ago) = self.longest;
        silence - silence * ago.min(MEMORY) / MEMORY
    }

    /// What is longer makes no difference, but would take longer to forget; a clock may jump by years.
    fn longest_wait(&self) -> Duration {
        self.tick * u32::try_from(self.most).unwrap_or(u32::MAX)
    }

    /// Rounded up; not more than is of use.
    fn ticks(&self, time: Duration) -> usize {
        let ticks = time.min(self.longest_wait()).as_nanos();
        ticks.div_ceil(self.tick.as_nanos().max(1)) as usize
    }
}

/// Mean and deviation of what was measured (RFC 6298, section 2.3). They begin at zero: quick until it is known better.
#[derive(Default)]
struct Smoothed {
    mean: Duration,
    deviation: Duration,
}

impl Smoothed {
    fn add(&mut self, sample: Duration) {
        self.deviation = self.deviation * 3 / 4 + self.mean.abs_diff(sample) / 4;
        self.mean = self.mean * 7 / 8 + sample / 8;
    }

    /// What few samples exceed.
    fn bound(&self) -> Duration {
        self.mean + 4 * self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(50);
    const CONFIGURED: usize = 14;

    fn pace() -> Pace {
        Pace::new(TICK, CONFIGURED)
    }

    fn at_rest(pace: &Pace) -> usize {
        pace.shortest(Duration::ZERO)
    }

    /// The leader of `term` is heard after so many ticks.
    fn silence(pace: &mut Pace, term: u64, ticks: usize) {
        (0..ticks).for_each(|_| pace.tick());
        pace.heard(term);
    }

    #[test]
    fn with_a_quick_disk_and_regular_heartbeats_the_timeout_is_the_configured_one() {
        let mut pace = pace();
        assert_eq!(at_rest(&pace), CONFIGURED, "nothing is measured yet");
        for took in [1, 3, 2, 40, 1, 15].repeat(20) {
            pace.wrote(Duration::from_millis(took));
            silence(&mut pace, 1, 2);
            assert_eq!(at_rest(&pace), CONFIGURED);
        }
    }

    #[test]
    fn a_slow_disk_makes_it_longer_within_bounds_and_a_quick_one_short_again() {
        let mut pace = pace();
        for _ in 0..50 {
            pace.wrote(Duration::from_millis(600));
        }
        let settled = at_rest(&pace);
        assert!((24..=26).contains(&settled), "two writes of 12 ticks: {settled}");
        for _ in 0..50 {
            pace.wrote(Duration::from_secs(2));
            let shortest = at_rest(&pace);
            assert!((settled..=MOST * CONFIGURED).contains(&shortest), "{shortest}");
        }
        assert_eq!(
            at_rest(&pace),
            MOST * CONFIGURED,
            "two writes of 40 ticks are more"
        );
        let quick = (1..100).find(|_| {
            pace.wrote(Duration::from_millis(2));
            at_rest(&pace) == CONFIGURED
        });
        assert!(quick.is_some_and(|writes| writes < 60), "after {quick:?} writes");
    }

    #[test]
    fn one_slow_write_is_soon_forgotten() {
        let mut pace = pace();
        pace.wrote(Duration::from_secs(1));
        assert!(at_rest(&pace) > CONFIGURED);
        (0..10).for_each(|_| pace.wrote(Duration::from_millis(2)));
        assert_eq!(at_rest(&pace), CONFIGURED);
    }

    #[test]
    fn a_write_that_has_not_ended_counts_already() {
        let pace = pace();
        assert_eq!(pace.shortest(TICK * 7), CONFIGURED);
        assert_eq!(pace.shortest(TICK * 20), 40);
        assert_eq!(pace.shortest(Duration::from_secs(1000)), MOST * CONFIGURED);
    }

    #[test]
    fn a_jump_of_the_clock_is_forgotten_like_any_slow_write() {
        let mut pace = pace();
        pace.wrote(Duration::MAX);
        assert_eq!(at_rest(&pace), MOST * CONFIGURED);
        (0..30).for_each(|_| pace.wrote(Duration::from_millis(2)));
        assert_eq!(at_rest(&pace), CONFIGURED);
    }

    #[test]
    fn a_leader_that_was_silent_and_lives_is_given_more_time_for_half_a_minute() {
        let mut pace = pace();
        silence(&mut pace, 3, 0);
        silence(&mut pace, 3, 20);
        assert_eq!(at_rest(&pace), 30);
        let mut last = at_rest(&pace);
        for _ in 0..MEMORY / 2 {
            silence(&mut pace, 3, 2);
            assert!(at_rest(&pace) <= last);
            last = at_rest(&pace);
        }
        assert_eq!(last, CONFIGURED);
        silence(&mut pace, 3, MOST * CONFIGURED);
        assert_eq!(at_rest(&pace), MOST * CONFIGURED);
    }

    #[test]
    fn a_cut_is_no_pace() {
        let mut pace = pace();
        silence(&mut pace, 3, 2);
        silence(&mut pace, 3, MOST * CONFIGURED + 1);
        assert_eq!(at_rest(&pace), CONFIGURED);
        silence(&mut pace, 3, 20);
        silence(&mut pace, 3, 10_000);
        assert!(at_rest(&pace) <= 30, "{}", at_rest(&pace));
    }

    #[test]
    fn the_time_between_two_leaders_is_no_silence() {
        let mut pace = pace();
        silence(&mut pace, 3, 2);
        silence(&mut pace, 4, 40);
        silence(&mut pace, 4, 2);
        assert_eq!(at_rest(&pace), CONFIGURED);
    }
}

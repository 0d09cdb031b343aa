//! When services that could not be listened on are tried again: a port of the host may be taken by somebody else, who
//! goes without telling us.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Pause after the first failure; doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// See [`FIRST`].
const LONGEST: Duration = Duration::from_secs(30);

/// The services that wait for another try.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// By service: when, and the pause that led there.
    waiting: BTreeMap<String, (Instant, Duration)>,
}

impl Retries {
    /// Takes note of how a try ended. A failure before its time (the service has changed) does not make the pause
    /// longer.
    pub fn note(&mut self, name: &str, listening: bool, now: Instant) {
        if listening {
            self.waiting.remove(name);
            return;
        }
        let pause = match self.waiting.get(name) {
            None => FIRST,
            Some((at, pause)) if *at <= now => (*pause * 2).min(LONGEST),
            Some((_, pause)) => *pause,
        };
        self.waiting.insert(name.to_owned(), (now + pause, pause));
    }

    /// When the next try is due.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.values().map(|(at, _)| *at).min()
    }

    /// The services whose time has come.
    pub fn due(&self, now: Instant) -> Vec<String> {
        let due = self.waiting.iter().filter(|(_, (at, _))| *at <= now);
        due.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_fails_is_tried_again_ever_more_seldom_until_it_listens() {
        let mut retries = Retries::default();
        let mut now = Instant::now();
        assert_eq!(retries.next(), None);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            retries.note("n/s", false, now);
            let next = retries.next().expect("a time");
            pauses.push((next - now).as_secs());
            assert!(retries.due(now).is_empty());
            now = next;
            assert_eq!(retries.due(now), ["n/s"]);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        retries.note("n/s", true, now);
        assert_eq!(retries.next(), None);
    }

    #[test]
    fn a_change_of_the_service_is_no_reason_to_wait_longer() {
        let mut retries = Retries::default();
        let now = Instant::now();
        retries.note("n/s", false, now);
        retries.note("n/s", false, now);
        assert_eq!(retries.next(), Some(now + FIRST));
    }
}

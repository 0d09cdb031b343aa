//! Wall-clock time that tests can steer.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

/// Tells the wall-clock time: the system's, or one that follows tokio's clock (paused in tests).
#[derive(Clone, Debug)]
pub struct Clock {
    base: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { base: None }
    }

    /// Starts at `start` and advances as tokio's clock does.
    #[cfg(test)]
    pub fn of_tokio(start: Timestamp) -> Self {
        Self {
            base: Some((start, Instant::now())),
        }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        match self.base {
            None => Timestamp::now(),
            Some((start, since)) => {
                start + SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::ZERO)
            }
        }
    }
}

/// `now` as Kubernetes writes times: whole seconds.
pub fn seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

//! Thresholds of a probe: (results so far, result) → verdict. Pure.

/// What the results so far amount to, when that has changed or is repeated failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Enough successes in a row.
    Up,
    /// Enough failures in a row.
    Down,
}

/// Counts results in a row.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    in_a_row: u32,
    told: Option<Verdict>,
    ever_up: bool,
}

impl Judge {
    /// Thresholds as in the probe; absent: 1 success, 3 failures.
    pub fn new(success_threshold: Option<i32>, failure_threshold: Option<i32>) -> Self {
        let positive = |value: Option<i32>, default| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .filter(|value| *value > 0)
                .unwrap_or(default)
        };
        Self {
            success_threshold: positive(success_threshold, 1),
            failure_threshold: positive(failure_threshold, 3),
            last: None,
            in_a_row: 0,
            told: None,
            ever_up: false,
        }
    }

    /// Takes a result; a verdict is told once until it changes.
    pub fn judge(&mut self, success: bool) -> Option<Verdict> {
        self.in_a_row = if self.last == Some(success) {
            self.in_a_row.saturating_add(1)
        } else {
            1
        };
        self.last = Some(success);
        let (verdict, threshold) = if success {
            (Verdict::Up, self.success_threshold)
        } else {
            (Verdict::Down, self.failure_threshold)
        };
        if self.in_a_row < threshold || self.told == Some(verdict) {
            return None;
        }
        self.told = Some(verdict);
        self.ever_up |= success;
        Some(verdict)
    }

    /// It has not succeeded yet.
    pub fn never_up(&self) -> bool {
        !self.ever_up
    }

    /// The last failure does not count.
    pub fn forgive(&mut self) {
        if self.last == Some(false) && self.told != Some(Verdict::Down) {
            self.in_a_row = self.in_a_row.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_its_threshold_and_is_told_once() {
        let mut judge = Judge::new(Some(2), Some(3));
        assert_eq!(judge.judge(true), None);
        assert_eq!(judge.judge(true), Some(Verdict::Up));
        assert_eq!(judge.judge(true), None);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(true), None);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), Some(Verdict::Down));
    }

    #[test]
    fn a_forgiven_failure_does_not_count() {
        let mut judge = Judge::new(None, Some(2));
        assert_eq!(judge.judge(false), None);
        judge.forgive();
        assert_eq!(judge.judge(false), None);
        assert_eq!(judge.judge(false), Some(Verdict::Down));
    }
}

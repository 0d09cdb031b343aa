//! Rounds: the many who watch one topic are woken together, and seldom enough that waking and writing can be done in between.
//!
//! What a delivery costs is mostly one write to one connection, however much is in it. So a round is followed by a pause, the
//! longer the more watchers there are and the more changes the round had; changes in the pause are read in the next round, in one
//! piece. When changes are not frequent the pause is over before the next one comes, which is announced at once; and a few
//! watchers never wait.
//!
//! Why no change is left unannounced: it is noted in the topic before [`Rounds::changed`], which either announces it, or finds a round
//! `scheduled` or schedules one. A round takes the mark away *before* it reads what is newest: so either that is this change, or the
//! mark was gone and this change schedules the next round.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::watch, time::Instant};

use crate::Revision;

/// The pause for each watcher and change: about the processor time that writing one small piece takes.
const EACH: Duration = Duration::from_micros(5);
/// Changes in a round that count. With more, what each delivery costs is bytes, and a longer pause saves nothing.
const COUNTED: u32 = 5;
/// Shorter pauses are none: timers are not finer.
const SHORTEST: Duration = Duration::from_millis(1);
/// However many they are: who watches is to be told well within a tenth of a second.
const LONGEST: Duration = Duration::from_millis(40);

/// The rounds of one topic.
#[derive(Default)]
pub(crate) struct Rounds {
    /// Up to where everybody may read.
    announced: watch::Sender<Revision>,
    /// The newest change.
    newest: AtomicU64,
    /// Changes since the last round.
    changes: AtomicU32,
    scheduled: AtomicBool,
    not_before: Mutex<Option<Instant>>,
    /// Where rounds run that have to wait. Without it nothing waits.
    runtime: OnceLock<Handle>,
}

impl Rounds {
    /// For a watcher that takes part.
    pub fn join(&self) -> watch::Receiver<Revision> {
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.runtime.get_or_init(|| runtime);
        }
        self.announced.subscribe()
    }

    /// A change is made; [`changed`](Self::changed) follows.
    pub fn note(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes can be read, the newest at `newest`.
    pub fn changed(self: &Arc<Self>, newest: Revision) {
        self.newest.fetch_max(newest, Ordering::Relaxed);
        match self.runtime.get() {
            Some(runtime) if !self.pause(COUNTED).is_zero() => {
                if !self.scheduled.swap(true, Ordering::AcqRel) {
                    runtime.spawn(self.clone().round());
                }
            }
            _ => self.announce(newest),
        }
    }

    async fn round(self: Arc<Self>) {
        let not_before = *self.not_before.lock();
        if let Some(not_before) = not_before {
            tokio::time::sleep_until(not_before).await;
        }
        self.scheduled.swap(false, Ordering::AcqRel);
        let changes = self.changes.swap(0, Ordering::Relaxed);
        *self.not_before.lock() = Some(Instant::now() + self.pause(changes));
        self.announce(self.newest.load(Ordering::Relaxed));
    }

    /// Tells everybody at once.
    pub fn announce(&self, newest: Revision) {
        if self.announced.receiver_count() > 0 {
            self.announced
                .send_modify(|announced| *announced = newest.max(*announced));
        }
    }

    /// How long the next round has to wait after one with so many changes.
    fn pause(&self, changes: u32) -> Duration {
        let watchers = u32::try_from(self.announced.receiver_count()).unwrap_or(u32::MAX);
        let pause = EACH.saturating_mul(watchers.saturating_mul(changes.clamp(1, COUNTED)));
        if pause < SHORTEST {
            Duration::ZERO
        } else {
            pause.min(LONGEST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(rounds: &Arc<Rounds>, revision: Revision) {
        rounds.note();
        rounds.changed(revision);
    }

    async fn told(receiver: &mut watch::Receiver<Revision>) -> (Revision, Duration) {
        let begun = Instant::now();
        receiver.changed().await.expect("the sender lives");
        (*receiver.borrow_and_update(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_watchers_are_told_of_every_change_at_once() {
        let rounds = Arc::new(Rounds::default());
        let mut watchers: Vec<_> = (0..10).map(|_| rounds.join()).collect();
        for revision in 1..100 {
            change(&rounds, revision);
            assert!(watchers.iter().all(|w| *w.borrow() == revision));
        }
        assert_eq!(told(&mut watchers[0]).await, (99, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn many_watchers_wait_for_their_round_when_changes_are_frequent() {
        let rounds = Arc::new(Rounds::default());
        let mut watchers: Vec<_> = (0..1000).map(|_| rounds.join()).collect();
        change(&rounds, 1);
        assert_eq!(told(&mut watchers[0]).await, (1, Duration::ZERO));
        // The pause after a round grows with what was in it.
        let (mut newest, mut before) = (1, 1);
        for changes in [4, 10, 20, 1, 1] {
            for _ in 0..changes {
                newest += 1;
                change(&rounds, newest);
            }
            let (revision, late) = told(&mut watchers[0]).await;
            let pause = EACH * 1000 * before.min(COUNTED);
            assert_eq!(revision, newest);
            assert!(
                late >= pause && late <= pause + SHORTEST,
                "{late:?}, not {pause:?}"
            );
            assert!(watchers.iter().all(|w| *w.borrow() == newest));
            before = changes;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_watchers_do_not_wait_when_changes_are_seldom() {
        let rounds = Arc::new(Rounds::default());
        let mut watchers: Vec<_> = (0..1000).map(|_| rounds.join()).collect();
        for revision in 1..20 {
            change(&rounds, revision);
            assert_eq!(told(&mut watchers[0]).await, (revision, Duration::ZERO));
            tokio::time::sleep(EACH * 1000).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_last_does_not_wait_for_its_round() {
        let rounds = Arc::new(Rounds::default());
        let mut watchers: Vec<_> = (0..1000).map(|_| rounds.join()).collect();
        change(&rounds, 1);
        told(&mut watchers[0]).await;
        change(&rounds, 2);
        rounds.announce(2);
        assert_eq!(told(&mut watchers[0]).await, (2, Duration::ZERO));
    }

    #[test]
    fn no_change_is_left_unannounced_whatever_the_threads_do() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        let rounds = Arc::new(Rounds::default());
        let _entered = runtime.enter();
        let mut watchers: Vec<_> = (0..100).map(|_| rounds.join()).collect();
        for revision in 1..=20_000 {
            change(&rounds, revision);
        }
        let last = async {
            watchers[0]
                .wait_for(|announced| *announced == 20_000)
                .await
                .map(|r| *r)
        };
        let last = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), last).await });
        assert_eq!(last.expect("it is announced").expect("the sender lives"), 20_000);
    }
}

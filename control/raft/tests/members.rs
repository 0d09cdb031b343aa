//! Three members in one process, over channels: joining, forwarding, failover, snapshots, restarts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use skiff_raft::{
    Config, Error, FirstStart, Group, Job, MemberChange, Position, StateMachine, Transport,
    eraftpb::{ConfChangeSingle, ConfChangeType, Message},
};

/// A list of everything applied; its "disk" outlives it.
#[derive(Default)]
struct Disk {
    checkpoint: Option<(Position, Vec<Bytes>)>,
}

struct List {
    items: Arc<Mutex<Vec<Bytes>>>,
    disk: Arc<Mutex<Disk>>,
    checkpoint_bytes: u64,
}

impl StateMachine for List {
    type Output = usize;

    fn restored(&self) -> Option<Position> {
        let disk = self.disk.lock().unwrap();
        let (at, items) = disk.checkpoint.as_ref()?;
        *self.items.lock().unwrap() = items.clone();
        Some(at.clone())
    }

    fn apply(&mut self, _index: u64, _term: u64, data: Bytes) -> usize {
        let mut items = self.items.lock().unwrap();
        items.push(data);
        items.len()
    }

    fn checkpoint_due(&self, log_bytes: u64) -> bool {
        log_bytes >= self.checkpoint_bytes
    }

    fn checkpoint(&mut self, at: Position) -> Job<()> {
        let (items, disk) = (self.items.lock().unwrap().clone(), self.disk.clone());
        Box::new(move || {
            disk.lock().unwrap().checkpoint = Some((at, items));
            Ok(())
        })
    }

    fn snapshot(&mut self, _at: Position) -> Job<Vec<u8>> {
        let items = self.items.lock().unwrap().clone();
        Box::new(move || Ok(items.join(&b'\n')))
    }

    fn receive(&mut self, at: Position, data: Bytes) -> Job<()> {
        let disk = self.disk.clone();
        Box::new(move || {
            let items = data
                .split(|byte| *byte == b'\n')
                .map(Bytes::copy_from_slice)
                .collect();
            disk.lock().unwrap().checkpoint = Some((at, items));
            Ok(())
        })
    }

    fn install(&mut self, at: &Position) {
        let disk = self.disk.lock().unwrap();
        let (position, items) = disk.checkpoint.as_ref().unwrap();
        assert_eq!(position, at);
        *self.items.lock().unwrap() = items.clone();
    }

    fn closed(&mut self, _reason: &str) {}
}

type Wires = Arc<Mutex<HashMap<u64, Group<usize>>>>;

/// Delivers at once to whoever is plugged in.
struct Wire(Wires);

impl Transport for Wire {
    fn send(&mut self, message: Message) {
        if let Some(group) = self.0.lock().unwrap().get(&message.to) {
            group.receive(message);
        }
    }
}

struct Member {
    id: u64,
    dir: tempfile::TempDir,
    disk: Arc<Mutex<Disk>>,
    items: Arc<Mutex<Vec<Bytes>>>,
    wires: Wires,
}

impl Member {
    fn new(id: u64, wires: &Wires) -> Self {
        let (disk, items) = Default::default();
        Self {
            id,
            dir: tempfile::tempdir().unwrap(),
            disk,
            items,
            wires: wires.clone(),
        }
    }

    async fn start(&self, first_start: FirstStart) -> Group<usize> {
        let config = Config {
            first_start,
            tick: Duration::from_millis(10),
            leader_wait: Duration::from_millis(500),
            answer_wait: Duration::from_secs(20),
            ..Config::new(self.dir.path(), self.id)
        };
        self.items.lock().unwrap().clear();
        let deadline = Instant::now() + Duration::from_secs(10);
        let group = loop {
            let machine = List {
                items: self.items.clone(),
                disk: self.disk.clone(),
                checkpoint_bytes: 2_000,
            };
            match Group::open(config.clone(), machine, Wire(self.wires.clone())) {
                Ok(group) => break group,
                // The threads of the run before are still letting go of the log.
                Err(error) if Instant::now() < deadline => {
                    drop(error);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        };
        self.wires.lock().unwrap().insert(self.id, group.clone());
        group
    }

    fn unplug(&self) {
        self.wires.lock().unwrap().remove(&self.id);
    }

    fn items(&self) -> Vec<Bytes> {
        self.items.lock().unwrap().clone()
    }
}

fn change(kind: ConfChangeType, id: u64) -> MemberChange {
    let mut change = MemberChange::default();
    let mut single = ConfChangeSingle::default();
    single.set_change_type(kind);
    single.node_id = id;
    change.changes.push(single);
    change
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Proposes until it is answered; an answer that stays out may have been a write, so numbers may come twice.
async fn write(groups: &[&Group<usize>], text: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    for group in groups.iter().cycle() {
        let attempt = tokio::time::timeout(
            Duration::from_secs(3),
            group.propose(Bytes::from(text.to_owned())),
        );
        match attempt.await {
            Ok(Ok(_)) => return,
            Ok(Err(Error::Unavailable(_) | Error::Closed(_))) | Err(_) => assert!(Instant::now() < deadline),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_forward_fail_over_catch_up_and_restart() {
    let wires = Wires::default();
    let [one, two, three] = [1, 2, 3].map(|id| Member::new(id, &wires));
    let first = one.start(FirstStart::Alone).await;
    for number in 0..50 {
        first
            .propose(Bytes::from(format!("alone {number}")))
            .await
            .unwrap();
    }
    until("a checkpoint cuts the log", || first.stats().checkpoints > 0).await;

    // New members have empty logs: they start from a snapshot.
    let second = two.start(FirstStart::Join).await;
    let third = three.start(FirstStart::Join).await;
    for id in [2, 3] {
        first
            .change_members(change(ConfChangeType::AddLearnerNode, id))
            .await
            .unwrap();
    }
    until("the learners catch up", || {
        two.items().len() == 50 && three.items().len() == 50
    })
    .await;
    for id in [2, 3] {
        first
            .change_members(change(ConfChangeType::AddNode, id))
            .await
            .unwrap();
    }

    // Followers take proposals and reads.
    until("the followers know the leader", || {
        second.leadership().borrow().leader == Some(1)
    })
    .await;
    write(&[&second], "through two").await;
    third.read_index().await.unwrap();
    assert!(
        three.items().contains(&Bytes::from("through two")),
        "a barrier passed without the write before it"
    );

    // The leader goes; the others go on within a few election timeouts.
    one.unplug();
    drop(first);
    write(&[&second, &third], "without one").await;
    let leader = [&second, &third]
        .into_iter()
        .find(|group| group.leadership().borrow().is_leader)
        .unwrap();
    for number in 0..100 {
        write(&[leader], &format!("more {number}")).await;
    }

    // It comes back, finds its old state on disk, and gets what it missed.
    let first = one.start(FirstStart::Alone).await;
    until("one catches up", || one.items().contains(&Bytes::from("more 99"))).await;
    first.read_index().await.unwrap();
    until("all are the same", || {
        one.items() == two.items() && two.items() == three.items()
    })
    .await;
    assert_eq!(
        one.items()[..50],
        (0..50)
            .map(|n| Bytes::from(format!("alone {n}")))
            .collect::<Vec<_>>()
    );

    // Without a majority nothing is acknowledged.
    two.unplug();
    three.unplug();
    drop((second, third));
    let lost = tokio::time::timeout(
        Duration::from_secs(5),
        first.propose(Bytes::from_static(b"alone again")),
    )
    .await;
    assert!(
        matches!(lost, Err(_) | Ok(Err(Error::Unavailable(_)))),
        "{lost:?}"
    );
    // All start again, and have what was acknowledged.
    one.unplug();
    drop(first);
    let first = one.start(FirstStart::Alone).await;
    let second = two.start(FirstStart::Join).await;
    write(&[&first, &second], "again").await;
    until("both have everything", || {
        one.items() == two.items() && one.items().contains(&Bytes::from("again"))
    })
    .await;
    assert!(one.items().contains(&Bytes::from("more 99")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_of_the_leader_does_not_cost_it_the_leadership() {
    let wires = Wires::default();
    let [one, two, three] = [1, 2, 3].map(|id| Member::new(id, &wires));
    let first = one.start(FirstStart::Alone).await;
    let (second, _third) = (
        two.start(FirstStart::Join).await,
        three.start(FirstStart::Join).await,
    );
    for id in [2, 3] {
        first
            .change_members(change(ConfChangeType::AddNode, id))
            .await
            .unwrap();
    }
    until("all know the leader", || {
        second.leadership().borrow().leader == Some(1)
    })
    .await;
    let before = first.leadership().borrow().clone();
    // Ten times the election timeout.
    first.disk().slow_syncs(Duration::from_secs(2));
    first.propose(Bytes::from_static(b"slow")).await.unwrap();
    assert_eq!(*first.leadership().borrow(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_is_full_hands_over_to_one_that_has_space() {
    let wires = Wires::default();
    let members = [1, 2, 3].map(|id| Member::new(id, &wires));
    let first = members[0].start(FirstStart::Alone).await;
    let second = members[1].start(FirstStart::Join).await;
    let third = members[2].start(FirstStart::Join).await;
    for id in [2, 3] {
        first
            .change_members(change(ConfChangeType::AddNode, id))
            .await
            .unwrap();
    }
    write(&[&first], "before").await;
    // While two have no space nobody else could be elected: it goes on leading, for those who read.
    for group in [&first, &second] {
        group.disk().fill_disk(true);
    }
    let waiting = tokio::spawn({
        let third = third.clone();
        async move { third.propose(Bytes::from("without space")).await }
    });
    tokio::time::timeout(Duration::from_secs(10), third.read_index())
        .await
        .expect("a read is answered")
        .unwrap();
    assert_eq!(third.leadership().borrow().leader, Some(1));
    second.disk().fill_disk(false);
    until("another leader", || {
        third
            .leadership()
            .borrow()
            .leader
            .is_some_and(|leader| leader != 1)
    })
    .await;
    waiting.await.unwrap().unwrap();
    write(&[&third, &second], "with two").await;
    let refused = first.propose(Bytes::from("refused")).await;
    assert!(
        matches!(&refused, Err(Error::Unavailable(reason)) if reason.contains("no space")),
        "{refused:?}"
    );
    first.disk().fill_disk(false);
    until("all to have it", || {
        let last = Some(Bytes::from("with two"));
        members
            .iter()
            .all(|member| member.items().last() == last.as_ref())
    })
    .await;
}

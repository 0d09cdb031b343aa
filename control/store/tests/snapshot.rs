//! Snapshots as files, and stores that are looked at while they do not run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use skiff_raft::{
    MemberChange, Transport,
    eraftpb::{ConfChangeSingle, ConfChangeType, Message},
};
use skiff_store::{
    Config, Error, FirstStart, Op, OpenError, Range, Store, Txn, Value,
    snapshot::{self, Offline, REVISIONS_AHEAD},
};

fn put(key: &str, value: &str) -> Txn {
    let value = Value {
        bytes: Bytes::copy_from_slice(value.as_bytes()),
        revision_at: None,
    };
    Txn {
        compare: vec![],
        ops: vec![Op::Put(Bytes::copy_from_slice(key.as_bytes()), value)],
    }
}

fn all(store: &Store) -> Vec<(Bytes, Bytes)> {
    let page = store.range(&Range::default()).unwrap();
    page.entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}

async fn filled(dir: &Path) -> Store {
    let store = Store::open(Config::new(dir)).await.unwrap();
    for number in 0..40 {
        let key = format!("/registry/core/configmaps/default/c{number:02}");
        store.commit(put(&key, &"v".repeat(number * 10))).await.unwrap();
    }
    store
        .commit(put("/registry/apps/deployments/default/d", "d"))
        .await
        .unwrap();
    store
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/snapshot-format-1")
}

#[tokio::test]
async fn a_snapshot_of_a_running_store_is_restored_with_later_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&dir.path().join("old")).await;
    let file = dir.path().join("snapshot");
    store.snapshot().save(&file).unwrap();
    store
        .commit(put("/registry/core/configmaps/default/later", "x"))
        .await
        .unwrap();
    let seen = store.revision();

    let summary = snapshot::inspect(&file).unwrap();
    assert_eq!((summary.revision, summary.keys), (seen - 1, 41));
    assert_eq!(summary.kinds["core/configmaps"], 40);
    assert_eq!(summary.kinds["apps/deployments"], 1);

    let new = dir.path().join("new");
    snapshot::restore(&file, &new, 7).unwrap();
    let restored = Store::open(Config {
        member: 7,
        ..Config::new(&new)
    })
    .await
    .unwrap();
    assert_eq!(restored.revision(), seen - 1 + REVISIONS_AHEAD);
    assert_eq!(all(&restored).len(), 41);
    // Who watched the old one is told to list again, wherever it stood.
    assert!(matches!(
        restored.watch(b"/", seen).err(),
        Some(Error::Compacted { .. })
    ));
    let committed = restored.commit(put("/a", "b")).await.unwrap();
    assert_eq!(committed.revision, seen + REVISIONS_AHEAD);
    restored.close().await.unwrap();
    drop(restored);
    let again = snapshot::restore(&file, &new, 7);
    assert!(matches!(again, Err(OpenError::NotEmpty { .. })), "{again:?}");
}

#[tokio::test]
async fn a_stopped_store_is_saved_with_what_is_only_in_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = filled(&path).await;
    let (before, revision) = (all(&store), store.revision());
    let in_use = Offline::open(&path, 1).err();
    assert!(matches!(in_use, Some(OpenError::Locked { .. })), "{in_use:?}");
    // No checkpoint is written when it is dropped.
    drop(store);
    let offline = Offline::open(&path, 1).unwrap();
    assert_eq!(offline.summary().revision, revision);
    assert_eq!(offline.members().voters, [1]);
    let file = dir.path().join("snapshot");
    offline.snapshot().save(&file).unwrap();
    drop(offline);
    assert_eq!(snapshot::inspect(&file).unwrap().revision, revision);
    // And it goes on as if nothing had happened.
    let store = Store::open(Config::new(&path)).await.unwrap();
    assert_eq!(all(&store), before);
    assert_eq!(store.revision(), revision);
}

#[tokio::test]
async fn a_snapshot_of_the_first_format_is_restored() {
    if std::env::var_os("SKIFF_WRITE_GOLDEN").is_some() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(golden().parent().unwrap()).unwrap();
        filled(dir.path()).await.snapshot().save(&golden()).unwrap();
    }
    let summary = snapshot::inspect(&golden()).unwrap();
    assert_eq!((summary.revision, summary.keys), (42, 41));
    let dir = tempfile::tempdir().unwrap();
    snapshot::restore(&golden(), dir.path(), 1).unwrap();
    let store = Store::open(Config::new(dir.path())).await.unwrap();
    let entries = all(&store);
    assert_eq!(entries.len(), 41);
    assert_eq!(entries[40].1.len(), 390);
}

#[test]
fn a_damaged_snapshot_and_one_of_an_unknown_format_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read(golden()).unwrap();
    let file = dir.path().join("snapshot");
    let reason = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let refused = snapshot::restore(&file, &dir.path().join("store"), 1).unwrap_err();
        let source = std::error::Error::source(&refused).unwrap();
        source.to_string()
    };
    for at in [12, good.len() / 2, good.len() - 9] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(!reason(&bad).is_empty());
        assert!(!reason(&good[..at]).is_empty());
    }
    let mut newer = good.clone();
    newer[8] = 200;
    assert_eq!(reason(&newer), "its format is 200; this version knows 1");
    newer[0] = b'x';
    assert_eq!(reason(&newer), "it is neither a checkpoint nor a snapshot");
    // Nothing was begun.
    assert!(!dir.path().join("store").exists());
}

#[derive(Clone, Default)]
struct Wires(Arc<Mutex<HashMap<u64, Store>>>);

impl Transport for Wires {
    fn send(&mut self, message: Message) {
        if let Some(store) = self.0.lock().get(&message.to) {
            store.receive(message);
        }
    }
}

impl Wires {
    async fn open(&self, dir: &Path, member: u64) -> Store {
        let config = Config {
            member,
            first_start: if member == 1 {
                FirstStart::Alone
            } else {
                FirstStart::Join
            },
            ..Config::new(dir.join(member.to_string()))
        };
        let store = Store::open_with(config, self.clone()).await.unwrap();
        self.0.lock().insert(member, store.clone());
        store
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_three_members_goes_on_alone_with_all_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let wires = Wires::default();
    let first = wires.open(dir.path(), 1).await;
    let others = [wires.open(dir.path(), 2).await, wires.open(dir.path(), 3).await];
    for id in [2, 3] {
        let mut change = MemberChange::default();
        let mut single = ConfChangeSingle::default();
        single.set_change_type(ConfChangeType::AddNode);
        single.node_id = id;
        change.changes.push(single);
        first.change_members(change).await.unwrap();
    }
    for number in 0..20 {
        first.commit(put(&format!("/{number}"), "v")).await.unwrap();
    }
    others[0].read_barrier().await.unwrap();
    let (before, revision) = (all(&others[0]), others[0].revision());
    // All end; the disks of two are lost.
    wires.0.lock().clear();
    drop((first, others));
    let path = dir.path().join("2");
    let offline = Offline::open(&path, 2).unwrap();
    assert_eq!(offline.members().voters, [1, 2, 3]);
    assert_eq!(offline.summary().revision, revision);
    offline.go_on_alone().unwrap();

    let config = Config {
        member: 2,
        ..Config::new(&path)
    };
    let store = Store::open(config.clone()).await.unwrap();
    assert!(store.members().borrow().is_only(2));
    assert_eq!((all(&store), store.revision()), (before, revision));
    store.commit(put("/more", "v")).await.unwrap();
    // And it stays so.
    drop(store);
    let store = Store::open(config).await.unwrap();
    assert_eq!(store.revision(), revision + 1);
}

#[test]
fn only_the_newest_snapshots_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["auto-1", "auto-3", "auto-2", "mine"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    snapshot::prune(dir.path(), "auto-", 2).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["auto-2", "auto-3", "mine"]);
}

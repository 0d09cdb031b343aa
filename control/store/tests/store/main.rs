//! The store as its callers see it, on a real directory.

mod disk;

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use skiff_store::{Compare, Config, Error, Op, OpenError, Range, Store, Txn, Value, snapshot::Offline};

fn bytes(text: impl AsRef<str>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref().as_bytes())
}

fn plain(text: &str) -> Value {
    Value {
        bytes: bytes(text),
        revision_at: None,
    }
}

fn put(key: &str, value: &str) -> Txn {
    Txn {
        compare: vec![],
        ops: vec![Op::Put(bytes(key), plain(value))],
    }
}

fn delete(key: &str) -> Txn {
    Txn {
        compare: vec![],
        ops: vec![Op::Delete(bytes(key), None)],
    }
}

fn at(prefix: &str, revision: Option<u64>) -> Range {
    Range {
        prefix: bytes(prefix),
        revision,
        ..Range::default()
    }
}

fn keys(store: &Store, range: &Range) -> Vec<String> {
    let page = store.range(range).unwrap();
    page.entries
        .iter()
        .map(|entry| String::from_utf8(entry.key.to_vec()).unwrap())
        .collect()
}

/// Text that does not compress: noise that repeats beyond the reach of the log's compression.
fn noise(seed: u64, length: usize) -> String {
    static NOISE: OnceLock<String> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let mut random = StdRng::seed_from_u64(7);
        (0..70_000)
            .map(|_| char::from(random.random_range(b'0'..=b'z')))
            .collect()
    });
    noise.chars().cycle().skip(seed as usize).take(length).collect()
}

/// Fails instead of hanging.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("within a minute")
}

#[tokio::test]
async fn what_is_committed_can_be_read_watched_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    assert_eq!(store.revision(), 1);
    let mut watch = store.watch(b"/registry/", 1).unwrap();

    let value = Value {
        bytes: bytes(r#"{"resourceVersion":""}"#),
        revision_at: Some(20),
    };
    let txn = Txn {
        compare: vec![Compare::Absent(bytes("/registry/a"))],
        ops: vec![Op::Put(bytes("/registry/a"), value)],
    };
    let committed = soon(store.commit(txn.clone())).await.unwrap();
    assert_eq!(committed.revision, 2);
    let entry = store.get(b"/registry/a").unwrap();
    assert_eq!(entry.value, bytes(r#"{"resourceVersion":"2"}"#));
    assert_eq!(committed.entries, [Some(entry.clone())]);
    match soon(store.commit(txn)).await {
        Err(Error::Conflict { key, current }) => {
            assert_eq!((key, current), (bytes("/registry/a"), Some(entry.clone())));
        }
        other => panic!("{other:?}"),
    }
    let events = soon(watch.next()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].revision, &events[0].entry), (2, &entry));
    assert_eq!(watch.progress(), 2);

    for closing in [true, false] {
        let store = if closing {
            soon(store.close()).await.unwrap();
            assert!(matches!(
                soon(store.commit(put("k", "v"))).await,
                Err(Error::Closed(_))
            ));
            assert!(matches!(soon(watch.next()).await, Err(Error::Closed(_))));
            continue;
        } else {
            drop((store.clone(), watch));
            drop(store);
            soon(Store::open(Config::new(dir.path()))).await.unwrap()
        };
        assert_eq!(store.get(b"/registry/a"), Some(entry));
        assert_eq!(store.revision(), 2);
        assert_eq!(
            soon(store.commit(put("/registry/b", "v")))
                .await
                .unwrap()
                .revision,
            3
        );
        break;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commits_share_one_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    store.disk().slow_syncs(Duration::from_millis(2));
    let before = store.log_stats();
    let writers: Vec<_> = (0..64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..10 {
                    store
                        .commit(put(&format!("/{writer}/{number}"), "v"))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        soon(writer).await.unwrap();
    }
    let after = store.log_stats();
    let (commits, syncs) = (after.proposals - before.proposals, after.syncs - before.syncs);
    assert_eq!((commits, store.revision()), (640, 641));
    assert!(syncs < commits / 4, "{syncs} fsyncs for {commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_writers_with_one_condition_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    soon(store.commit(put("/counter", "0"))).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut won = 0;
                while won < 20 {
                    let entry = store.get(b"/counter").unwrap();
                    let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                    let txn = Txn {
                        compare: vec![Compare::At(entry.key, entry.mod_revision)],
                        ops: vec![Op::Put(bytes("/counter"), plain(&(number + 1).to_string()))],
                    };
                    match store.commit(txn).await {
                        Ok(_) => won += 1,
                        Err(Error::Conflict {
                            current: Some(current),
                            ..
                        }) => {
                            assert!(current.mod_revision > entry.mod_revision);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        soon(writer).await.unwrap();
    }
    assert_eq!(store.get(b"/counter").unwrap().value, bytes("160"));
    assert_eq!(store.revision(), 162);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watcher_sees_every_change_under_its_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let watchers: Vec<_> = (0..100)
        .map(|number| {
            let prefix = if number % 2 == 0 {
                "/r/".to_owned()
            } else {
                format!("/r/{}/", number % 4)
            };
            let mut watch = store.watch(prefix.as_bytes(), 1).unwrap();
            let expected = if number % 2 == 0 { 400 } else { 100 };
            tokio::spawn(async move {
                let (mut last, mut seen) = (1, 0);
                while seen < expected {
                    for event in watch.next().await.unwrap() {
                        assert!(event.revision > last && event.entry.key.starts_with(prefix.as_bytes()));
                        last = event.revision;
                        seen += 1;
                    }
                }
                assert_eq!(seen, expected);
            })
        })
        .collect();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    store
                        .commit(put(&format!("/r/{writer}/{number}"), "v"))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(watchers) {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_watch_outlives_the_history_and_its_progress_follows_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        history_revisions: 10,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config)).await.unwrap();
    soon(store.commit(put("/a/1", "v"))).await.unwrap();
    let mut idle = store.watch(b"/a/", 2).unwrap();
    let mut left_behind = store.watch(b"/b/", 2).unwrap();
    for number in 0..30 {
        soon(store.commit(put(&format!("/b/{number}"), "v")))
            .await
            .unwrap();
    }
    assert_eq!((idle.progress(), left_behind.progress()), (32, 2));
    soon(store.commit(put("/a/2", "v"))).await.unwrap();
    let events = soon(idle.next()).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.revision).collect::<Vec<_>>(),
        [33]
    );
    match soon(left_behind.next()).await {
        Err(Error::Compacted { requested: 2, oldest }) => assert_eq!(oldest, store.oldest()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_deletion_shows_the_last_state_and_deleting_nothing_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    soon(store.commit(put("/a", "first"))).await.unwrap();
    let mut watch = store.watch(b"/", 2).unwrap();
    assert_eq!(soon(store.commit(delete("/none"))).await.unwrap().entries, [None]);
    assert_eq!(store.revision(), 2);

    let last = Value {
        bytes: bytes("last@"),
        revision_at: Some(5),
    };
    let txn = Txn {
        compare: vec![],
        ops: vec![
            Op::Delete(bytes("/a"), Some(last)),
            Op::Delete(bytes("/none"), None),
        ],
    };
    let committed = soon(store.commit(txn)).await.unwrap();
    let deleted = committed.entries[0].clone().unwrap();
    assert_eq!(
        (deleted.value, deleted.create_revision, deleted.mod_revision),
        (bytes("last@3"), 2, 3)
    );
    assert_eq!(committed.entries[1], None);
    let events = soon(watch.next()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].deleted);
    assert_eq!(events[0].entry.value, bytes("last@3"));
    assert_eq!(events[0].previous.as_ref().unwrap().value, bytes("first"));
    assert_eq!(store.get(b"/a"), None);
    assert_eq!(keys(&store, &at("/", Some(2))), ["/a"]);
    assert!(keys(&store, &at("/", None)).is_empty());
    // Created anew it has a new creation.
    soon(store.commit(put("/a", "again"))).await.unwrap();
    assert_eq!(store.get(b"/a").unwrap().create_revision, 4);
}

#[tokio::test]
async fn pages_of_one_revision_are_not_disturbed_by_writes_between_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    for number in 0..10 {
        soon(store.commit(put(&format!("/p/{number}"), "v")))
            .await
            .unwrap();
    }
    let mut range = Range {
        prefix: bytes("/p/"),
        limit: 4,
        ..Range::default()
    };
    let first = store.range(&range).unwrap();
    assert_eq!((first.entries.len(), first.remaining, first.revision), (4, 6, 11));
    soon(store.commit(delete("/p/5"))).await.unwrap();
    soon(store.commit(put("/p/55", "new"))).await.unwrap();
    range.revision = Some(first.revision);
    range.after = Some(first.entries[3].key.clone());
    assert_eq!(keys(&store, &range), ["/p/4", "/p/5", "/p/6", "/p/7"]);
    assert_eq!(
        (store.count(b"/p/"), store.count(b"/p/5"), store.count(b"/q")),
        (10, 1, 0)
    );
}

#[tokio::test]
async fn a_transaction_over_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let big = "x".repeat(3 << 20);
    assert!(matches!(
        soon(store.commit(put("/a", &big))).await,
        Err(Error::TooLarge { .. })
    ));
    let fits = "x".repeat((3 << 20) - 100);
    soon(store.commit(put("/a", &fits))).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_full_takes_what_does_not_make_it_larger() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        max_objects: 3,
        max_bytes: 100,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config)).await.unwrap();
    for key in ["/a", "/b", "/c"] {
        soon(store.commit(put(key, "value"))).await.unwrap();
    }
    let refused = soon(store.commit(put("/d", "v"))).await;
    assert!(
        matches!(refused, Err(Error::Full { objects: 3, .. })),
        "{refused:?}"
    );
    soon(store.commit(put("/a", "another value"))).await.unwrap();
    soon(store.commit(delete("/b"))).await.unwrap();
    soon(store.commit(put("/d", &"v".repeat(90)))).await.unwrap();
    let refused = soon(store.commit(put("/a", "yet another value"))).await;
    assert!(
        matches!(refused, Err(Error::Full { objects: 3, .. })),
        "{refused:?}"
    );
    soon(store.commit(put("/a", "short"))).await.unwrap();
    let stats = store.stats();
    assert_eq!((stats.keys, stats.watches), (3, 0));
    assert!(stats.memory_per_object() > stats.live_bytes / 3);
}

#[tokio::test]
async fn a_restart_keeps_the_revision_and_the_history_with_and_without_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    for (round, close) in [true, false, true, false].into_iter().enumerate() {
        let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
        let before = 1 + round as u64 * 5;
        assert_eq!((store.revision(), store.oldest()), (before, 1));
        for number in 0..5 {
            soon(store.commit(put(&format!("/{round}/{number}"), "v")))
                .await
                .unwrap();
        }
        let mut watch = store.watch(b"/", 1).unwrap();
        let events = soon(watch.next()).await.unwrap();
        assert_eq!(events.len(), (round + 1) * 5);
        if close {
            soon(store.close()).await.unwrap();
        }
    }
}

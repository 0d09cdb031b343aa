//! Kill -9 at random moments: a child process writes and says what was acknowledged, the parent kills it, opens the
//! same directory and compares. `SKIFF_CRASH_ROUNDS` sets the number of rounds, `SKIFF_CRASH_SEED` repeats a run.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use skiff_store::{Config, Op, Range, Store, Txn, Value};

const CHILD: &str = "SKIFF_CRASH_CHILD_DIR";
const PREFIX: &str = "SKIFF_CRASH_CHILD_PREFIX";

fn config(dir: &Path) -> Config {
    // Checkpoints and log compaction are part of what is killed.
    Config {
        checkpoint_log_bytes: 96 << 10,
        ..Config::new(dir)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Not a test of its own: the writing process of the test below.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let prefix = std::env::var(PREFIX).unwrap();
    runtime().block_on(async move {
        let store = Store::open(config(Path::new(&dir))).await.unwrap();
        let mut writers = Vec::new();
        for writer in 0..8 {
            let (store, prefix) = (store.clone(), prefix.clone());
            writers.push(tokio::spawn(async move {
                for number in 0.. {
                    let key = format!("/{prefix}/{writer}/{}", number % 40);
                    let text = format!("{prefix}-{writer}-{number}-");
                    let mut bytes = text.clone().into_bytes();
                    bytes.resize(64 + number * 97 % 3000, b'x');
                    let value = Value {
                        bytes: bytes.into(),
                        revision_at: Some(text.len() as u32),
                    };
                    let ops = vec![Op::Put(Bytes::from(key.clone()), value)];
                    let committed = store.commit(Txn { compare: vec![], ops }).await.unwrap();
                    // One write call per line: a killed process leaves no half of one.
                    let line = format!("acknowledged {key} {}\n", committed.revision);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

#[test]
fn everything_acknowledged_is_there_after_kill_9_at_any_moment() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SKIFF_CRASH_SEED").unwrap_or_else(rand::random);
    let rounds = number("SKIFF_CRASH_ROUNDS").unwrap_or(20);
    println!("SKIFF_CRASH_SEED={seed} SKIFF_CRASH_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_writes_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, dir.path())
            .env(PREFIX, format!("round{}", round % 5))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A thread, so that the pipe never fills up and holds the child back.
        let reader = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter(|line| line.starts_with("acknowledged "))
                .collect::<Vec<_>>()
        });
        // Some rounds end before the store is open.
        std::thread::sleep(Duration::from_millis(random.random_range(3..200)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            let mut words = line.split(' ').skip(1);
            let key = words.next().unwrap();
            let revision: u64 = words.next().unwrap().parse().unwrap();
            let last = acknowledged.entry(key.to_owned()).or_default();
            *last = revision.max(*last);
            total += 1;
        }
        runtime.block_on(check(dir.path(), &acknowledged));
    }
    println!("{total} acknowledged writes in {rounds} rounds");
}

async fn check(dir: &Path, acknowledged: &BTreeMap<String, u64>) {
    let store = Store::open(config(dir)).await.unwrap();
    for (key, revision) in acknowledged {
        let entry = store
            .get(key.as_bytes())
            .unwrap_or_else(|| panic!("{key}, acknowledged at {revision}, is lost"));
        assert!(
            entry.mod_revision >= *revision,
            "{key} is at {}, {revision} was lost",
            entry.mod_revision
        );
        let value = String::from_utf8_lossy(&entry.value);
        let spliced = value.trim_end_matches('x').rsplit('-').next().unwrap().to_owned();
        assert_eq!(
            spliced,
            entry.mod_revision.to_string(),
            "the value is not the one of its revision"
        );
    }
    let (oldest, now) = (store.oldest(), store.revision());
    assert!(acknowledged.values().all(|revision| *revision <= now));

    // Every write changed one key: so a watch from the oldest revision has each revision once.
    let mut expected = oldest + 1;
    if oldest < now {
        let mut watch = store.watch(b"/", oldest).unwrap();
        while watch.progress() < now {
            for event in watch.next().await.unwrap() {
                assert_eq!(event.revision, expected);
                expected += 1;
            }
        }
        assert_eq!(expected, now + 1);
    }
    if oldest > 1 {
        assert!(matches!(
            store.watch(b"/", oldest - 1),
            Err(skiff_store::Error::Compacted { .. })
        ));
    }
    // And the oldest state can be had, of the age that it says.
    let page = store
        .range(&Range {
            revision: Some(oldest),
            ..Range::default()
        })
        .unwrap();
    assert!(page.entries.iter().all(|entry| entry.mod_revision <= oldest));
}

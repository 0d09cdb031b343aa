//! What is on the disk, how much of it, and what happens when the disk fails.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn checkpoints_bound_the_log_and_do_not_lose_what_comes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_log_bytes: 1 << 20,
        history_bytes: 1 << 20,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config.clone())).await.unwrap();
    // 32 MiB written, 640 KiB alive.
    for number in 0..512 {
        let noise = noise(number, 64 << 10);
        soon(store.commit(put(&format!("/{}", number % 10), &noise)))
            .await
            .unwrap();
    }
    assert!(store.log_stats().checkpoints > 3);
    soon(store.close()).await.unwrap();
    let on_disk = disk_usage(dir.path());
    assert!(on_disk < 40 << 20, "{on_disk} bytes on disk");
    drop(store);
    let store = soon(Store::open(config)).await.unwrap();
    assert_eq!((store.revision(), store.count(b"/")), (513, 10));
}

/// What the disk may hold beside three times the live data: the log between two checkpoints, and files that are not
/// full yet (8 MiB each).
fn disk_bound(live: usize, config: &Config) -> u64 {
    3 * live as u64 + config.checkpoint_log_bytes + (24 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_holds_three_times_the_live_data_and_the_log_window_whatever_was_written_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_log_bytes: 4 << 20,
        history_bytes: 1 << 20,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config.clone())).await.unwrap();
    let (mut most_live, mut most_used) = (0, 0);
    // Grow to 16 MiB, churn, delete nearly all, churn what is left; 32 writes at a time.
    let plan = [
        (0..256, 256, false),
        (256..640, 256, false),
        (0..240, 256, true),
        (640..1000, 16, false),
    ];
    for (numbers, keys, deletes) in plan {
        for batch in numbers.collect::<Vec<u64>>().chunks(32) {
            let writes = batch.iter().map(|number| {
                let key = format!("/{:03}", number % keys + if keys == 16 { 240 } else { 0 });
                let txn = if deletes {
                    delete(&key)
                } else {
                    put(&key, &noise(*number, 64 << 10))
                };
                let store = store.clone();
                async move { store.commit(txn).await.unwrap() }
            });
            soon(all_at_once(writes)).await;
            most_live = most_live.max(store.stats().live_bytes);
            let used = disk_usage(dir.path());
            most_used = most_used.max(used);
            let bound = disk_bound(most_live, &config);
            assert!(used <= bound, "{used} bytes on disk for at most {most_live} live");
        }
    }
    let live = store.stats().live_bytes;
    assert!(live < 2 << 20 && most_live > 15 << 20, "{live} of {most_live}");
    soon(store.close()).await.unwrap();
    let used = disk_usage(dir.path());
    assert!(
        used <= disk_bound(live, &config),
        "{used} bytes on disk for {live} live"
    );
    assert!(most_used > 3 << 20, "the test saw nothing");
}

/// Runs all at once.
async fn all_at_once<F: Future<Output: Send + 'static> + Send + 'static>(work: impl Iterator<Item = F>) {
    let tasks: Vec<_> = work.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn disk_usage(dir: &std::path::Path) -> u64 {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        sum += if meta.is_dir() {
            disk_usage(&entry.path())
        } else {
            meta.len()
        };
    }
    sum
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deeper/store");
    let store = soon(Store::open(Config::new(&path))).await.unwrap();
    soon(store.commit(put("/a", "v"))).await.unwrap();
    soon(store.close()).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("log"))), (0o700, 0o700));
    let mut files = 0;
    for dir in [path.clone(), path.join("log")] {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
                files += 1;
            }
        }
    }
    assert!(files >= 5);
}

#[tokio::test]
async fn a_second_opener_and_an_unknown_format_are_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let error = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    soon(store.close()).await.unwrap();
    std::fs::write(dir.path().join("FORMAT"), "2\n").unwrap();
    let error = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Format { found, .. } if found == "2"),
        "{error}"
    );
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    let error = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
    assert!(matches!(error, OpenError::NoFormat { .. }), "{error}");
    std::fs::write(dir.path().join("FORMAT"), "1\n").unwrap();
    std::fs::write(dir.path().join("checkpoint"), "skiffckp then nonsense").unwrap();
    let error = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_anywhere_is_completed() {
    type Leftovers = fn(&std::path::Path);
    let cases: [Leftovers; 7] = [
        |_| {},
        |dir| std::fs::write(dir.join("LOCK"), "").unwrap(),
        |dir| std::fs::write(dir.join("FORMAT.tmp"), "").unwrap(),
        |dir| std::fs::write(dir.join("FORMAT"), "1\n").unwrap(),
        |dir| {
            std::fs::write(dir.join("FORMAT"), "1\n").unwrap();
            std::fs::create_dir(dir.join("log")).unwrap();
        },
        |dir| {
            std::fs::write(dir.join("FORMAT"), "1\n").unwrap();
            std::fs::create_dir(dir.join("log")).unwrap();
            std::fs::write(dir.join("log/0000000000000001.raftlog"), "").unwrap();
        },
        |dir| {
            std::fs::write(dir.join("FORMAT"), "1\n").unwrap();
            std::fs::create_dir(dir.join("log")).unwrap();
            std::fs::write(dir.join("log/0000000000000001.raftlog"), "RAFT-LOG").unwrap();
            std::fs::write(dir.join("checkpoint.tmp"), "skiffck").unwrap();
        },
    ];
    for leave in cases {
        let dir = tempfile::tempdir().unwrap();
        leave(dir.path());
        for _ in 0..2 {
            let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
            soon(store.commit(put("/a", "v"))).await.unwrap();
            soon(store.close()).await.unwrap();
        }
    }
}

/// The log file that was written last, and where its data ends.
fn last_log_file(dir: &std::path::Path) -> (std::path::PathBuf, Vec<u8>) {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "raftlog"));
    files.sort();
    let path = files.pop().unwrap();
    let data = std::fs::read(&path).unwrap();
    (path, data)
}

#[tokio::test]
async fn a_torn_tail_costs_only_the_record_that_was_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut lengths = Vec::new();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let confirmed = dir.path().join("log/confirmed");
    let mut before_the_last = Vec::new();
    for number in 0..20 {
        before_the_last = std::fs::read(&confirmed).unwrap();
        soon(store.commit(put(&format!("/{number}"), "a value of some length")))
            .await
            .unwrap();
        lengths.push(store.log_stats().written);
    }
    drop(store);
    drop(skiff_store_when_free(dir.path()).await);
    let (path, whole) = last_log_file(dir.path());
    // The end of the 20th commit, and of the one before: what was written after it is of the second opening.
    // The engine's other file, for what it moves, has a header of the same length and nothing else.
    let header = std::fs::metadata(path.with_file_name("0000000000000001.rewrite"))
        .unwrap()
        .len();
    let (last, end) = ((lengths[18] - header) as usize, (lengths[19] - header) as usize);
    // Reserved space beyond the data, the record cut anywhere, and bits turned anywhere in it.
    let mut torn = vec![
        [&whole[..end], &[0; 4096]].concat(),
        [&whole[..end], b"half a rec"].concat(),
    ];
    for cut in last..end {
        torn.push(whole[..cut].to_vec());
        let mut turned = whole[..end].to_vec();
        turned[cut] ^= 0x40;
        torn.push(turned);
    }
    for (number, data) in torn
        .iter()
        .enumerate()
        .filter(|(number, _)| number % 7 == 0 || *number < 4)
    {
        println!("case {number}: {} of {end} bytes", data.len());
        // The fsync of the record that was being written had not returned.
        std::fs::write(&confirmed, &before_the_last).unwrap();
        std::fs::write(&path, data).unwrap();
        let store = skiff_store_when_free(dir.path()).await;
        let keys = store.count(b"/");
        assert!(
            keys == 20 || keys == 19 && number >= 2,
            "case {number}: {keys} keys"
        );
        assert_eq!(store.revision(), 1 + keys as u64);
        soon(store.commit(put("/after", "v"))).await.unwrap();
        drop(store);
        let store = skiff_store_when_free(dir.path()).await;
        assert_eq!(store.count(b"/"), keys + 1);
    }
}

/// The note of what is on disk is not fsynced. A loss of power may leave any earlier one, or none, beside what was fsynced of the log and
/// any part of what was not: everything acknowledged is there all the same.
#[tokio::test]
async fn after_a_loss_of_power_everything_acknowledged_is_there_whatever_became_of_the_note() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let confirmed = dir.path().join("log/confirmed");
    let rewrite = dir.path().join("log/0000000000000001.rewrite");
    let header = std::fs::metadata(rewrite).unwrap().len();
    let (mut ends, mut notes) = (Vec::new(), Vec::new());
    for number in 0..20 {
        soon(store.commit(put(&format!("/{number}"), "a value of some length")))
            .await
            .unwrap();
        ends.push((store.log_stats().written - header) as usize);
        notes.push(std::fs::read(&confirmed).unwrap());
    }
    drop(store);
    drop(skiff_store_when_free(dir.path()).await);
    let (path, whole) = last_log_file(dir.path());
    for acknowledged in [1, 8, 19] {
        let (end, next) = (ends[acknowledged - 1], ends[acknowledged]);
        let kept: [&[u8]; 5] = [
            &[],
            b"0123456789ab",
            &notes[0],
            &notes[acknowledged / 2],
            &notes[acknowledged - 1],
        ];
        let unsynced: [&[u8]; 4] = [&[], &[0; 4096], &whole[end..(end + next) / 2], &whole[end..next]];
        for note in kept.into_iter().map(Some).chain([None]) {
            for tail in unsynced {
                // A store that was dropped may still be closing its files.
                let left = tempfile::tempdir().unwrap();
                std::fs::create_dir(left.path().join("log")).unwrap();
                std::fs::copy(dir.path().join("FORMAT"), left.path().join("FORMAT")).unwrap();
                let log = left.path().join("log").join(path.file_name().unwrap());
                std::fs::write(log, [&whole[..end], tail].concat()).unwrap();
                if let Some(note) = note {
                    std::fs::write(left.path().join("log/confirmed"), note).unwrap();
                }
                let store = skiff_store_when_free(left.path()).await;
                let more = usize::from(tail.len() == next - end);
                let case = format!("{note:?} and {} bytes more", tail.len());
                assert_eq!(store.count(b"/"), acknowledged + more, "{acknowledged}: {case}");
            }
        }
    }
}

/// What a disk may do to what it had: bits turned at the end and in the middle of the newest file, the end cut off, nothing
/// left. A store that opened would show less than was acknowledged.
#[tokio::test]
async fn an_end_of_the_log_that_was_acknowledged_and_is_damaged_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    for number in 0..20 {
        soon(store.commit(put(&format!("/{number}"), "a value of some length")))
            .await
            .unwrap();
    }
    drop(store);
    drop(skiff_store_when_free(dir.path()).await);
    let (path, whole) = last_log_file(dir.path());
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let turned = |at: usize| {
        let mut data = whole.clone();
        data[at] ^= 0x40;
        data
    };
    let ends = [
        turned(end - 1),
        turned(3),
        whole[..end - 1].to_vec(),
        whole[..end / 2].to_vec(),
        Vec::new(),
    ];
    for (number, damaged) in ends.iter().enumerate() {
        std::fs::write(&path, damaged).unwrap();
        for _ in 0..2 {
            let refused = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
            assert!(
                matches!(&refused, OpenError::Damaged { .. }),
                "case {number}: {refused}"
            );
            let text = refused.to_string();
            assert!(
                text.contains("may have been acknowledged") && text.contains("--recover"),
                "{text}"
            );
            // What is left of it is for whoever wants to look. An empty file gets a header.
            let now = std::fs::read(&path).unwrap();
            assert!(now.starts_with(damaged), "case {number}: it was changed");
        }
    }
    // Wherever a bit is turned, it opens whole or not at all.
    let confirmed = dir.path().join("log/confirmed");
    let noted = std::fs::read(&confirmed).unwrap();
    for at in (0..end).step_by(end / 40) {
        std::fs::write(&path, turned(at)).unwrap();
        match soon(Store::open(Config::new(dir.path()))).await {
            Ok(store) => assert_eq!(store.count(b"/"), 20, "byte {at}"),
            Err(refused) => assert!(
                matches!(refused, OpenError::Damaged { .. }),
                "byte {at}: {refused}"
            ),
        }
        std::fs::write(&confirmed, &noted).unwrap();
    }
    // Whole again, it is what it was; given up, the rest goes on.
    std::fs::write(&path, &whole).unwrap();
    let store = skiff_store_when_free(dir.path()).await;
    assert_eq!(store.count(b"/"), 20);
    drop(store);
    std::fs::write(&path, &whole[..end / 2]).unwrap();
    let offline = Offline::open(dir.path(), 1).unwrap();
    let keys = offline.summary().keys;
    assert!(offline.lost() > 0 && keys < 20, "{keys} keys");
    drop(offline);
    assert!(
        soon(Store::open(Config::new(dir.path()))).await.is_err(),
        "nobody gave it up yet"
    );
    Offline::open(dir.path(), 1).unwrap().go_on_alone().unwrap();
    for more in 0..3 {
        let store = skiff_store_when_free(dir.path()).await;
        assert_eq!(store.count(b"/"), keys + more);
        soon(store.commit(put(&format!("/after-{more}"), "v")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_file_that_a_full_disk_left_without_a_header_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    for number in 0..5 {
        soon(store.commit(put(&format!("/{number}"), "v"))).await.unwrap();
    }
    drop(store);
    drop(skiff_store_when_free(dir.path()).await);
    let (path, mut data) = last_log_file(dir.path());
    // As the engine reserves it, and a kill leaves it.
    data.extend_from_slice(&[0; 4096]);
    std::fs::write(&path, &data).unwrap();
    std::fs::write(path.with_file_name("0000000000000002.raftlog"), "").unwrap();
    for more in 0..2 {
        let store = skiff_store_when_free(dir.path()).await;
        assert_eq!(store.count(b"/"), 5 + more);
        soon(store.commit(put(&format!("/more-{more}"), "v")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_gone_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_log_bytes: 64 << 10,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config)).await.unwrap();
    // The log up to a checkpoint goes when that is on disk.
    while store.log_stats().checkpoints < 2 {
        soon(store.commit(put("/a", &noise(1, 16 << 10)))).await.unwrap();
    }
    soon(store.close()).await.unwrap();
    drop(store);
    let checkpoint = dir.path().join("checkpoint");
    let kept = std::fs::read(&checkpoint).unwrap();
    std::fs::remove_file(&checkpoint).unwrap();
    let refused = soon(Store::open(Config::new(dir.path()))).await.unwrap_err();
    assert!(refused.to_string().contains("no checkpoint"), "{refused}");
    std::fs::write(&checkpoint, kept).unwrap();
    assert!(skiff_store_when_free(dir.path()).await.get(b"/a").is_some());
}

async fn skiff_store_when_free(dir: &std::path::Path) -> Store {
    soon(Store::open(Config::new(dir))).await.unwrap()
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_refuses_to_open_instead_of_losing_writes() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_log_bytes: u64::MAX,
        ..Config::new(dir.path())
    };
    let store = soon(Store::open(config.clone())).await.unwrap();
    for number in 0..10u32 {
        let noise = noise(u64::from(number), 1 << 20);
        soon(store.commit(put(&format!("/{number}"), &noise)))
            .await
            .unwrap();
    }
    drop(store);
    drop(soon(Store::open(config.clone())).await.unwrap());
    let first = dir.path().join("log/0000000000000001.raftlog");
    let mut data = std::fs::read(&first).unwrap();
    let length = data.len();
    data.truncate(length - 5);
    std::fs::write(&first, data).unwrap();
    let error = soon(Store::open(config)).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_failed_fsync_closes_the_store_and_never_acknowledges() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    soon(store.commit(put("/a", "v"))).await.unwrap();
    let mut watch = store.watch(b"/", 2).unwrap();
    store.disk().fail_syncs();
    match soon(store.commit(put("/b", "v"))).await {
        Err(Error::Closed(reason)) => assert!(reason.contains("fsync"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        soon(store.commit(put("/c", "v"))).await,
        Err(Error::Closed(_))
    ));
    assert!(matches!(soon(watch.next()).await, Err(Error::Closed(_))));
    assert!(matches!(soon(store.read_barrier()).await, Err(Error::Closed(_))));
    assert!(!store.leadership().borrow().is_leader);
    // Reads go on.
    assert_eq!(keys(&store, &at("/", None)), ["/a"]);
    drop((store, watch));
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    assert!(store.get(b"/a").is_some());
    soon(store.commit(put("/d", "v"))).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_became_read_only_closes_the_store_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    soon(store.commit(put("/a", "v"))).await.unwrap();
    store.disk().make_read_only();
    let refused = soon(store.commit(put("/b", "v"))).await;
    assert!(matches!(refused, Err(Error::Closed(_))), "{refused:?}");
    assert!(store.get(b"/a").is_some());
    drop(store);
    let store = skiff_store_when_free(dir.path()).await;
    assert!(store.get(b"/a").is_some());
    soon(store.commit(put("/b", "v"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_is_over_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    store.disk().fill_disk(true);
    // The first write meets the full disk, unless the leader's own has; the second one is not even proposed.
    for key in ["/first", "/second"] {
        let refused = soon(store.commit(put(key, "v"))).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Unavailable(reason) if reason.contains("no space")),
            "{refused}"
        );
    }
    assert_eq!(store.revision(), 1);
    assert!(store.leadership().borrow().is_leader);
    store.disk().fill_disk(false);
    soon(async { while store.commit(put("/c", "v")).await.is_err() {} }).await;
    // The first one may have happened, as its refusal said.
    assert!(store.get(b"/second").is_none());
    let first = store.get(b"/first").is_some();
    drop(store);
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    assert!(store.get(b"/c").is_some() && store.get(b"/second").is_none());
    assert_eq!(store.get(b"/first").is_some(), first);
}

#[tokio::test]
async fn a_slow_disk_slows_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = soon(Store::open(Config::new(dir.path()))).await.unwrap();
    let leadership = store.leadership();
    assert!(leadership.borrow().is_leader);
    let before = leadership.borrow().clone();
    store.disk().slow_syncs(Duration::from_millis(400));
    let write = tokio::spawn({
        let store = store.clone();
        async move { store.commit(put("/a", "v")).await }
    });
    let started = std::time::Instant::now();
    soon(store.read_barrier()).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(300));
    soon(write).await.unwrap().unwrap();
    assert_eq!(*leadership.borrow(), before);
    assert!(!leadership.has_changed().unwrap());
}

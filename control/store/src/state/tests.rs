//! The state against a model: one plain map per revision.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    checkpoint::Image,
    watch::{Watch, Watched, wake},
};

type Then = BTreeMap<Bytes, (Bytes, Revision, Revision)>;

fn config(revisions: u64, bytes: usize) -> Config {
    Config {
        history_revisions: revisions,
        history_bytes: bytes,
        ..Config::new("/nowhere")
    }
}

fn some_key() -> impl Strategy<Value = Bytes> {
    (0u8..3, 0u8..12).prop_map(|(kind, name)| Bytes::from(format!("/r/{kind}/{name}")))
}

fn some_value() -> impl Strategy<Value = Value> {
    ("[a-z]{0,6}", any::<bool>()).prop_map(|(text, spliced)| {
        let revision_at = spliced.then_some(text.len() as u32 / 2);
        Value {
            bytes: Bytes::from(text),
            revision_at,
        }
    })
}

fn some_txn() -> impl Strategy<Value = Txn> {
    let compare = prop_oneof![
        some_key().prop_map(Compare::Absent),
        some_key().prop_map(Compare::Present),
        (some_key(), 1u64..60).prop_map(|(key, revision)| Compare::At(key, revision)),
    ];
    let op = prop_oneof![
        2 => (some_key(), some_value()).prop_map(|(key, value)| Op::Put(key, value)),
        1 => (some_key(), proptest::option::of(some_value())).prop_map(|(key, last)| Op::Delete(key, last)),
    ];
    let compares =
        prop_oneof![3 => Just(vec![]).boxed(), 1 => proptest::collection::vec(compare, 1..3).boxed()];
    (compares, proptest::collection::vec(op, 0..4)).prop_map(|(compare, ops)| Txn { compare, ops })
}

/// The same by the words of the documentation.
fn model(now: &mut Then, revision: &mut Revision, txn: &Txn) -> bool {
    let holds = txn.compare.iter().all(|compare| match compare {
        Compare::Absent(key) => !now.contains_key(key),
        Compare::Present(key) => now.contains_key(key),
        Compare::At(key, at) => now.get(key).is_some_and(|(_, _, modified)| modified == at),
    });
    if !holds {
        return false;
    }
    let next = *revision + 1;
    let mut changed = false;
    for op in &txn.ops {
        match op {
            Op::Put(key, value) => {
                let mut text = value.bytes.to_vec();
                if let Some(at) = value.revision_at {
                    text.splice(at as usize..at as usize, next.to_string().into_bytes());
                }
                let created = now.get(key).map_or(next, |(_, created, _)| *created);
                now.insert(key.clone(), (text.into(), created, next));
                changed = true;
            }
            Op::Delete(key, _) => changed |= now.remove(key).is_some(),
        }
    }
    if changed {
        *revision = next;
    }
    true
}

fn as_model(entries: &[Entry]) -> Then {
    let tuple = |entry: &Entry| (entry.value.clone(), entry.create_revision, entry.mod_revision);
    entries
        .iter()
        .map(|entry| (entry.key.clone(), tuple(entry)))
        .collect()
}

fn with_prefix(then: &Then, prefix: &[u8]) -> Then {
    then.iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// Everything under a prefix at a revision, page by page.
fn paged(state: &State, prefix: &'static [u8], revision: Revision, limit: usize) -> Then {
    let mut range = Range {
        prefix: Bytes::from_static(prefix),
        limit,
        revision: Some(revision),
        ..Range::default()
    };
    let mut all = Vec::new();
    loop {
        let page = state.range(&range).expect("a retained revision");
        assert!(page.entries.len() <= limit && page.revision == revision);
        range.after = page.entries.last().map(|entry| entry.key.clone());
        all.extend(page.entries);
        if page.remaining == 0 {
            assert!(all.is_sorted_by(|a: &Entry, b| a.key < b.key));
            return as_model(&all);
        }
    }
}

fn check(state: &State, thens: &BTreeMap<Revision, Then>) {
    let floor = state.history.floor;
    for (&revision, then) in thens {
        let range = Range {
            revision: Some(revision),
            ..Range::default()
        };
        if revision < floor {
            assert!(matches!(state.range(&range), Err(Error::Compacted { oldest, .. }) if oldest == floor));
            continue;
        }
        assert_eq!(
            &as_model(&state.range(&range).expect("retained").entries),
            then,
            "at {revision}"
        );
        assert_eq!(
            paged(state, b"/r/1/", revision, 3),
            with_prefix(then, b"/r/1/"),
            "at {revision}"
        );

        // What a watcher from here sees, carried out on what it had, is the present.
        let mut mirror = then.clone();
        let mut last = revision;
        for event in state.history.after(revision) {
            assert!(event.revision >= last && event.entry.mod_revision == event.revision);
            last = event.revision;
            let entry = event.entry.clone();
            let before = mirror.remove(&entry.key);
            let previous = event.previous.as_ref();
            assert_eq!(
                before,
                previous.map(|e| (e.value.clone(), e.create_revision, e.mod_revision))
            );
            if !event.deleted {
                mirror.insert(
                    entry.key,
                    (entry.value, entry.create_revision, entry.mod_revision),
                );
            }
        }
        assert_eq!(
            mirror,
            as_model(&state.map.iter().cloned().collect::<Vec<_>>()),
            "from {revision}"
        );
    }
    let future = Range {
        revision: Some(state.revision + 1),
        ..Range::default()
    };
    assert!(matches!(state.range(&future), Err(Error::Future { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_state_behaves_like_one_map_per_revision(
        txns in proptest::collection::vec(some_txn(), 1..60),
        revisions in 1u64..80,
        history_bytes in 500usize..40_000,
        checkpoint_at in 0usize..60,
    ) {
        let config = config(revisions, history_bytes);
        let mut state = State::default();
        let (mut now, mut revision) = (Then::new(), 1);
        let mut thens = BTreeMap::from([(1, now.clone())]);
        for (step, txn) in txns.into_iter().enumerate() {
            let held = model(&mut now, &mut revision, &txn);
            let ops = txn.ops.len();
            match state.apply(txn, &config, |_| ()) {
                Ok(committed) => {
                    prop_assert!(held);
                    prop_assert_eq!(committed.revision, revision);
                    prop_assert_eq!(committed.entries.len(), ops);
                }
                Err(Error::Conflict { key, current }) => {
                    prop_assert!(!held);
                    prop_assert_eq!(current, state.map.get(&key).cloned());
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
            prop_assert_eq!(state.revision, revision);
            prop_assert!(state.revision - state.history.floor <= revisions);
            prop_assert!(state.history.bytes() <= history_bytes);
            let live: usize = state.map.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
            prop_assert_eq!(state.live_bytes, live);
            thens.insert(revision, now.clone());
            if step == checkpoint_at {
                let at = skiff_raft::Position { index: 7, term: 3, members: vec![1, 2, 3] };
                let mut file = Vec::new();
                Image::of(&state, at.clone()).write(&mut file).expect("to memory");
                let (position, read) = Image::read(&mut file.as_slice()).expect("what was written").into_state();
                prop_assert_eq!(position, at);
                prop_assert_eq!(read.live_bytes, state.live_bytes);
                prop_assert_eq!(read.history.floor, state.history.floor);
                check(&read, &thens);
                state = read;
            }
        }
        check(&state, &thens);
    }

    #[test]
    fn a_damaged_checkpoint_is_refused(
        txns in proptest::collection::vec(some_txn(), 1..20),
        place in any::<proptest::sample::Index>(),
        bit in 0u8..8,
        cut in any::<bool>(),
    ) {
        let mut state = State::default();
        for txn in txns {
            state.apply(txn, &config(100, 10_000), |_| ()).ok();
        }
        let mut file = Vec::new();
        Image::of(&state, skiff_raft::Position::default()).write(&mut file).expect("to memory");
        let place = place.index(file.len());
        if cut {
            file.truncate(place);
        } else {
            file[place] ^= 1 << bit;
        }
        prop_assert!(Image::read(&mut file.as_slice()).is_err());
    }

    #[test]
    fn a_watch_from_any_revision_sees_every_change_once_in_order_or_is_told_that_it_can_not(
        txns in proptest::collection::vec((some_txn(), any::<u8>()), 1..80),
        revisions in 3u64..100,
        starts in proptest::collection::vec((0u64..60, 0usize..4, any::<bool>()), 1..8),
    ) {
        let config = config(revisions, 1 << 20);
        let watched = Arc::new(Watched::default());
        let prefixes: [&[u8]; 4] = [b"/r/", b"/r/1/", b"/r/1/3", b""];
        let mut watches: Vec<(Watch, &[u8], Revision, Vec<Event>)> = Vec::new();
        let mut everything: Vec<Event> = Vec::new();
        let mut starts = starts.into_iter();
        for (txn, polls) in txns {
            let mut topics = Vec::new();
            {
                let mut state = watched.state.write();
                let before = state.revision;
                state.apply(txn, &config, |note| watched.topics.note(&note, &mut topics)).ok();
                everything.extend(state.history.after(before).cloned());
            }
            wake(&mut topics);
            if polls % 8 == 0 && let Some((after, prefix, in_rounds)) = starts.next() {
                let state = watched.state.read();
                let (floor, now) = (state.history.floor, state.revision);
                drop(state);
                match Watch::begin(&watched, prefixes[prefix], after, in_rounds) {
                    Ok(watch) => {
                        prop_assert!((floor..=now).contains(&after));
                        watches.push((watch, prefixes[prefix], after, vec![]));
                    }
                    Err(Error::Compacted { .. }) => prop_assert!(after < floor),
                    Err(Error::Future { .. }) => prop_assert!(after > now),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
            // Each watcher reads now and then, some rarely enough to be left behind.
            for at in (0..watches.len()).rev() {
                if (polls >> (at % 4)) & 3 != 0 {
                    continue;
                }
                let (watch, _, _, seen) = &mut watches[at];
                match poll(watch) {
                    Ok(events) => seen.extend(events),
                    Err(Error::Compacted { oldest, .. }) => {
                        prop_assert!(oldest > watch.progress());
                        watches.swap_remove(at);
                    }
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
        }
        for (mut watch, prefix, after, mut seen) in watches {
            match poll(&mut watch) {
                Ok(events) => seen.extend(events),
                Err(Error::Compacted { .. }) => continue,
                Err(other) => prop_assert!(false, "{}", other),
            }
            prop_assert_eq!(watch.progress(), watched.state.read().revision);
            let expected: Vec<_> = everything
                .iter()
                .filter(|event| event.revision > after && event.entry.key.starts_with(prefix))
                .map(|event| (event.revision, event.entry.clone(), event.deleted))
                .collect();
            let seen: Vec<_> = seen.into_iter().map(|e| (e.revision, e.entry, e.deleted)).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}

/// What `next` returns without waiting; nothing when it would wait.
fn poll(watch: &mut Watch) -> Result<Vec<Event>, Error> {
    let mut all = Vec::new();
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    loop {
        let next = std::pin::pin!(watch.next());
        match next.poll(&mut context) {
            std::task::Poll::Ready(events) => all.extend(events?),
            std::task::Poll::Pending => return Ok(all),
        }
    }
}

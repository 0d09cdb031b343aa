//! The store as its callers see it, on a real directory.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use bytes::Bytes;
use skiff_store::{Compare, Config, Error, Op, OpenError, Range, Store, Txn, Value};

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

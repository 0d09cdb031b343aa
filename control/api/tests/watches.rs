//! Watches over HTTP when there are many watchers, and slow ones.

mod support;

use serde_json::{Value, json};
use support::{Client, Cluster, Frames};
use tokio::task::JoinSet;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// So many that changes reach them in rounds.
const WATCHERS: usize = 90;
const CHANGES: usize = 200;

/// How each watcher sees the changes: in turn.
const FORMS: [(&str, &str); 3] = [
    ("", "application/json"),
    ("&labelSelector=half%3D1", "application/json"),
    ("", "application/json;as=Table;v=v1;g=meta.k8s.io"),
];

async fn change(client: &Client, number: usize) -> anyhow::Result<()> {
    let labels = json!({"number": number.to_string(), "half": (number / 2 % 2).to_string()});
    let patch = json!({"metadata": {"labels": labels}});
    let name = format!("m{}", number % 2);
    let answer = client
        .patch(&format!("{MAPS}/{name}"), "merge-patch+json", &patch)
        .await?;
    anyhow::ensure!(answer.code == 200, "{}", answer.code);
    Ok(())
}

/// The number of the change that a frame shows, and how.
fn seen(frame: &Value) -> (String, usize) {
    let object = &frame["object"];
    let object = if object["kind"] == "Table" {
        &object["rows"][0]["object"]
    } else {
        object
    };
    let number = object["metadata"]["labels"]["number"]
        .as_str()
        .and_then(|n| n.parse().ok());
    let kind = frame["type"].as_str().unwrap_or_default();
    (kind.to_owned(), number.unwrap_or(usize::MAX))
}

/// What a watcher of a form sees of the changes from `first` on. Each object's changes come in pairs in and out of the selection.
fn expected(form: usize, first: usize) -> Vec<(String, usize)> {
    let selected = |number: usize| number / 2 % 2 == 1;
    let see = |number: usize| match form {
        1 if selected(number) => Some(("ADDED".to_owned(), number)),
        // As it was when it was selected.
        1 if number >= 2 => Some(("DELETED".to_owned(), number - 2)),
        1 => None,
        _ => Some(("MODIFIED".to_owned(), number)),
    };
    (first..CHANGES).filter_map(see).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_watchers_that_share_what_they_see_each_sees_every_change_once_and_in_order()
-> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = cluster.admin()?;
    for name in ["m0", "m1"] {
        client.post(MAPS, &json!({"metadata": {"name": name}})).await?;
    }
    let mut watchers = JoinSet::new();
    let mut started = 0;
    for number in 0..CHANGES {
        // They come while changes go on, and go on from revisions of their own.
        while started < WATCHERS && started * CHANGES / 2 <= number * WATCHERS {
            let form = started % FORMS.len();
            let (selector, accept) = FORMS[form];
            let version = client.get(MAPS).await?.json()["metadata"]["resourceVersion"].clone();
            let version = version.as_str().unwrap_or_default();
            let path = format!("{MAPS}?watch=true&resourceVersion={version}{selector}&timeoutSeconds=60");
            let mut frames = Frames::open_as(&client, &path, accept).await?;
            let expected = expected(form, number);
            watchers.spawn(async move {
                for (at, wanted) in expected.iter().enumerate() {
                    let frame = frames.next().await?;
                    let frame = frame.ok_or_else(|| anyhow::anyhow!("it ended"))?;
                    anyhow::ensure!(
                        seen(&frame) == *wanted,
                        "event {at} of form {form}: {frame}, not {wanted:?}"
                    );
                }
                anyhow::Ok(())
            });
            started += 1;
        }
        change(&client, number).await?;
    }
    assert_eq!(started, WATCHERS);
    while let Some(done) = watchers.join_next().await {
        done??;
    }
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_does_not_read_is_cut_off_and_others_are_not() -> anyhow::Result<()> {
    const LARGE: usize = 60;
    let cluster = Cluster::start_with(|config| config.history_revisions = 5).await?;
    let client = cluster.admin()?;
    client.post(MAPS, &json!({"metadata": {"name": "large"}})).await?;
    let path = format!("{MAPS}?watch=true&resourceVersion=0&timeoutSeconds=60");
    let mut slow = Frames::open(&client, &path).await?;
    let mut quick = Frames::open(&client, &path).await?;
    assert_eq!(quick.next().await?.expect("a frame")["type"], "ADDED");
    // More than all buffers of a connection hold.
    for number in 0..LARGE {
        let patch = json!({"data": {"number": number.to_string(), "rest": "x".repeat(500_000)}});
        client
            .patch(&format!("{MAPS}/large"), "merge-patch+json", &patch)
            .await?;
        let frame = quick.next().await?.expect("a frame");
        assert_eq!(frame["object"]["data"]["number"], number.to_string());
    }
    let mut last = slow.next().await?.expect("a frame");
    let mut count = 0;
    while last["type"] != "ERROR" {
        count += 1;
        last = slow.next().await?.expect("the last frame says why");
    }
    assert_eq!(last["object"]["code"], 410, "{last}");
    assert!(count <= LARGE, "it was not behind");
    assert!(slow.next().await?.is_none());
    cluster.stop().await;
    Ok(())
}

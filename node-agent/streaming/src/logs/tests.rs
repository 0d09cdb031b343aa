use tokio::io::AsyncWriteExt;

use super::*;

fn log(lines: std::ops::Range<u32>) -> String {
    lines
        .map(|n| {
            format!(
                "2026-01-02T03:04:{n:02}.5Z {} F line {n}\n",
                if n % 2 == 0 { "stdout" } else { "stderr" }
            )
        })
        .collect()
}

fn options(query: &str) -> Options {
    Options::parse(&Query::parse(query), "2026-01-02T03:05:00Z".parse().unwrap()).unwrap()
}

async fn read(path: &Path, query: &str) -> String {
    let files = LogFiles {
        path: path.to_owned(),
        running: true,
    };
    let (sender, mut receiver) = mpsc::channel(1024);
    let options = options(query);
    let mut output = Output {
        sender,
        buffer: Vec::new(),
        left: options.limit,
    };
    let copied = copy(&files, &options, false, std::future::pending(), &mut output).await;
    assert!(copied.is_ok() || options.limit.is_some());
    drop(output);
    let mut text = Vec::new();
    while let Some(chunk) = receiver.recv().await {
        text.extend_from_slice(&chunk.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn tail_since_stream_limit_and_timestamps_do_what_kubectl_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, log(0..10)).unwrap();
    assert_eq!(read(&path, "").await.lines().count(), 10);
    assert_eq!(read(&path, "tailLines=2").await, "line 8\nline 9\n");
    assert_eq!(read(&path, "tailLines=0").await, "");
    assert_eq!(read(&path, "tailLines=100").await.lines().count(), 10);
    assert_eq!(
        read(&path, "sinceTime=2026-01-02T03:04:08Z").await,
        "line 8\nline 9\n"
    );
    assert_eq!(read(&path, "sinceSeconds=51").await, "line 9\n");
    assert_eq!(read(&path, "stream=Stderr&tailLines=4").await, "line 7\nline 9\n");
    assert_eq!(read(&path, "limitBytes=9").await, "line 0\nli");
    assert_eq!(
        read(&path, "tailLines=1&timestamps=true").await,
        "2026-01-02T03:04:09.5Z line 9\n"
    );
    assert_eq!(read(&dir.path().join("absent.log"), "").await, "");
}

#[tokio::test]
async fn rotated_files_are_read_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(dir.path().join("0.log.2"), log(0..3)).unwrap();
    std::fs::write(dir.path().join("0.log.1"), log(3..6)).unwrap();
    std::fs::write(&path, log(6..8)).unwrap();
    let all: String = (0..8).map(|n| format!("line {n}\n")).collect();
    assert_eq!(read(&path, "").await, all);
    assert_eq!(
        read(&path, "tailLines=4").await,
        "line 4\nline 5\nline 6\nline 7\n"
    );
    assert_eq!(read(&path, "tailLines=2").await, "line 6\nline 7\n");
    assert_eq!(read(&path, "tailLines=5").await.lines().next(), Some("line 3"));
}

#[test]
fn wrong_options_are_refused_with_their_name() {
    let now = Timestamp::now();
    for (query, name) in [
        ("tailLines=x", "tailLines"),
        ("limitBytes=0", "limitBytes"),
        ("sinceTime=yesterday", "sinceTime"),
        ("sinceSeconds=1&sinceTime=2026-01-02T03:04:08Z", "sinceTime"),
        ("stream=Both", "stream"),
    ] {
        let error = Options::parse(&Query::parse(query), now).unwrap_err();
        assert!(
            error.code == 400 && error.message.contains(name),
            "{query}: {error}"
        );
    }
}

#[tokio::test]
async fn following_sees_every_line_once_across_a_rotation_and_ends_with_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, log(0..2)).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (sender, mut receiver) = mpsc::channel(1024);
    let files = LogFiles {
        path: path.clone(),
        running: true,
    };
    let follower = tokio::spawn(async move {
        let mut output = Output {
            sender,
            buffer: Vec::new(),
            left: None,
        };
        let stopped = async { drop(stopped.await) };
        copy(&files, &options("follow=true"), true, stopped, &mut output).await
    });
    let mut text = String::new();
    let mut expect = async |wanted: &str| {
        while !text.ends_with(wanted) {
            let chunk = receiver.recv().await.expect("the follower goes on").unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    expect("line 1\n").await;
    let mut file = tokio::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .await
        .unwrap();
    // In two parts: half a line is not shown.
    file.write_all(b"2026-01-02T03:04:02.5Z stdout F li")
        .await
        .unwrap();
    file.flush().await.unwrap();
    file.write_all(b"ne 2\n").await.unwrap();
    file.flush().await.unwrap();
    expect("line 2\n").await;
    tokio::fs::rename(&path, dir.path().join("0.log.1"))
        .await
        .unwrap();
    tokio::fs::write(&path, log(3..5)).await.unwrap();
    expect("line 4\n").await;
    let mut file = tokio::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .await
        .unwrap();
    file.write_all(log(5..6).as_bytes()).await.unwrap();
    file.flush().await.unwrap();
    stop.send(()).unwrap();
    follower.await.unwrap().unwrap();
    while let Some(chunk) = receiver.recv().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let all: String = (0..6).map(|n| format!("line {n}\n")).collect();
    assert_eq!(text, all);
}

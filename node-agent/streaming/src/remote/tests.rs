use std::sync::{Arc, Mutex};

use tokio::io::duplex;

use super::*;
use crate::SessionControl;

/// A process that ends with 3 once `end` is called, and remembers what was asked of it.
#[derive(Default)]
struct Process {
    ended: tokio::sync::Notify,
    sizes: Mutex<Vec<(u16, u16)>>,
    closed: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl SessionControl for Arc<Process> {
    fn resize(&self, columns: u16, rows: u16) {
        self.sizes.lock().unwrap().push((columns, rows));
    }

    async fn wait(&self) -> Result<i32, NodeError> {
        self.ended.notified().await;
        self.ended.notify_one();
        Ok(3)
    }

    fn close(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// What the client has received: stdout, stderr, the final status.
type Received = (Vec<u8>, Vec<u8>, Option<Value>);

#[derive(Clone, Default)]
struct Client(Arc<Mutex<Received>>);

#[async_trait]
impl Output for Client {
    async fn write(&mut self, channel: Channel, bytes: &[u8]) -> io::Result<()> {
        let mut seen = self.0.lock().unwrap();
        match channel {
            Channel::Stdout => seen.0.extend_from_slice(bytes),
            Channel::Stderr => seen.1.extend_from_slice(bytes),
        }
        Ok(())
    }

    async fn finish(&mut self, status: &Value) -> io::Result<()> {
        self.0.lock().unwrap().2 = Some(status.clone());
        Ok(())
    }
}

#[tokio::test]
async fn all_output_arrives_before_the_exit_code() {
    let process = Arc::new(Process::default());
    let (mut stdout, their_stdout) = duplex(64);
    let (mut stderr, their_stderr) = duplex(64);
    let (their_stdin, mut stdin) = duplex(64);
    let session = Session {
        stdin: Some(Box::new(their_stdin)),
        stdout: Some(Box::new(their_stdout)),
        stderr: Some(Box::new(their_stderr)),
        control: Box::new(process.clone()),
    };
    let (sender, inputs) = mpsc::channel(4);
    let client = Client::default();
    let running = tokio::spawn(run(session, inputs, client.clone()));
    sender
        .send(Input::Stdin(Bytes::from_static(b"in")))
        .await
        .unwrap();
    sender.send(Input::Resize(80, 24)).await.unwrap();
    sender.send(Input::StdinEnd).await.unwrap();
    let mut received = String::new();
    stdin.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "in");
    // Ends before all of its output has been read.
    process.ended.notify_one();
    stdout.write_all(&[b'o'; 100_000]).await.unwrap();
    stderr.write_all(b"err").await.unwrap();
    drop((stdout, stderr));
    running.await.unwrap();
    let seen = client.0.lock().unwrap();
    assert_eq!((seen.0.len(), &seen.1[..]), (100_000, &b"err"[..]));
    assert_eq!(seen.2.as_ref().unwrap()["details"]["causes"][0]["message"], "3");
    assert_eq!(*process.sizes.lock().unwrap(), [(80, 24)]);
}

#[tokio::test(start_paused = true)]
async fn a_descendant_that_keeps_the_output_open_does_not_hold_the_client() {
    let process = Arc::new(Process::default());
    let (stdout, their_stdout) = duplex(64);
    let session = Session {
        stdin: None,
        stdout: Some(Box::new(their_stdout)),
        stderr: None,
        control: Box::new(process.clone()),
    };
    let (_sender, inputs) = mpsc::channel(4);
    let client = Client::default();
    process.ended.notify_one();
    run(session, inputs, client.clone()).await;
    assert!(client.0.lock().unwrap().2.is_some());
    drop(stdout);
}

#[tokio::test]
async fn a_client_that_leaves_hangs_up_the_process() {
    let process = Arc::new(Process::default());
    let (_stdout, their_stdout) = duplex(64);
    let session = Session {
        stdin: None,
        stdout: Some(Box::new(their_stdout)),
        stderr: None,
        control: Box::new(process.clone()),
    };
    let (sender, inputs) = mpsc::channel(4);
    drop(sender);
    run(session, inputs, Client::default()).await;
    assert!(process.closed.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn the_query_of_the_kubelet_and_of_the_api_ask_for_the_same() {
    let api = wanted(&Query::parse("command=ls&stdin=true&stdout=true&stderr=true"));
    let kubelet = wanted(&Query::parse("command=ls&input=1&output=1&error=1"));
    assert_eq!(api, kubelet);
    assert!(
        !wanted(&Query::parse("stderr=true&tty=true")).stderr,
        "a terminal has one output"
    );
    assert!(matches!(
        size(br#"{"Width":80,"Height":24}"#),
        Some(Input::Resize(80, 24))
    ));
    assert!(size(b"{}").is_none());
}

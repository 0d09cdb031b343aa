//! An HTTP client of a few threads that counts who answered: one new connection per request, as the least forgiving client does.
//! Plain blocking sockets; the same code also runs inside a pod ([`from_a_pod`]).

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::json;
use skiff_tests::{Namespace, pod};

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers by what the answerer called itself.
    pub answers: BTreeMap<String, u64>,
    /// Requests without a whole answer.
    pub failures: Vec<Failure>,
}

/// A request without a whole answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When it was sent.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// What happened.
    pub text: String,
}

impl Outcome {
    /// Whole answers.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// The largest distance of an answerer from its even share, as a part of that share.
    pub fn unevenness(&self) -> f64 {
        let even = self.answered() as f64 / self.answers.len().max(1) as f64;
        self.answers
            .values()
            .map(|count| (*count as f64 - even).abs() / even)
            .fold(0.0, f64::max)
    }
}

/// A run under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts `threads` threads that send requests until [`Load::stop`], or until `limit` requests were sent.
pub fn start(target: SocketAddr, threads: usize, limit: u64) -> Load {
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let work = |_| {
        let (stop, begun, outcome) = (Arc::clone(&stop), Arc::clone(&begun), Arc::clone(&outcome));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && begun.fetch_add(1, Ordering::Relaxed) < limit {
                let began = Instant::now();
                let answer = request(target);
                let mut outcome = outcome.lock().expect("no panic while held");
                match answer {
                    Ok(name) => *outcome.answers.entry(name).or_default() += 1,
                    Err(text) => outcome.failures.push(Failure {
                        began,
                        ended: Instant::now(),
                        text,
                    }),
                }
            }
        })
    };
    let threads = (0..threads).map(work).collect();
    Load {
        stop,
        outcome,
        threads,
    }
}

impl Load {
    /// Waits until the limit is reached.
    pub fn finish(self) -> Outcome {
        for thread in self.threads {
            thread.join().expect("load thread");
        }
        self.outcome.lock().expect("no panic while held").clone()
    }

    /// Lets the requests under way end, and no more begin.
    pub fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

/// One request; the last word of the body is the name of the answerer.
fn request(target: SocketAddr) -> Result<String, String> {
    let failed = |step: &str| {
        let step = step.to_owned();
        move |error: std::io::Error| format!("{step}: {error}")
    };
    let mut stream =
        TcpStream::connect_timeout(&target, Duration::from_secs(20)).map_err(failed("connect"))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .map_err(failed("timeout"))?;
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .map_err(failed("send"))?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    if let Err(error) = read {
        return Err(format!("receive ({} bytes so far): {error}", answer.len()));
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim());
    match body.and_then(|body| body.rsplit(' ').next()) {
        Some(name) if answer.contains(" 200 ") && !name.is_empty() => Ok(name.to_owned()),
        _ => Err(format!("answer of {} bytes", answer.len())),
    }
}

/// What the client in a pod is told, in the environment: `ADDRESS THREADS REQUESTS`.
const TASK: &str = "SKIFF_TEST_LOAD";
/// The test that is the client in a pod.
const CLIENT: &str = "faults::load::the_client_inside_a_pod";

/// Sends `requests` requests from a pod: this very program with the libraries it has loaded, in a folder of the host.
pub fn from_a_pod(
    space: &Namespace<'_>,
    target: SocketAddr,
    threads: usize,
    requests: u64,
) -> Result<Outcome> {
    let cluster = space.cluster();
    let dir = cluster.home().join("load");
    fs::create_dir_all(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut files: Vec<&str> = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]))
        .collect();
    files.retain(|path| path.contains(".so"));
    files.sort_unstable();
    files.dedup();
    for file in &files {
        let name = std::path::Path::new(file)
            .file_name()
            .context("name of a library")?;
        fs::copy(file, dir.join(name)).with_context(|| format!("copy {file}"))?;
    }
    let loader = files
        .iter()
        .find_map(|file| file.rsplit('/').next().filter(|name| name.starts_with("ld-")));
    let loader = loader.context("the dynamic loader is among the loaded files")?;
    fs::copy(std::env::current_exe()?, dir.join("client"))?;
    fs::set_permissions(dir.join("client"), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(dir.join(loader), fs::Permissions::from_mode(0o755))?;

    let mount = json!([{"name": "load", "mountPath": "/load", "readOnly": true}]);
    let container = json!({
        "name": "client", "image": cluster.image("v1")?, "volumeMounts": mount,
        "command": [format!("/load/{loader}"), "--library-path", "/load", "/load/client", "--exact", CLIENT, "--ignored", "--nocapture"],
        "env": [{"name": TASK, "value": format!("{target} {threads} {requests}")}],
    });
    let volumes = json!([{"name": "load", "hostPath": {"path": dir}}]);
    let spec = json!({"restartPolicy": "Never", "containers": [container], "volumes": volumes});
    space.apply(&[pod("client", spec)])?;
    let said = space.wait_succeeded("client")?;
    let mut outcome = Outcome::default();
    let now = Instant::now();
    for line in said.lines() {
        match line.split_once(' ') {
            Some(("ANSWERS", rest)) => {
                let (name, count) = rest.split_once(' ').context("name and count")?;
                outcome.answers.insert(name.to_owned(), count.parse()?);
            }
            Some(("FAILURE", text)) => outcome.failures.push(Failure {
                began: now,
                ended: now,
                text: text.to_owned(),
            }),
            _ => {}
        }
    }
    Ok(outcome)
}

#[test]
#[ignore = "run inside a pod, by other tests"]
fn the_client_inside_a_pod() {
    let Ok(task) = std::env::var(TASK) else { return };
    let words: Vec<&str> = task.split(' ').collect();
    let number = |index: usize| words[index].parse::<u64>().expect("a number");
    let target = words[0].parse().expect("an address");
    let outcome = start(target, number(1) as usize, number(2)).finish();
    println!();
    for (name, count) in &outcome.answers {
        println!("ANSWERS {name} {count}");
    }
    for failure in &outcome.failures {
        println!("FAILURE {}", failure.text);
    }
}

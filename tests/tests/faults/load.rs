//! An HTTP client of a few threads that counts who answered: one new connection per request, as the least forgiving client does.
//! Plain blocking sockets, so that the same code also runs inside a pod (see [`super::pods::client_pod`]).

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers by what the answerer called itself.
    pub answers: BTreeMap<String, u64>,
    /// Requests without a whole answer: what happened, and when (milliseconds since the start).
    pub failures: Vec<(u64, String)>,
    /// The slowest request.
    pub slowest: Duration,
}

impl Outcome {
    /// Whole answers.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    /// The largest distance of an answerer from its even share, as a part of that share.
    pub fn unevenness(&self) -> f64 {
        let even = self.answered() as f64 / self.answers.len().max(1) as f64;
        self.answers.values().map(|count| (*count as f64 - even).abs() / even).fold(0.0, f64::max)
    }
}

/// A run under way.
pub struct Load {
    stop: Arc<AtomicBool>,
    /// Requests begun.
    begun: Arc<AtomicU64>,
    outcome: Arc<Mutex<Outcome>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts `threads` threads that send requests until [`Load::stop`], or until `limit` requests were sent.
pub fn start(target: SocketAddr, threads: usize, limit: u64) -> Load {
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let start = Instant::now();
    let work = |_| {
        let (stop, begun, outcome) = (Arc::clone(&stop), Arc::clone(&begun), Arc::clone(&outcome));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) && begun.fetch_add(1, Ordering::Relaxed) < limit {
                let began = Instant::now();
                let answer = request(target);
                let mut outcome = outcome.lock().expect("no panic while held");
                outcome.slowest = outcome.slowest.max(began.elapsed());
                match answer {
                    Ok(name) => *outcome.answers.entry(name).or_default() += 1,
                    Err(text) => {
                        let text = format!("{text} after {} ms", began.elapsed().as_millis());
                        outcome.failures.push((start.elapsed().as_millis() as u64, text));
                    }
                }
            }
        })
    };
    let threads = (0..threads).map(work).collect();
    Load { stop, begun, outcome, threads }
}

impl Load {
    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

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
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(20)).map_err(failed("connect"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed("timeout"))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(failed("send"))?;
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

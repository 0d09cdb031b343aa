//! Load generators: threads that block, each with one connection at a time.

use std::{
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// What one thread did.
#[derive(Default)]
struct Done {
    count: u64,
    bytes: u64,
    errors: u64,
    /// Of each operation, microseconds.
    latencies: Vec<f32>,
}

/// One measurement of `kind`; prints a line of JSON.
pub fn run(kind: &str, to: SocketAddr, seconds: f64) -> Result<()> {
    match kind {
        "stream1" => measure(1, seconds, move |stop| stream(to, stop)),
        "stream8" => measure(8, seconds, move |stop| stream(to, stop)),
        "connect" => measure(16, seconds, move |stop| connections(to, stop)),
        "http" => measure(64, seconds, move |stop| http(to, stop)),
        "http1" => measure(1, seconds, move |stop| http(to, stop)),
        "udp" => measure(16, seconds, move |stop| datagrams(to, stop)),
        "udp1" => measure(1, seconds, move |stop| datagrams(to, stop)),
        _ => match kind.strip_prefix("idle") {
            Some(count) => idle(to, count.parse()?),
            None => bail!("unknown load {kind}"),
        },
    }
}

fn measure(
    threads: usize,
    seconds: f64,
    work: impl Fn(&AtomicBool) -> io::Result<Done> + Clone + Send + 'static,
) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let begin = Instant::now();
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (stop, work) = (Arc::clone(&stop), work.clone());
            thread::spawn(move || work(&stop))
        })
        .collect();
    thread::sleep(Duration::from_secs_f64(seconds));
    stop.store(true, Ordering::Relaxed);
    let mut all = Done::default();
    for thread in running {
        let done = thread.join().ok().context("a load thread panicked")??;
        all.count += done.count;
        all.bytes += done.bytes;
        all.errors += done.errors;
        all.latencies.extend(done.latencies);
    }
    let took = begin.elapsed().as_secs_f64();
    all.latencies.sort_by(f32::total_cmp);
    let at = |share: f64| {
        let index = (all.latencies.len() as f64 * share) as usize;
        all.latencies.get(index).copied().unwrap_or(0.0)
    };
    let report = serde_json::json!({
        "seconds": took, "count": all.count, "bytes": all.bytes, "errors": all.errors,
        "p50": at(0.5), "p99": at(0.99),
    });
    println!("{report}");
    Ok(())
}

fn stream(to: SocketAddr, stop: &AtomicBool) -> io::Result<Done> {
    let mut stream = TcpStream::connect(to)?;
    let data = vec![7; 128 * 1024];
    let mut done = Done::default();
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&data)?;
        done.bytes += data.len() as u64;
    }
    // Counted when the far side has it all.
    stream.shutdown(std::net::Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(done)
}

fn connections(to: SocketAddr, stop: &AtomicBool) -> io::Result<Done> {
    let mut done = Done::default();
    let once = || -> io::Result<()> {
        let mut stream = TcpStream::connect(to)?;
        stream.write_all(b"ping")?;
        stream.read_exact(&mut [0; 4])
    };
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        match once() {
            Ok(()) => done.count += 1,
            Err(_) => done.errors += 1,
        }
        done.latencies.push(begin.elapsed().as_secs_f32() * 1e6);
    }
    Ok(done)
}

fn http(to: SocketAddr, stop: &AtomicBool) -> io::Result<Done> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let mut done = Done::default();
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n")?;
        let mut got = 0;
        // The answers of the server, and what proxies add to them, end like this.
        while !buffer[..got].ends_with(b"Hello, world\n") {
            match stream.read(&mut buffer[got..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => got += count,
            }
        }
        done.count += 1;
        done.latencies.push(begin.elapsed().as_secs_f32() * 1e6);
    }
    Ok(done)
}

fn datagrams(to: SocketAddr, stop: &AtomicBool) -> io::Result<Done> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut done = Done::default();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        socket.send(&[7; 64])?;
        match socket.recv(&mut buffer) {
            Ok(_) => done.count += 1,
            Err(_) => done.errors += 1,
        }
        done.latencies.push(begin.elapsed().as_secs_f32() * 1e6);
    }
    Ok(done)
}

/// Opens `count` connections, says so, and keeps them until told otherwise.
fn idle(to: SocketAddr, count: usize) -> Result<()> {
    let mut kept = Vec::with_capacity(count);
    while kept.len() < count {
        let stream = TcpStream::connect(to).with_context(|| format!("connection {}", kept.len()))?;
        kept.push(stream);
    }
    // The last one is there, so the proxy has had all of them.
    ensure!(!kept.is_empty(), "no connection wanted");
    println!("{{\"count\": {count}}}");
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

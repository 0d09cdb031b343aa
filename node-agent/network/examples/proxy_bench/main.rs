//! The programs of `tests/bench/proxy`: servers, load generators, and a proxy in a pod network of its own.
//!
//! ```text
//! proxy_bench serve                        servers for all kinds of load, until stdin ends
//! proxy_bench load KIND ADDRESS [SECONDS]  one measurement, printed as a line of JSON
//! proxy_bench proxy DIR POD=NETNS...       node namespace in DIR, pods attached, services as told on stdin
//! ```

mod load;
mod proxy;
mod serve;

use anyhow::{Context, Result, bail};

/// Port of the server for each kind of load.
#[derive(Clone, Copy)]
enum Kind {
    /// Reads and forgets.
    Sink = 7001,
    /// Sends an accepted connection's bytes back, until it ends.
    Echo = 7002,
    /// Answers HTTP/1.1 requests.
    Http = 7003,
    /// Echoes datagrams.
    Udp = 7004,
    /// Accepts and keeps.
    Idle = 7005,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => serve::run(),
        ["load", kind, address, rest @ ..] => {
            let seconds = rest.first().map_or(Ok(1.0), |text| text.parse())?;
            load::run(kind, address.parse().context("address")?, seconds)
        }
        ["proxy", dir, pods @ ..] => proxy::run(dir.as_ref(), pods),
        _ => bail!("see the header of this example"),
    }
}

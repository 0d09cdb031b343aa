//! events: what a container uses, and OOM kills, as lines of JSON.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags},
};
use serde::Serialize;
use serde_json::Value;

use super::{args, pause, store::Store};
use crate::error::invalid;

pub(super) fn events(store: &Store, args: &args::Events) -> io::Result<i32> {
    let interval = interval(&args.interval)
        .filter(|d| !d.is_zero())
        .ok_or_else(|| invalid("duration interval must be greater than 0"))?;
    let (entry, saved) = store.get(&args.id)?;
    let not_running = || {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!("container with id {} is not running", args.id),
        )
    };
    if entry.status(&saved) == "stopped" {
        return Err(not_running());
    }
    let cgroup = pause::cgroup(&saved)?;
    if args.stats {
        print("stats", &args.id, Some(cgroup.stats()))?;
        return Ok(0);
    }
    let pid = Pid::from_raw(saved.pid as i32).ok_or_else(not_running)?;
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|_| not_running())?;
    if entry.status(&saved) == "stopped" {
        return Err(not_running());
    }
    let mut oom = cgroup.watch_oom().ok();
    let mut next = Instant::now() + interval;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut polled = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        if let Some(oom) = &oom {
            let (fd, flags) = oom.polled();
            polled.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let ready = match poll(&mut polled, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            done => done?,
        };
        let told = |at: usize| polled.get(at).is_some_and(|p| !p.revents().is_empty());
        let (ended, killed) = (told(0), told(1));
        if killed && oom.as_mut().is_some_and(|oom| oom.happened()) {
            print("oom", &args.id, None)?;
        }
        if ended {
            return Ok(0);
        }
        if ready == 0 {
            print("stats", &args.id, Some(cgroup.stats()))?;
            next = Instant::now() + interval;
        }
    }
}

fn print(kind: &str, id: &str, data: Option<Value>) -> io::Result<()> {
    /// In runc's order.
    #[derive(Serialize)]
    struct Event<'a> {
        r#type: &'a str,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Value>,
    }
    let event = Event {
        r#type: kind,
        id,
        data,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&event)?)?;
    out.flush()
}

/// A duration as Go writes it: `5s`, `1m30s`, `500ms`.
fn interval(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        total += number
            * match &unit[..end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &unit[end..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_as_in_go() {
        assert_eq!(interval("5s"), Some(Duration::from_secs(5)));
        assert_eq!(interval("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(interval("500ms"), Some(Duration::from_millis(500)));
        for bad in ["5", "s", "-5s", "5 s", "1y"] {
            assert_eq!(interval(bad), None, "{bad}");
        }
    }
}

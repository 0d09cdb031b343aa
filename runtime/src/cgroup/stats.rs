//! What a cgroup has used, in runc's words.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value, json};

use super::{Cgroup, Version};

/// Clock ticks per second, as `/proc` counts them on every architecture of Linux.
const TICKS: u64 = 100;

impl Cgroup {
    /// The `data` of runc's `events --stats`. What the kernel does not tell is left out.
    pub fn stats(&self) -> Value {
        let mut stats = match self.version {
            Version::V2 => self.stats_v2(),
            _ => self.stats_v1(),
        };
        if stats["cpuset"].is_null() {
            stats["cpuset"] = json!({
                "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0,
                "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0, "sched_load_balance": 0,
                "sched_relax_domain_level": 0,
            });
        }
        stats["intel_rdt"] = json!({});
        stats["network_interfaces"] = Value::Null;
        stats
    }

    fn stats_v1(&self) -> Value {
        let dir = |controller: &str| {
            self.directory(controller)
                .unwrap_or(Path::new("/nonexistent"))
                .to_owned()
        };
        let (cpuacct, cpu, memory) = (dir("cpuacct"), dir("cpu"), dir("memory"));
        let ticks = table(&cpuacct.join("cpuacct.stat"));
        let nanoseconds = |key: &str| ticks.get(key).copied().unwrap_or(0) * (1_000_000_000 / TICKS);
        let throttling = table(&cpu.join("cpu.stat"));
        let percpu = numbers(&cpuacct.join("cpuacct.usage_percpu"));
        let entry = |prefix: &str| {
            compact(json!({
                "usage": number(&memory.join(format!("{prefix}.usage_in_bytes"))),
                "max": number(&memory.join(format!("{prefix}.max_usage_in_bytes"))),
            }))
            .with("limit", number(&memory.join(format!("{prefix}.limit_in_bytes"))))
            .with("failcnt", number(&memory.join(format!("{prefix}.failcnt"))))
        };
        let raw = table(&memory.join("memory.stat"));
        let blkio = dir("blkio");
        let operations = |file: &str| {
            let recursive = blkio_table(&blkio.join(format!("{file}_recursive")));
            if recursive.is_empty() {
                blkio_table(&blkio.join(file))
            } else {
                recursive
            }
        };
        json!({
            "cpu": {
                "usage": compact(json!({"total": number(&cpuacct.join("cpuacct.usage")), "percpu": percpu}))
                    .with("kernel", nanoseconds("system"))
                    .with("user", nanoseconds("user")),
                "throttling": compact(json!({
                    "periods": throttling.get("nr_periods"),
                    "throttledPeriods": throttling.get("nr_throttled"),
                    "throttledTime": throttling.get("throttled_time"),
                })),
            },
            "cpuset": cpuset(&dir("cpuset")),
            "memory": compact(json!({"cache": raw.get("cache"), "raw": raw}))
                .with("usage", entry("memory"))
                .with("swap", entry("memory.memsw"))
                .with("kernel", entry("memory.kmem"))
                .with("kernelTCP", entry("memory.kmem.tcp")),
            "pids": pids(&dir("pids")),
            "blkio": compact(json!({
                "ioServiceBytesRecursive": operations("blkio.throttle.io_service_bytes"),
                "ioServicedRecursive": operations("blkio.throttle.io_serviced"),
            })),
            "hugetlb": hugetlb(&dir("hugetlb"), Version::V1),
        })
    }

    fn stats_v2(&self) -> Value {
        let dir = &self.directories[0].1;
        let cpu = table(&dir.join("cpu.stat"));
        let nanoseconds = |key: &str| cpu.get(key).copied().unwrap_or(0) * 1000;
        let (usage, limit) = (
            number(&dir.join("memory.current")),
            limit(&dir.join("memory.max")),
        );
        let swap_limit = self::limit(&dir.join("memory.swap.max"));
        let raw = table(&dir.join("memory.stat"));
        let events = table(&dir.join("memory.events"));
        let swap_events = table(&dir.join("memory.swap.events"));
        let none = json!({"limit": 0, "failcnt": 0});
        json!({
            "cpu": compact(json!({"psi": pressure(&dir.join("cpu.pressure"))}))
                .with("usage", compact(json!({"total": nanoseconds("usage_usec")}))
                    .with("kernel", nanoseconds("system_usec"))
                    .with("user", nanoseconds("user_usec")))
                .with("throttling", compact(json!({
                    "periods": cpu.get("nr_periods"),
                    "throttledPeriods": cpu.get("nr_throttled"),
                    "throttledTime": nanoseconds("throttled_usec"),
                }))),
            "memory": compact(json!({
                "cache": raw.get("file"),
                "raw": raw,
                "psi": pressure(&dir.join("memory.pressure")),
            }))
                .with("usage", compact(json!({"usage": usage, "max": number(&dir.join("memory.peak"))}))
                    .with("limit", limit)
                    .with("failcnt", events.get("max").copied().unwrap_or(0)))
                // As on v1, where the number is memory and swap together.
                .with("swap", compact(json!({"usage": number(&dir.join("memory.swap.current")) + usage}))
                    .with("limit", if swap_limit == u64::MAX { u64::MAX } else { swap_limit.saturating_add(limit) })
                    .with("failcnt", swap_events.get("fail").copied().unwrap_or(0)))
                .with("kernel", none.clone())
                .with("kernelTCP", none),
            "pids": pids(dir),
            "blkio": compact(json!({
                "ioServiceBytesRecursive": io_table(&dir.join("io.stat"), &[("rbytes", "Read"), ("wbytes", "Write"), ("dbytes", "Discard")]),
                "ioServicedRecursive": io_table(&dir.join("io.stat"), &[("rios", "Read"), ("wios", "Write"), ("dios", "Discard")]),
                "psi": pressure(&dir.join("io.pressure")),
            })),
            "hugetlb": hugetlb(dir, Version::V2),
        })
    }
}

/// Leaves out what is nothing: null, 0, and the empty.
fn compact(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let nothing = |v: &Value| {
        v.is_null()
            || v == &json!(0)
            || v.as_array().is_some_and(Vec::is_empty)
            || v.as_object().is_some_and(Map::is_empty)
    };
    Value::Object(map.into_iter().filter(|(_, v)| !nothing(v)).collect())
}

trait With {
    /// Adds a member that is there even when it is 0.
    fn with(self, key: &str, value: impl Into<Value>) -> Self;
}

impl With for Value {
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self[key] = value.into();
        self
    }
}

/// The number in a file; 0 without one.
pub(super) fn number(path: &Path) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// `max` is the largest number.
fn limit(path: &Path) -> u64 {
    match fs::read_to_string(path) {
        Ok(text) if text.trim() == "max" => u64::MAX,
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(_) => 0,
    }
}

fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

/// Lines of a key and a number.
fn table(path: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

fn pids(dir: &Path) -> Value {
    let limit = limit(&dir.join("pids.max"));
    let limit = if limit == u64::MAX { 0 } else { limit };
    compact(json!({"current": number(&dir.join("pids.current")), "limit": limit}))
}

/// `8:0 Read 123`.
fn blkio_table(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = device(words.next()?)?;
            let (op, value) = (words.next()?, words.next()?.parse::<u64>().ok()?);
            Some(compact(
                json!({"major": major, "minor": minor, "op": op, "value": value}),
            ))
        })
        .collect()
}

/// `8:0 rbytes=1 wbytes=2 …`.
fn io_table(path: &Path, wanted: &[(&str, &str)]) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut entries = Vec::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((major, minor)) = device(name) else {
            continue;
        };
        for (key, value) in rest.split_whitespace().filter_map(|w| w.split_once('=')) {
            if let Some((_, op)) = wanted.iter().find(|(k, _)| *k == key)
                && let Ok(value) = value.parse::<u64>()
            {
                entries.push(compact(
                    json!({"major": major, "minor": minor, "op": op, "value": value}),
                ));
            }
        }
    }
    entries
}

fn device(name: &str) -> Option<(u64, u64)> {
    let (major, minor) = name.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full`.
fn pressure(path: &Path) -> Value {
    let Ok(text) = fs::read_to_string(path) else {
        return Value::Null;
    };
    let mut all = Map::new();
    for line in text.lines() {
        let Some((kind, rest)) = line.split_once(' ') else {
            continue;
        };
        let values: Map<String, Value> = rest
            .split_whitespace()
            .filter_map(|word| {
                let (key, value) = word.split_once('=')?;
                let value = match value.parse::<u64>() {
                    Ok(whole) => json!(whole),
                    Err(_) => json!(value.parse::<f64>().ok()?),
                };
                Some((key.to_owned(), value))
            })
            .collect();
        all.insert(kind.to_owned(), values.into());
    }
    all.into()
}

fn cpuset(dir: &Path) -> Value {
    let list = |file: &str| ranges(&fs::read_to_string(dir.join(file)).unwrap_or_default());
    let flag = |file: &str| number(&dir.join(file));
    let level = fs::read_to_string(dir.join("cpuset.sched_relax_domain_level"))
        .ok()
        .and_then(|t| t.trim().parse::<i64>().ok())
        .unwrap_or(0);
    compact(json!({"cpus": list("cpuset.cpus"), "mems": list("cpuset.mems")}))
        .with("cpu_exclusive", flag("cpuset.cpu_exclusive"))
        .with("mem_hardwall", flag("cpuset.mem_hardwall"))
        .with("mem_exclusive", flag("cpuset.mem_exclusive"))
        .with("memory_migrate", flag("cpuset.memory_migrate"))
        .with("memory_spread_page", flag("cpuset.memory_spread_page"))
        .with("memory_spread_slab", flag("cpuset.memory_spread_slab"))
        .with("memory_pressure", flag("cpuset.memory_pressure"))
        .with("sched_load_balance", flag("cpuset.sched_load_balance"))
        .with("sched_relax_domain_level", level)
}

/// The numbers of `0-2,5`; what is no number is left out.
pub(crate) fn ranges(text: &str) -> Vec<u16> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse::<u16>().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

fn hugetlb(dir: &Path, version: Version) -> Value {
    let mut all = Map::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let current = if version == Version::V2 {
            ".current"
        } else {
            ".usage_in_bytes"
        };
        let Some(size) = name
            .strip_prefix("hugetlb.")
            .and_then(|n| n.strip_suffix(current))
            .filter(|size| !size.contains('.'))
        else {
            continue;
        };
        let file = |name: &str| dir.join(format!("hugetlb.{size}.{name}"));
        let (max, failures) = match version {
            Version::V2 => (0, table(&file("events")).get("max").copied().unwrap_or(0)),
            _ => (number(&file("max_usage_in_bytes")), number(&file("failcnt"))),
        };
        let usage = number(&entry.path());
        all.insert(
            size.to_owned(),
            compact(json!({"usage": usage, "max": max})).with("failcnt", failures),
        );
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ranges_are_counted_out() {
        assert_eq!(ranges("0-2,5\n"), [0, 1, 2, 5]);
        assert!(ranges("\n").is_empty());
    }

    #[test]
    fn a_v2_cgroup_is_told_as_runc_does() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            (
                "cpu.stat",
                "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 0\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 1\nfile 7\n"),
            ("memory.swap.current", "0\n"),
            ("memory.swap.max", "0\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:16 rbytes=10 wbytes=0 rios=1 wios=0\n"),
            ("cpu.pressure", "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\n"),
            ("hugetlb.2MB.current", "0\n"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let cgroup = Cgroup {
            version: Version::V2,
            directories: vec![(String::new(), dir.path().to_owned())],
            path: "x".into(),
            keep: 0,
            unit: None,
        };
        let stats = cgroup.stats();
        assert_eq!(
            stats["cpu"]["usage"],
            json!({"total": 5000, "kernel": 2000, "user": 3000})
        );
        assert_eq!(stats["cpu"]["psi"]["some"]["avg10"], 0.5);
        assert_eq!(stats["memory"]["usage"]["limit"], u64::MAX);
        assert_eq!(stats["memory"]["cache"], 7);
        assert_eq!(stats["pids"], json!({"current": 2}));
        assert_eq!(
            stats["blkio"]["ioServiceBytesRecursive"][0],
            json!({"major": 8, "minor": 16, "op": "Read", "value": 10})
        );
        assert_eq!(stats["hugetlb"]["2MB"], json!({"failcnt": 0}));
    }
}

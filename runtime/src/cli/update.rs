//! update: other limits for a container that exists.

use std::{
    fs,
    io::{self, Read},
};

use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};

use super::{
    args::{self, Args},
    pause,
    store::Store,
};
use crate::error::{Context, invalid};

pub(super) fn update(store: &Store, args: &args::Update, all: &Args) -> io::Result<i32> {
    let (entry, saved) = store.get(&args.id)?;
    if entry.status(&saved) == "stopped" {
        return Err(io::Error::new(io::ErrorKind::NotFound, "container not running"));
    }
    if args.l3_cache_schema.is_some() {
        return Err(invalid("Intel RDT/CAT: l3 cache schema is not enabled"));
    }
    if args.mem_bw_schema.is_some() {
        return Err(invalid("Intel RDT/MBA: memory bandwidth schema is not enabled"));
    }
    let change = match &args.resources {
        Some(path) if path.as_os_str() == "-" => {
            let mut text = Vec::new();
            io::stdin().read_to_end(&mut text)?;
            parse(&text).context(|| "read the resources from stdin".into())?
        }
        Some(path) => fs::read(path)
            .and_then(|text| parse(&text))
            .context(|| format!("read {path:?}"))?,
        None => from_flags(args)?,
    };
    let change = compact(change);
    let resources: LinuxResources =
        serde_json::from_value(change.clone()).context(|| "read the resources".into())?;
    let notes = pause::cgroup(&saved)?.apply(&resources, false)?;
    super::notes(all, &notes);
    // What holds from now on, for a later look at the configuration.
    let mut spec = serde_json::to_value(entry.spec()?)?;
    merge(&mut spec["linux"]["resources"], change);
    entry.save_config(&serde_json::from_value(spec).context(|| "change the configuration".into())?)?;
    Ok(0)
}

fn parse(text: &[u8]) -> io::Result<Value> {
    Ok(serde_json::from_slice(text)?)
}

fn from_flags(args: &args::Update) -> io::Result<Value> {
    let bytes = |text: &Option<String>| text.as_deref().map(bytes).transpose();
    let limit = args.pids_limit.map(|limit| json!({"limit": limit}));
    Ok(json!({
        "blockIO": {"weight": args.blkio_weight},
        "cpu": {
            "period": args.cpu_period, "quota": args.cpu_quota, "burst": args.cpu_burst, "shares": args.cpu_share,
            "realtimePeriod": args.cpu_rt_period, "realtimeRuntime": args.cpu_rt_runtime, "idle": args.cpu_idle,
            "cpus": args.cpuset_cpus, "mems": args.cpuset_mems,
        },
        "memory": {
            "limit": bytes(&args.memory)?,
            "reservation": bytes(&args.memory_reservation)?,
            "swap": bytes(&args.memory_swap)?,
        },
        "pids": limit,
    }))
}

/// What is not given stays as it is: neither null nor an empty object says anything.
fn compact(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let says = |v: &Value| !v.is_null() && !v.as_object().is_some_and(Map::is_empty);
    Value::Object(
        map.into_iter()
            .map(|(key, value)| (key, compact(value)))
            .filter(|(_, value)| says(value))
            .collect(),
    )
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// `512m`, `1.5g`, `1073741824`, `-1`; units are powers of 1024.
fn bytes(text: &str) -> io::Result<i64> {
    let lower = text.trim().to_lowercase();
    if lower == "-1" {
        return Ok(-1);
    }
    let number = lower.trim_end_matches('b').trim_end_matches('i');
    let (number, unit) = match number.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&number[..at], Some(unit)),
        _ => (number, None),
    };
    let factor = match unit {
        None => 1.0,
        Some('k') => 1024.0,
        Some('m') => 1024_f64.powi(2),
        Some('g') => 1024_f64.powi(3),
        Some('t') => 1024_f64.powi(4),
        Some('p') => 1024_f64.powi(5),
        Some(_) => return Err(invalid(format!("invalid size: {text:?}"))),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok((number * factor) as i64),
        _ => Err(invalid(format!("invalid size: {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("0", 0),
            ("512m", 512 << 20),
            ("1.5G", 3 << 29),
            ("2kb", 2048),
            ("1GiB", 1 << 30),
            ("-1", -1),
        ] {
            assert_eq!(bytes(text).unwrap(), size, "{text}");
        }
        for bad in ["", "m", "-2", "1x", "1 2"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut now = json!({"memory": {"limit": 1, "swap": 2}, "pids": {"limit": 3}});
        let change = compact(json!({"memory": {"limit": 9, "swap": null}, "cpu": {"quota": null}}));
        assert_eq!(change, json!({"memory": {"limit": 9}}));
        merge(&mut now, change);
        assert_eq!(
            now,
            json!({"memory": {"limit": 9, "swap": 2}, "pids": {"limit": 3}})
        );
    }
}

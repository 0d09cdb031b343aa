//! Validation that kinds share, with the messages of the Kubernetes API server.

mod errors;
pub mod labels;
pub mod meta;
pub mod names;
mod path;
pub mod quantity;

use serde_json::Value;

pub use errors::Errors;
pub use path::Path;

use crate::value::{get, int, text};

/// The largest size of all data in a ConfigMap or Secret, in bytes.
pub const MAX_DATA: usize = 1024 * 1024;

/// A port number.
pub(crate) fn port(errors: &mut Errors, path: &Path<'_>, number: i64) {
    errors.within(path, Some(number), 1, 65535);
}

/// A port number or the name of a container's port.
pub(crate) fn port_or_name(errors: &mut Errors, path: &Path<'_>, value: Option<&Value>) {
    match value {
        Some(Value::String(name)) => errors.invalid_each(path, name, names::port_name(name)),
        Some(number) => port(errors, path, number.as_i64().unwrap_or_default()),
        None => port(errors, path, 0),
    }
}

/// An address, IPv4 or IPv6.
pub(crate) fn ip(errors: &mut Errors, path: &Path<'_>, value: &str) {
    if value.parse::<std::net::IpAddr>().is_err() {
        errors.invalid(
            path,
            value,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        );
    }
}

/// A count or a percentage, at least zero.
pub(crate) fn count_or_percent(errors: &mut Errors, path: &Path<'_>, value: Option<&Value>) {
    match value {
        None => {}
        Some(Value::String(percent)) => {
            let digits = percent.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                errors.invalid(
                    path,
                    percent.as_str(),
                    "a valid percent string must be a numeric value followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
                );
            }
        }
        Some(number) => errors.not_negative(path, number.as_i64()),
    }
}

/// The number of a percentage such as `25%`.
pub(crate) fn percent(value: Option<&Value>) -> Option<i64> {
    value?.as_str()?.strip_suffix('%')?.parse().ok()
}

/// The mode bits of a file in a volume.
pub(crate) fn file_mode(errors: &mut Errors, path: &Path<'_>, mode: Option<i64>) {
    if let Some(mode) = mode.filter(|m| !(0..=0o777).contains(m)) {
        errors.invalid(
            path,
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        );
    }
}

/// A path inside a volume: relative, without `..`.
pub(crate) fn local_path(errors: &mut Errors, path: &Path<'_>, value: &str) {
    if value.starts_with('/') {
        errors.invalid(path, value, "must be a relative path");
    }
    no_backsteps(errors, path, value);
}

/// A path without `..`.
pub(crate) fn no_backsteps(errors: &mut Errors, path: &Path<'_>, value: &str) {
    if value.split('/').any(|part| part == "..") {
        errors.invalid(path, value, "must not contain '..'");
    }
}

/// A path inside a volume that must not be taken for one of the volume's own entries.
pub(crate) fn volume_path(errors: &mut Errors, path: &Path<'_>, value: &str) {
    local_path(errors, path, value);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.invalid(path, value, "must not start with '..'");
    }
}

/// A reference by name to another object in the namespace.
pub(crate) fn required_text(errors: &mut Errors, path: &Path<'_>, object: &Value, field: &str) -> bool {
    let missing = text(object, field).is_empty();
    if missing {
        errors.required(&path.field(field), "");
    }
    !missing
}

/// A counter of seconds and the like.
pub(crate) fn counter(errors: &mut Errors, path: &Path<'_>, object: &Value, field: &str) {
    errors.not_negative(&path.field(field), int(object, field));
}

/// Exactly one of the fields of `object` named in `choices` must be set.
pub(crate) fn exactly_one<'a>(
    errors: &mut Errors,
    path: &Path<'_>,
    object: &Value,
    choices: &[&'a str],
    none: &str,
    many: &str,
) -> Option<&'a str> {
    let mut found = choices.iter().filter(|c| get(object, c).is_some());
    let first = found.next();
    match first {
        None => errors.required(path, none),
        Some(_) => found.for_each(|extra| errors.forbidden(&path.field(extra), many)),
    }
    first.copied()
}

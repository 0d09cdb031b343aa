//! Counts that may be given as a share.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A count, or a percentage of `total`, rounded up or down. Never negative. Source: apimachinery
/// `intstr.GetScaledValueFromIntOrPercent`.
pub fn scaled(value: &IntOrString, total: i32, up: bool) -> i32 {
    let percent = match value {
        IntOrString::Int(n) => return (*n).max(0),
        IntOrString::String(text) => text.trim_end_matches('%').parse::<i64>().unwrap_or(0),
    };
    let hundredths = percent * i64::from(total);
    let whole = if up {
        (hundredths + 99).div_euclid(100)
    } else {
        hundredths.div_euclid(100)
    };
    i32::try_from(whole.max(0)).unwrap_or(i32::MAX)
}

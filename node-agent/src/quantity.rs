//! Kubernetes quantities: `500m`, `64Mi`, `1e3`, `2`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The value times 1000 (so that `500m` CPU is 500), rounded up. `None`: not a quantity.
/// Source: Kubernetes API, resource.Quantity.
pub(crate) fn milli(quantity: &Quantity) -> Option<i64> {
    let (number, scale) = split(&quantity.0)?;
    Some((number * scale * 1000.0).ceil() as i64)
}

/// The value itself (bytes, counts), rounded up.
pub(crate) fn value(quantity: &Quantity) -> Option<i64> {
    let (number, scale) = split(&quantity.0)?;
    Some((number * scale).ceil() as i64)
}

fn split(text: &str) -> Option<(f64, f64)> {
    let text = text.trim();
    // Whole text first: `1e3` is a number, and `E` alone is a suffix.
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some((number, 1.0));
    }
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, suffix) = text.split_at(at);
    let scale = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_scale() {
        let q = |text: &str| Quantity(text.into());
        assert_eq!(milli(&q("500m")), Some(500));
        assert_eq!(milli(&q("2")), Some(2000));
        assert_eq!(milli(&q("0.1")), Some(100));
        assert_eq!(value(&q("64Mi")), Some(64 << 20));
        assert_eq!(value(&q("1e3")), Some(1000));
        assert_eq!(value(&q("1E")), Some(1_000_000_000_000_000_000));
        assert_eq!(value(&q("100m")), Some(1));
        assert_eq!(value(&q("abc")), None);
    }
}

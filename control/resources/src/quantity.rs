//! Resource quantities (`100m`, `1.5Gi`, `2e3`): parse, compare, add, print in canonical form.
//!
//! A quantity is a whole number of nano-units, which covers what Kubernetes keeps (values up to 2^63-1, three digits
//! below a millionth); finer fractions are rounded away from zero.
//! Source: the Kubernetes API reference, "Quantity".

use std::{cmp::Ordering, fmt, ops::Add, str::FromStr};

use serde_json::Value;

/// What Kubernetes says about text that is no quantity.
pub const FORMAT_ERROR: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The largest magnitude kept, in units: larger ones are capped, as in Kubernetes.
const MAX_UNITS: i128 = i64::MAX as i128;
const NANO: i128 = 1_000_000_000;

/// The family of suffixes a quantity was written with; printing keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `m`, `k`, `M`, …
    DecimalSi,
    /// `Ki`, `Mi`, …
    BinarySi,
    /// `e3`, `E6`.
    DecimalExponent,
}

/// An amount of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    form: Form,
}

/// Text that is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{FORMAT_ERROR}")]
pub struct ParseError;

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self {
        nanos: 0,
        form: Form::DecimalSi,
    };

    /// A whole number of units.
    pub fn units(units: i64) -> Self {
        Self {
            nanos: i128::from(units) * NANO,
            form: Form::DecimalSi,
        }
    }

    /// A whole number of thousandths.
    pub fn milli(thousandths: i64) -> Self {
        Self {
            nanos: i128::from(thousandths) * 1_000_000,
            form: Form::DecimalSi,
        }
    }

    /// Reads a quantity from a JSON string or number.
    ///
    /// # Errors
    /// When it is neither, or not a quantity.
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::String(s) => s.parse(),
            Value::Number(n) => n.to_string().parse(),
            _ => Err(ParseError),
        }
    }

    /// Units, rounded up (away from zero), saturating.
    pub fn to_units(self) -> i64 {
        clamp(ceil_div(self.nanos, NANO))
    }

    /// Thousandths, rounded up (away from zero), saturating.
    pub fn to_milli(self) -> i64 {
        clamp(ceil_div(self.nanos, NANO / 1000))
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// Whether it is a whole number of thousandths.
    pub fn is_whole_milli(self) -> bool {
        self.nanos % (NANO / 1000) == 0
    }

    /// The difference, in the form of `self`.
    pub fn minus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            form: self.form,
        }
    }

    /// How many times `other` this is; infinite for a zero `other`.
    #[allow(clippy::cast_precision_loss, reason = "a ratio of magnitudes")]
    pub fn ratio(self, other: Self) -> f64 {
        self.nanos as f64 / other.nanos as f64
    }

    /// The same amount rounded up to whole thousandths, as Kubernetes rounds requests and limits.
    pub fn round_up_milli(self) -> Self {
        Self {
            nanos: ceil_div(self.nanos, NANO / 1000) * (NANO / 1000),
            ..self
        }
    }
}

fn clamp(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

/// Division rounding away from zero.
fn ceil_div(n: i128, by: i128) -> i128 {
    n / by + if n % by == 0 { 0 } else { n.signum() }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
            None => return Err(ParseError),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(ParseError);
        }
        let (form, base, exponent) = scale(suffix)?;
        let nanos = scaled(whole, fraction, base, exponent);
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            form,
        })
    }
}

/// Form, base and exponent of a suffix.
fn scale(suffix: &str) -> Result<(Form, i128, i32), ParseError> {
    let decimal = |e| Ok((Form::DecimalSi, 10, e));
    let binary = |e| Ok((Form::BinarySi, 2, e));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let digits = suffix.strip_prefix(['e', 'E']).ok_or(ParseError)?;
            let exponent = digits.parse::<i32>().map_err(|_| ParseError)?;
            Ok((Form::DecimalExponent, 10, exponent))
        }
    }
}

/// `whole.fraction * base^exponent` in nano-units, rounded up, capped at [`MAX_UNITS`].
fn scaled(whole: &str, fraction: &str, base: i128, exponent: i32) -> i128 {
    let cap = MAX_UNITS * NANO;
    let digits = whole.bytes().chain(fraction.bytes()).skip_while(|&d| d == b'0');
    // More digits than an i128 holds: those further right only matter for rounding up.
    let (mut mantissa, mut dropped, mut inexact) = (0i128, 0i32, false);
    for digit in digits {
        if mantissa < i128::pow(10, 27) {
            mantissa = mantissa * 10 + i128::from(digit - b'0');
        } else {
            dropped = dropped.saturating_add(1);
            inexact |= digit != b'0';
        }
    }
    if mantissa == 0 {
        return 0;
    }
    let tens = 9i32
        .saturating_add(dropped)
        .saturating_sub(i32::try_from(fraction.len()).unwrap_or(i32::MAX));
    let (tens, twos) = if base == 10 {
        (tens.saturating_add(exponent), 0)
    } else {
        (tens, exponent)
    };
    // Scale down by tens after scaling up by twos, so that nothing is lost in between.
    let Some(mut n) = mantissa.checked_mul(1i128 << twos.clamp(0, 60)) else {
        // Beyond i128 by far; with a fraction this long only the leading digits matter.
        return if tens >= 0 {
            cap
        } else {
            let mut n = mantissa;
            let mut left = tens;
            while left < 0 && n > i128::pow(10, 18) {
                inexact |= n % 10 != 0;
                n /= 10;
                left += 1;
            }
            let n = n.saturating_mul(1i128 << twos.clamp(0, 60));
            divide(n, left, inexact).min(cap)
        };
    };
    for _ in 0..tens.max(0) {
        n = n.saturating_mul(10);
        if n >= cap {
            return cap;
        }
    }
    divide(n, tens.min(0), inexact).min(cap)
}

/// `n * 10^tens` for `tens <= 0`, rounded up.
fn divide(mut n: i128, tens: i32, mut inexact: bool) -> i128 {
    for _ in 0..tens.unsigned_abs() {
        inexact |= n % 10 != 0;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    n + i128::from(inexact)
}

impl fmt::Display for Quantity {
    /// Canonical form: no fraction, the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let binary = self.form == Form::BinarySi && self.nanos.abs() >= 1024 * NANO && self.is_whole();
        if binary {
            let mut n = self.nanos / NANO;
            let mut step = 0;
            while step < 6 && n % 1024 == 0 {
                n /= 1024;
                step += 1;
            }
            return write!(f, "{n}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][step]);
        }
        let (mut n, mut exponent) = (self.nanos, -9);
        while exponent < 18 && n % 1000 == 0 {
            n /= 1000;
            exponent += 3;
        }
        match (self.form, exponent) {
            (_, 0) => write!(f, "{n}"),
            (Form::DecimalExponent, e) => write!(f, "{n}e{e}"),
            (_, e) => {
                let suffix = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
                let index = usize::try_from((e + 9) / 3).unwrap_or_default();
                write!(f, "{n}{}", suffix[index])
            }
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum, in the form of the first that is not zero.
    fn add(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            form: if self.is_zero() { other.form } else { self.form },
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// Puts a quantity field into canonical form (`1000m` becomes `1`, the number 2 becomes `"2"`). What is no
/// quantity stays as it is, for validation to report.
pub fn canonicalize(value: &mut Value) {
    if let Ok(quantity) = Quantity::from_value(value) {
        *value = Value::String(quantity.to_string());
    }
}

/// Puts every entry of a resource list (`{"cpu": "1000m"}`) into canonical form.
pub fn canonicalize_list(list: &mut Value) {
    if let Some(map) = list.as_object_mut() {
        map.values_mut().for_each(canonicalize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_printed_in_canonical_form() {
        let cases = [
            ("0", "0"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("100Ki", "100Ki"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("1E6", "1e6"),
            ("12e-3", "12e-3"),
            ("-5", "-5"),
            ("+5", "5"),
            (".5", "500m"),
            ("5.", "5"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("128974848", "128974848"),
            ("129M", "129M"),
            ("16Ei", "9223372036854775807"),
            ("7Ei", "7Ei"),
        ];
        for (from, to) in cases {
            assert_eq!(from.parse::<Quantity>().unwrap().to_string(), to, "{from}");
        }
    }

    #[test]
    fn text_that_is_no_quantity_is_refused() {
        for text in [
            "", "abc", "1.2.3", "1KI", "1mi", "--1", "1 Gi", "1e", "e3", ".", "0x1",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_compare_and_add_across_forms() {
        let q = |s: &str| s.parse::<Quantity>().unwrap();
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("1"), q("1000m"));
        assert_eq!((q("100m") + q("1")).to_string(), "1100m");
        assert_eq!((Quantity::ZERO + q("1Gi") + q("1Gi")).to_string(), "2Gi");
        assert_eq!(q("1500m").to_units(), 2);
        assert_eq!(q("1.0001m").round_up_milli().to_string(), "2m");
        assert_eq!(q("1u").to_milli(), 1);
    }
}

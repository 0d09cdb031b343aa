//! Quantities (`500m`, `1Gi`) in the form in which Kubernetes gives them back.
//!
//! Source: the "Quantity" section of the Kubernetes API reference (resource.Quantity, canonical form).

use std::borrow::Cow;

/// Why a text is no quantity, as Kubernetes words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// A number with a suffix that does not exist.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Exponent,
    Binary,
}

/// The canonical form: no fraction, the largest exponent, no needless sign: `0.5` is `500m`, `1024Mi` is `1Gi`,
/// `1000` is `1k`. A text too long to calculate with is given back as it is.
///
/// # Errors
/// When `text` is no quantity.
pub fn canonical(text: &str) -> Result<Cow<'_, str>, QuantityError> {
    let (negative, digits, fraction, suffix) = split(text)?;
    let (format, base2, exponent) = suffix_value(suffix)?;
    let Some((zero, printed)) = print(digits, fraction, format, base2, exponent) else {
        return Ok(Cow::Borrowed(text));
    };
    let sign = if negative && !zero { "-" } else { "" };
    Ok(if sign.is_empty() && printed == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{sign}{printed}"))
    })
}

/// Whether the number is zero, and its canonical form without the sign; `None`: too long to calculate with.
fn print(digits: &str, fraction: &str, format: Format, base2: u32, exponent: i32) -> Option<(bool, String)> {
    let (mut mantissa, mut exponent) = mantissa(digits, fraction, exponent)?;
    let mut format = format;
    if base2 > 0 {
        // Binary suffixes multiply exactly; what is below 1024 is printed as a decimal.
        mantissa = mantissa.checked_mul(1_i128 << base2)?;
        let one = pow10(-exponent)?;
        if mantissa < one.checked_mul(1024)? {
            format = Format::Decimal;
        } else {
            mantissa = ceil_div(mantissa, one);
            exponent = 0;
        }
    }
    if exponent < -9 {
        mantissa = ceil_div(
            mantissa,
            pow10(exponent.checked_neg()?.checked_sub(9)?).unwrap_or(i128::MAX),
        );
        exponent = -9;
    }
    let printed = match format {
        Format::Binary => print_binary(mantissa),
        Format::Decimal | Format::Exponent => print_decimal(mantissa, exponent, format)?,
    };
    Some((mantissa == 0, printed))
}

/// Sign, digits, fraction, suffix.
fn split(text: &str) -> Result<(bool, &str, &str, &str), QuantityError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    if digits.is_empty() && fraction.is_empty() {
        return Err(QuantityError::Format);
    }
    let letters = suffix
        .find(|c| !"eEinumkKMGTP".contains(c))
        .unwrap_or(suffix.len());
    let after = suffix[letters..].trim_start_matches(['-', '+']);
    if suffix[letters..].len() - after.len() > 1 || !after.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    Ok((negative, digits, fraction, suffix))
}

/// Format, power of two, power of ten.
fn suffix_value(suffix: &str) -> Result<(Format, u32, i32), QuantityError> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(at) = BINARY.iter().position(|name| *name == suffix) {
        return Ok((Format::Binary, 10 * (at as u32 + 1), 0));
    }
    if let Some(at) = DECIMAL.iter().position(|name| *name == suffix) {
        return Ok((Format::Decimal, 0, 3 * at as i32 - 9));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    let exponent: i32 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
    Ok((Format::Exponent, 0, exponent))
}

/// The digits as a number and its power of ten, without trailing zeros; `None`: does not fit.
fn mantissa(digits: &str, fraction: &str, exponent: i32) -> Option<(i128, i32)> {
    let mut value = 0_i128;
    for digit in digits.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let mut exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if value == 0 {
        return Some((0, 0));
    }
    while exponent < 0 && value % 10 == 0 {
        value /= 10;
        exponent += 1;
    }
    (exponent <= 18).then_some((value, exponent))
}

fn pow10(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value / by + i128::from(value % by != 0)
}

fn print_binary(mut value: i128) -> String {
    const NAMES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut at = 0;
    while at + 1 < NAMES.len() && value != 0 && value % 1024 == 0 {
        value /= 1024;
        at += 1;
    }
    format!("{value}{}", NAMES[at])
}

fn print_decimal(mut value: i128, mut exponent: i32, format: Format) -> Option<String> {
    const NAMES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if value == 0 {
        return Some("0".into());
    }
    while value % 10 == 0 {
        value /= 10;
        exponent += 1;
    }
    while exponent.rem_euclid(3) != 0 || exponent > 18 {
        value = value.checked_mul(10)?;
        exponent -= 1;
    }
    Some(match format {
        Format::Exponent if exponent != 0 => format!("{value}e{exponent}"),
        Format::Exponent => value.to_string(),
        _ => format!("{value}{}", NAMES[((exponent + 9) / 3) as usize]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_are_those_of_kubernetes() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("+2", "2"),
            ("-1.5", "-1500m"),
            ("1000m", "1"),
            ("100m", "100m"),
            ("0.001", "1m"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("0.5Mi", "512Ki"),
            ("128Mi", "128Mi"),
            ("512Ki", "512Ki"),
            ("1Ei", "1Ei"),
            ("12e6", "12e6"),
            ("1E3", "1e3"),
            ("1e2", "100"),
            ("0.1n", "1n"),
            ("1.0000000001", "1000000001n"),
            ("5E", "5E"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "abc", "1.2.3", "--1", " 1", "1 ", "1e+-2", "1Gib!"] {
            assert_eq!(canonical(text), Err(QuantityError::Format), "{text:?}");
        }
        for text in ["1ki", "1mm", "1Kii", "1K", "5iM"] {
            assert_eq!(canonical(text), Err(QuantityError::Suffix), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_is_its_own(text in "[+-]?[0-9]{0,40}[.]?[0-9]{0,40}([EPTGMk]|[EPTGMK]i|[num]|[eE]-?[0-9]{1,11})?") {
            if let Ok(once) = canonical(&text) {
                proptest::prop_assert_eq!(canonical(&once), Ok(once.clone()));
            }
        }
    }
}

//! A range of addresses that may have a second one, of the other family, beside it.

use std::{fmt, str::FromStr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// An IPv4 range, and in a cluster of two families an IPv6 one. In words as Kubernetes has it: `10.42.0.0/16,fd00:42::/56`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DualRange {
    /// The first family.
    pub v4: Ipv4Net,
    /// The second one.
    pub v6: Option<Ipv6Net>,
}

impl DualRange {
    /// The same with network addresses.
    pub fn trunc(self) -> Self {
        Self {
            v4: self.v4.trunc(),
            v6: self.v6.map(|range| range.trunc()),
        }
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let v6 = self.v6.zip(other.v6);
        self.v4.contains(&other.v4)
            || other.v4.contains(&self.v4)
            || v6.is_some_and(|(one, two)| one.contains(&two) || two.contains(&one))
    }
}

impl From<Ipv4Net> for DualRange {
    fn from(v4: Ipv4Net) -> Self {
        Self { v4, v6: None }
    }
}

/// What is wrong with the text of a [`DualRange`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no IPv4 range, or an IPv4 and an IPv6 range with a comma between them")]
pub struct ParseRangeError(String);

impl FromStr for DualRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let wrong = || ParseRangeError(text.to_owned());
        let (v4, v6) = match text.split_once(',') {
            Some((v4, v6)) => (v4, Some(v6.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let v4 = v4.parse().map_err(|_| wrong())?;
        Ok(Self { v4, v6 })
    }
}

impl TryFrom<String> for DualRange {
    type Error = ParseRangeError;

    fn try_from(text: String) -> Result<Self, ParseRangeError> {
        text.parse()
    }
}

impl From<DualRange> for String {
    fn from(range: DualRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for DualRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.v4)?;
        self.v6.map_or(Ok(()), |v6| write!(f, ",{v6}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_range_is_of_the_other_family() {
        for text in ["10.42.0.0/16", "10.42.0.0/16,fd00:42::/56"] {
            assert_eq!(text.parse::<DualRange>().unwrap().to_string(), text);
        }
        for wrong in [
            "fd00:42::/56",
            "fd00:42::/56,10.42.0.0/16",
            "10.42.0.0/16,",
            "10.0.0.0/8,10.1.0.0/16",
        ] {
            assert!(wrong.parse::<DualRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_overlap_in_either_family() {
        let range = |text: &str| text.parse::<DualRange>().unwrap();
        let pods = range("10.42.0.0/16,fd00:42::/56");
        assert!(pods.overlaps(range("10.42.7.0/24")));
        assert!(pods.overlaps(range("10.43.0.0/16,fd00:42::/112")));
        assert!(!pods.overlaps(range("10.43.0.0/16,fd00:43::/112")));
    }
}

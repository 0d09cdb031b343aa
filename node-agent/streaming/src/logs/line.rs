//! One line of the CRI log format: `<RFC 3339 nano> <stdout|stderr> <F|P> <text>`. Source: Kubernetes,
//! "Kubelet container log format".

use jiff::Timestamp;

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// As written.
    pub timestamp: &'a str,
    /// `stdout` or `stderr`.
    pub stream: &'a str,
    /// The text; ends with a newline unless the line goes on in the next (`P`).
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// `None` for what is no log line.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = bytes.splitn(4, |b| *b == b' ');
        let timestamp = std::str::from_utf8(fields.next()?).ok()?;
        let stream = std::str::from_utf8(fields.next()?).ok()?;
        let tags = fields.next()?;
        let text = fields.next()?;
        let is_partial = tags.split(|b| *b == b':').next() == Some(b"P");
        let text = if is_partial {
            text.strip_suffix(b"\n").unwrap_or(text)
        } else {
            text
        };
        Some(Self {
            timestamp,
            stream,
            text,
        })
    }

    /// When it was written.
    pub fn time(&self) -> Option<Timestamp> {
        self.timestamp.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_partial_line_has_no_newline() {
        let line = Line::parse(b"2026-01-02T03:04:05.000000006Z stderr P abc\n").unwrap();
        assert_eq!((line.stream, line.text), ("stderr", &b"abc"[..]));
        let line = Line::parse(b"2026-01-02T03:04:05.000000006Z stdout F a b c\n").unwrap();
        assert_eq!((line.stream, line.text), ("stdout", &b"a b c\n"[..]));
        assert!(line.time().is_some());
        assert_eq!(
            Line::parse(b"2026-01-02T03:04:05Z stdout F \n").unwrap().text,
            b"\n"
        );
        assert_eq!(Line::parse(b"garbage\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Line::parse(&bytes);
        }
    }
}

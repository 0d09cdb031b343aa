//! Times as kubectl prints them: how long ago, in one or two units.

use jiff::Timestamp;

/// Seconds since the epoch of an RFC 3339 time (with or without fractions); `None` when it is not one.
pub fn parse(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// A duration in seconds as kubectl prints ages: `90s`, `5m3s`, `3h20m`, `47h`, `5d2h`, `400d`, `2y10d`, `9y`.
/// Up to one second in the future is `0s` (clocks differ), more is `<invalid>`.
pub fn human(seconds: i64) -> String {
    /// Two units, the smaller one only when it is not zero.
    fn two(large: i64, large_unit: char, small: i64, small_unit: char) -> String {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    }
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, 'd', hours % 24, 'h'),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// How long before `now` (seconds since the epoch) an RFC 3339 time was; `<unknown>` without one.
pub fn since(time: &str, now: i64) -> String {
    parse(time).map_or_else(|| "<unknown>".to_owned(), |then| human(now - then))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_printed_as_kubectl_prints_them() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (179 * 60 + 59, "179m"),
            (180 * 60, "3h"),
            (200 * 60, "3h20m"),
            (8 * 3600 + 59, "8h"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (50 * 3600, "2d2h"),
            (8 * 86400, "8d"),
            (729 * 86400, "729d"),
            (730 * 86400, "2y"),
            (740 * 86400, "2y10d"),
            (9 * 365 * 86400, "9y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_with_and_without_fractions_are_read() {
        assert_eq!(since("2026-01-01T00:00:00Z", 1767225690), "90s");
        assert_eq!(since("2026-01-01T00:00:00.123456Z", 1767225605), "5s");
        assert_eq!(since("", 5), "<unknown>");
    }
}

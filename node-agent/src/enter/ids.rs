//! Subordinate ids and id maps: the pure part of entering.

/// The `(start, count)` ranges that belong to a user in the text of `/etc/subuid` or `/etc/subgid`, which name the
/// user by login or by number. Source: subuid(5).
pub(crate) fn ranges(text: &str, login: &str, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            let start = fields.next()?.parse().ok()?;
            let count: u32 = fields.next()?.parse().ok()?;
            let own = (!login.is_empty() && owner == login) || owner == number;
            (own && count > 0).then_some((start, count))
        })
        .collect()
}

/// Arguments of newuidmap after the pid: the user becomes 0, the ranges follow from 1 on.
pub(crate) fn arguments(own: u32, ranges: &[(u32, u32)]) -> String {
    let mut inside: u64 = 1;
    let mut text = format!("0 {own} 1");
    for (start, count) in ranges {
        text.push_str(&format!(" {inside} {start} {count}"));
        inside += u64::from(*count);
    }
    text
}

/// How many ids a `/proc/<pid>/uid_map` maps.
pub(crate) fn mapped(map: &str) -> u64 {
    map.lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .filter_map(|count| count.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_login_and_by_number() {
        let text = "root:1:2\ndev:100000:65536\n1001:300000:10\nbroken\ndev:x:1\n";
        assert_eq!(ranges(text, "dev", 1001), vec![(100_000, 65_536), (300_000, 10)]);
        assert!(ranges(text, "", 7).is_empty());
    }

    #[test]
    fn the_user_becomes_zero_and_ranges_follow() {
        assert_eq!(
            arguments(1001, &[(100_000, 65_536), (5, 2)]),
            "0 1001 1 1 100000 65536 65537 5 2"
        );
    }

    #[test]
    fn the_initial_namespace_maps_everything() {
        assert_eq!(mapped("         0          0 4294967295\n"), u64::from(u32::MAX));
        assert_eq!(mapped("0 1001 1\n1 100000 65536\n"), 65_537);
    }
}

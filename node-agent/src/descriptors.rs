//! How many descriptors the agent may have: two per connection through a service.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

/// Below this, the limit is worth a warning: some two thousand connections.
const FEW: u64 = 4096;

/// Raises the limit of this process as far as it may be raised. To be called after the spawner has been forked: what
/// containers may have is not ours to change.
pub(crate) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match raised {
        Ok(limit) if limit < FEW => {
            warn!(
                limit,
                "few descriptors: connections beyond half as many are refused (ulimit -Hn)"
            );
        }
        Ok(limit) => info!(limit, "descriptors"),
        Err(error) => warn!(%error, "the limit of descriptors stays as it is"),
    }
}

/// The limit and what is in use, in Prometheus text.
pub(crate) fn metrics() -> String {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    format!(
        "# TYPE skiff_descriptors_limit gauge\nskiff_descriptors_limit {limit}\n\
         # TYPE skiff_descriptors_open gauge\nskiff_descriptors_open {open}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_becomes_the_highest_allowed_and_is_told() {
        raise();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert!(metrics().contains(&format!("skiff_descriptors_limit {hard}\n")));
    }
}

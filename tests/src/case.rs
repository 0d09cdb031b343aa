//! What a `#[test]` function does around the function it is made of.

use anyhow::Result;

use crate::{Cluster, Unmet, User};

/// What the function of a test returns.
pub type Outcome = Result<()>;

/// Runs a test that starts its own cluster.
pub fn own(user: User, name: &str, test: impl FnOnce(User) -> Outcome) {
    finish(
        name,
        user.available().map_err(Into::into).and_then(|()| test(user)),
    );
}

/// Runs a test on the cluster it shares with others of the same user.
pub fn shared(user: User, name: &str, test: impl FnOnce(&Cluster) -> Outcome) {
    let started = user
        .available()
        .map_err(Into::into)
        .and_then(|()| Cluster::shared(user));
    let outcome = started.and_then(|cluster| {
        let outcome = test(&cluster);
        // While the cluster still has its logs.
        if let Err(error) = &outcome
            && !error.is::<Unmet>()
        {
            eprintln!("{name}: {error:#}\n{}", cluster.last_words());
        }
        outcome
    });
    finish(name, outcome);
}

/// Runs a test that needs no cluster.
pub fn plain(name: &str, test: impl FnOnce() -> Outcome) {
    finish(name, test());
}

fn finish(name: &str, outcome: Outcome) {
    let Err(error) = outcome else { return };
    match error.downcast_ref::<Unmet>() {
        Some(unmet) if !is_ci() => println!("{name}: skipped: {unmet}"),
        Some(unmet) => panic!("{name}: {unmet}, and with CI=true that must not be"),
        None => panic!("{name}: {error:#}"),
    }
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

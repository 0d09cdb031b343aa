//! Harness for the tests that need a real kernel or several parts together.
//!
//! [`Cluster::start`] runs `skiff up` in directories of its own and on ports of its own; dropping it runs
//! `skiff down --purge` and fails the test when anything is left on the machine. [`Lan::new`] makes a network whose
//! hosts are clusters, servers or agents of their own. [`Registry::shared`] serves the images of the tests. [`cases!`] makes `#[test]` functions of plain functions, for root and for an ordinary user.
//!
//! The program under test is `$SKIFF_BIN`, or `target/debug/skiff`. What a test needs beyond that it asks for with
//! [`need`]: an unmet need skips the test and says why, but with `CI=true` in the environment it is a failure.
//! `SKIFF_TEST_KEEP=1` leaves clusters running, for a look at them.

mod background;
mod case;
mod clock;
mod cluster;
mod command;
mod disk;
mod kubectl;
mod lan;
mod leftovers;
mod members;
mod namespace;
mod need;
mod netns;
mod objects;
mod process;
mod registry;
mod user;

pub use background::Background;
pub use case::{Outcome, own, plain, shared};
pub use clock::Clock;
pub use cluster::Cluster;
pub use command::{Output, run, run_with_input};
pub use disk::{Disk, DiskKind};
pub use kubectl::{Words, kubectl_versions};
pub use lan::{API_PORT, Host, Lan, Link, Way, node_is_ready};
pub use members::Members;
pub use namespace::Namespace;
pub use need::{Unmet, need, need_disk, need_root};
pub use netns::Netns;
pub use objects::{container_status, has_condition, is_ready, pod, shell_pod, web_deployment, web_service};
pub use process::{Process, Role};
pub use registry::Registry;
pub use user::{User, target_dir};

use std::time::{Duration, Instant};

/// How long a test waits for anything that is expected to happen: generous, since it only costs time when it does not.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again and again, 20 ms apart, until there is an answer, for conditions that can't be watched (whether a port
/// answers); objects are waited for with [`Namespace::wait`].
///
/// # Errors
/// The last error, when there was no answer within [`DEADLINE`].
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > end => return Err(error.context(format!("waited for {what}"))),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Makes tests of functions: `shared:` ones take a [`&Cluster`](Cluster) that other tests use at the same time, `own:`
/// ones take the [`User`] to start a cluster as; both run as root and as an ordinary user. `root:` and `ordinary:` take
/// a [`User`] too, for what makes sense for one of them only. `plain:` ones take nothing.
#[macro_export]
macro_rules! cases {
    (@each $user:expr, $call:ident: $($name:ident)*) => {
        $(#[test] fn $name() { $crate::$call($user, stringify!($name), super::$name); })*
    };
    (
        $(shared: $($shared:ident),* $(,)?;)?
        $(own: $($own:ident),* $(,)?;)?
        $(root: $($root:ident),* $(,)?;)?
        $(ordinary: $($ordinary:ident),* $(,)?;)?
        $(plain: $($plain:ident),* $(,)?;)?
    ) => {
        mod as_root {
            $($crate::cases!(@each $crate::User::Root, shared: $($shared)*);)?
            $($crate::cases!(@each $crate::User::Root, own: $($own)*);)?
            $($crate::cases!(@each $crate::User::Root, own: $($root)*);)?
        }
        mod as_an_ordinary_user {
            $($crate::cases!(@each $crate::User::Ordinary, shared: $($shared)*);)?
            $($crate::cases!(@each $crate::User::Ordinary, own: $($own)*);)?
            $($crate::cases!(@each $crate::User::Ordinary, own: $($ordinary)*);)?
        }
        mod without_a_cluster {
            $($(#[test] fn $plain() { $crate::plain(stringify!($plain), super::$plain); })*)?
        }
    };
}

//! Runs each test in a process of its own, with namespaces of its own, made before any thread starts.

use std::{
    env, fs,
    future::Future,
    path::Path,
    pin::Pin,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{getgid, getuid},
};

/// Name of the test a child is to run.
const CHOSEN: &str = "SKIFF_NETWORK_TEST";

/// What a test does.
pub type Body = fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// What a test needs beside namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing; it gets a user namespace of its own.
    Nothing,
    /// Root, without a user namespace of its own.
    Root,
    /// The program pasta, and a TUN device that it can open.
    Pasta,
}

/// A test and its needs.
pub struct Test {
    /// A sentence.
    pub name: &'static str,
    /// What the machine must have for it.
    pub need: Need,
    /// Runs in a process and namespaces of its own.
    pub body: Body,
}

/// Runs all tests whose name contains an argument, or all.
pub fn run(tests: &[Test]) -> ExitCode {
    if let Ok(chosen) = env::var(CHOSEN) {
        return child(tests, &chosen);
    }
    let filters: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let selected = tests.iter().filter(|test| {
        filters.is_empty() || filters.iter().any(|filter| test.name.contains(filter.as_str()))
    });
    let (mut failed, mut skipped, mut count) = (0, 0, 0);
    for test in selected {
        count += 1;
        if let Some(reason) = unmet(test) {
            println!("test {} ... skipped: {reason}", test.name);
            skipped += 1;
            continue;
        }
        let started = Instant::now();
        // Removed here: mounts a failed test leaves in it are gone with its process.
        let dir = tempfile::tempdir().unwrap();
        let outcome = Command::new(env::current_exe().unwrap())
            .env(CHOSEN, test.name)
            .env("TMPDIR", dir.path())
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let passed = outcome.status.success();
        println!(
            "test {} ... {} ({:.1?})",
            test.name,
            if passed { "ok" } else { "FAILED" },
            started.elapsed()
        );
        if !passed || env::var_os("SHOW_OUTPUT").is_some() {
            failed += usize::from(!passed);
            print!(
                "{}{}",
                String::from_utf8_lossy(&outcome.stdout),
                String::from_utf8_lossy(&outcome.stderr)
            );
        }
    }
    println!("{count} tests, {failed} failed, {skipped} skipped");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Why a test cannot run on this machine.
fn unmet(test: &Test) -> Option<&'static str> {
    match test.need {
        Need::Root if !getuid().is_root() => return Some("needs root"),
        Need::Pasta if Command::new("pasta").arg("--version").output().is_err() => {
            return Some("needs pasta (package passt)");
        }
        Need::Pasta
            if fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/net/tun")
                .is_err() =>
        {
            return Some("needs a /dev/net/tun that it can open");
        }
        _ => {}
    }
    let allowed = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if test.need != Need::Root && allowed.trim() == "0" {
        return Some("needs user namespaces (user.max_user_namespaces is 0)");
    }
    None
}

fn child(tests: &[Test], chosen: &str) -> ExitCode {
    let test = tests.iter().find(|test| test.name == chosen).expect("known test");
    isolate(test.need == Need::Root);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), (test.body)())
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("test takes too long")))
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Moves this process, single-threaded yet, into namespaces of its own.
fn isolate(as_root: bool) {
    let (uid, gid) = (getuid(), getgid());
    let mut flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    if !as_root {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).expect("namespaces for the test");
    if !as_root {
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
    }
    mount(
        None::<&str>,
        Path::new("/"),
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .expect("private mounts");
}

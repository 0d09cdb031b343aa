//! An ordinary user for tests that root runs. Also a module of the runtime's own kernel tests, which stand below this
//! package: hence nothing but the standard library, `nix` and `anyhow`.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use anyhow::{Context, Result, ensure};

/// Made when root runs the tests on a machine without an ordinary user, and removed at the end.
const MADE: &str = "skiff-test";

/// The first user with a home of its own and a range of ids, or a new one.
pub fn name() -> Option<String> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let name = NAME.get_or_init(|| {
        let ranges = fs::read_to_string("/etc/subuid").unwrap_or_default();
        let names = ranges.lines().filter_map(|line| line.split(':').next());
        let known = names.filter(|name| *name != MADE).find(|name| {
            nix::unistd::User::from_name(name).is_ok_and(|user| user.is_some_and(|user| !user.uid.is_root()))
        });
        known.map(str::to_owned).or_else(|| make_user().ok())
    });
    name.clone()
}

/// Held, shared, by every process that needs the user: whoever takes it away waits for the last of them.
const LOCK: &str = "/run/lock/skiff-test-user";

/// Users outlive processes: one left by a test run that was killed is taken again.
fn make_user() -> Result<String> {
    static HELD: OnceLock<fs::File> = OnceLock::new();
    let lock = fs::File::create(LOCK).with_context(|| format!("make {LOCK}"))?;
    // From exclusive to shared is not one step: the end of another run may take the user away in between.
    loop {
        lock.lock()?;
        add_user()?;
        lock.lock_shared()?;
        if nix::unistd::User::from_name(MADE)?.is_some() {
            break;
        }
    }
    let _ = HELD.set(lock);
    // The program itself outlives every test: somebody else must take the user away, when nobody holds the lock.
    Command::new("setsid")
        .args(["flock", LOCK])
        .arg(program("userdel"))
        .args(["--remove", MADE])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    Ok(MADE.into())
}

/// Makes the user, or what is missing of it.
fn add_user() -> Result<()> {
    if nix::unistd::User::from_name(MADE)?.is_none() {
        let made = Command::new(program("useradd"))
            .args([
                "--create-home",
                "--shell",
                "/bin/sh",
                "--comment",
                "made by the tests of skiff",
                MADE,
            ])
            .status()
            .context("run useradd")?;
        ensure!(made.success(), "useradd failed");
    }
    let ranges = fs::read_to_string("/etc/subuid").unwrap_or_default();
    if !ranges.lines().any(|line| line.starts_with(&format!("{MADE}:"))) {
        let given = Command::new(program("usermod"))
            .args([
                "--add-subuids",
                "1000000-1065535",
                "--add-subgids",
                "1000000-1065535",
                MADE,
            ])
            .status()?;
        ensure!(given.success(), "usermod failed");
    }
    Ok(())
}

/// A program of the administrator's, which Debian keeps outside some users' PATH.
fn program(name: &str) -> String {
    let path = format!("/usr/sbin/{name}");
    if Path::new(&path).exists() {
        path
    } else {
        name.to_owned()
    }
}

//! What needs a kernel: containers with real namespaces, as root and as an ordinary user.
//!
//! Each test runs in a process of its own with one thread. As root the same tests run a second time as an ordinary user
//! in a user namespace with the range of /etc/subuid; that user is made when there is none. Afterwards nothing may be left: processes, cgroups, mounts.
//!
//! `cargo test -p skiff-runtime --test kernel -- [WORDS IN THE NAME] [--root-only|--rootless-only]`

mod attributes;
mod commands;
mod fire;
mod hostile;
mod mounts;
mod oci;
#[path = "../../../tests/src/user/ordinary.rs"]
mod ordinary;
mod pods;
mod world;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use world::World;

/// A test: `Ok(None)` passed, `Ok(Some(reason))` skipped.
type Outcome = anyhow::Result<Option<String>>;
type Test = (&'static str, fn(&World) -> Outcome);

/// Seconds after which a test has failed.
const DEADLINE: &str = "40";

fn all() -> Vec<Test> {
    [
        pods::TESTS,
        oci::TESTS,
        commands::TESTS,
        attributes::TESTS,
        mounts::TESTS,
        fire::TESTS,
        hostile::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|a| a.to_str()) {
        Some("__oci") => ExitCode::from(skiff_runtime::cli::main(&args[1..]) as u8),
        Some("__test") => world::run_one(&all(), &args[1..]),
        Some("--list") => {
            // What `cargo test -- --list` and editors ask for.
            all().iter().for_each(|(name, _)| println!("{name}: test"));
            ExitCode::SUCCESS
        }
        _ => run(&args),
    }
}

fn run(args: &[OsString]) -> ExitCode {
    let has = |flag: &str| args.iter().any(|a| a == flag);
    let words: Vec<_> = args
        .iter()
        .filter_map(|a| a.to_str())
        .filter(|a| !a.starts_with('-'))
        .collect();
    let program = std::env::current_exe().expect("our own path");
    let root = nix::unistd::geteuid().is_root();
    // Where everything ought to be there, an unmet need is a failure.
    let in_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let mut runs: Vec<(&str, PathBuf)> = Vec::new();
    if !root {
        runs.push(("rootless", program.clone()));
    } else {
        if !has("--rootless-only") {
            runs.push(("root", program.clone()));
        }
        if !has("--root-only") {
            runs.push(("rootless", PathBuf::new()));
        }
    }
    // Readable for the other user, whatever the mode of the build directory.
    let shared = tempfile::Builder::new()
        .prefix("skiff-runtime-")
        .tempdir_in("/tmp")
        .expect("a temporary directory");
    let copy = shared.path().join("kernel-test");
    fs::copy(&program, &copy).expect("copy the test program");
    fs::set_permissions(shared.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let mark = format!("skiff-test-{}", std::process::id());
    let before = leftovers(&mark);
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for (mode, _) in runs {
        let as_other = mode == "rootless" && root;
        let Some(user) = (if as_other {
            ordinary::name()
        } else {
            Some(String::new())
        }) else {
            let unmet = "there is no ordinary user with a range in /etc/subuid, and none could be made";
            println!("skipped all rootless tests: {unmet}");
            if in_ci {
                failed.push(format!("rootless tests: {unmet}"));
            }
            continue;
        };
        for (name, _) in all()
            .iter()
            .filter(|(name, _)| words.iter().all(|w| name.contains(w)))
        {
            let started = Instant::now();
            let mut command = if as_other {
                let mut command = Command::new("timeout");
                command
                    .args(["--kill-after=1", DEADLINE, "setpriv"])
                    .args(["--reuid", &user, "--regid", &user, "--init-groups"])
                    .arg(&copy);
                command
            } else {
                let mut command = Command::new("timeout");
                command.args(["--kill-after=1", DEADLINE]).arg(&copy);
                command
            };
            // Files, not pipes: a process that a failed test leaves behind would keep a pipe open.
            let said = shared.path().join("said");
            let file = fs::File::create(&said).expect("a file for what the test says");
            let status = command
                .args(["__test", mode, name])
                .env("SKIFF_TEST", &mark)
                .env_remove("XDG_RUNTIME_DIR")
                .env("RUST_BACKTRACE", "0")
                .current_dir("/")
                .stdin(std::process::Stdio::null())
                .stdout(file.try_clone().expect("a second descriptor"))
                .stderr(file)
                .status()
                .expect("run a test");
            let text = fs::read(&said).expect("what the test has said");
            let text = String::from_utf8_lossy(&text);
            let ms = started.elapsed().as_millis();
            match status.code() {
                Some(0) => {
                    passed += 1;
                    println!("test {mode}: {name} ... ok ({ms} ms)");
                    if has("--nocapture") {
                        print!("{text}");
                    }
                }
                Some(77) => {
                    skipped += 1;
                    println!("test {mode}: {name} ... skipped: {}", text.trim());
                }
                _ => {
                    failed.push(format!("{mode}: {name}"));
                    println!("test {mode}: {name} ... FAILED ({ms} ms, {status})\n{text}");
                }
            }
        }
    }
    let after = leftovers(&mark);
    for left in after.iter().filter(|l| !before.contains(l)) {
        failed.push(format!("left behind: {left}"));
    }
    println!(
        "\ntest result: {passed} passed; {} failed; {skipped} skipped",
        failed.len()
    );
    for name in &failed {
        println!("    {name}");
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What tests might leave: processes with our mark in their environment or our name, cgroups, mounts.
fn leftovers(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.windows(mark.len()).any(|w| w == mark.as_bytes()) {
            let command = fs::read_to_string(entry.path().join("cmdline"))
                .unwrap_or_default()
                .replace('\0', " ");
            found.push(format!("process {pid}: {command}"));
        }
    }
    if let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") {
        let ours = mounts.lines().filter(|l| l.contains("/skiff-r"));
        found.extend(ours.map(|l| format!("mount {l}")));
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        tests_of(&hierarchy.path().join("skiff"), &mut found);
    }
    tests_of(Path::new("/sys/fs/cgroup/skiff"), &mut found);
    found
}

/// The cgroups that tests here make; others on this machine may use the runtime meanwhile.
fn tests_of(top: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("test-").unwrap_or("no");
        if number.chars().all(|c| c.is_ascii_digit()) {
            collect(&entry.path(), found);
        }
    }
}

fn collect(cgroup: &Path, found: &mut Vec<String>) {
    if cgroup.is_dir() && cgroup.join("cgroup.procs").exists() {
        found.push(format!("cgroup {}", cgroup.display()));
        for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
            collect(&entry.path(), found);
        }
    }
}

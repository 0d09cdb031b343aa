//! `skiff oci` killed at any moment, called at once, and with damaged state: `delete --force` removes what is left.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    Outcome, Test,
    oci::{bundle, detached, ok, output, state},
    world::{World, alive, eventually},
};

pub const TESTS: &[Test] = &[
    ("oci_create_killed_at_any_moment_leaves_nothing", killed_create),
    (
        "oci_exec_and_delete_killed_at_any_moment_leave_nothing",
        killed_exec_and_delete,
    ),
    ("oci_concurrent_creates_of_one_id_yield_one_container", concurrent),
    ("oci_damaged_state_is_removed_by_force", damaged),
    ("oci_another_process_with_the_same_id_is_left_alone", reused_pid),
];

const ROUNDS: u32 = 12;

/// A small generator of numbers; its seed is printed, so that a failure can be seen again.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("SKIFF_SEED").ok().and_then(|s| s.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = seed.unwrap_or(now.as_nanos() as u64 | 1);
        println!("SKIFF_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs a command and kills it after some part of `longest`.
fn kill_within(command: &mut Command, longest: Duration, random: &mut Random) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_micros(random.below(longest.as_micros() as u64));
    while Instant::now() < deadline && child.try_wait()?.is_none() {
        std::hint::spin_loop();
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Processes of this test (those with its mark in their environment, which also children of the runtime have) beside
/// this one and its parents.
fn marked(world: &World, word: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let has = |text: &[u8], word: &str| text.windows(word.len()).any(|w| w == word.as_bytes());
        if has(&environ, &world.mark) && has(&command, word) && alive(pid) {
            pids.push(pid);
        }
    }
    pids
}

/// Where the cgroup of a container is, from the top of each hierarchy.
fn group_of(world: &World, id: &str) -> anyhow::Result<Option<String>> {
    let file = world.dir.path().join("state").join(id).join("state.json");
    let saved: Value = serde_json::from_slice(&fs::read(file)?)?;
    Ok(saved["cgroup"]["path"].as_str().map(str::to_owned))
}

/// Nothing of a container is left: no state, no process, no cgroup.
fn nothing_left(world: &World, id: &str, group: Option<&str>) -> anyhow::Result<()> {
    let dir = world.dir.path().join("state").join(id);
    ensure!(!dir.exists(), "{dir:?} is left");
    // The runtime's own processes carry its path in their command line, the container's the sleep.
    for word in ["__oci", "sleep\0"] {
        eventually("its processes are gone", || {
            marked(world, word).is_empty().then_some(())
        })
        .with_context(|| format!("{word}: {:?}", marked(world, word)))?;
    }
    if let Some(group) = group {
        ensure!(!Path::new("/sys/fs/cgroup").join(group).exists());
        for hierarchy in fs::read_dir("/sys/fs/cgroup")?.flatten() {
            let group = hierarchy.path().join(group);
            ensure!(!group.exists(), "{group:?} is left");
        }
    }
    Ok(())
}

fn killed_create(world: &World) -> Outcome {
    let mut random = Random::new();
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    // How long it takes here and now.
    let started = Instant::now();
    detached(&mut world.oci(&["create", "--bundle", &path, "fire"]))?;
    let whole = started.elapsed();
    let group = group_of(world, "fire")?;
    let nothing_left = || nothing_left(world, "fire", group.as_deref());
    detached(&mut world.oci(&["delete", "--force", "fire"]))?;
    nothing_left()?;
    for round in 0..2 * ROUNDS {
        // The process of `run` starts by itself, maybe when nobody can publish its state any more.
        let command = if round % 2 == 0 { "create" } else { "run" };
        kill_within(
            &mut world.oci(&[command, "--bundle", &path, "fire"]),
            whole,
            &mut random,
        )?;
        detached(&mut world.oci(&["delete", "--force", "fire"])).with_context(|| format!("round {round}"))?;
        nothing_left().with_context(|| format!("round {round}"))?;
    }
    // And the id is free.
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "fire"]))?;
    detached(&mut world.oci(&["delete", "--force", "fire"]))?;
    Ok(None)
}

fn killed_exec_and_delete(world: &World) -> Outcome {
    let mut random = Random::new();
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    let run = || detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "fire"]));
    run()?;
    let group = group_of(world, "fire")?;
    let nothing_left = || nothing_left(world, "fire", group.as_deref());
    let started = Instant::now();
    detached(&mut world.oci(&["exec", "fire", "true"]))?;
    let whole = started.elapsed();
    for _ in 0..ROUNDS {
        kill_within(
            &mut world.oci(&["exec", "--detach", "fire", "sleep", "1001"]),
            whole,
            &mut random,
        )?;
        // What was killed half-way does not hurt the container.
        ensure!(state(world, "fire")?["status"] == "running");
    }
    let started = Instant::now();
    detached(&mut world.oci(&["delete", "--force", "fire"]))?;
    let whole = started.elapsed();
    nothing_left()?;
    for round in 0..ROUNDS {
        run()?;
        kill_within(&mut world.oci(&["delete", "--force", "fire"]), whole, &mut random)?;
        detached(&mut world.oci(&["delete", "--force", "fire"])).with_context(|| format!("round {round}"))?;
        nothing_left().with_context(|| format!("round {round}"))?;
    }
    Ok(None)
}

fn concurrent(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    for _ in 0..3 {
        let mut children = Vec::new();
        for _ in 0..4 {
            children.push(
                world
                    .oci(&["create", "--bundle", &path, "one"])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()?,
            );
        }
        let mut made = 0;
        for mut child in children {
            made += u32::from(child.wait()?.success());
        }
        ensure!(made == 1, "{made} creates of one id have succeeded");
        // The others have taken nothing away from it.
        ensure!(state(world, "one")?["status"] == "created");
        let group = group_of(world, "one")?;
        detached(&mut world.oci(&["start", "one"]))?;
        ensure!(marked(world, "sleep\0").len() == 1);
        detached(&mut world.oci(&["delete", "--force", "one"]))?;
        nothing_left(world, "one", group.as_deref())?;
    }
    Ok(None)
}

fn damaged(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    let dir = world.dir.path().join("state/torn");
    let with_cgroup = skiff_runtime::cgroups_available().version != skiff_runtime::Version::None;
    for content in ["", "{\"id\":\"to", "null"] {
        detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "torn"]))?;
        let pid = state(world, "torn")?["pid"].as_u64().context("a pid")? as u32;
        let group = group_of(world, "torn")?;
        fs::write(dir.join("state.json"), content)?;
        ensure!(!output(&mut world.oci(&["state", "torn"]))?.status.success());
        ensure!(ok(&mut world.oci(&["list"]))?.lines().count() == 1);
        if !with_cgroup {
            // Without a cgroup nothing else knows the process.
            nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid as i32),
                nix::sys::signal::Signal::SIGKILL,
            )?;
        }
        detached(&mut world.oci(&["delete", "--force", "torn"]))?;
        nothing_left(world, "torn", group.as_deref())?;
    }
    // It was written and not published.
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "torn"]))?;
    let group = group_of(world, "torn")?;
    fs::rename(dir.join("state.json"), dir.join("state.json.1.new"))?;
    ensure!(!output(&mut world.oci(&["state", "torn"]))?.status.success());
    detached(&mut world.oci(&["delete", "--force", "torn"]))?;
    nothing_left(world, "torn", group.as_deref())?;
    // The configuration is damaged too.
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "torn"]))?;
    let group = group_of(world, "torn")?;
    fs::write(dir.join("config.json"), "{")?;
    detached(&mut world.oci(&["delete", "--force", "torn"]))?;
    nothing_left(world, "torn", group.as_deref())?;
    Ok(None)
}

fn reused_pid(world: &World) -> Outcome {
    let path = bundle(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    detached(&mut world.oci(&["kill", "a", "KILL"]))?;
    eventually("it ends", || {
        (state(world, "a").ok()?["status"] == "stopped").then_some(())
    })?;
    // As if the number had been given to another process since.
    let file = world.dir.path().join("state/a/state.json");
    let mut saved: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let mut other = Sleeper::new()?;
    // Start times are counted in hundredths of a second: one that began with the container would be taken for it.
    while skiff_sys::process::alive_since(other.0.id()) == saved["startTime"].as_u64() {
        other = Sleeper::new()?;
    }
    saved["pid"] = other.0.id().into();
    fs::write(&file, saved.to_string())?;
    ensure!(state(world, "a")?["status"] == "stopped");
    let done = output(&mut world.oci(&["kill", "a", "KILL"]))?;
    ensure!(String::from_utf8_lossy(&done.stderr).contains("container not running"));
    ensure!(!output(&mut world.oci(&["exec", "a", "true"]))?.status.success());
    detached(&mut world.oci(&["delete", "--force", "a"]))?;
    ensure!(other.0.try_wait()?.is_none(), "another process was killed");
    Ok(None)
}

/// A process of nobody's, which ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> std::io::Result<Self> {
        let mut command = Command::new("sleep");
        command
            .arg("1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(Sleeper)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! Bundles and images that mean harm: the public vulnerabilities of runc since 2019, which must not happen here.
//! `docs/security.md` lists them with the names of these tests.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        io::AsRawFd,
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    Outcome, Test,
    oci::{bundle, detached, ok, output},
    world::World,
};

pub const TESTS: &[Test] = &[
    ("oci_hostile_entrypoint_cannot_be_the_runtime_itself", own_program),
    ("oci_hostile_proc_is_real_and_in_its_place", proc_mounts),
    (
        "oci_hostile_links_swapped_during_mounts_stay_inside",
        swapped_links,
    ),
    ("oci_hostile_lengths_are_errors", lengths),
    ("oci_hostile_capabilities_are_not_inheritable", inheritable),
    ("oci_hostile_cgroups_are_read_only_without_a_namespace", cgroups),
    (
        "oci_hostile_working_directory_and_descriptors_stay_inside",
        leaked,
    ),
    ("oci_hostile_masks_are_the_hosts_null_device", masks),
    ("oci_hostile_console_is_no_link", console),
    ("oci_hostile_image_takes_no_writes_meant_for_proc", proc_writes),
    ("oci_hostile_null_device_of_the_host_keeps_its_owner", null_owner),
];

/// A bundle with a writable root file system of its own.
fn writable(
    world: &World,
    args: &[&str],
    edit: impl FnOnce(&mut Value),
) -> anyhow::Result<(String, PathBuf)> {
    let root = world.dir.path().join("own-root");
    if !root.exists() {
        let copied = std::process::Command::new("cp")
            .args(["-a".as_ref(), world.layer().as_os_str(), root.as_os_str()])
            .status()?;
        ensure!(copied.success());
    }
    let path = bundle(world, args, |v| {
        v["root"] = json!({"path": root, "readonly": false});
        edit(v);
    })?;
    Ok((path, root))
}

/// The error of a run that must fail.
fn refused(world: &World, bundle: &str) -> anyhow::Result<String> {
    let done = output(&mut world.oci(&["run", "--bundle", bundle, "a"]))?;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(!done.status.success(), "it ran: {done:?}");
    let _ = output(&mut world.oci(&["delete", "--force", "a"]));
    Ok(text)
}

fn mount(value: &mut Value, mount: Value) {
    value["mounts"].as_array_mut().expect("a list").push(mount);
}

/// CVE-2019-5736: the program file of the runtime overwritten over /proc/self/exe.
fn own_program(world: &World) -> Outcome {
    let (path, root) = writable(world, &["/entry"], |_| ())?;
    for (entry, link) in [
        ("/proc/self/exe", true),
        ("#!/proc/self/exe\n", false),
        ("#! /bin/again x\n", false),
    ] {
        let _ = fs::remove_file(root.join("entry"));
        let _ = fs::remove_file(root.join("bin/again"));
        symlink("/proc/self/exe", root.join("bin/again"))?;
        if link {
            symlink(entry, root.join("entry"))?;
        } else {
            fs::write(root.join("entry"), entry)?;
            fs::set_permissions(root.join("entry"), fs::Permissions::from_mode(0o755))?;
        }
        let text = refused(world, &path)?;
        ensure!(text.contains("permission denied"), "{entry:?}: {text}");
    }
    // From inside, a process that joins is nobody whose program could be opened.
    let (path, _) = writable(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    for program in ["/entry", "/proc/self/exe", "/bin/again"] {
        let done = output(&mut world.oci(&["exec", "a", program]))?;
        let text = String::from_utf8_lossy(&done.stderr);
        ensure!(
            !done.status.success() && text.contains("permission denied"),
            "{program}: {done:?}"
        );
    }
    detached(&mut world.oci(&["delete", "--force", "a"]))?;
    Ok(None)
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: something else where /proc should be.
fn proc_mounts(world: &World) -> Outcome {
    let tmpfs = |at: &str| json!({"destination": at, "type": "tmpfs", "source": "tmpfs"});
    for at in [
        "/proc",
        "/proc/sys",
        "/proc/self/attr",
        "/../proc/./sys",
        "/link/sys",
    ] {
        let (path, root) = writable(world, &["true"], |v| mount(v, tmpfs(at)))?;
        let _ = symlink("/proc", root.join("link"));
        let text = refused(world, &path)?;
        ensure!(text.contains("/proc"), "{at}: {text}");
    }
    let (path, root) = writable(world, &["true"], |v| {
        let source = world.dir.path().join("fake");
        fs::create_dir_all(source.join("self")).expect("a directory");
        mount(
            v,
            json!({"destination": "/proc", "type": "bind", "source": source, "options": ["rbind"]}),
        );
    })?;
    refused(world, &path)?;
    // What shows a container its own share of the machine may be mounted.
    let shown = world.dir.path().join("meminfo");
    fs::write(&shown, "MemTotal: 7 kB\n")?;
    let (path, _) = writable(world, &["cat", "/proc/meminfo"], |v| {
        mount(
            v,
            json!({"destination": "/proc/meminfo", "type": "bind", "source": shown, "options": ["bind"]}),
        );
    })?;
    ensure!(ok(&mut world.oci(&["run", "--bundle", &path, "a"]))? == "MemTotal: 7 kB\n");
    // A link where the directory should be.
    for name in ["proc", "sys"] {
        if name == "sys" && world.rootless {
            // The host's, bound: a link in the image leads to another place in it.
            continue;
        }
        let moved = root.join(format!("{name}-elsewhere"));
        fs::rename(root.join(name), &moved)?;
        symlink(format!("{name}-elsewhere"), root.join(name))?;
        let (path, _) = writable(world, &["true"], |_| ())?;
        let text = refused(world, &path)?;
        ensure!(text.contains("must be mounted on ordinary directory"), "{text}");
        fs::remove_file(root.join(name))?;
        fs::rename(&moved, root.join(name))?;
    }
    Ok(None)
}

/// Exchanges a directory and a link to the outside as fast as it can, until it is dropped.
struct Swapper(Child);

impl Swapper {
    fn new(directory: &Path, link: &Path) -> anyhow::Result<Self> {
        let script = format!(
            "while :; do mv -T {d} {d}.aside; mv -T {l} {d}; mv -T {d} {l}; mv -T {d}.aside {d}; done",
            d = directory.display(),
            l = link.display()
        );
        let child = std::process::Command::new("/bin/busybox")
            .args(["sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Swapper(child))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CVE-2021-30465, CVE-2024-45310: a volume's directory becomes a link to the outside while mounts are made.
fn swapped_links(world: &World) -> Outcome {
    let outside = world.dir.path().join("outside");
    fs::create_dir_all(outside.join("there"))?;
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o777))?;
    let (path, root) = writable(world, &["true"], |v| {
        for at in ["/volume/there", "/volume/new/deeper", "/volume/there/again"] {
            mount(v, json!({"destination": at, "type": "tmpfs", "source": "tmpfs"}));
        }
        mount(
            v,
            json!({"destination": "/volume/file", "type": "bind", "source": "/dev/null", "options": ["bind"]}),
        );
    })?;
    fs::create_dir_all(root.join("volume/there"))?;
    symlink(&outside, root.join("volume-link"))?;
    let swapper = Swapper::new(&root.join("volume"), &root.join("volume-link"))?;
    let mut ran = 0;
    for _ in 0..40 {
        let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
        ran += usize::from(done.status.success());
        let _ = output(&mut world.oci(&["delete", "--force", "a"]));
    }
    drop(swapper);
    let mut names: Vec<_> = fs::read_dir(&outside)?.flatten().map(|e| e.file_name()).collect();
    names.sort();
    ensure!(names == ["there"], "made outside ({ran} ran): {names:?}");
    ensure!(fs::read_dir(outside.join("there"))?.next().is_none());
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains(&*outside.to_string_lossy()), "{mounts}");
    Ok(None)
}

/// CVE-2021-43784: lengths that overflow a message of a fixed layout turn the rest into settings. Ours are not of one.
fn lengths(world: &World) -> Outcome {
    let long = format!("/{}", "x".repeat(70_000));
    let (path, _) = writable(world, &["true"], |v| {
        mount(
            v,
            json!({"destination": long, "type": "tmpfs", "source": "tmpfs"}),
        );
    })?;
    ensure!(refused(world, &path)?.contains("file name too long"));
    let (path, _) = writable(world, &["sh", "-c", "echo ${#X}"], |v| {
        v["process"]["env"]
            .as_array_mut()
            .expect("a list")
            .push(format!("X={}", "y".repeat(100_000)).into());
    })?;
    ensure!(ok(&mut world.oci(&["run", "--bundle", &path, "a"]))? == "100000\n");
    Ok(None)
}

/// CVE-2022-24769, CVE-2022-29162: capabilities that a program with file capabilities inherits.
fn inheritable(world: &World) -> Outcome {
    let (path, _) = writable(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    for exec in [&["exec", "a"][..], &["exec", "--cap", "CAP_KILL", "a"]] {
        let status = ok(world.oci(exec).args(["cat", "/proc/self/status"]))?;
        for set in ["CapInh", "CapAmb"] {
            let line = status.lines().find(|l| l.starts_with(set)).unwrap_or_default();
            ensure!(line.ends_with("\t0000000000000000"), "{exec:?}: {line}");
        }
    }
    detached(&mut world.oci(&["delete", "--force", "a"]))?;
    Ok(None)
}

/// CVE-2023-25809: without a cgroup namespace the host's cgroups are writable.
fn cgroups(world: &World) -> Outcome {
    let (path, _) = writable(world, &["cat", "/proc/self/mountinfo"], |v| {
        let namespaces = v["linux"]["namespaces"].as_array_mut().expect("a list");
        namespaces.retain(|n| n["type"] != "cgroup" && n["type"] != "network");
    })?;
    let mounts = ok(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    let mut below_sys = 0;
    for line in mounts.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        if fields[4].starts_with("/sys") {
            below_sys += 1;
            ensure!(fields[5].split(',').any(|o| o == "ro"), "writable: {line}");
        }
    }
    ensure!(below_sys > 0, "{mounts}");
    Ok(None)
}

/// CVE-2024-21626: a descriptor of the host, and a working directory behind it.
fn leaked(world: &World) -> Outcome {
    // One that a careless caller leaves open.
    let host = fs::File::open("/")?;
    rustix::io::fcntl_setfd(&host, rustix::io::FdFlags::empty())?;
    let (path, _) = writable(world, &["ls", "/proc/self/fd"], |_| ())?;
    let shown = ok(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    // The fourth is the directory that is listed.
    ensure!(shown == "0\n1\n2\n3\n", "{shown:?}");
    for fd in 3..12.max(host.as_raw_fd() + 1) {
        let cwd = format!("/proc/self/fd/{fd}");
        let (path, root) = writable(world, &["pwd"], |v| v["process"]["cwd"] = cwd.clone().into())?;
        let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            !done.status.success() || shown.starts_with('/'),
            "{cwd}: {done:?}"
        );
        let _ = output(&mut world.oci(&["delete", "--force", "a"]));
        ensure!(!root.join("proc/self").exists());
    }
    let (path, _) = writable(world, &["sleep", "1000"], |_| ())?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    ensure!(ok(&mut world.oci(&["exec", "a", "ls", "/proc/self/fd"]))? == "0\n1\n2\n3\n");
    for fd in 3..12 {
        let cwd = format!("/proc/self/fd/{fd}");
        // The host's root has directories that this image lacks.
        let done = output(&mut world.oci(&["exec", "--cwd", &cwd, "a", "ls", "usr"]))?;
        ensure!(!done.status.success(), "{cwd}: {done:?}");
    }
    detached(&mut world.oci(&["delete", "--force", "a"]))?;
    Ok(None)
}

/// CVE-2025-31133: masks made with what the image calls /dev/null.
fn masks(world: &World) -> Outcome {
    let script = "cat /etc/masked; cat /dev/null; echo x >/etc/masked; ls -l /etc/masked";
    let (path, root) = writable(world, &["sh", "-c", script], |v| {
        v["mounts"]
            .as_array_mut()
            .expect("a list")
            .retain(|m| m["type"] == "proc");
        v["linux"]["maskedPaths"] = json!(["/etc/masked", "/etc/link", "/tmp"]);
    })?;
    fs::write(root.join("etc/masked"), "seen\n")?;
    fs::write(root.join("etc/target"), "target\n")?;
    symlink("/etc/target", root.join("etc/link"))?;
    let null = root.join("dev/null");
    let _ = fs::remove_file(&null);
    symlink("/etc/target", &null)?;
    let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    // A default device that is a link to something else may be refused as well.
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(!shown.contains("seen"), "{done:?}");
    ensure!(!done.status.success() || shown.contains("1,   3"), "{done:?}");
    ensure!(fs::read_to_string(root.join("etc/target"))? == "target\n");
    fs::remove_file(&null)?;
    Ok(None)
}

/// CVE-2025-52565: the terminal bound where a link at /dev/console leads.
fn console(world: &World) -> Outcome {
    let (path, root) = writable(world, &["cat", "/proc/sysrq-trigger"], |v| {
        v["process"]["terminal"] = true.into();
        v["mounts"]
            .as_array_mut()
            .expect("a list")
            .retain(|m| m["destination"] != "/dev");
    })?;
    let _ = fs::create_dir_all(root.join("dev/pts"));
    for target in ["/proc/sysrq-trigger", "/etc/passwd"] {
        let _ = fs::remove_file(root.join("dev/console"));
        symlink(target, root.join("dev/console"))?;
        let text = refused(world, &path)?;
        ensure!(text.contains("/dev/console"), "{target}: {text}");
    }
    fs::remove_file(root.join("dev/console"))?;
    Ok(None)
}

/// CVE-2025-52881: writes meant for the kernel's files end in an image's.
fn proc_writes(world: &World) -> Outcome {
    let (path, root) = writable(world, &["cat", "/proc/sys/kernel/msgmax"], |v| {
        v["linux"]["sysctl"] = json!({"kernel.msgmax": "8191"});
        v["process"]["oomScoreAdj"] = 500.into();
    })?;
    let fake = root.join("proc/sys/kernel");
    fs::create_dir_all(&fake)?;
    fs::write(fake.join("msgmax"), "fake")?;
    fs::create_dir_all(root.join("proc/self"))?;
    fs::write(root.join("proc/self/oom_score_adj"), "fake")?;
    ensure!(ok(&mut world.oci(&["run", "--bundle", &path, "a"]))? == "8191\n");
    ensure!(fs::read_to_string(fake.join("msgmax"))? == "fake");
    ensure!(fs::read_to_string(root.join("proc/self/oom_score_adj"))? == "fake");
    fs::remove_dir_all(root.join("proc/sys"))?;
    fs::remove_dir_all(root.join("proc/self"))?;
    Ok(None)
}

/// Standard streams that are the host's null device are never given to the container's user.
fn null_owner(world: &World) -> Outcome {
    let before = fs::metadata("/dev/null")?;
    ensure!(before.file_type().is_char_device());
    let (path, _) = writable(world, &["id", "-u"], |v| {
        if !world.rootless {
            v["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        }
    })?;
    ok(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    detached(&mut world.oci(&["run", "--bundle", &path, "b"]))?;
    let after = fs::metadata("/dev/null")?;
    ensure!((before.uid(), before.gid(), before.mode()) == (after.uid(), after.gid(), after.mode()));
    Ok(None)
}

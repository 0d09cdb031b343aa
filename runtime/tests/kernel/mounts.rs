//! `skiff oci`: mounts and the root file system.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    Outcome, Test,
    oci::{bundle, detached, ok, output, state},
    world::World,
};

pub const TESTS: &[Test] = &[
    ("oci_idmapped_mounts_show_other_owners", idmapped),
    ("oci_recursive_attributes_reach_mounts_below", recursive),
    ("oci_tmpfs_keeps_mode_and_content", tmpfs),
    ("oci_nothing_is_made_in_a_dev_of_others", dev_of_others),
    ("oci_bind_mounts_of_files_and_directories", binds),
    ("oci_propagation_of_root_and_mounts", propagation),
    ("oci_paths_are_masked_and_read_only", hidden),
    ("oci_mounts_in_a_shared_namespace_go_with_the_container", shared),
];

fn run(world: &World, script: &str, mounts: Value, edit: impl FnOnce(&mut Value)) -> anyhow::Result<String> {
    let path = bundle(world, &["sh", "-c", script], |v| {
        v["root"]["readonly"] = false.into();
        let list = v["mounts"].as_array_mut().expect("mounts");
        list.extend(mounts.as_array().expect("mounts").iter().cloned());
        edit(v);
    })?;
    ok(&mut world.oci(&["run", "--bundle", &path, "a"]))
}

fn idmapped(world: &World) -> Outcome {
    let source = world.dir.path().join("source");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "")?;
    let map = |host: u32| json!([{"containerID": 0, "hostID": host, "size": 1000}]);
    let mount = |options: Value, map: Option<Value>| {
        let mut mount = json!({"destination": "/mnt", "type": "bind", "source": source, "options": options});
        if let Some(map) = map {
            mount["uidMappings"] = map.clone();
            mount["gidMappings"] = map;
        }
        json!([mount])
    };
    let script = "stat -c '%u %g' /mnt/file";
    if world.rootless {
        let done = run(world, script, mount(json!(["bind"]), Some(map(7000))), |_| ());
        // Only who owns the file system may map it.
        ensure!(done.is_err_and(|e| e.to_string().contains("id-mapped mount at")));
        return Ok(None);
    }
    let plain = fs::metadata(&source)?;
    ensure!(plain.uid() == 0);
    match run(world, script, mount(json!(["bind"]), Some(map(7000))), |_| ()) {
        Err(e) if e.to_string().contains("invalid argument") => {
            return Ok(Some("the file system of /tmp can't be id-mapped".into()));
        }
        done => ensure!(done? == "7000 7000\n"),
    }
    let done = run(
        world,
        script,
        mount(json!(["rbind", "ridmap"]), Some(map(7000))),
        |_| (),
    )?;
    ensure!(done == "7000 7000\n", "{done}");
    // Without mappings of its own it takes the container's: what is root's outside is root's inside.
    let own = |v: &mut Value| {
        let namespaces = v["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({"type": "user"}));
        v["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        v["linux"]["gidMappings"] = v["linux"]["uidMappings"].clone();
    };
    fs::set_permissions(world.dir.path(), fs::Permissions::from_mode(0o755))?;
    let done = run(world, script, mount(json!(["bind", "idmap"]), None), own)?;
    ensure!(done == "0 0\n", "{done}");
    let done = run(world, script, mount(json!(["bind"]), None), own)?;
    ensure!(done == "65534 65534\n", "{done}");
    // And without a user namespace there is nothing to take.
    let done = run(world, script, mount(json!(["bind", "idmap"]), None), |_| ());
    ensure!(done.is_err_and(|e| e.to_string().contains("user namespace")));
    let mut half = mount(json!(["bind"]), Some(map(7000)));
    half[0].as_object_mut().expect("a mount").remove("gidMappings");
    let done = run(world, script, half, |_| ());
    ensure!(done.is_err_and(|e| e.to_string().contains("specified together")));
    Ok(None)
}

/// The options of the mounts at and below `/mnt`, by mount point.
const OPTIONS: &str = "grep -E ' /mnt(/sub)? ' /proc/self/mountinfo | cut -d' ' -f5,6";

/// Is taken away again.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = nix::mount::umount(&self.0) {
            println!("{:?} stays mounted: {error}", self.0);
        }
    }
}

fn recursive(world: &World) -> Outcome {
    let source = world.dir.path().join("source");
    fs::create_dir_all(source.join("sub"))?;
    if world.rootless {
        let out = run(
            world,
            OPTIONS,
            json!([{"destination": "/mnt", "type": "bind", "source": source,
                    "options": ["rbind", "rro", "rnosuid", "rnodev", "rnoexec"]}]),
            |_| (),
        )?;
        ensure!(out.starts_with("/mnt ro,nosuid,nodev,noexec"), "{out}");
        return Ok(None);
    }
    // In a mount namespace of this test's process, which ends with it; but the test's directory can't be removed before.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let none = nix::mount::MsFlags::empty();
    nix::mount::mount(
        Some("tmpfs"),
        &source.join("sub"),
        Some("tmpfs"),
        none,
        None::<&str>,
    )?;
    let _mounted = Mounted(source.join("sub"));
    let both = |options: &[&str]| {
        run(
            world,
            OPTIONS,
            json!([{"destination": "/mnt", "type": "bind", "source": source, "options": options}]),
            |_| (),
        )
    };
    let out = both(&[
        "rbind",
        "rro",
        "rnosuid",
        "rnodev",
        "rnoexec",
        "rnoatime",
        "rnodiratime",
    ])?;
    ensure!(out.lines().count() == 2, "{out}");
    for line in out.lines() {
        ensure!(
            line.ends_with(" ro,nosuid,nodev,noexec,noatime,nodiratime"),
            "{out}"
        );
    }
    let out = both(&["rbind", "ro", "rstrictatime"])?;
    let lines: Vec<_> = out.lines().collect();
    ensure!(lines[0] == "/mnt ro" && lines[1] == "/mnt/sub rw", "{out}");
    let out = both(&["bind", "nosymfollow"])?;
    ensure!(
        out.lines().count() == 1 && out.contains("nosymfollow"),
        "without r only the one mount: {out}"
    );
    Ok(None)
}

fn dev_of_others(world: &World) -> Outcome {
    let source = world.dir.path().join("dev");
    fs::create_dir(&source)?;
    fs::write(source.join("ptmx"), "of the host")?;
    let bound =
        json!([{"destination": "/dev", "type": "bind", "source": source, "options": ["rbind", "rw"]}]);
    let out = run(world, "ls /dev; cat /dev/ptmx", bound, |_| ())?;
    ensure!(out == "ptmx\nof the host", "{out}");
    ensure!(fs::symlink_metadata(source.join("ptmx"))?.is_file());
    ensure!(fs::read_dir(&source)?.count() == 1);
    Ok(None)
}

fn tmpfs(world: &World) -> Outcome {
    fs::set_permissions(world.layer().join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::set_permissions(world.layer().join("etc/group"), fs::Permissions::from_mode(0o640))?;
    let out = run(
        world,
        "stat -c %a /tmp /etc/group /new; cat /etc/group | head -n1; echo x > /etc/written; stat -f -c %T /etc",
        json!([
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nosuid"]},
            {"destination": "/new", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700", "size=64k"]},
        ]),
        |_| (),
    )?;
    ensure!(out == "1777\n640\n700\nroot:x:0:\ntmpfs\n", "{out}");
    ensure!(!world.layer().join("etc/written").exists());
    Ok(None)
}

fn binds(world: &World) -> Outcome {
    let dir = world.dir.path();
    fs::create_dir(dir.join("d"))?;
    fs::write(dir.join("d/f"), "in the directory\n")?;
    fs::write(dir.join("file"), "a file\n")?;
    let out = run(
        world,
        "cat /deep/er/f /made/file; [ -d /deep/er ] && [ -f /made/file ] && echo kinds",
        json!([
            {"destination": "/deep/er", "type": "bind", "source": dir.join("d"), "options": ["bind"]},
            // The type may be left out, and the source start at the bundle.
            {"destination": "/made/file", "source": "../file", "options": ["rbind", "ro"]},
        ]),
        |_| (),
    )?;
    ensure!(out == "in the directory\na file\nkinds\n", "{out}");
    let done = run(
        world,
        "true",
        json!([{"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]}]),
        |_| (),
    );
    ensure!(done.is_err_and(|e| e.to_string().contains("/no/such")));
    // In the order given: the later one hides the earlier.
    let out = run(
        world,
        "ls /deep",
        json!([
            {"destination": "/deep", "type": "bind", "source": dir.join("d"), "options": ["bind"]},
            {"destination": "/deep", "type": "tmpfs", "source": "tmpfs"},
        ]),
        |_| (),
    )?;
    ensure!(out.is_empty(), "{out}");
    Ok(None)
}

fn propagation(world: &World) -> Outcome {
    let of = |point: &str| format!("grep ' {point} ' /proc/self/mountinfo | head -n1 | sed 's/ - .*//'");
    for (word, shared) in [
        ("shared", true),
        ("rshared", true),
        ("private", false),
        ("rslave", false),
    ] {
        if word == "rshared" && world.rootless {
            // Mounts of the parent user namespace below the root may not be made shared recursively here.
            continue;
        }
        let out = run(world, &of("/"), json!([]), |v| {
            v["linux"]["rootfsPropagation"] = word.into();
        })?;
        ensure!(out.contains("shared:") == shared, "{word}: {out}");
    }
    let out = run(world, &of("/"), json!([]), |v| {
        v["linux"]["rootfsPropagation"] = "unbindable".into();
    })?;
    ensure!(out.contains("unbindable"), "{out}");
    let out = run(
        world,
        &of("/mnt"),
        json!([{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["rshared"]}]),
        |_| (),
    )?;
    ensure!(out.contains("shared:"), "{out}");
    Ok(None)
}

fn hidden(world: &World) -> Outcome {
    let dir = world.layer().join("secret");
    fs::create_dir(&dir)?;
    fs::write(dir.join("f"), "x")?;
    let path = bundle(
        world,
        &[
            "sh",
            "-c",
            "ls /secret; cat /etc/passwd; echo x > /proc/sys/kernel/shmmni; cat /etc/group; echo x > /etc/group",
        ],
        |v| {
            v["root"]["readonly"] = false.into();
            v["linux"]["maskedPaths"] = json!(["/secret", "/etc/passwd", "/no/such"]);
            v["linux"]["readonlyPaths"] = json!(["/proc/sys", "/etc/group", "/no/such"]);
        },
    )?;
    let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(done.stdout == b"root:x:0:\nuser:x:1000:\n", "{done:?}");
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(errors.matches("Read-only file system").count() == 2, "{errors}");
    // And the root itself.
    let path = bundle(world, &["sh", "-c", "echo x > /x"], |v| {
        v["root"]["readonly"] = true.into();
    })?;
    let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(String::from_utf8_lossy(&done.stderr).contains("Read-only file system"));
    Ok(None)
}

/// As with runc, a container without a mount namespace mounts where its creator is, and has its root by chroot.
fn shared(world: &World) -> Outcome {
    if world.rootless {
        return Ok(Some(
            "an ordinary user may mount nothing outside a mount namespace".into(),
        ));
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let before = fs::read_to_string("/proc/self/mountinfo")?;
    let shares_mounts = |v: &mut Value| {
        let linux = v["linux"].as_object_mut().expect("linux");
        linux.retain(|key, _| !matches!(key.as_str(), "maskedPaths" | "readonlyPaths"));
        let namespaces = linux["namespaces"].as_array_mut().expect("namespaces");
        namespaces.retain(|n| n["type"] != "mount");
    };
    let path = bundle(world, &["sleep", "1000"], |v| {
        shares_mounts(v);
        v["linux"]["maskedPaths"] = json!(["/proc/keys"]);
    })?;
    let done = output(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    let words = "unable to restrict sys entries without a private MNT namespace";
    ensure!(String::from_utf8_lossy(&done.stderr).contains(words), "{done:?}");

    let path = bundle(world, &["sleep", "1000"], shares_mounts)?;
    detached(&mut world.oci(&["run", "--detach", "--bundle", &path, "a"]))?;
    let pid = state(world, "a")?["pid"].to_string();
    let of = |pid: &str, what: &str| fs::read_link(format!("/proc/{pid}/{what}"));
    ensure!(of(&pid, "ns/mnt")? == of("self", "ns/mnt")?);
    ensure!(of(&pid, "root")? == fs::canonicalize(world.layer())?);
    let inside = ok(&mut world.oci(&["exec", "a", "sh", "-c", "echo /*; cat /proc/1/comm; : </dev/null"]))?;
    ensure!(
        inside.contains("/proc") && inside.ends_with("\nsleep\n"),
        "{inside}"
    );
    ensure!(fs::read_to_string("/proc/self/mountinfo")? != before);
    // Its cgroup mounts are not taken for the host's.
    ok(&mut world.oci(&["run", "--bundle", &bundle(world, &["true"], |_| ())?, "b"]))?;
    ok(&mut world.oci(&["delete", "--force", "a"]))?;
    ensure!(fs::read_to_string("/proc/self/mountinfo")? == before);

    // And with one that can't be made, or that ends by itself.
    let path = bundle(world, &["no-such-program"], shares_mounts)?;
    ensure!(
        !output(&mut world.oci(&["run", "--bundle", &path, "a"]))?
            .status
            .success()
    );
    ensure!(fs::read_to_string("/proc/self/mountinfo")? == before);
    let path = bundle(world, &["true"], shares_mounts)?;
    ok(&mut world.oci(&["run", "--bundle", &path, "a"]))?;
    ensure!(fs::read_to_string("/proc/self/mountinfo")? == before);

    // Or whose creation is cut short when all is mounted and no state is written: its hook kills who creates it.
    let group = format!("/skiff-test-shared-{}", std::process::id());
    let path = bundle(world, &["sleep", "1000"], |v| {
        shares_mounts(v);
        v["linux"]["cgroupsPath"] = group.clone().into();
        let kill = json!({"path": "/bin/sh", "args": ["sh", "-c", "kill -KILL $PPID"]});
        v["hooks"] = json!({"createRuntime": [kill]});
    })?;
    ensure!(detached(&mut world.oci(&["create", "--bundle", &path, "a"])).is_err());
    ensure!(fs::read_to_string("/proc/self/mountinfo")? != before);
    ok(&mut world.oci(&["delete", "--force", "a"]))?;
    ensure!(fs::read_to_string("/proc/self/mountinfo")? == before);
    for hierarchy in fs::read_dir("/sys/fs/cgroup")?.flatten() {
        let left = hierarchy.path().join(&group[1..]);
        ensure!(!left.exists(), "{left:?} is left");
    }
    Ok(None)
}

//! A node whose disk is full: it says so, loses nothing, and goes on when there is room again.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use skiff_tests::{Cluster, User, eventually, need_root, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    own: a_full_disk_is_said_and_survived;
}

/// A small disk for the cluster's state. Taken away, lazily, when dropped: after the cluster, which must be made later.
struct Disk<'p>(&'p Path);

impl<'p> Disk<'p> {
    fn mount(at: &'p Path) -> Result<Self> {
        let none = None::<&str>;
        mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=96m,mode=755"),
        )?;
        let disk = Self(at);
        // What is mounted below by others must not reach us, nor what we unmount them.
        mount(none, at, none, MsFlags::MS_PRIVATE, none)?;
        Ok(disk)
    }

    /// Takes all that is left.
    fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let mut file = fs::File::create(self.0.join("ballast"))?;
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("ballast"))?)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

fn a_full_disk_is_said_and_survived(user: User) -> Result<()> {
    need_root()?;
    let place = tempfile::Builder::new()
        .prefix("skiff-disk-")
        .tempdir_in("/tmp")?;
    let disk = Disk::mount(place.path())?;
    let cluster = Cluster::new(user)?;
    fs::create_dir(place.path().join("data"))?;
    user.own(&place.path().join("data"))?;
    // `skiff up` takes a link for what it points to.
    std::os::unix::fs::symlink(place.path().join("data"), cluster.data_dir())?;
    cluster.up("").ok()?;
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "before"}, "data": {"key": "value"}}),
        shell_pod("before", &image, "sleep 1000"),
    ])?;
    ns.wait_ready("before")?;

    disk.fill()?;
    // A pod that needs room waits for it, and says so.
    let mut object = shell_pod("meanwhile", &image, "echo meanwhile");
    object["spec"]["restartPolicy"] = json!("Always");
    ns.apply(&[object])?;
    eventually("the event", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["Warning", "pod/meanwhile", "No space left on device"],
        )
    })?;
    // The log of the control plane has some room of its own. When that is used up, writes are refused.
    let maps = ns.api::<ConfigMap>();
    let mut random = StdRng::seed_from_u64(1);
    let mut acknowledged = Vec::new();
    let refused = loop {
        let name = format!("big-{}", acknowledged.len());
        // Nothing that could be made smaller.
        let text: String = (0..900_000)
            .map(|_| char::from(random.random_range(b'!'..b'~')))
            .collect();
        let map: ConfigMap =
            serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": text}}))?;
        let params = PostParams::default();
        let write = tokio::time::timeout(Duration::from_secs(10), maps.create(&params, &map));
        match cluster.block_on(async { write.await }) {
            Ok(Ok(_)) => acknowledged.push(name),
            Ok(Err(error)) => break error.to_string(),
            // It may have been written or not: nobody was told.
            Err(late) => break late.to_string(),
        }
        ensure!(acknowledged.len() < 200, "the disk never was full");
    };
    println!("{} big writes, then: {refused}", acknowledged.len());
    // Whatever runs, runs on, and what is there can be read.
    has(
        &ns.kubectl("exec before -- echo still here").ok()?,
        &["still here"],
    )?;
    same(
        ns.kubectl("get configmap before -o jsonpath={.data.key}")
            .ok()?
            .as_str(),
        "value",
    )?;

    disk.free()?;
    eventually("a write", || {
        ns.kubectl("create configmap after --from-literal=key=value").ok()
    })?;
    ns.apply(&[shell_pod("after", &image, "echo after")])?;
    same(ns.wait_succeeded("after")?.as_str(), "after\n")?;
    eventually("the pod that waited", || {
        has(&ns.kubectl("logs meanwhile").ok()?, &["meanwhile"])
    })?;
    // An acknowledged write is there, also after a restart.
    cluster.down().ok()?;
    cluster.up("").ok()?;
    let found = ns.kubectl("get configmap -o name").ok()?;
    has(&found, &["configmap/before", "configmap/after"])?;
    for name in &acknowledged {
        has(&found, &[&format!("configmap/{name}\n")])?;
    }
    ns.wait_pod("before", "to be there", |_| true)
        .context("the pod")?;
    // Before its disk goes.
    drop(ns);
    drop(cluster);
    drop(disk);
    Ok(())
}

//! A disk without space: writes are refused with the reason, nothing acknowledged is lost, and space heals it.

use std::{fs::File, io::Read as _};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use serde_json::json;
use skiff_tests::{Cluster, Disk, DiskKind, Role, User, eventually, need_root};
use tempfile::TempDir;

use crate::same;

skiff_tests::cases! {
    own: a_full_disk_refuses_writes_and_loses_nothing;
}

/// More than what fits, but bounded: a disk that never fills up is a failure of the test.
const MOST_WRITES: usize = 2000;

/// Everything the cluster writes, on a disk of its own. It is not below the cluster's folder but linked from there: other
/// clusters that start meanwhile have it in their mount namespaces too, and are not this one's.
struct SmallDisk<'a> {
    cluster: &'a Cluster,
    disk: Disk,
    _dir: TempDir,
}

impl<'a> SmallDisk<'a> {
    fn mount(cluster: &'a Cluster, user: User) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("disk-").tempdir_in("/tmp")?;
        let small = Self {
            cluster,
            disk: Disk::mount(dir.path(), DiskKind::Memory, 96)?,
            _dir: dir,
        };
        user.own(small.disk.path())?;
        let data = cluster.data_dir();
        let state = data.parent().context("the folder above")?;
        std::fs::remove_dir(state)?;
        std::os::unix::fs::symlink(small.disk.path(), state)?;
        Ok(small)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = self.disk.clear();
        // What runs holds the disk.
        self.cluster.skiff("down --purge");
    }
}

/// A map of 8 KiB that no log can make smaller.
fn map(number: usize) -> Result<ConfigMap> {
    let mut noise = [0; 6 << 10];
    File::open("/dev/urandom")?.read_exact(&mut noise)?;
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("m{number}")},
        "data": {"noise": BASE64_STANDARD.encode(noise)},
    }))?)
}

fn a_full_disk_refuses_writes_and_loses_nothing(user: User) -> Result<()> {
    need_root()?;
    let cluster = Cluster::new(user)?;
    let small = SmallDisk::mount(&cluster, user)?;
    cluster.up("").ok()?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client_that_asks_once()?, "default");
    let mut acknowledged = Vec::new();
    let mut write = |number: usize| -> Result<()> {
        let map = map(number)?;
        cluster.block_on(maps.create(&PostParams::default(), &map))?;
        acknowledged.push(map);
        Ok(())
    };
    (0..10).try_for_each(&mut write)?;
    small.disk.fill()?;
    let refused = (10..MOST_WRITES)
        .find_map(|number| write(number).err())
        .context("the disk is full, and writes are taken for ever")?;
    ensure!(
        format!("{refused:#}").contains("no space left"),
        "the refusal does not say why: {refused:#}"
    );
    // Reading needs no disk.
    cluster.block_on(maps.get("m0"))?;
    for server in cluster.processes_with(Role::Server) {
        server.kill();
    }
    small.disk.clear()?;
    // A name for each try: one that was not answered may have been done.
    let mut names = MOST_WRITES..;
    eventually("writes again", || write(names.next().context("a number")?))?;
    for map in &acknowledged {
        let name = map.metadata.name.as_deref().unwrap_or_default();
        let stored = cluster.block_on(maps.get(name))?;
        same(stored.data, map.data.clone())?;
    }
    Ok(())
}

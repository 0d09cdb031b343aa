//! `skiff snapshot`: everything the cluster knows, in one file.

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context, Result};
use http_body_util::BodyExt as _;
use hyper::Request;
use skiff_control::{
    OpenError,
    members::identity::Identity,
    snapshot::{self, Offline, Summary},
};

use crate::{
    cli::{SnapshotArgs, SnapshotCommand},
    kubeconfig,
    output::say,
    paths::Paths,
    server,
};

pub fn run(paths: &Paths, args: &SnapshotArgs) -> Result<()> {
    match &args.command {
        SnapshotCommand::Save { file } => {
            match save_stopped(paths, file)? {
                Saved::Yes => {}
                Saved::ServerRuns => server::runtime()?.block_on(save_running(paths, file))?,
            }
            // What can't be read back is no snapshot.
            print(&snapshot::inspect(file)?);
            say!("saved {}", file.display());
        }
        SnapshotCommand::Inspect { file } => print(&snapshot::inspect(file)?),
        SnapshotCommand::Restore { file } => {
            paths.create()?;
            let identity = Identity::load(&paths.data)?.unwrap_or_else(Identity::first);
            print(&snapshot::restore(file, &paths.data.join("store"), identity.id)?);
            // It knows the members of its time; they are not this one's.
            identity.alone().save(&paths.data)?;
            say!(
                "restored; secrets in it need the keys of the cluster, {}",
                paths.pki().display()
            );
        }
    }
    Ok(())
}

/// Prints what a snapshot or a store holds.
pub fn print(summary: &Summary) {
    say!(
        "  revision {}, {} objects, {:.1} MB",
        summary.revision,
        summary.keys,
        summary.bytes as f64 / 1e6
    );
    for (kind, count) in &summary.kinds {
        say!("  {count:>8} {kind}");
    }
}

enum Saved {
    Yes,
    ServerRuns,
}

/// Of the data directory, with what is only in the log; unless a server has it open.
fn save_stopped(paths: &Paths, file: &Path) -> Result<Saved> {
    let id = Identity::load(&paths.data)?.map_or(Identity::first().id, |known| known.id);
    let dir = paths.data.join("store");
    anyhow::ensure!(dir.exists(), "{dir:?} does not exist: there is nothing to save");
    let offline = match Offline::open(&dir, id) {
        Err(OpenError::Locked { .. }) => return Ok(Saved::ServerRuns),
        opened => opened?,
    };
    if offline.lost() > 0 {
        say!(
            "the last {} records of the log are damaged or gone: writes in them may have been acknowledged, and are not saved",
            offline.lost()
        );
    }
    offline
        .snapshot()
        .save(file)
        .with_context(|| format!("write {file:?}"))?;
    Ok(Saved::Yes)
}

/// Of the running server, piece by piece.
async fn save_running(paths: &Paths, file: &Path) -> Result<()> {
    let client = kubeconfig::client(paths).await?;
    let request = Request::get("/skiff/v1/snapshot").body(kube::client::Body::empty())?;
    let response = client.send(request).await.context("ask the server")?;
    anyhow::ensure!(
        response.status().is_success(),
        "the server answers {}",
        response.status()
    );
    let unfinished = file.with_extension("unfinished");
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .with_context(|| format!("write {unfinished:?}"))?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.context("read the snapshot")?.into_data() {
            out.write_all(&piece)?;
        }
    }
    out.sync_all()?;
    snapshot::inspect(&unfinished).context("the snapshot did not arrive whole")?;
    std::fs::rename(&unfinished, file).with_context(|| format!("write {file:?}"))
}

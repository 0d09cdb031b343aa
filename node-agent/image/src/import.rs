//! Importing what is on disk: an OCI layout (folder or tar, image-spec image-layout.md) or an archive of `docker save`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    Error, Image, ImageStore,
    index::Record,
    layer::{Hashing, decompress},
    parse,
    registry::parse_config,
};

/// Imports all images of `source`; blocks.
pub fn import(store: &ImageStore, source: &Path, name: Option<&str>) -> Result<Vec<Image>, Error> {
    let failed = |e: anyhow::Error| Error::store("import", source, e);
    if source.is_dir() {
        return import_dir(store, source, name).map_err(failed);
    }
    let extracted =
        tempfile::tempdir_in(&store.inner.tmp).map_err(|e| Error::store("create", &store.inner.tmp, e))?;
    extract(source, extracted.path()).map_err(failed)?;
    import_dir(store, extracted.path(), name).map_err(failed)
}

fn import_dir(store: &ImageStore, dir: &Path, name: Option<&str>) -> Result<Vec<Image>> {
    let found = if dir.join("manifest.json").exists() {
        docker_archive(dir)?
    } else if dir.join("index.json").exists() {
        oci_layout(dir)?
    } else {
        bail!(
            "this is neither an OCI layout (no index.json) nor an archive of `docker save` (no manifest.json)"
        );
    };
    ensure!(!found.is_empty(), "it holds no image for this platform");
    ensure!(
        name.is_none() || found.len() == 1,
        "it holds {} images: they can't all have one name",
        found.len()
    );
    found.iter().map(|image| add(store, dir, image, name)).collect()
}

/// An image found in a folder.
struct Found {
    /// Names it carries.
    names: Vec<String>,
    /// Digest of its manifest, when it has one.
    manifest: Option<String>,
    config: PathBuf,
    config_digest: String,
    layers: Vec<PathBuf>,
}

fn add(store: &ImageStore, dir: &Path, found: &Found, name: Option<&str>) -> Result<Image> {
    let bytes = std::fs::read(dir.join(&found.config)).with_context(|| format!("read {:?}", found.config))?;
    let config = parse_config(&bytes, &found.config_digest)?;
    let diff_ids = config.rootfs.diff_ids;
    ensure!(
        diff_ids.len() == found.layers.len(),
        "{} layers, {} in the config",
        found.layers.len(),
        diff_ids.len()
    );
    for (diff_id, layer) in diff_ids.iter().zip(&found.layers) {
        if !store.has_layer(diff_id) {
            let file = File::open(dir.join(layer)).with_context(|| format!("open {layer:?}"))?;
            store.unpack_layer(diff_id, file)?;
        }
    }
    let names: Vec<String> = match name {
        Some(name) => vec![name.to_owned()],
        None => found
            .names
            .iter()
            .filter_map(|n| parse(n).ok())
            .map(|r| r.whole())
            .collect(),
    };
    ensure!(
        !names.is_empty(),
        "the image carries no name: give one with --name"
    );
    let repository = |name: &str| {
        parse(name)
            .map(|r| format!("{}/{}", r.registry(), r.repository()))
            .ok()
    };
    let digest = found
        .manifest
        .as_ref()
        .and_then(|d| Some(format!("{}@{d}", repository(&names[0])?)));
    let record = Record {
        layers: diff_ids,
        process: config.config.into(),
        ..Record::default()
    };
    let mut image = None;
    for name in &names {
        image = Some(store.add(
            &found.config_digest,
            record.clone(),
            Some(name),
            digest.as_deref(),
        )?);
    }
    image.context("no name")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn docker_archive(dir: &Path) -> Result<Vec<Found>> {
    let images: Vec<DockerImage> = read_json(dir, Path::new("manifest.json"))?;
    images
        .into_iter()
        .map(|image| {
            let config = inside(&image.config)?;
            let bytes = std::fs::read(dir.join(&config)).with_context(|| format!("read {config:?}"))?;
            Ok(Found {
                names: image.repo_tags.unwrap_or_default(),
                manifest: None,
                config_digest: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))),
                config,
                layers: image.layers.iter().map(|l| inside(l)).collect::<Result<_>>()?,
            })
        })
        .collect()
}

#[derive(Deserialize)]
struct Manifests {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// An image manifest or an index: told by what it has, since media types are optional.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
}

fn oci_layout(dir: &Path) -> Result<Vec<Found>> {
    let index: Manifests = read_json(dir, Path::new("index.json"))?;
    let mut found = Vec::new();
    for entry in index.manifests {
        let annotation = |key: &str| entry.annotations.get(key).cloned();
        // The full name where the tool wrote one; `ref.name` alone may be a bare tag, which names nothing.
        let name = annotation("io.containerd.image.name")
            .or_else(|| annotation("org.opencontainers.image.ref.name").filter(|n| n.contains(['/', ':'])));
        let Some((digest, manifest)) = resolve(dir, &entry, 0)? else {
            continue;
        };
        let config = manifest.config.context("the manifest has no config")?;
        found.push(Found {
            names: name.into_iter().collect(),
            manifest: Some(digest),
            config: blob(&config.digest)?,
            config_digest: config.digest,
            layers: manifest
                .layers
                .iter()
                .map(|l| blob(&l.digest))
                .collect::<Result<_>>()?,
        });
    }
    Ok(found)
}

/// Follows indexes to the manifest for this platform.
fn resolve(dir: &Path, entry: &Descriptor, depth: u32) -> Result<Option<(String, Manifest)>> {
    ensure!(depth < 8, "indexes are nested too deeply");
    if let Some(platform) = &entry.platform
        && (platform.os != "linux" || platform.architecture != architecture())
    {
        return Ok(None);
    }
    let manifest: Manifest = read_json(dir, &blob(&entry.digest)?)?;
    let Some(nested) = &manifest.manifests else {
        return Ok(Some((entry.digest.clone(), manifest)));
    };
    for entry in nested {
        if let Some(found) = resolve(dir, entry, depth + 1)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Go's name of this machine's architecture, as images use it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn blob(digest: &str) -> Result<PathBuf> {
    let (algorithm, hex) = digest.split_once(':').context("a digest without algorithm")?;
    ensure!(
        !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        "{digest:?} is not a digest"
    );
    ensure!(
        algorithm.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{digest:?} is not a digest"
    );
    Ok(Path::new("blobs").join(algorithm).join(hex))
}

/// A path of the archive, which must stay inside.
fn inside(path: &str) -> Result<PathBuf> {
    let path = Path::new(path);
    ensure!(
        path.components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir)),
        "{path:?} leads outside"
    );
    Ok(path.to_owned())
}

fn read_json<T: serde::de::DeserializeOwned>(dir: &Path, path: &Path) -> Result<T> {
    let bytes = std::fs::read(dir.join(path)).with_context(|| format!("read {path:?}"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("parse {path:?}"))
}

/// Takes the plain files of an archive apart (compressed or not); links and anything else are left out, but for links
/// between layers, which old `docker save` makes.
fn extract(archive: &Path, to: &Path) -> Result<()> {
    let file = File::open(archive)?;
    let mut hashing = Hashing::new(decompress(io::BufReader::new(file))?);
    let mut tar = tar::Archive::new(&mut hashing as &mut dyn Read);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = inside(&String::from_utf8_lossy(&entry.path_bytes()))?;
        let target = to.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                if let Some(parent) = target.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                let mut file =
                    File::create_new(&target).with_context(|| format!("{path:?} is there twice"))?;
                io::copy(&mut entry, &mut file)?;
            }
            tar::EntryType::Symlink => {
                let link = entry.link_name()?.context("a link to nothing")?.into_owned();
                let source = path.parent().unwrap_or(Path::new("")).join(link);
                // `<id>/layer.tar -> ../<other id>/layer.tar`
                let mut flat = PathBuf::new();
                for component in source.components() {
                    match component {
                        Component::Normal(name) => flat.push(name),
                        Component::ParentDir => ensure!(flat.pop(), "{path:?} links outside"),
                        Component::CurDir => {}
                        _ => bail!("{path:?} links outside"),
                    }
                }
                if let Some(parent) = target.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::hard_link(to.join(flat), &target).with_context(|| format!("link {path:?}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

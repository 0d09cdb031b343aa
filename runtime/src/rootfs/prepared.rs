//! Mounts that the creator of a container makes, since its first process, in a user namespace of its own, can't: id-mapped
//! ones, which need a right over the file system, and bind mounts of what that namespace's root may not even reach.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Mount, Spec};
use rustix::fs::{Mode, OFlags};
use skiff_sys::{
    idmap::write_id_maps,
    mount::{MOUNT_ATTR_IDMAP, MountAttr, mount_setattr},
    process::{Forked, clone3},
};

use super::{mounts::bind_source, open_tree, options::Options};
use crate::{
    container::create::{put_down, ranges},
    error::{Context, invalid},
    wire,
};

/// Detached copies of bind mounts of a configuration, by place in the list: those to be id-mapped, and for root all of a
/// container with a user namespace.
///
/// # Errors
/// The specification's cases (no mapping to be had; one of two mappings), and the kernel's: `EINVAL` when the file system
/// can't be mapped, `EPERM` without CAP_SYS_ADMIN over it.
pub(crate) fn mounts(spec: &Spec, bundle: &Path) -> io::Result<HashMap<usize, OwnedFd>> {
    let mut prepared = HashMap::new();
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    let user = namespaces
        .into_iter()
        .flatten()
        .any(|n| n.typ() == LinuxNamespaceType::User);
    // An ordinary user's container reaches what the user does.
    let early = user && rustix::process::geteuid().is_root();
    for (at, mount) in spec.mounts().iter().flatten().enumerate() {
        let options = Options::parse(mount.options().as_deref().unwrap_or_default());
        let mappings = (
            mount.uid_mappings().as_deref().filter(|m| !m.is_empty()),
            mount.gid_mappings().as_deref().filter(|m| !m.is_empty()),
        );
        if !options.idmap && matches!(mappings, (None, None)) {
            let bind = options.bind || mount.typ().as_deref() == Some("bind");
            // The way to the source may be barred to the users of the container's user namespace.
            if early
                && bind
                && !options.remount
                && let Some(source) = mount.source()
            {
                prepared.insert(at, bind_source(&bundle.join(source), &options)?);
            }
            continue;
        }
        let tree = one(mount, &options, mappings, spec, bundle)
            .context(|| format!("id-mapped mount at {:?}", mount.destination()))?;
        prepared.insert(at, tree);
    }
    Ok(prepared)
}

type Mappings<'a> = (Option<&'a [LinuxIdMapping]>, Option<&'a [LinuxIdMapping]>);

fn one(
    mount: &Mount,
    options: &Options,
    mappings: Mappings<'_>,
    spec: &Spec,
    bundle: &Path,
) -> io::Result<OwnedFd> {
    if !options.bind && mount.typ().as_deref() != Some("bind") {
        return Err(invalid("id-mapped mounts are only supported for bind mounts"));
    }
    let namespace = match mappings {
        (Some(uids), Some(gids)) => user_namespace(uids, gids)?,
        (None, None) => container_namespace(spec)?,
        _ => {
            return Err(invalid("uidMappings and gidMappings must be specified together"));
        }
    };
    let source = mount
        .source()
        .as_ref()
        .ok_or_else(|| invalid("a bind mount needs a source"))?;
    let source = bundle.join(source);
    let tree = open_tree(&source, options.bind_recursive).context(|| format!("open {source:?}"))?;
    let change = MountAttr {
        set: MOUNT_ATTR_IDMAP,
        user_namespace: Some(namespace.as_fd()),
        recursive: options.idmap_recursive,
        ..Default::default()
    };
    mount_setattr(tree.as_fd(), &change).context(|| "map the ids of the mount".into())?;
    Ok(tree)
}

/// A user namespace with the mappings of the container's own, which does not exist yet, or that one where it is joined.
fn container_namespace(spec: &Spec) -> io::Result<OwnedFd> {
    let none = || {
        invalid(
            "an idmap mount without mappings needs a container with a user namespace, whose mappings it takes",
        )
    };
    let linux = spec.linux().as_ref().ok_or_else(none)?;
    let user = linux
        .namespaces()
        .iter()
        .flatten()
        .find(|n| n.typ() == LinuxNamespaceType::User)
        .ok_or_else(none)?;
    match user.path() {
        Some(path) => rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .context(|| format!("open the user namespace {path:?}")),
        None => {
            let uids = linux.uid_mappings().as_deref().ok_or_else(none)?;
            let gids = linux.gid_mappings().as_deref().ok_or_else(none)?;
            user_namespace(uids, gids)
        }
    }
}

/// A user namespace that exists for its mappings only: a process makes it and ends, an open descriptor keeps it.
fn user_namespace(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> io::Result<OwnedFd> {
    let (ours, theirs) = wire::pair()?;
    let Forked::Parent(child) = clone3(libc::CLONE_NEWUSER as u64, None).context(|| "clone3".into())? else {
        drop(ours);
        // Until the creator closes its end, or has ended.
        let _ = rustix::io::read(&theirs, &mut [0_u8; 1]);
        skiff_sys::process::exit(0)
    };
    let open = || {
        write_id_maps(child.pid, &ranges(Some(uids)), &ranges(Some(gids)))
            .context(|| "write the id maps of a mount".into())?;
        let path = format!("/proc/{}/ns/user", child.pid);
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .context(|| format!("open {path}"))
    };
    let namespace = open();
    put_down(&child);
    namespace
}

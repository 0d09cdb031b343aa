//! State of containers in `--root`: a directory each, with `state.json`, `config.json` and, until it is started,
//! `start.sock`; `shared.json` for one without a mount namespace of its own.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::shared_mounts::Shared;
use crate::{
    cgroup::Cgroup,
    container::exec::alive,
    error::{Context, invalid},
    state::Draft,
};

/// All containers of one `--root`.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    /// Not where containers are kept unless said otherwise.
    elsewhere: bool,
}

/// What is known of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Saved {
    pub oci_version: String,
    pub id: String,
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    /// RFC 3339.
    pub created: String,
    pub owner: u32,
    pub cgroup: Option<Cgroup>,
    /// The mount below which all of its mounts lie, when it has no mount namespace of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_mount: Option<u64>,
}

/// One container's directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: String,
    dir: PathBuf,
}

impl Store {
    /// The default is private to the user.
    pub fn new(root: Option<&Path>) -> io::Result<Self> {
        let elsewhere = root.is_some();
        let root = match root {
            Some(root) => root.to_owned(),
            None => match std::env::var_os("XDG_RUNTIME_DIR") {
                // Engines of an ordinary user call us as root of a user namespace of theirs.
                Some(dir)
                    if !rustix::process::geteuid().is_root() || !skiff_sys::idmap::in_first_namespace() =>
                {
                    Path::new(&dir).join("skiff/oci")
                }
                _ if rustix::process::geteuid().is_root() => "/run/skiff/oci".into(),
                _ => format!("/tmp/skiff-oci-{}", rustix::process::geteuid().as_raw()).into(),
            },
        };
        Ok(Store {
            root: std::path::absolute(root)?,
            elsewhere,
        })
    }

    /// Name of the cgroup of a container that asks for none: containers of one id in two places have two.
    pub fn cgroup_name(&self, id: &str) -> String {
        if !self.elsewhere {
            return format!("skiff-{id}");
        }
        // FNV-1a: short, and the same in every version.
        let hash = self
            .root
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
        format!("skiff-{hash:08x}-{id}")
    }

    /// Makes the directory of a new container.
    pub fn make(&self, id: &str) -> io::Result<Entry> {
        let entry = self.entry(id)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder
            .recursive(true)
            .create(&self.root)
            .context(|| format!("make {:?}", self.root))?;
        // Below /tmp somebody else may have made it first.
        let owner = rustix::fs::lstat(&self.root)?.st_uid;
        if owner != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{:?} belongs to user {owner}", self.root),
            ));
        }
        match builder.recursive(false).create(&entry.dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(io::Error::new(e.kind(), "container with given ID already exists"))
            }
            done => done.context(|| format!("make {:?}", entry.dir)).map(|()| entry),
        }
    }

    /// The place of a container, whether it exists or not.
    pub fn entry(&self, id: &str) -> io::Result<Entry> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        if id.is_empty() || matches!(id, "." | "..") || !id.chars().all(fits) {
            return Err(invalid("invalid container ID format"));
        }
        Ok(Entry {
            id: id.to_owned(),
            dir: self.root.join(id),
        })
    }

    /// A container that exists.
    pub fn get(&self, id: &str) -> io::Result<(Entry, Saved)> {
        let entry = self.entry(id)?;
        let path = entry.dir.join("state.json");
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::new(e.kind(), "container does not exist"));
            }
            done => done.context(|| format!("read {path:?}"))?,
        };
        Ok((
            entry,
            serde_json::from_slice(&text).context(|| format!("read {path:?}"))?,
        ))
    }

    /// All containers, by id.
    pub fn all(&self) -> io::Result<Vec<(Entry, Saved)>> {
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            done => done.context(|| format!("read {:?}", self.root))?,
        };
        let mut all: Vec<_> = entries
            .flatten()
            .filter_map(|e| self.get(&e.file_name().to_string_lossy()).ok())
            .collect();
        all.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        Ok(all)
    }
}

impl Entry {
    /// Writes the configuration.
    pub fn save_config(&self, spec: &Spec) -> io::Result<()> {
        crate::state::replace(&self.dir.join("config.json"), &serde_json::to_vec(spec)?)
    }

    /// Writes the state, with which the container exists once it is published. It speaks of a process that a power failure
    /// ends: of a file that is empty after one, `delete --force` needs no more than its name.
    pub fn draft(&self, saved: &Saved) -> io::Result<Draft> {
        Draft::write(&self.dir.join("state.json"), &serde_json::to_vec(saved)?)
    }

    /// Writes what there was before a container that mounts where everybody sees it.
    pub fn save_shared(&self, shared: &Shared) -> io::Result<()> {
        crate::state::replace(&self.shared_path(), &serde_json::to_vec(shared)?)
    }

    /// What there was before such a container.
    pub fn shared(&self) -> Option<Shared> {
        serde_json::from_slice(&fs::read(self.shared_path()).ok()?).ok()
    }

    /// A state that was written and not published, whose writer was killed in between.
    pub fn unpublished(&self) -> Option<Saved> {
        let drafts = Draft::left_for(&self.dir.join("state.json"));
        drafts
            .into_iter()
            .find_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
    }

    /// The configuration at the time of creation.
    pub fn spec(&self) -> io::Result<Spec> {
        let path = self.dir.join("config.json");
        serde_json::from_slice(&fs::read(&path).context(|| format!("read {path:?}"))?)
            .context(|| format!("read {path:?}"))
    }

    /// Removes everything that is kept.
    pub fn remove(&self) -> io::Result<()> {
        // Mostly these are all there are.
        for name in ["state.json", "config.json"] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        if fs::remove_dir(&self.dir).is_ok() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.context(|| format!("remove {:?}", self.dir)),
        }
    }

    /// Where compiled filters of all containers are kept, under a name that no container can have.
    pub fn filters(&self) -> PathBuf {
        self.dir.with_file_name("@seccomp")
    }

    /// Where everything is kept.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn shared_path(&self) -> PathBuf {
        self.dir.join("shared.json")
    }

    fn gate_path(&self) -> PathBuf {
        self.dir.join("start.sock")
    }

    /// An address short enough for a socket: a link to the directory while that is open.
    fn gate_address(&self) -> io::Result<(OwnedFd, rustix::net::SocketAddrUnix)> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            rustix::fs::open(&self.dir, flags, Mode::empty()).context(|| format!("open {:?}", self.dir))?;
        let path = format!("/proc/self/fd/{}/start.sock", dir.as_raw_fd());
        Ok((dir, rustix::net::SocketAddrUnix::new(path)?))
    }

    /// Where the new process is to wait.
    pub fn make_gate(&self) -> io::Result<OwnedFd> {
        let (_dir, address) = self.gate_address()?;
        let socket = socket()?;
        rustix::net::bind(&socket, &address).context(|| format!("bind {:?}", self.gate_path()))?;
        rustix::net::listen(&socket, 4)?;
        Ok(socket)
    }

    /// Connects to the waiting process. After that nobody else can.
    pub fn open_gate(&self) -> io::Result<OwnedFd> {
        let (_dir, address) = self.gate_address()?;
        let socket = socket()?;
        rustix::net::connect(&socket, &address).context(|| format!("connect to {:?}", self.gate_path()))?;
        fs::remove_file(self.gate_path()).context(|| format!("remove {:?}", self.gate_path()))?;
        Ok(socket)
    }

    /// In the words of the runtime-spec.
    pub fn status(&self, saved: &Saved) -> &'static str {
        if !alive(saved.pid, saved.start_time) {
            "stopped"
        } else if self.gate_path().exists() {
            "created"
        } else if saved.cgroup.as_ref().is_some_and(Cgroup::frozen) {
            "paused"
        } else {
            "running"
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_lead_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(Some(&dir.path().join("root"))).unwrap();
        for id in ["", ".", "..", "a/b", "../x", "a b"] {
            assert!(store.make(id).is_err(), "{id:?}");
        }
        store.make("a_b+c-1.2").unwrap();
        assert_eq!(
            store.make("a_b+c-1.2").unwrap_err().to_string(),
            "container with given ID already exists"
        );
        assert_eq!(
            store.get("nope").unwrap_err().to_string(),
            "container does not exist"
        );
        assert!(store.all().unwrap().is_empty());
    }
}

//! Whom a cluster belongs to.

mod ordinary;

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::{Unmet, need};

/// Whom a cluster belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// User 0; only there when the tests run as root.
    Root,
    /// The one who runs the tests, unless that is root: then another one, who has a range in `/etc/subuid`.
    Ordinary,
}

impl User {
    /// Whether clusters can be started as this user.
    ///
    /// # Errors
    /// [`Unmet`] with the reason when not.
    pub fn available(self) -> Result<(), Unmet> {
        match self {
            Self::Root => crate::need_root(),
            Self::Ordinary => {
                need("newuidmap")?;
                self.name().map(|_| ())
            }
        }
    }

    /// Name of the user.
    ///
    /// # Errors
    /// [`Unmet`] when there is no ordinary user and none can be made.
    pub fn name(self) -> Result<String, Unmet> {
        match self {
            Self::Root => Ok("root".into()),
            Self::Ordinary if !geteuid().is_root() => Ok(geteuid().as_raw().to_string()),
            Self::Ordinary => ordinary::name()
                .ok_or_else(|| Unmet("there is no ordinary user with a range in /etc/subuid".into())),
        }
    }

    /// A command run as this user, in `/`.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub fn command(self, program: impl AsRef<OsStr>) -> Result<Command, Unmet> {
        let mut command = if self == Self::Ordinary && geteuid().is_root() {
            let name = self.name()?;
            let mut command = Command::new(need("setpriv")?);
            command
                .args(["--reuid", &name, "--regid", &name, "--init-groups", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        Ok(command)
    }

    /// Gives a file or folder to this user.
    pub fn own(self, path: &Path) -> Result<()> {
        if self == Self::Ordinary && geteuid().is_root() {
            let name = self.name()?;
            let user = nix::unistd::User::from_name(&name)?.with_context(|| format!("user {name}"))?;
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("give {path:?} to {name}"))?;
        }
        Ok(())
    }
}

/// The program under test, where the user can execute it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    _copy: Option<Arc<tempfile::TempDir>>,
}

impl Program {
    /// `$SKIFF_BIN` or the debug build; a copy of it when it lies where this user can't look.
    pub fn find(user: User) -> Result<Self> {
        let path = match std::env::var_os("SKIFF_BIN") {
            Some(path) => PathBuf::from(path),
            None => target_dir().join("debug/skiff"),
        };
        ensure!(
            path.is_file(),
            "{path:?} is not there: build it with `cargo build --bin skiff`, or set SKIFF_BIN"
        );
        let path = fs::canonicalize(path)?;
        let reachable = user
            .command("test")?
            .arg("-x")
            .arg(&path)
            .status()
            .context("run test")?
            .success();
        if reachable {
            return Ok(Self { path, _copy: None });
        }
        static COPY: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());
        let mut shared = COPY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let copy = match shared.upgrade() {
            Some(copy) => copy,
            None => {
                let copy = tempfile::Builder::new().prefix("skiff-bin-").tempdir()?;
                fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755))?;
                fs::copy(&path, copy.path().join("skiff")).context("copy the program")?;
                let copy = Arc::new(copy);
                *shared = Arc::downgrade(&copy);
                copy
            }
        };
        Ok(Self {
            path: copy.path().join("skiff"),
            _copy: Some(copy),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Cargo's target folder.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

//! Private files: 0600 in a 0700 directory, written beside and renamed, synced before the rename.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use super::PkiError;

/// Creates a directory and its parents, 0700.
pub(super) fn create_private_dir(dir: &Path) -> Result<(), PkiError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| PkiError::File {
            operation: "create",
            path: dir.into(),
            source,
        })
}

/// The content of a file, which is made first if it is missing.
pub(super) fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<String, PkiError>,
) -> Result<String, PkiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let text = make()?;
            write_private(path, &text)?;
            Ok(text)
        }
        Err(source) => Err(PkiError::File {
            operation: "read",
            path: path.into(),
            source,
        }),
    }
}

/// Writes a file so that a crash leaves the old content or the new, never a part.
///
/// # Errors
/// `File`.
pub fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    write_private_bytes(path, text.as_bytes())
}

/// As [`write_private`].
pub(super) fn write_private_bytes(path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    let failed = |source| PkiError::File {
        operation: "write",
        path: path.into(),
        source,
    };
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(failed)
}

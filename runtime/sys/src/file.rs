//! Reading the small files of `/proc` and of control groups.

use std::{io, path::Path};

use rustix::fs::{Mode, OFlags};

/// What one of them holds. They have no length to go by, so a reader who does not know how short they are asks for a few
/// bytes at first, and looks at the file before that.
///
/// # Errors
/// The kernel's, and `InvalidData` for what is no UTF-8.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let file = rustix::fs::open(path.as_ref(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [0; 4096];
    let mut bytes = Vec::new();
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::INTR) => (),
            Err(e) => return Err(e.into()),
        }
    }
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

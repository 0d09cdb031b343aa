//! The tunnel's key and port, which stay the same for as long as the node does.

use std::{fs, io, io::Write as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// Tried first, so that firewalls can be told; what other WireGuards listen on, too.
const USUAL_PORT: u16 = 51820;

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    private_key: String,
    port: u16,
}

/// What others know this node by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Private half.
    pub secret: [u8; 32],
    /// Port of the tunnel (UDP) and of the relay (TCP).
    pub port: u16,
}

impl Key {
    /// Reads the key, or makes one, and keeps it in `file`, which nobody else may read.
    pub fn load_or_make(file: &Path) -> io::Result<Self> {
        if let Ok(text) = fs::read(file) {
            let known = serde_json::from_slice::<Saved>(&text).ok();
            let known = known.and_then(|saved| {
                let secret = BASE64_STANDARD.decode(saved.private_key).ok()?.try_into().ok()?;
                Some(Self {
                    secret,
                    port: saved.port,
                })
            });
            if let Some(known) = known {
                return Ok(known);
            }
        }
        let made = Self {
            secret: rand::random(),
            port: USUAL_PORT,
        };
        made.save(file)?;
        Ok(made)
    }

    /// Keeps it in `file`.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let saved = Saved {
            private_key: BASE64_STANDARD.encode(self.secret),
            port: self.port,
        };
        // Replaced in one step; a temporary file of ours is readable by nobody else from the start.
        let dir = file.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        temporary.write_all(&serde_json::to_vec(&saved)?)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        Ok(())
    }

    /// The public half, as it is written in annotations.
    pub fn public_text(&self) -> String {
        BASE64_STANDARD.encode(skiff_pod_network::public_key(self.secret))
    }
}

/// A public key of an annotation.
pub(super) fn parse(text: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tunnel.json");
        let made = Key::load_or_make(&file).unwrap();
        assert_eq!(Key::load_or_make(&file).unwrap(), made);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            parse(&made.public_text()),
            Some(skiff_pod_network::public_key(made.secret))
        );
        assert_eq!(parse("short"), None);
        fs::write(&file, "{").unwrap();
        assert_ne!(
            Key::load_or_make(&file).unwrap(),
            made,
            "a broken file is as good as none"
        );
    }
}

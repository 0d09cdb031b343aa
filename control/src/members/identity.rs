//! Which member this is: `member.json` in the data directory, with where the others were last.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::pki::{self, PkiError};

/// The id of the first member of a cluster.
pub const FIRST: u64 = 1;
const FILE: &str = "member.json";

/// This member, and whom it knew when it was last written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id in the group.
    pub id: u64,
    /// Whether a group took it in; the first one made it.
    pub joined: bool,
    /// It goes on alone after the others were lost (`skiff server --recover`), and has not told the cluster yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
    /// Everybody, so that a start finds the others before there is a leader to ask.
    pub members: Vec<Record>,
}

impl Identity {
    /// The member that makes a cluster.
    pub fn first() -> Self {
        Self {
            id: FIRST,
            joined: false,
            recovered: false,
            members: Vec::new(),
        }
    }

    /// The same member, with nobody beside it.
    pub fn alone(self) -> Self {
        Self {
            recovered: true,
            members: Vec::new(),
            ..self
        }
    }

    /// What is written down in `data`; `None` before the first start.
    ///
    /// # Errors
    /// When the file can't be read, or is not ours.
    pub fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        use anyhow::Context as _;
        let path = data.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{path:?} does not say which member this is")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {path:?}")),
        }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// `File`.
    pub fn save(&self, data: &Path) -> Result<(), PkiError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        pki::write_private(&data.join(FILE), &text)
    }
}

//! What a server that joins gets from the cluster: everything that all members have in common.

use std::{io::ErrorKind, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{Pki, PkiError, files, new_key_pem};

/// The key by which a member is known: its own, never sent.
pub(super) const MEMBER_KEY: &str = "member.key";
const SECRETS_KEY: &str = "secrets.key";

/// The keys of a cluster.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    ca_key: String,
    ca_certificate: String,
    service_account_key: String,
    join_token: String,
    server_token: String,
    /// Base64.
    secrets_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Pki {
    /// The keys, for a server that joins.
    ///
    /// # Errors
    /// `File`.
    pub fn keys(&self) -> Result<Keys, PkiError> {
        let path = self.dir.join(SECRETS_KEY);
        let secrets = std::fs::read(&path).map_err(|source| PkiError::File {
            operation: "read",
            path,
            source,
        })?;
        Ok(Keys {
            ca_key: self.issuer.key().serialize_pem(),
            ca_certificate: self.ca_pem.clone(),
            service_account_key: self.service_account_key_pem.clone(),
            join_token: self.join_token.clone(),
            server_token: self.server_token.clone(),
            secrets_key: BASE64_STANDARD.encode(secrets),
        })
    }

    /// The hash of this member's key, as others see it in its certificates.
    ///
    /// # Errors
    /// `Unusable`.
    pub fn member_key_hash(&self) -> Result<String, PkiError> {
        key_hash(&self.dir.join(MEMBER_KEY), &self.member_key_pem)
    }
}

impl Keys {
    /// Writes the keys beside the member key in `dir`, which becomes the directory of a [`Pki`] once it is renamed.
    ///
    /// # Errors
    /// `File`; `Unusable` when they make no sense.
    pub fn install(&self, dir: &Path) -> Result<(), PkiError> {
        let secrets = BASE64_STANDARD
            .decode(&self.secrets_key)
            .map_err(|error| PkiError::Unusable {
                path: dir.join(SECRETS_KEY),
                reason: error.to_string(),
            })?;
        files::write_private_bytes(&dir.join(SECRETS_KEY), &secrets)?;
        for (name, text) in [
            ("ca.key", &self.ca_key),
            ("ca.crt", &self.ca_certificate),
            ("service-account.key", &self.service_account_key),
            ("join-token", &self.join_token),
            ("server-token", &self.server_token),
        ] {
            files::write_private(&dir.join(name), text)?;
        }
        Ok(())
    }
}

/// Makes the member key in `dir` unless it is there, and returns its hash: who asks to join again after a crash is
/// recognised by it.
///
/// # Errors
/// `File`, `Unusable`.
pub fn prepare_member_key(dir: &Path) -> Result<String, PkiError> {
    files::create_private_dir(dir)?;
    let path = dir.join(MEMBER_KEY);
    let pem = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            files::read_or_make(&path, || new_key_pem("member"))?
        }
        other => other.map_err(|source| PkiError::File {
            operation: "read",
            path: path.clone(),
            source,
        })?,
    };
    key_hash(&path, &pem)
}

fn key_hash(path: &Path, pem: &str) -> Result<String, PkiError> {
    let key = rcgen::KeyPair::from_pem(pem).map_err(|error| PkiError::Unusable {
        path: path.into(),
        reason: error.to_string(),
    })?;
    Ok(super::key_name(&key))
}

//! What a server that joins gets from the cluster: everything that all members have in common.

use std::{
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use skiff_api::FORMER_SECRETS_KEYS;

use super::{
    Pki, PkiError, files,
    held::{self, Former, Held},
    new_key_pem,
};

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
    /// Base64. Empty in what is kept in the store, which is sealed with it.
    #[serde(default)]
    secrets_key: String,
    /// Base64: those before it, one after the other. Empty in what is kept in the store.
    #[serde(default)]
    former_secrets_keys: String,
    /// The CA's certificate, signed by the one before, while that one is believed too; its own is the second one of
    /// `ca_certificate` then.
    #[serde(default)]
    cross: Option<String>,
    #[serde(default)]
    former: Option<Former>,
}

/// How far the keys of the cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// How often they were made, the first time included.
    pub generation: u64,
    /// Whether those before are not valid any more.
    pub is_settled: bool,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = if self.is_settled {
            "alone"
        } else {
            "with the one before"
        };
        write!(f, "{} {stage}", self.generation)
    }
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
        let read = |name| {
            let path = self.dir.join(name);
            std::fs::read(&path).map_err(|source| (path, source))
        };
        let failed = |(path, source)| PkiError::File {
            operation: "read",
            path,
            source,
        };
        // In this order: a key that is replaced between the two is in one of them at least.
        let secrets = read(SECRETS_KEY).map_err(failed)?;
        let former = match read(FORMER_SECRETS_KEYS) {
            Err((_, error)) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        Ok(Keys {
            secrets_key: BASE64_STANDARD.encode(secrets),
            former_secrets_keys: BASE64_STANDARD.encode(former),
            ..self.shared()
        })
    }

    /// What all members have in common, but for what seals it.
    fn shared(&self) -> Keys {
        let held = self.held();
        Keys {
            ca_key: held.issuer.key().serialize_pem(),
            ca_certificate: held.bundle(),
            service_account_key: held.service_account_key.clone(),
            join_token: held.join_token.clone(),
            server_token: held.server_token.clone(),
            secrets_key: String::new(),
            former_secrets_keys: String::new(),
            cross: held.cross.clone(),
            former: held.former.clone(),
        }
    }

    /// How far the keys are; grows with each step of a rotation.
    pub fn stage(&self) -> Stage {
        let (generation, is_settled) = self.held().stage();
        Stage {
            generation,
            is_settled,
        }
    }

    /// How long the keys before are not the present ones any more; `None` when they are not valid either.
    pub fn since_renewal(&self, now: SystemTime) -> Option<Duration> {
        let since = self.held().former.as_ref()?.since;
        Some(
            now.duration_since(UNIX_EPOCH + Duration::from_secs(since))
                .unwrap_or_default(),
        )
    }

    /// New keys of everything, beside which the present ones stay valid. Nothing is changed yet.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn renewed(&self, now: SystemTime) -> Result<Keys, PkiError> {
        let held = self.held();
        let (generation, _) = held.stage();
        let ca_key = new_key_pem("ca")?;
        let key = rcgen::KeyPair::from_pem(&ca_key).map_err(|source| PkiError::Certificate {
            subject: "ca".into(),
            source,
        })?;
        let certificate = held::make_ca(&key, generation + 1, None)?;
        Ok(Keys {
            ca_certificate: format!("{certificate}{}", held.trusted[0].pem),
            cross: Some(held::make_ca(&key, generation + 1, Some(&held.issuer))?),
            ca_key,
            service_account_key: new_key_pem("service-account")?,
            join_token: held::new_token(),
            server_token: held::new_token(),
            secrets_key: String::new(),
            former_secrets_keys: String::new(),
            former: Some(Former {
                service_account_key: held.service_account_key.clone(),
                join_token: held.join_token.clone(),
                server_token: held.server_token.clone(),
                since: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            }),
        })
    }

    /// The present keys alone. Nothing is changed yet.
    pub fn settled(&self) -> Keys {
        Keys {
            ca_certificate: self.held().trusted[0].pem.clone(),
            cross: None,
            former: None,
            ..self.shared()
        }
    }

    /// Takes over keys that are further than those that are held; true if they were. Killed at any point, the next start
    /// has the keys from before or the new ones.
    ///
    /// # Errors
    /// `File`, `Unusable`.
    pub fn adopt(&self, keys: &Keys) -> Result<bool, PkiError> {
        let mut held = self.held.write();
        let unusable = |reason| PkiError::Unusable {
            path: self.dir.join(held::CA),
            reason,
        };
        if held::stage_of(&keys.ca_certificate).map_err(unusable)? <= held.stage() {
            return Ok(false);
        }
        keys.install(&self.dir)?;
        let new = Held::open(&self.dir)?;
        let gone = |id: &&str| new.key_ids().all(|stays| stays != *id);
        self.dropped
            .write()
            .extend(held.key_ids().filter(gone).map(str::to_owned));
        *held = Arc::new(new);
        let bundle = held.bundle();
        drop(held);
        self.ca.send_replace(bundle);
        Ok(true)
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
        for (name, text) in [
            (FORMER_SECRETS_KEYS, &self.former_secrets_keys),
            (SECRETS_KEY, &self.secrets_key),
        ] {
            if text.is_empty() {
                continue;
            }
            let path = dir.join(name);
            let secrets = BASE64_STANDARD.decode(text).map_err(|error| PkiError::Unusable {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            files::write_private_bytes(&path, &secrets)?;
        }
        let former = self
            .former
            .as_ref()
            .map(|former| serde_json::to_string(former).unwrap_or_default());
        for (name, text) in [
            (held::SERVICE_ACCOUNT_KEY, Some(&self.service_account_key)),
            (held::JOIN_TOKEN, Some(&self.join_token)),
            (held::SERVER_TOKEN, Some(&self.server_token)),
            (held::FORMER, former.as_ref()),
            (held::CROSS, self.cross.as_ref()),
            // In this order: see `held.rs`.
            (held::CA, Some(&self.ca_certificate)),
            (held::CA_KEY, Some(&self.ca_key)),
        ] {
            if let Some(text) = text {
                files::write_private(&dir.join(name), text)?;
            }
        }
        // What was valid before is of no use any more; without a second CA nobody looks at it.
        for (name, stays) in [
            (held::FORMER, former.is_some()),
            (held::CROSS, self.cross.is_some()),
        ] {
            if !stays {
                let _ = std::fs::remove_file(dir.join(name));
            }
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

#[cfg(test)]
mod tests {
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
        crypto::ring,
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    };

    use super::*;
    use crate::pki::{MinTls, Serving};

    struct Member {
        _dir: tempfile::TempDir,
        path: std::path::PathBuf,
        pki: Pki,
    }

    fn member() -> Member {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki");
        let pki = Pki::open(&path).unwrap();
        std::fs::write(path.join(SECRETS_KEY), [7; 32]).unwrap();
        Member { _dir: dir, path, pki }
    }

    fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap()
    }

    /// Whether somebody who believes these CAs takes this chain for a server's.
    fn takes(believed: &str, shown: &str) -> bool {
        let mut roots = RootCertStore::empty();
        chain(believed).into_iter().for_each(|ca| roots.add(ca).unwrap());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
                .build()
                .unwrap();
        let (chain, name) = (chain(shown), ServerName::try_from("kubernetes").unwrap());
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::now())
            .is_ok()
    }

    fn serving(pki: &Pki) -> String {
        let now = SystemTime::now();
        pki.issue_server(&["kubernetes".into()], now)
            .unwrap()
            .certificate_pem
    }

    #[test]
    fn whoever_knows_one_ca_goes_on_until_the_rotation_is_finished() {
        let member = member();
        let pki = &member.pki;
        let (old, before, node_token) = (pki.ca_pem(), serving(pki), pki.join_token());
        let server_token = pki.server_token();
        let keys = pki.renewed(SystemTime::now()).unwrap();
        assert!(pki.adopt(&keys).unwrap() && !pki.adopt(&keys).unwrap());
        let (both, during) = (pki.ca_pem(), serving(pki));
        assert_eq!(pki.pins().len(), 2);
        for (believed, shown) in [
            (&old, &before),
            (&old, &during),
            (&both, &before),
            (&both, &during),
        ] {
            assert!(takes(believed, shown));
        }
        // Nodes may join with the token of before; servers, which would get the keys, may not.
        assert!(pki.accepts(&node_token) && pki.accepts(&pki.join_token()));
        assert_ne!(pki.join_token(), node_token);
        assert!(pki.accepts_server(&pki.server_token()) && !pki.accepts_server(&server_token));
        assert_eq!(pki.service_account_keys().len(), 2);

        assert!(pki.adopt(&pki.settled()).unwrap());
        let (new, after) = (pki.ca_pem(), serving(pki));
        assert!(takes(&new, &after) && takes(&both, &after) && takes(&new, &during));
        assert!(!takes(&old, &after) && !takes(&new, &before));
        assert!(!pki.accepts(&node_token) && pki.accepts(&pki.join_token()));
        assert_eq!((pki.pins().len(), pki.service_account_keys().len()), (1, 1));
        // And again.
        assert!(pki.adopt(&pki.renewed(SystemTime::now()).unwrap()).unwrap());
        assert!(takes(&new, &serving(pki)));
        assert_eq!(pki.stage().generation, 3);
        assert!(!pki.adopt(&keys).unwrap(), "keys of an earlier stage were taken");
    }

    #[test]
    fn a_certificate_says_whether_its_ca_was_dropped() {
        let member = member();
        let pki = &member.pki;
        let issuer = |pki: &Pki| {
            let jane = pki.issue_client("jane", &[]).unwrap();
            skiff_auth::authn::issuer_key(&chain(&jane.certificate_pem)[0]).unwrap()
        };
        let old = issuer(pki);
        pki.adopt(&pki.renewed(SystemTime::now()).unwrap()).unwrap();
        let new = issuer(pki);
        assert!(!pki.has_dropped(&old) && !pki.has_dropped(&new));
        pki.adopt(&pki.settled()).unwrap();
        assert!(pki.has_dropped(&old) && !pki.has_dropped(&new));
    }

    #[test]
    fn killed_at_any_write_a_member_has_the_keys_from_before_or_the_new_ones() {
        let first = member();
        let copy = |from: &Path| {
            let dir = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
            dir
        };
        let order = [
            held::SERVICE_ACCOUNT_KEY,
            held::JOIN_TOKEN,
            held::SERVER_TOKEN,
            held::FORMER,
            held::CROSS,
            held::CA,
            held::CA_KEY,
        ];
        let steps: [fn(&Pki) -> Keys; 2] = [|pki| pki.renewed(SystemTime::now()).unwrap(), Pki::settled];
        for step in steps {
            let (old, before) = (copy(&first.path), first.pki.ca_pem());
            let keys = step(&first.pki);
            first.pki.adopt(&keys).unwrap();
            for written in 0..=order.len() {
                let dir = copy(old.path());
                for name in &order[..written] {
                    let made = first.path.join(name);
                    if made.exists() {
                        std::fs::copy(made, dir.path().join(name)).unwrap();
                    }
                }
                let pki = Pki::open(dir.path()).unwrap();
                // Those who know the CA from before, and those who know the one after, go on; then it catches up.
                let shown = serving(&pki);
                assert!(
                    takes(&before, &shown) || takes(&first.pki.ca_pem(), &shown),
                    "{written}"
                );
                pki.adopt(&keys).unwrap();
                assert_eq!(pki.stage(), first.pki.stage(), "after {written} files");
                assert_eq!(pki.ca_pem(), first.pki.ca_pem());
                assert_eq!(pki.service_account_keys(), first.pki.service_account_keys());
                assert_eq!(
                    Pki::open(dir.path()).unwrap().join_token(),
                    first.pki.join_token()
                );
            }
        }
    }

    #[test]
    fn a_server_that_joins_gets_the_keys_as_they_are() {
        let first = member();
        first
            .pki
            .adopt(&first.pki.renewed(SystemTime::now()).unwrap())
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(&first.pki.keys().unwrap()).unwrap();
        let keys: Keys = serde_json::from_str(&text).unwrap();
        keys.install(dir.path()).unwrap();
        let second = Pki::open(dir.path()).unwrap();
        assert_eq!(second.ca_pem(), first.pki.ca_pem());
        assert_eq!(second.stage(), first.pki.stage());
        assert_eq!(std::fs::read(dir.path().join(SECRETS_KEY)).unwrap(), [7; 32]);
    }

    #[test]
    fn a_serving_certificate_is_replaced_when_another_ca_signs() {
        let member = member();
        let pki = &member.pki;
        let now = SystemTime::now();
        let (serving, _) = Serving::start(pki, vec!["kubernetes".into()], MinTls::default(), now).unwrap();
        let before = serving.leaf();
        serving.renew_if_due(pki, now).unwrap();
        assert_eq!(serving.leaf(), before);
        pki.adopt(&pki.renewed(now).unwrap()).unwrap();
        serving.renew_if_due(pki, now).unwrap();
        assert_ne!(serving.leaf(), before);
    }
}

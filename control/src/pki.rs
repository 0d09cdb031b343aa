//! The cluster's own certificate authority: a CA, a server certificate that renews itself in process, client
//! certificates for the admin and for nodes, and the key of service-account tokens.
//!
//! Files in `<data dir>/pki`, all 0600 and written by rename: `ca.key`, `ca.crt`, `service-account.key`, `join-token`,
//! `server-token`, the same on all members; and `member.key`, by which a member is known to the others. Leaf
//! certificates are not kept: they are made anew at every start. `held.rs` says how the CA is replaced.

mod files;
mod held;
mod keys;
mod member;
mod renewable;
mod serving;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    KeyPair, KeyUsagePurpose,
};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use held::Held;

pub use files::write_private;
pub use keys::{Keys, Stage, prepare_member_key};
pub use member::{Tls, member_name, member_of};
pub use serving::{MinTls, Serving};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than most machines live; a new CA is a deliberate act.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Certificates of users and nodes: longer than any holiday of a machine, since a node whose certificate has expired
/// must join again.
const CLIENT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Certificates of members, towards clients and each other; made anew at every start and renewed in their last third.
const SERVER_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);
/// Clocks of other machines may be behind ours.
const BACKDATE: Duration = DAY;

/// What went wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{operation} {path:?}")]
    File {
        /// `read`, `write`, `create`.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error(
        "{path:?} is not usable ({reason}); restore it from a backup, or remove the directory to start a new cluster"
    )]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("make a certificate for {subject:?}")]
    Certificate {
        /// For whom.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate request that will not be signed.
    #[error("the certificate request is refused: {0}")]
    Request(String),
    /// The TLS library refused the configuration.
    #[error("configure TLS")]
    Tls(#[source] rustls::Error),
}

/// A key and its certificate, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key, PKCS#8.
    pub key_pem: String,
}

/// The certificate authority and the keys beside it.
pub struct Pki {
    dir: PathBuf,
    held: RwLock<Arc<Held>>,
    /// Names of the keys of CAs that were believed in this run.
    dropped: RwLock<Vec<String>>,
    /// Those that are believed.
    ca: watch::Sender<String>,
    member_key_pem: String,
}

impl Pki {
    /// Reads the keys in `dir`, making those that are missing. A crash at any point leaves a directory that the next
    /// start completes: the CA's certificate is written last and can be made again from its key.
    ///
    /// # Errors
    /// `File` and `Unusable`.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        files::create_private_dir(dir)?;
        let held = Held::open(dir)?;
        let member_key_pem = files::read_or_make(&dir.join(keys::MEMBER_KEY), || new_key_pem("member"))?;
        Ok(Self {
            dir: dir.into(),
            dropped: RwLock::default(),
            ca: watch::Sender::new(held.bundle()),
            held: RwLock::new(Arc::new(held)),
            member_key_pem,
        })
    }

    fn held(&self) -> Arc<Held> {
        self.held.read().clone()
    }

    /// The directory of the files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The certificates of the CAs that are believed, the one that signs first.
    pub fn ca_pem(&self) -> String {
        self.held().bundle()
    }

    /// [`Pki::ca_pem`] as it changes: it does at each step of a rotation.
    pub fn follow_ca(&self) -> watch::Receiver<String> {
        self.ca.subscribe()
    }

    /// What tokens pin of the CAs that are believed, the one that signs first.
    pub fn pins(&self) -> Vec<String> {
        self.held().trusted.iter().map(|ca| ca.pin.clone()).collect()
    }

    /// Whether a CA was believed earlier in this run and is not any more, by the name of its key. Connections that began
    /// before are no better than new ones, which TLS refuses. One that is not known here may be the next one, verified
    /// through the present one.
    pub fn has_dropped(&self, issuer: &str) -> bool {
        self.dropped.read().iter().any(|dropped| dropped == issuer)
    }

    /// The keys of service-account tokens, EC P-256, PKCS#8: the one that signs, then one that still verifies.
    pub fn service_account_keys(&self) -> Vec<String> {
        let held = self.held();
        let former = held
            .former
            .as_ref()
            .map(|former| former.service_account_key.clone());
        std::iter::once(held.service_account_key.clone())
            .chain(former)
            .collect()
    }

    /// What a node must know to join: `K<hex SHA-256 of the CA's certificate>::<secret>`. The first half lets the node
    /// recognise the cluster, the second lets the cluster recognise the node.
    pub fn join_token(&self) -> String {
        let held = self.held();
        token('K', &held.trusted[0].pin, &held.join_token)
    }

    /// What a server must know to join as a member; not the nodes' token, since members get the keys of the cluster.
    pub fn server_token(&self) -> String {
        let held = self.held();
        token('S', &held.trusted[0].pin, &held.server_token)
    }

    /// Whether `token` (as made by [`Pki::join_token`]) is ours, or was until a rotation that is not finished.
    pub fn accepts(&self, token: &str) -> bool {
        self.takes(token, 'K', |former| &former.join_token) || is_same(token, &self.join_token())
    }

    /// Whether `token` (as made by [`Pki::server_token`]) is ours; one from before a rotation is not, since it is worth the
    /// keys of the cluster.
    pub fn accepts_server(&self, token: &str) -> bool {
        is_same(token, &self.server_token())
    }

    fn takes(&self, given: &str, letter: char, secret: impl Fn(&held::Former) -> &str) -> bool {
        let held = self.held();
        let (Some(former), Some(ca)) = (&held.former, held.trusted.get(1)) else {
            return false;
        };
        is_same(given, &token(letter, &ca.pin, secret(former)))
    }

    /// A client certificate for `common_name` in `organizations`, with a new key.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn issue_client(&self, common_name: &str, organizations: &[&str]) -> Result<Identity, PkiError> {
        let failed = |source| PkiError::Certificate {
            subject: common_name.into(),
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let params = client_params(common_name, organizations, CLIENT_LIFETIME, SystemTime::now());
        let held = self.held();
        let certificate = params.signed_by(&key, &held.issuer).map_err(failed)?;
        Ok(Identity {
            certificate_pem: held.with_cross(&certificate.pem()),
            key_pem: key.serialize_pem(),
        })
    }

    /// The identity of a node's agent.
    ///
    /// # Errors
    /// `Certificate`.
    pub fn issue_node(&self, node: &str) -> Result<Identity, PkiError> {
        self.issue_client(&format!("system:node:{node}"), &["system:nodes"])
    }

    /// Signs a node's own request. Only its public key is taken from it: name, groups and uses are ours.
    ///
    /// # Errors
    /// `Request` when it does not parse or its signature is wrong.
    pub fn sign_node(&self, node: &str, csr_pem: &str) -> Result<String, PkiError> {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|e| PkiError::Request(e.to_string()))?;
        let name = format!("system:node:{node}");
        request.params = client_params(&name, &["system:nodes"], CLIENT_LIFETIME, SystemTime::now());
        let held = self.held();
        let certificate = request
            .signed_by(&held.issuer)
            .map_err(|source| PkiError::Certificate {
                subject: node.into(),
                source,
            })?;
        Ok(held.with_cross(&certificate.pem()))
    }

    fn issue_server(&self, names: &[String], now: SystemTime) -> Result<Identity, PkiError> {
        let failed = |source| PkiError::Certificate {
            subject: "kube-apiserver".into(),
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = name("kube-apiserver", &[]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, SERVER_LIFETIME, now);
        let held = self.held();
        let certificate = params.signed_by(&key, &held.issuer).map_err(failed)?;
        Ok(Identity {
            // The CAs travel along, so that a joining node can find the one its token pins.
            certificate_pem: held.with_cross(&certificate.pem()) + &held.bundle(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// A server as a kubeconfig names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of its cluster and of its context.
    pub name: String,
    /// `https://host:port`.
    pub url: String,
}

impl Place {
    /// The only one.
    pub fn only(url: impl Into<String>) -> Self {
        Self {
            name: CLUSTER.into(),
            url: url.into(),
        }
    }
}

/// Name of the cluster where a kubeconfig names one server only, or one that stands for all.
pub const CLUSTER: &str = "skiff";

/// A kubeconfig for one user of the cluster behind these servers, with the CA `ca_pem`. `current` is the name of the one
/// to be used.
pub fn kubeconfig(ca_pem: &str, servers: &[Place], current: &str, user: &str, identity: &Identity) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let b64 = |text: &str| BASE64_STANDARD.encode(text);
    // Names of hosts that YAML would read as something else than text: a JSON string is one in YAML, too.
    let quoted = |name: &str| match name {
        CLUSTER => name.to_owned(),
        _ => serde_json::Value::from(name).to_string(),
    };
    let ca = b64(ca_pem);
    let (mut clusters, mut contexts) = (String::new(), String::new());
    for Place { name, url } in servers {
        let name = quoted(name);
        clusters.push_str(&format!(
            "- name: {name}\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n"
        ));
        contexts.push_str(&format!(
            "- name: {name}\n  context:\n    cluster: {name}\n    user: {user}\n"
        ));
    }
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n{clusters}contexts:\n{contexts}current-context: {current}\nusers:\n\
         - name: {user}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n",
        current = quoted(current),
        certificate = b64(&identity.certificate_pem),
        key = b64(&identity.key_pem),
    )
}

fn token(letter: char, pin: &str, secret: &str) -> String {
    format!("{letter}{pin}::{}", secret.trim())
}

/// Hashing both sides takes the timing of the comparison away from whoever guesses.
fn is_same(token: &str, ours: &str) -> bool {
    Sha256::digest(token.as_bytes()) == Sha256::digest(ours.as_bytes())
}

/// Hex SHA-256 of a certificate (DER): what a join token pins.
pub fn der_pin(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// Hex SHA-256 of a certificate (PEM): what a join token pins.
pub fn ca_pin(ca_pem: &str) -> String {
    der_pin(&pem::parse(ca_pem).map(|p| p.into_contents()).unwrap_or_default())
}

/// What names a public key: hex SHA-256 of it, as [`skiff_auth::authn::key_hash`] says it of a certificate.
pub fn key_name(key: &impl rcgen::PublicKeyData) -> String {
    der_pin(&key.subject_public_key_info())
}

/// [`key_name`] of the key of a certificate signing request.
///
/// # Errors
/// [`PkiError::Request`] when it does not parse.
pub fn request_key(csr_pem: &str) -> Result<String, PkiError> {
    let request =
        CertificateSigningRequestParams::from_pem(csr_pem).map_err(|e| PkiError::Request(e.to_string()))?;
    Ok(key_name(&request.public_key))
}

/// The names and addresses a server certificate is for.
pub fn server_names(addresses: &[IpAddr], extra: &[String], domain: &str) -> Vec<String> {
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    names.push("kubernetes.default.svc".into());
    names.push(format!("kubernetes.default.svc.{domain}"));
    names.extend(addresses.iter().map(IpAddr::to_string));
    names.extend(extra.iter().cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn new_key_pem(subject: &str) -> Result<String, PkiError> {
    let key = KeyPair::generate().map_err(|source| PkiError::Certificate {
        subject: subject.into(),
        source,
    })?;
    Ok(key.serialize_pem())
}

fn client_params(
    common_name: &str,
    organizations: &[&str],
    lifetime: Duration,
    now: SystemTime,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name, organizations);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, lifetime, now);
    params
}

fn name(common_name: &str, organizations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for organization in organizations {
        name.push(DnType::OrganizationName, *organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn validity(params: &mut CertificateParams, lifetime: Duration, now: SystemTime) {
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + lifetime).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_again_finds_the_same_keys() {
        let dir = tempfile::tempdir().unwrap();
        let first = Pki::open(&dir.path().join("pki")).unwrap();
        let second = Pki::open(&dir.path().join("pki")).unwrap();
        assert_eq!(first.ca_pem(), second.ca_pem());
        assert_eq!(first.join_token(), second.join_token());
        assert!(second.accepts(&first.join_token()));
        assert!(!second.accepts("K00::00"));
    }

    #[test]
    fn a_crash_between_key_and_certificate_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki");
        let first = Pki::open(&path).unwrap();
        let identity = first.issue_client("jane", &[]).unwrap();
        std::fs::remove_file(path.join("ca.crt")).unwrap();
        let second = Pki::open(&path).unwrap();
        // The same key and name: what the first had issued still verifies.
        let der = |pem: &str| pem::parse(pem).unwrap().into_contents();
        let (ca, leaf) = (der(&second.ca_pem()), der(&identity.certificate_pem));
        let (_, ca) = x509_parser::parse_x509_certificate(&ca).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        leaf.verify_signature(Some(ca.public_key())).unwrap();
    }

    #[test]
    fn a_broken_key_is_named_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki");
        Pki::open(&path).unwrap();
        std::fs::write(path.join("ca.key"), "garbage").unwrap();
        let error = Pki::open(&path).err().unwrap().to_string();
        assert!(error.contains("ca.key"), "{error}");
        assert_eq!(std::fs::read_to_string(path.join("ca.key")).unwrap(), "garbage");
    }

    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pki");
        Pki::open(&path).unwrap();
        for entry in std::fs::read_dir(&path).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn a_node_gets_its_own_name_whatever_its_request_says() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(&dir.path().join("pki")).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = name("kubernetes-admin", &["system:masters"]);
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let signed = pem::parse(pki.sign_node("n1", &request).unwrap()).unwrap();
        let user = skiff_auth::authn::from_certificate(signed.contents()).unwrap();
        assert_eq!(user.node(), Some("n1"));
        assert!(!user.is_in("system:masters"));
        assert!(pki.sign_node("n1", "garbage").is_err());
    }
}

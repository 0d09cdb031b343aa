//! The keys of the cluster as a member has them on disk: who signs, and who is believed.
//!
//! ```text
//! one CA ──renewed──► two: the new one signs, both are believed ──settled──► one CA, the new one
//! ```
//! While there are two, the new CA's certificate also exists as one that the old CA has signed. It travels along with
//! everything the new CA signs, so whoever knows only the old one (a kubeconfig, a node that was off, a member that has
//! not heard yet) goes on without knowing of the change.
//!
//! On disk `ca.key` says who signs: it is that certificate of `ca.crt` whose key it is. It is written last, so that every
//! moment of [`Keys::install`](super::Keys::install) is the state before or the state after.

use std::{io::ErrorKind, path::Path};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde::{Deserialize, Serialize};

use super::{CA_LIFETIME, PkiError, files, key_name, name, new_key_pem, validity};

pub(super) const CA_KEY: &str = "ca.key";
pub(super) const CA: &str = "ca.crt";
pub(super) const CROSS: &str = "ca-cross.crt";
pub(super) const SERVICE_ACCOUNT_KEY: &str = "service-account.key";
pub(super) const JOIN_TOKEN: &str = "join-token";
pub(super) const SERVER_TOKEN: &str = "server-token";
pub(super) const FORMER: &str = "former.json";

/// The first CA of a cluster; the number is in the name of each later one.
const FIRST: u64 = 1;
const CA_NAME: &str = "skiff-ca";

/// What else was valid before the keys were made anew, and is until that is finished.
#[derive(Clone, Serialize, Deserialize)]
pub struct Former {
    /// Verifies service-account tokens.
    pub(super) service_account_key: String,
    pub(super) join_token: String,
    pub(super) server_token: String,
    /// Seconds since the epoch when it ceased to be the present one.
    pub(super) since: u64,
}

/// A CA that is believed.
pub(super) struct Ca {
    pub pem: String,
    pub pin: String,
    /// As [`skiff_auth::authn::key_hash`] says it.
    key: String,
    /// As the certificates it signs name it.
    key_id: String,
    generation: u64,
}

pub(super) struct Held {
    /// One or two; the first one signs.
    pub trusted: Vec<Ca>,
    pub issuer: Issuer<'static, KeyPair>,
    /// The signing CA's certificate, signed by the one before.
    pub cross: Option<String>,
    pub service_account_key: String,
    pub join_token: String,
    pub server_token: String,
    pub former: Option<Former>,
}

impl Held {
    /// Reads what is in `dir`, and makes what is missing.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let key_path = dir.join(CA_KEY);
        let key_pem = files::read_or_make(&key_path, || new_key_pem("ca"))?;
        let key = KeyPair::from_pem(&key_pem).map_err(|error| unusable(&key_path, error))?;
        let path = dir.join(CA);
        let text = files::read_or_make(&path, || make_ca(&key, FIRST, None))?;
        let mut trusted = parse(&text).map_err(|reason| unusable(&path, reason))?;
        let own = key_name(&key);
        let signs = trusted.iter().position(|ca| ca.key == own);
        let signs = signs.ok_or_else(|| unusable(&path, "it has no certificate of ca.key"))?;
        trusted[..=signs].rotate_right(1);
        let issuer =
            Issuer::from_ca_cert_pem(&trusted[0].pem, key).map_err(|error| unusable(&path, error))?;
        let service_account_key =
            files::read_or_make(&dir.join(SERVICE_ACCOUNT_KEY), || new_key_pem("service-account"))?;
        let token = |name| files::read_or_make(&dir.join(name), || Ok(new_token()));
        let (mut cross, mut former) = (None, None);
        if trusted.len() > 1 {
            cross = read(&dir.join(CROSS))?;
            let path = dir.join(FORMER);
            let text = read(&path)?;
            former = text
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|error| unusable(&path, error))?;
        }
        // What an interrupted change has left is of another key.
        let is_own = |pem: &String| parse(pem).is_ok_and(|cas| cas[0].key == own);
        Ok(Self {
            trusted,
            issuer,
            cross: cross.filter(is_own),
            service_account_key,
            join_token: token(JOIN_TOKEN)?,
            server_token: token(SERVER_TOKEN)?,
            former,
        })
    }

    /// Everything that is believed, PEM, who signs first.
    pub fn bundle(&self) -> String {
        self.trusted.iter().map(|ca| ca.pem.as_str()).collect()
    }

    /// What a certificate that the present CA has signed is sent with, for those who know only the one before.
    pub fn with_cross(&self, leaf_pem: &str) -> String {
        format!("{leaf_pem}{}", self.cross.as_deref().unwrap_or_default())
    }

    /// Names of the keys of all CAs that are believed, as the certificates they sign name them.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.trusted.iter().map(|ca| ca.key_id.as_str())
    }

    /// How far the keys are: the number of the CA that signs, and whether it is the only one. Grows with each change.
    pub fn stage(&self) -> (u64, bool) {
        (self.trusted[0].generation, self.trusted.len() == 1)
    }
}

/// The stage of a bundle whose first CA signs.
pub(super) fn stage_of(bundle: &str) -> Result<(u64, bool), String> {
    let trusted = parse(bundle)?;
    Ok((trusted[0].generation, trusted.len() == 1))
}

pub(super) fn new_token() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// The certificate of a CA, of the key alone or, for another one's subjects, signed by that one.
pub(super) fn make_ca(
    key: &KeyPair,
    generation: u64,
    signed_by: Option<&Issuer<'_, KeyPair>>,
) -> Result<String, PkiError> {
    let subject = match generation {
        FIRST => CA_NAME.to_owned(),
        later => format!("{CA_NAME} {later}"),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&subject, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.use_authority_key_identifier_extension = signed_by.is_some();
    validity(&mut params, CA_LIFETIME, std::time::SystemTime::now());
    let made = match signed_by {
        Some(issuer) => params.signed_by(key, issuer),
        None => params.self_signed(key),
    };
    let made = made.map_err(|source| PkiError::Certificate { subject, source })?;
    Ok(made.pem())
}

fn parse(text: &str) -> Result<Vec<Ca>, String> {
    let blocks = pem::parse_many(text).map_err(|error| error.to_string())?;
    let cas: Result<Vec<Ca>, String> = blocks.iter().map(ca).collect();
    let cas = cas?;
    if cas.is_empty() {
        return Err("it has no certificate".into());
    }
    Ok(cas)
}

fn ca(block: &pem::Pem) -> Result<Ca, String> {
    use x509_parser::extensions::ParsedExtension;
    let der = block.contents();
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let subject = certificate.subject().iter_common_name().next();
    let subject = subject.and_then(|cn| cn.as_str().ok()).unwrap_or_default();
    let number = subject
        .strip_prefix(CA_NAME)
        .and_then(|rest| rest.trim().parse().ok());
    let key_id = certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(hex::encode(id.0)),
            _ => None,
        });
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    Ok(Ca {
        pem: pem::encode_config(block, lines),
        pin: super::der_pin(der),
        key: super::der_pin(certificate.public_key().raw),
        key_id: key_id.unwrap_or_default(),
        generation: number.unwrap_or(FIRST),
    })
}

fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PkiError::File {
            operation: "read",
            path: path.into(),
            source,
        }),
    }
}

fn unusable(path: &Path, reason: impl ToString) -> PkiError {
    PkiError::Unusable {
        path: path.into(),
        reason: reason.to_string(),
    }
}

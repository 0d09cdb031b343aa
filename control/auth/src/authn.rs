//! Client certificates: CN is the user, O the groups (Kubernetes, "X509 client certificates").
use crate::User;

/// The user of a verified client certificate (DER of the leaf).
///
/// # Errors
/// When it does not parse or has no common name.
pub fn from_certificate(der: &[u8]) -> Result<User, CertificateError> {
    let _ = der;
    unimplemented!()
}

/// A certificate that names nobody.
#[derive(Debug, thiserror::Error)]
#[error("client certificate: {0}")]
pub struct CertificateError(pub String);

//! Client certificates: CN is the user, O the groups (Kubernetes, "X509 client certificates").

use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::User;

/// The user of a verified client certificate (DER of the leaf).
///
/// # Errors
/// When it does not parse or has no common name.
pub fn from_certificate(der: &[u8]) -> Result<User, CertificateError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|e| CertificateError(format!("does not parse: {e}")))?;
    let subject = certificate.subject();
    let name = subject
        .iter_common_name()
        .find_map(|cn| cn.as_str().ok())
        .filter(|cn| !cn.is_empty())
        .ok_or_else(|| CertificateError("has no common name".into()))?
        .to_owned();
    let mut groups: Vec<String> = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .map(str::to_owned)
        .collect();
    groups.push("system:authenticated".into());
    Ok(User {
        name,
        groups,
        ..User::default()
    })
}

/// Hex SHA-256 of a certificate's public key (DER of its SubjectPublicKeyInfo): it stays when the certificate is
/// renewed with the same key. `None` when the certificate does not parse.
pub fn key_hash(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let hash = Sha256::digest(certificate.public_key().raw);
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Which key has signed a certificate, as the certificate says (its authority key identifier, hex); `None` when it does not.
pub fn issuer_key(der: &[u8]) -> Option<String> {
    use x509_parser::extensions::ParsedExtension;
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut extensions = certificate.iter_extensions();
    let id = extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    Some(id.0.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A certificate that names nobody.
#[derive(Debug, thiserror::Error)]
#[error("client certificate {0}")]
pub struct CertificateError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(common_name: Option<&str>, organizations: &[&str]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(cn) = common_name {
            params.distinguished_name.push(rcgen::DnType::CommonName, cn);
        }
        for o in organizations {
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationName, *o);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn common_name_is_the_user_and_organizations_are_the_groups() {
        let user = from_certificate(&certificate(Some("jane"), &["system:masters"])).unwrap();
        assert_eq!(user.name, "jane");
        assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
    }

    #[test]
    fn a_certificate_without_a_common_name_is_refused() {
        assert!(from_certificate(&certificate(None, &["system:masters"])).is_err());
        assert!(from_certificate(b"not a certificate").is_err());
    }
}

//! The server's TLS: a certificate that is replaced in process before it expires, and client certificates of our CA.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{Pki, PkiError, SERVER_LIFETIME};

/// The serving certificate, replaceable while connections are accepted.
#[derive(Debug)]
pub struct Serving {
    current: RwLock<(Arc<CertifiedKey>, SystemTime)>,
    names: Vec<String>,
}

impl Serving {
    /// Makes the first certificate for `names`, and the TLS configuration that serves it: TLS 1.2 and 1.3, h2 and
    /// HTTP/1.1, client certificates of our CA taken but not demanded (tokens and anonymous exist).
    ///
    /// # Errors
    /// `Certificate`, `Tls`.
    pub fn start(pki: &Pki, names: Vec<String>) -> Result<(Arc<Self>, Arc<ServerConfig>), PkiError> {
        let serving = Arc::new(Self {
            current: RwLock::new(issue(pki, &names)?),
            names,
        });
        let ca = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).map_err(|e| PkiError::Unusable {
            path: pki.dir().join("ca.crt"),
            reason: e.to_string(),
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(ca).map_err(PkiError::Tls)?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|e| PkiError::Tls(rustls::Error::General(e.to_string())))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(serving.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((serving, Arc::new(config)))
    }

    /// Replaces the certificate when less than a third of its life is left. Returns when to look again.
    ///
    /// # Errors
    /// `Certificate`; the old one stays.
    pub fn renew_if_due(&self, pki: &Pki, now: SystemTime) -> Result<Duration, PkiError> {
        let expires = self.current.read().1;
        let left = expires.duration_since(now).unwrap_or_default();
        if left < SERVER_LIFETIME / 3 {
            *self.current.write() = issue(pki, &self.names)?;
        }
        Ok(SERVER_LIFETIME / 30)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().0.clone())
    }
}

fn issue(pki: &Pki, names: &[String]) -> Result<(Arc<CertifiedKey>, SystemTime), PkiError> {
    let identity = pki.issue_server(names, SERVER_LIFETIME)?;
    let tls = |e: rustls::pki_types::pem::Error| PkiError::Tls(rustls::Error::General(e.to_string()));
    let leaf = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).map_err(tls)?;
    // The CA travels along, so that a joining node can find the one its token pins.
    let ca = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).map_err(tls)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(tls)?;
    let key = ring::sign::any_supported_type(&key).map_err(PkiError::Tls)?;
    Ok((
        Arc::new(CertifiedKey::new(vec![leaf, ca], key)),
        SystemTime::now() + SERVER_LIFETIME,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_replaced_in_its_last_third_only() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(&dir.path().join("pki")).unwrap();
        let (serving, _) = Serving::start(&pki, vec!["localhost".into()]).unwrap();
        let certificate = |s: &Serving| s.current.read().0.cert[0].to_vec();
        let first = certificate(&serving);
        serving
            .renew_if_due(&pki, SystemTime::now() + SERVER_LIFETIME / 2)
            .unwrap();
        assert_eq!(certificate(&serving), first);
        serving
            .renew_if_due(&pki, SystemTime::now() + SERVER_LIFETIME * 4 / 5)
            .unwrap();
        assert_ne!(certificate(&serving), first);
        let second = certificate(&serving);
        let two_years = SystemTime::now() + Duration::from_secs(2 * 365 * 24 * 3600);
        serving.renew_if_due(&pki, two_years).unwrap();
        assert_ne!(certificate(&serving), second);
    }
}

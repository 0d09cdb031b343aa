//! The server's TLS: a certificate that is replaced in process before it expires, and client certificates of our CA.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{
    Pki, PkiError, SERVER_LIFETIME,
    renewable::{Renewable, certified},
};

/// The oldest TLS that clients may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinTls {
    /// For clients that know nothing newer.
    V1_2,
    /// The default.
    #[default]
    V1_3,
}

impl MinTls {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::V1_2 => &ALL,
            Self::V1_3 => &ALL[..1],
        }
    }
}

/// The serving certificate, replaceable while connections are accepted.
#[derive(Debug)]
pub struct Serving {
    current: Renewable,
    names: Vec<String>,
}

impl Serving {
    /// Makes the first certificate for `names`, and the TLS configuration that serves it: h2 and HTTP/1.1, client
    /// certificates of our CA taken but not demanded (tokens and anonymous exist).
    ///
    /// # Errors
    /// `Certificate`, `Tls`.
    pub fn start(
        pki: &Pki,
        names: Vec<String>,
        min: MinTls,
        now: SystemTime,
    ) -> Result<(Arc<Self>, Arc<ServerConfig>), PkiError> {
        let serving = Arc::new(Self {
            current: Renewable::new(issue(pki, &names, now)?, SERVER_LIFETIME, now),
            names,
        });
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(pki)?.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|e| PkiError::Tls(rustls::Error::General(e.to_string())))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(min.versions())
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
        self.current.renew_if_due(now, || issue(pki, &self.names, now))
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.get())
    }
}

/// The CA as who verifies wants it.
pub(super) fn roots(pki: &Pki) -> Result<RootCertStore, PkiError> {
    let ca = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).map_err(|e| PkiError::Unusable {
        path: pki.dir().join("ca.crt"),
        reason: e.to_string(),
    })?;
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(PkiError::Tls)?;
    Ok(roots)
}

fn issue(pki: &Pki, names: &[String], now: SystemTime) -> Result<CertifiedKey, PkiError> {
    // The CA travels along, so that a joining node can find the one its token pins.
    certified(&pki.issue_server(names, now)?, &[pki.ca_pem()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_replaced_in_its_last_third_only() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(&dir.path().join("pki")).unwrap();
        let (serving, _) = Serving::start(
            &pki,
            vec!["localhost".into()],
            MinTls::default(),
            SystemTime::now(),
        )
        .unwrap();
        let certificate = |s: &Serving| s.current.get().cert[0].to_vec();
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

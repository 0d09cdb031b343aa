//! The server's TLS: a certificate that is replaced in process before it expires, and client certificates of our CA.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{
        ClientHello, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
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
    clients: Arc<Clients>,
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
        let clients = Arc::new(Clients::new(pki)?);
        let first = certified(&pki.issue_server(&names, now)?)?;
        let serving = Arc::new(Self {
            current: Renewable::new(first, SERVER_LIFETIME, now, pki.held().stage()),
            names,
            clients: clients.clone(),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(min.versions())
            .map_err(PkiError::Tls)?
            .with_client_cert_verifier(clients.clone())
            .with_cert_resolver(serving.clone());
        config.session_storage = clients;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((serving, Arc::new(config)))
    }

    /// Replaces the certificate when less than a third of its life is left, or the keys of the cluster have changed.
    /// Returns when to look again.
    ///
    /// # Errors
    /// `Certificate`; the old one stays.
    pub fn renew_if_due(&self, pki: &Pki, now: SystemTime) -> Result<Duration, PkiError> {
        self.current.renew_if_due(now, pki.held().stage(), || {
            self.clients.renew(pki)?;
            certified(&pki.issue_server(&self.names, now)?)
        })
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.get())
    }
}

/// Which client certificates are taken: those of the CAs that are believed now.
#[derive(Debug)]
struct Clients(RwLock<Believed>);

#[derive(Debug)]
struct Believed {
    verifier: Arc<dyn ClientCertVerifier>,
    /// A session that is resumed is not verified again: so sessions go with the CAs they began under.
    sessions: Arc<dyn StoresServerSessions>,
}

/// Sessions that are remembered.
const SESSIONS: usize = 256;

impl Clients {
    fn new(pki: &Pki) -> Result<Self, PkiError> {
        Ok(Self(RwLock::new(Believed::new(pki)?)))
    }

    fn renew(&self, pki: &Pki) -> Result<(), PkiError> {
        *self.0.write() = Believed::new(pki)?;
        Ok(())
    }

    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.0.read().verifier.clone()
    }

    fn sessions(&self) -> Arc<dyn StoresServerSessions> {
        self.0.read().sessions.clone()
    }
}

impl Believed {
    fn new(pki: &Pki) -> Result<Self, PkiError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(pki)?.into(), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|e| PkiError::Tls(rustls::Error::General(e.to_string())))?;
        Ok(Self {
            verifier,
            sessions: ServerSessionMemoryCache::new(SESSIONS),
        })
    }
}

impl ClientCertVerifier for Clients {
    /// No hints: a client whose certificate is of the next CA would not offer it to one that hints at the present one.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verifier()
            .verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier()
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

impl StoresServerSessions for Clients {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions().put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions().get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions().take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// The CAs as who verifies wants them.
pub(super) fn roots(pki: &Pki) -> Result<RootCertStore, PkiError> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(pki.ca_pem().as_bytes()) {
        let ca = ca.map_err(|e| PkiError::Unusable {
            path: pki.dir().join("ca.crt"),
            reason: e.to_string(),
        })?;
        roots.add(ca).map_err(PkiError::Tls)?;
    }
    Ok(roots)
}

#[cfg(test)]
impl Serving {
    pub(super) fn leaf(&self) -> Vec<u8> {
        self.current.get().cert[0].to_vec()
    }
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
        let certificate = Serving::leaf;
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

//! A certificate that is replaced in process before it expires.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::{Identity, PkiError};

/// The present certificate and when it ends. It is replaced in the last third of its life.
#[derive(Debug)]
pub(super) struct Renewable {
    current: RwLock<(Arc<CertifiedKey>, SystemTime)>,
    lifetime: Duration,
}

impl Renewable {
    pub(super) fn new(key: CertifiedKey, lifetime: Duration, now: SystemTime) -> Self {
        Self {
            current: RwLock::new((Arc::new(key), now + lifetime)),
            lifetime,
        }
    }

    pub(super) fn get(&self) -> Arc<CertifiedKey> {
        self.current.read().0.clone()
    }

    /// Replaces the certificate when less than a third of its life is left, or none of it has begun (the clock was
    /// set back). Returns when to look again.
    pub(super) fn renew_if_due(
        &self,
        now: SystemTime,
        issue: impl FnOnce() -> Result<CertifiedKey, PkiError>,
    ) -> Result<Duration, PkiError> {
        let expires = self.current.read().1;
        let left = expires.duration_since(now).unwrap_or_default();
        if left < self.lifetime / 3 || left > self.lifetime * 2 {
            *self.current.write() = (Arc::new(issue()?), now + self.lifetime);
        }
        // Clocks jump: looking often costs nothing.
        Ok((self.lifetime / 30).min(Duration::from_secs(600)))
    }
}

/// Key and chain as TLS wants them; `more` are certificates that travel along.
pub(super) fn certified(identity: &Identity, more: &[&str]) -> Result<CertifiedKey, PkiError> {
    let broken = |e: rustls::pki_types::pem::Error| PkiError::Tls(rustls::Error::General(e.to_string()));
    let mut chain = Vec::new();
    for pem in std::iter::once(identity.certificate_pem.as_str()).chain(more.iter().copied()) {
        chain.push(CertificateDer::from_pem_slice(pem.as_bytes()).map_err(broken)?);
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(broken)?;
    let key = ring::sign::any_supported_type(&key).map_err(PkiError::Tls)?;
    Ok(CertifiedKey::new(chain, key))
}

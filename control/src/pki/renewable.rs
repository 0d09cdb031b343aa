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

/// Clocks jump, and machines sleep for weeks: until it is looked, everybody refuses a certificate that has ended, so it is
/// looked often, which costs nothing.
const LOOK: Duration = Duration::from_secs(5);

/// The present certificate and when it ends. It is replaced in the last third of its life, and when another CA signs.
#[derive(Debug)]
pub(super) struct Renewable {
    current: RwLock<Current>,
    lifetime: Duration,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    ends: SystemTime,
    stage: Stage,
}

/// Of the keys, when the certificate was made.
pub(super) type Stage = (u64, bool);

impl Renewable {
    pub(super) fn new(key: CertifiedKey, lifetime: Duration, now: SystemTime, stage: Stage) -> Self {
        Self {
            current: RwLock::new(Current {
                key: Arc::new(key),
                ends: now + lifetime,
                stage,
            }),
            lifetime,
        }
    }

    pub(super) fn get(&self) -> Arc<CertifiedKey> {
        self.current.read().key.clone()
    }

    /// Replaces the certificate when less than a third of its life is left, or none of it has begun (the clock was
    /// set back), or the keys have changed. Returns when to look again.
    pub(super) fn renew_if_due(
        &self,
        now: SystemTime,
        stage: Stage,
        issue: impl FnOnce() -> Result<CertifiedKey, PkiError>,
    ) -> Result<Duration, PkiError> {
        let (ends, of) = {
            let current = self.current.read();
            (current.ends, current.stage)
        };
        let left = ends.duration_since(now).unwrap_or_default();
        if left < self.lifetime / 3 || left > self.lifetime * 2 || of != stage {
            *self.current.write() = Current {
                key: Arc::new(issue()?),
                ends: now + self.lifetime,
                stage,
            };
        }
        Ok((self.lifetime / 30).min(LOOK))
    }
}

/// Key and chain as TLS wants them.
pub(super) fn certified(identity: &Identity) -> Result<CertifiedKey, PkiError> {
    let broken = |e: rustls::pki_types::pem::Error| PkiError::Tls(rustls::Error::General(e.to_string()));
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(broken)?;
    let key = ring::sign::any_supported_type(&key).map_err(PkiError::Tls)?;
    Ok(CertifiedKey::new(chain, key))
}

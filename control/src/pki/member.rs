//! A member towards the others: a certificate over its own key, renewed in process, and TLS 1.3 only.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rcgen::KeyPair;
use rustls::{ClientConfig, SignatureScheme, client::ResolvesClientCert, crypto::ring, sign::CertifiedKey};
use skiff_auth::User;

use super::{
    Identity, Pki, PkiError, SERVER_LIFETIME, client_params,
    renewable::{Renewable, certified},
    serving::roots,
};

/// Group of members.
const GROUP: &str = "skiff:members";
const USER: &str = "skiff:member:";

/// The name in a member's serving certificate by which the others know that they reached this one.
pub fn member_name(id: u64) -> String {
    format!("member-{id}.skiff")
}

/// The id that a user claims as a member.
pub fn member_of(user: &User) -> Option<u64> {
    user.is_in(GROUP)
        .then(|| user.name.strip_prefix(USER)?.parse().ok())?
}

impl Pki {
    fn issue_member(&self, id: u64, now: SystemTime) -> Result<Identity, PkiError> {
        let subject = format!("{USER}{id}");
        let failed = |source| PkiError::Certificate {
            subject: subject.clone(),
            source,
        };
        let key = KeyPair::from_pem(&self.member_key_pem).map_err(failed)?;
        let params = client_params(&subject, &[GROUP], SERVER_LIFETIME, now);
        let held = self.held();
        let certificate = params.signed_by(&key, &held.issuer).map_err(failed)?;
        Ok(Identity {
            certificate_pem: held.with_cross(&certificate.pem()),
            key_pem: self.member_key_pem.clone(),
        })
    }
}

#[derive(Debug)]
struct Holder(Renewable);

impl ResolvesClientCert for Holder {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The TLS of connections to other members.
#[derive(Debug)]
pub struct Tls {
    id: u64,
    holder: Arc<Holder>,
    client: RwLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Makes the first certificate.
    ///
    /// # Errors
    /// `Certificate`, `Tls`.
    pub fn start(pki: &Pki, id: u64, now: SystemTime) -> Result<Self, PkiError> {
        let first = certified(&pki.issue_member(id, now)?)?;
        let holder = Arc::new(Holder(Renewable::new(
            first,
            SERVER_LIFETIME,
            now,
            pki.held().stage(),
        )));
        Ok(Self {
            id,
            client: RwLock::new(client(pki, holder.clone())?),
            holder,
        })
    }

    /// What to connect with.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.read().clone()
    }

    /// See [`super::Serving::renew_if_due`].
    ///
    /// # Errors
    /// `Certificate`; the old one stays.
    pub fn renew_if_due(&self, pki: &Pki, now: SystemTime) -> Result<Duration, PkiError> {
        let stage = pki.held().stage();
        self.holder.0.renew_if_due(now, stage, || {
            *self.client.write() = client(pki, self.holder.clone())?;
            certified(&pki.issue_member(self.id, now)?)
        })
    }
}

fn client(pki: &Pki, holder: Arc<Holder>) -> Result<Arc<ClientConfig>, PkiError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(PkiError::Tls)?
        .with_root_certificates(roots(pki)?)
        .with_client_cert_resolver(holder);
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_keeps_its_key_when_its_certificate_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open(&dir.path().join("pki")).unwrap();
        let now = SystemTime::now();
        let tls = Tls::start(&pki, 7, now).unwrap();
        let leaf = || tls.holder.0.get().cert[0].to_vec();
        let first = leaf();
        tls.renew_if_due(&pki, now + SERVER_LIFETIME / 2).unwrap();
        assert_eq!(leaf(), first);
        tls.renew_if_due(&pki, now + SERVER_LIFETIME).unwrap();
        assert_ne!(leaf(), first);
        for der in [first, leaf()] {
            assert_eq!(
                skiff_auth::authn::key_hash(&der),
                Some(pki.member_key_hash().unwrap())
            );
            let user = skiff_auth::authn::from_certificate(&der).unwrap();
            assert_eq!(member_of(&user), Some(7));
        }
    }

    #[test]
    fn nobody_is_a_member_by_name_alone() {
        let user = User::authenticated("skiff:member:7", &[]);
        assert_eq!(member_of(&user), None);
    }
}

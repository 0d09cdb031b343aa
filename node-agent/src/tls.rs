//! Servers that a TLS client talks to by a rule of its own.

use std::{fmt, sync::Arc};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// What a server shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its certificate.
    pub certificate: &'a CertificateDer<'a>,
    /// Those that came with it.
    pub intermediates: &'a [CertificateDer<'a>],
    /// The name it was asked for.
    pub name: &'a ServerName<'a>,
    /// What it says of its certificate being in force.
    pub ocsp: &'a [u8],
    /// Now.
    pub now: UnixTime,
}

/// Talks to servers that `rule` allows. That they hold the key of the certificate they show is verified as ever.
pub struct ServersBy<F> {
    rule: F,
    provider: Arc<CryptoProvider>,
}

impl<F: Fn(Shown<'_>) -> Result<(), Error> + Send + Sync> ServersBy<F> {
    /// A verifier for `dangerous().with_custom_certificate_verifier`.
    pub fn new(provider: Arc<CryptoProvider>, rule: F) -> Arc<Self> {
        Arc::new(Self { rule, provider })
    }
}

impl<F> fmt::Debug for ServersBy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServersBy").finish_non_exhaustive()
    }
}

impl<F: Fn(Shown<'_>) -> Result<(), Error> + Send + Sync> ServerCertVerifier for ServersBy<F> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.rule)(Shown {
            certificate,
            intermediates,
            name,
            ocsp,
            now,
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

//! Who is at the other end: agents know each other by their node certificates, which the cluster's CA has signed.

use std::{io, sync::Arc};

use anyhow::Context as _;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use crate::tls::{ServersBy, Shown};

/// What the common name of a node's certificate begins with.
const NODE: &str = "system:node:";

/// Both roles of a node.
pub(super) struct Identity {
    pub server: Arc<ServerConfig>,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Identity {
    /// The identity that the node's kubeconfig holds.
    pub fn of(kubeconfig: &kube::config::Kubeconfig) -> anyhow::Result<Self> {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        use secrecy::ExposeSecret as _;
        let cluster = kubeconfig
            .clusters
            .first()
            .and_then(|named| named.cluster.as_ref());
        let user = kubeconfig
            .auth_infos
            .first()
            .and_then(|named| named.auth_info.as_ref());
        let (cluster, user) = (cluster.context("a cluster")?, user.context("a user")?);
        let decode = |text: &str| BASE64_STANDARD.decode(text).context("base64");
        let ca = decode(cluster.certificate_authority_data.as_deref().context("the CA")?)?;
        let certificate = decode(
            user.client_certificate_data
                .as_deref()
                .context("the certificate")?,
        )?;
        let key = decode(user.client_key_data.as_ref().context("the key")?.expose_secret())?;
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&ca) {
            roots.add(root.context("the CA")?)?;
        }
        let mut provider = ring::default_provider();
        // The fastest on processors with AES instructions, and as good as any.
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let certificates = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&key).context("the key")?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(NodesOnly(Arc::clone(&verifier))))
            .with_single_cert(certificates.clone(), key.clone_key())?;
        // Nobody resumes: connections are kept instead.
        server.send_tls13_tickets = 0;
        Ok(Self {
            server: Arc::new(server),
            certificates,
            key,
            verifier,
            provider,
        })
    }

    /// For connections to this node and no other.
    pub fn client(&self, node: &str) -> Result<Arc<ClientConfig>, Error> {
        let common_name = format!("{NODE}{node}");
        let inner = Arc::clone(&self.verifier);
        // Nodes have certificates for clients only: they are verified as such.
        let verifier = ServersBy::new(Arc::clone(&self.provider), move |shown: Shown<'_>| {
            if self::common_name(shown.certificate).as_deref() != Some(common_name.as_str()) {
                return Err(Error::General("another node answers at this address".into()));
            }
            inner.verify_client_cert(shown.certificate, shown.intermediates, shown.now)?;
            Ok(())
        });
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.certificates.clone(), self.key.clone_key())?;
        Ok(Arc::new(config))
    }
}

/// The node that a certificate, which was verified, is of.
pub(super) fn node_of(certificate: &CertificateDer<'_>) -> io::Result<String> {
    let name = common_name(certificate).and_then(|name| name.strip_prefix(NODE).map(str::to_owned));
    name.ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, "not the certificate of a node"))
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed
        .subject()
        .iter_common_name()
        .next()?
        .as_str()
        .ok()?
        .to_owned();
    Some(name)
}

/// Accepts certificates that the CA signed for clients, if they are of nodes: administrators' are none.
#[derive(Debug)]
struct NodesOnly(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for NodesOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        node_of(certificate).map_err(|error| Error::General(error.to_string()))?;
        self.0.verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

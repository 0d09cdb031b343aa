//! Nodes that join and renew: the token lets them in, the CA gives them their name.

use std::sync::Arc;

use async_trait::async_trait;
use skiff_api::{ClusterFacts, Join, JoinError};

use crate::pki::{self, Pki, PkiError};

/// Signs with the cluster's CA.
pub struct Signer {
    pki: Arc<Pki>,
    facts: ClusterFacts,
}

impl Signer {
    /// Over the keys of this member.
    pub fn new(pki: Arc<Pki>, facts: ClusterFacts) -> Self {
        Self { pki, facts }
    }

    fn sign(&self, node: &str, csr_pem: &str) -> Result<String, JoinError> {
        self.pki.sign_node(node, csr_pem).map_err(|error| match error {
            PkiError::Request(reason) => JoinError::Refused(reason),
            other => {
                tracing::error!(node, error = %other, "signing failed");
                JoinError::Refused("the certificate could not be made".into())
            }
        })
    }
}

#[async_trait]
impl Join for Signer {
    async fn sign_node(&self, token: &str, node: &str, csr_pem: &str) -> Result<String, JoinError> {
        if !self.pki.accepts(token) {
            return Err(JoinError::Token);
        }
        self.sign(node, csr_pem)
    }

    async fn renew_node(&self, node: &str, csr_pem: &str) -> Result<String, JoinError> {
        self.sign(node, csr_pem)
    }

    fn authorities(&self) -> String {
        self.pki.ca_pem()
    }

    fn key(&self, csr_pem: &str) -> Result<String, JoinError> {
        pki::request_key(csr_pem).map_err(|error| JoinError::Refused(error.to_string()))
    }

    fn facts(&self) -> ClusterFacts {
        self.facts.clone()
    }
}

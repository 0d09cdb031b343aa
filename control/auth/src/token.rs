//! Service-account tokens: bound, signed with ES256, with the claims Kubernetes gives them.
use crate::User;

/// What a token is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Namespace of the service account.
    pub namespace: String,
    /// Name of the service account.
    pub service_account: String,
    /// Uid of the service account.
    pub service_account_uid: String,
    /// Audiences; empty: the API server's.
    pub audiences: Vec<String>,
    /// Seconds of validity.
    pub expiration_seconds: i64,
    /// Bound pod (name, uid).
    pub pod: Option<(String, String)>,
    /// Bound secret (name, uid).
    pub secret: Option<(String, String)>,
    /// Node of the pod (name, uid).
    pub node: Option<(String, String)>,
}

/// A token that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The user, with pod and node in `extra`.
    pub user: User,
    /// The audiences of the token.
    pub audiences: Vec<String>,
    /// What it was issued for: the caller checks that service account and pod still exist with these uids.
    pub request: Request,
    /// Seconds since the epoch.
    pub expires_at: i64,
}

/// Signs and verifies.
pub struct Tokens {
    // filled by the implementation
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours, or a broken one.
    #[error("token is not valid: {0}")]
    Invalid(String),
    /// Expired.
    #[error("token has expired")]
    Expired,
}

impl Tokens {
    /// From the PEM of an EC P-256 private key (PKCS#8) and the issuer URL.
    pub fn new(key_pem: &str, issuer: &str) -> Result<Self, TokenError> {
        let _ = (key_pem, issuer);
        unimplemented!()
    }

    /// Issues a token at `now` (seconds since the epoch); returns it and its expiry.
    pub fn issue(&self, request: &Request, now: i64) -> Result<(String, i64), TokenError> {
        let _ = (request, now);
        unimplemented!()
    }

    /// Verifies signature, issuer and times.
    pub fn verify(&self, token: &str, now: i64) -> Result<Verified, TokenError> {
        let _ = (token, now);
        unimplemented!()
    }

    /// `/openid/v1/jwks`.
    pub fn jwks(&self) -> serde_json::Value {
        unimplemented!()
    }

    /// `/.well-known/openid-configuration`.
    pub fn discovery(&self) -> serde_json::Value {
        unimplemented!()
    }
}

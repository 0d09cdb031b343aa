//! Service-account tokens: bound, signed with ES256, with the claims Kubernetes gives them
//! (KEP-1205, "Bound Service Account Tokens").

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{Jwk, ThumbprintHash},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// Which key has signed it.
    pub key_id: String,
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

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
    nbf: i64,
    sub: String,
}

#[derive(Serialize, Deserialize)]
struct Bound {
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Reference>,
    serviceaccount: Reference,
}

#[derive(Serialize, Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

impl From<(String, String)> for Reference {
    fn from((name, uid): (String, String)) -> Self {
        Self { name, uid }
    }
}

impl From<Reference> for (String, String) {
    fn from(r: Reference) -> Self {
        (r.name, r.uid)
    }
}

/// Signs and verifies.
pub struct Tokens {
    issuer: String,
    /// The first one signs.
    keys: ArcSwap<Vec<Key>>,
}

struct Key {
    signing: EncodingKey,
    verifying: DecodingKey,
    jwk: Jwk,
    id: String,
}

impl Key {
    fn new(pem: &str) -> Result<Self, TokenError> {
        let invalid = |e: jsonwebtoken::errors::Error| TokenError::Invalid(format!("signing key: {e}"));
        let signing = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(invalid)?;
        let mut jwk = Jwk::from_encoding_key(&signing, Algorithm::ES256).map_err(invalid)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(invalid)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        let verifying = DecodingKey::from_jwk(&jwk).map_err(invalid)?;
        Ok(Self {
            signing,
            verifying,
            jwk,
            id,
        })
    }
}

impl Tokens {
    /// From the PEM of EC P-256 private keys (PKCS#8) and the issuer URL. The first key signs; tokens of all of them verify.
    ///
    /// # Errors
    /// When a PEM is no such key, or there is none.
    pub fn new(keys: &[String], issuer: &str) -> Result<Self, TokenError> {
        let tokens = Self {
            issuer: issuer.to_owned(),
            keys: ArcSwap::default(),
        };
        tokens.set_keys(keys)?;
        Ok(tokens)
    }

    /// Uses other keys from now on.
    ///
    /// # Errors
    /// As [`Tokens::new`]; nothing has changed then.
    pub fn set_keys(&self, keys: &[String]) -> Result<(), TokenError> {
        let keys = keys
            .iter()
            .map(|pem| Key::new(pem))
            .collect::<Result<Vec<Key>, _>>()?;
        if keys.is_empty() {
            return Err(TokenError::Invalid("there is no signing key".into()));
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Whether tokens of a key verify, by its name in [`Verified`].
    pub fn has_key(&self, id: &str) -> bool {
        self.keys.load().iter().any(|key| key.id == id)
    }

    /// Issues a token at `now` (seconds since the epoch); returns it and its expiry.
    ///
    /// # Errors
    /// When the signature can't be made.
    pub fn issue(&self, request: &Request, now: i64) -> Result<(String, i64), TokenError> {
        let expires_at = now + request.expiration_seconds;
        let audiences = if request.audiences.is_empty() {
            vec![self.issuer.clone()]
        } else {
            request.audiences.clone()
        };
        let claims = Claims {
            aud: audiences,
            exp: expires_at,
            iat: now,
            iss: self.issuer.clone(),
            jti: uuid::Uuid::new_v4().to_string(),
            kubernetes: Bound {
                namespace: request.namespace.clone(),
                node: request.node.clone().map(Into::into),
                pod: request.pod.clone().map(Into::into),
                secret: request.secret.clone().map(Into::into),
                serviceaccount: Reference {
                    name: request.service_account.clone(),
                    uid: request.service_account_uid.clone(),
                },
            },
            nbf: now,
            sub: format!(
                "system:serviceaccount:{}:{}",
                request.namespace, request.service_account
            ),
        };
        let keys = self.keys.load();
        let key = &keys[0];
        let header = Header {
            kid: Some(key.id.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let token = jsonwebtoken::encode(&header, &claims, &key.signing)
            .map_err(|e| TokenError::Invalid(e.to_string()))?;
        Ok((token, expires_at))
    }

    /// Verifies signature, issuer and times. The caller compares audiences.
    ///
    /// # Errors
    /// `Expired`, or `Invalid` for anything that was not signed here.
    pub fn verify(&self, token: &str, now: i64) -> Result<Verified, TokenError> {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&self.issuer]);
        validation.validate_aud = false;
        // The library reads the system's clock; ours is a parameter.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let invalid = |reason: &str| TokenError::Invalid(reason.to_owned());
        let header = jsonwebtoken::decode_header(token).map_err(|e| TokenError::Invalid(e.to_string()))?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.id));
        let key = key.ok_or_else(|| invalid("it is of a key that is not ours"))?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &validation)
            .map_err(|e| match e.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                _ => TokenError::Invalid(e.to_string()),
            })?
            .claims;
        if now >= claims.exp {
            return Err(TokenError::Expired);
        }
        // One minute of tolerance for clocks of other members.
        if now + 60 < claims.nbf {
            return Err(invalid("not valid yet"));
        }
        let bound = claims.kubernetes;
        let request = Request {
            namespace: bound.namespace,
            service_account: bound.serviceaccount.name,
            service_account_uid: bound.serviceaccount.uid,
            audiences: claims.aud.clone(),
            expiration_seconds: claims.exp - claims.iat,
            pod: bound.pod.map(Into::into),
            secret: bound.secret.map(Into::into),
            node: bound.node.map(Into::into),
        };
        if claims.sub
            != format!(
                "system:serviceaccount:{}:{}",
                request.namespace, request.service_account
            )
        {
            return Err(invalid("subject and service account differ"));
        }
        let user = user(&request, &claims.jti);
        Ok(Verified {
            user,
            audiences: claims.aud,
            request,
            expires_at: claims.exp,
            key_id: key.id.clone(),
        })
    }

    /// `/openid/v1/jwks`.
    pub fn jwks(&self) -> Value {
        let keys = self.keys.load();
        json!({ "keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
    }

    /// `/.well-known/openid-configuration`.
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/openid/v1/jwks", self.issuer),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// The issuer, which is also the API server's own audience.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn user(request: &Request, token_id: &str) -> User {
    let mut extra = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        extra.insert(
            format!("authentication.kubernetes.io/{key}"),
            vec![value.to_owned()],
        );
    };
    put("credential-id", &format!("JTI={token_id}"));
    for (what, bound) in [("pod", &request.pod), ("node", &request.node)] {
        if let Some((name, uid)) = bound {
            put(&format!("{what}-name"), name);
            put(&format!("{what}-uid"), uid);
        }
    }
    User {
        name: format!(
            "system:serviceaccount:{}:{}",
            request.namespace, request.service_account
        ),
        uid: request.service_account_uid.clone(),
        groups: vec![
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{}", request.namespace),
            "system:authenticated".into(),
        ],
        extra,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key() -> String {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .unwrap()
            .serialize_pem()
    }

    fn tokens() -> Tokens {
        Tokens::new(&[key()], "https://kubernetes.default.svc.cluster.local").unwrap()
    }

    #[test]
    fn tokens_of_a_former_key_verify_until_it_goes() {
        let (old, new) = (key(), key());
        let tokens = Tokens::new(std::slice::from_ref(&old), "https://x").unwrap();
        let (first, _) = tokens.issue(&request(), NOW).unwrap();
        tokens.set_keys(&[new.clone(), old]).unwrap();
        let (second, _) = tokens.issue(&request(), NOW).unwrap();
        let verified = tokens.verify(&first, NOW).unwrap();
        assert_ne!(verified.key_id, tokens.verify(&second, NOW).unwrap().key_id);
        assert_eq!(tokens.jwks()["keys"].as_array().unwrap().len(), 2);
        tokens.set_keys(&[new]).unwrap();
        assert!(matches!(tokens.verify(&first, NOW), Err(TokenError::Invalid(_))));
        assert!(!tokens.has_key(&verified.key_id));
        tokens.verify(&second, NOW).unwrap();
        assert!(tokens.set_keys(&[]).is_err());
    }

    fn request() -> Request {
        Request {
            namespace: "default".into(),
            service_account: "web".into(),
            service_account_uid: "u1".into(),
            expiration_seconds: 3600,
            pod: Some(("web-1".into(), "u2".into())),
            ..Request::default()
        }
    }

    #[test]
    fn an_issued_token_verifies_until_it_expires() {
        let tokens = tokens();
        let (token, expires_at) = tokens.issue(&request(), NOW).unwrap();
        let verified = tokens.verify(&token, NOW + 3599).unwrap();
        assert_eq!(verified.user.name, "system:serviceaccount:default:web");
        assert_eq!(verified.user.service_account(), Some(("default", "web")));
        assert_eq!(
            verified.audiences,
            ["https://kubernetes.default.svc.cluster.local"]
        );
        assert_eq!(verified.request.pod, request().pod);
        assert_eq!(
            verified.user.extra["authentication.kubernetes.io/pod-name"],
            ["web-1"]
        );
        assert_eq!(expires_at, NOW + 3600);
        assert!(matches!(
            tokens.verify(&token, NOW + 3600),
            Err(TokenError::Expired)
        ));
        assert!(matches!(
            tokens.verify(&token, NOW - 61),
            Err(TokenError::Invalid(_))
        ));
    }

    #[test]
    fn a_token_of_another_key_or_with_a_changed_byte_is_refused() {
        let (token, _) = tokens().issue(&request(), NOW).unwrap();
        assert!(matches!(
            tokens().verify(&token, NOW),
            Err(TokenError::Invalid(_))
        ));
        let ours = tokens();
        let (token, _) = ours.issue(&request(), NOW).unwrap();
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let (other, _) = ours
            .issue(
                &Request {
                    service_account: "admin".into(),
                    ..request()
                },
                NOW,
            )
            .unwrap();
        let payload = other.split('.').nth(1).unwrap();
        assert!(
            ours.verify(&format!("{head}.{payload}.{signature}"), NOW)
                .is_err()
        );
        assert!(ours.verify("garbage", NOW).is_err());
    }

    #[test]
    fn the_published_key_verifies_a_token() {
        let tokens = tokens();
        let (token, _) = tokens.issue(&request(), NOW).unwrap();
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_value(tokens.jwks()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        assert!(jsonwebtoken::decode::<Value>(&token, &key, &validation).is_ok());
    }
}

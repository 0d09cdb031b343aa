//! The audit log: who did what, as the policy says (Kubernetes, "Auditing"; audit.k8s.io/v1), one JSON line per event.
//!
//! The way of an event: `Audit::begin` when a request comes → `Trail::identified` when it is known whose it is (the
//! policy is asked then) → `Trail::ended` with the answer → `log` (a thread that writes and rotates).

mod log;
mod policy;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Value, json};
use skiff_auth::User;

pub use log::Rotation;
pub use policy::PolicyError;

use crate::{request::RequestInfo, server::body::Body};
use log::Log;
use policy::{Level, Policy, Verdict};

/// What to write, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// `audit.k8s.io/v1` Policy, YAML or JSON.
    pub policy: PathBuf,
    /// The log; `-`: standard output.
    pub path: PathBuf,
    /// When it is rotated, and how long old ones stay.
    pub rotation: Rotation,
}

/// Why there can't be an audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The policy.
    #[error("audit policy {path:?}")]
    Policy {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: PolicyError,
    },
    /// The log.
    #[error("audit log {path:?}")]
    Log {
        /// Its file.
        path: PathBuf,
        /// Why it can't be written.
        source: std::io::Error,
    },
}

/// The audit log of a server.
pub(crate) struct Audit {
    policy: Policy,
    log: Log,
}

impl Audit {
    pub(crate) fn open(config: &Config) -> Result<Self, AuditError> {
        let policy = std::fs::read_to_string(&config.policy)
            .map_err(PolicyError::Read)
            .and_then(|text| Policy::parse(&text))
            .map_err(|source| AuditError::Policy {
                path: config.policy.clone(),
                source,
            })?;
        let log = Log::open(&config.path, config.rotation).map_err(|source| AuditError::Log {
            path: config.path.clone(),
            source,
        })?;
        Ok(Self { policy, log })
    }

    /// Begins the trail of a request.
    pub(crate) fn begin(
        self: &Arc<Self>,
        info: &RequestInfo,
        uri: &http::Uri,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Trail {
        let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        Trail {
            audit: self.clone(),
            info: info.clone(),
            uri: uri.path_and_query().map_or_else(String::new, ToString::to_string),
            agent: agent.unwrap_or_default().to_owned(),
            peer,
            id: uuid::Uuid::new_v4().to_string(),
            received: now(),
            known: Mutex::default(),
            body: Tap::default(),
        }
    }
}

/// Where the body of a request is left for the audit log, if it wants it.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<Option<Bytes>>>);

impl Tap {
    pub(crate) fn leave(&self, body: &Bytes) {
        *self.0.lock() = Some(body.clone());
    }
}

/// What is known of a request whose sender is known.
struct Known {
    verdict: Verdict,
    user: Value,
    impersonated: Option<Value>,
}

/// One request on its way.
pub(crate) struct Trail {
    audit: Arc<Audit>,
    info: RequestInfo,
    uri: String,
    agent: String,
    peer: SocketAddr,
    id: String,
    received: String,
    known: Mutex<Option<Known>>,
    body: Tap,
}

impl Trail {
    /// The request's id: clients get it with the answer.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// It is known who asks, and as whom. Returns where to leave the body, if it is wanted.
    pub(crate) fn identified(&self, user: &User, acting_as: &User) -> Option<Tap> {
        let verdict = self.audit.policy.judge(acting_as, &self.info);
        let level = verdict.level;
        let known = Known {
            user: value(user),
            impersonated: (user != acting_as).then(|| value(acting_as)),
            verdict,
        };
        if known.verdict.wants("RequestReceived") {
            let event = self.event(&known, "RequestReceived");
            self.audit.log.write(event);
        }
        *self.known.lock() = Some(known);
        (level >= Level::Request).then(|| self.body.clone())
    }

    /// The request is answered, or, for what goes on, begins to be.
    pub(crate) fn ended(&self, response: &Response<Body>) {
        let mut known = self.known.lock();
        let known = known.get_or_insert_with(|| {
            // Nobody knows who it was: that is worth knowing.
            let nobody = User::default();
            Known {
                verdict: self.audit.policy.judge(&nobody, &self.info),
                user: json!({}),
                impersonated: None,
            }
        });
        let goes_on = self.info.verb == "watch" || response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let stage = if goes_on {
            "ResponseStarted"
        } else {
            "ResponseComplete"
        };
        if !known.verdict.wants(stage) {
            return;
        }
        let mut event = self.event(known, stage);
        let code = response.status().as_u16();
        event["responseStatus"] = json!({"metadata": {}, "code": code});
        let answer = match response.body() {
            Body::Full(Some(bytes)) if !response.headers().contains_key(header::CONTENT_ENCODING) => {
                serde_json::from_slice::<Value>(bytes).ok()
            }
            _ => None,
        };
        if code >= 400
            && let Some(answer) = &answer
        {
            for field in ["status", "message", "reason"] {
                if answer[field].is_string() {
                    event["responseStatus"][field] = answer[field].clone();
                }
            }
        }
        if known.verdict.level >= Level::Request
            && let Some(body) = &*self.body.0.lock()
            && let Some(object) = parse(body)
        {
            event["requestObject"] = known.verdict.trimmed(object);
        }
        if known.verdict.level >= Level::RequestResponse
            && let Some(answer) = answer
        {
            event["responseObject"] = known.verdict.trimmed(answer);
        }
        self.audit.log.write(event);
    }

    fn event(&self, known: &Known, stage: &str) -> Value {
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1",
            "level": known.verdict.level.name(), "auditID": self.id, "stage": stage,
            "requestURI": self.uri, "verb": self.info.verb, "user": known.user,
            "sourceIPs": [self.peer.ip().to_canonical().to_string()], "userAgent": self.agent,
            "requestReceivedTimestamp": self.received, "stageTimestamp": now(),
        });
        if let Some(user) = &known.impersonated {
            event["impersonatedUser"] = user.clone();
        }
        if self.info.is_resource {
            let mut object = serde_json::Map::new();
            for (field, text) in [
                ("resource", &self.info.resource),
                ("namespace", &self.info.namespace),
                ("name", &self.info.name),
                ("apiGroup", &self.info.group),
                ("apiVersion", &self.info.version),
                ("subresource", &self.info.subresource),
            ] {
                if !text.is_empty() {
                    object.insert(field.into(), text.as_str().into());
                }
            }
            event["objectRef"] = object.into();
        }
        event
    }
}

fn value(user: &User) -> Value {
    serde_json::to_value(user).unwrap_or_default()
}

/// JSON and YAML; protobuf is left out, which its media type in the request says.
fn parse(body: &Bytes) -> Option<Value> {
    serde_json::from_slice(body)
        .ok()
        .or_else(|| serde_saphyr::from_slice(body).ok())
        .filter(|value: &Value| value.is_object() || value.is_array())
}

fn now() -> String {
    // Microseconds, as MicroTime has them.
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

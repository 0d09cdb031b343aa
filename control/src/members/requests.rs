//! What servers, members and administrators ask below `/skiff/v1/members`.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skiff_api::{
    NODE_KEY, Registry, Status, Target,
    members::{Asker, JOIN_PATH, MEMBERS_PATH},
};

use super::{Membership, plan, record};
use crate::{peers::DialError, pki::Keys};

/// How long a removal may take.
const REMOVAL: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(50);

/// A server asks to become a member.
#[derive(Serialize, Deserialize)]
pub struct JoinRequest {
    /// As `skiff token --server` prints it.
    pub token: String,
    /// Its host's name.
    pub name: String,
    /// Where it will be reached.
    pub address: std::net::SocketAddr,
    /// Hex SHA-256 of its member key.
    pub key: String,
    /// Settings it was started with; they must be the cluster's.
    pub fixed: Value,
}

/// What it gets.
#[derive(Serialize, Deserialize)]
pub struct JoinAnswer {
    /// Its id.
    pub id: u64,
    /// The cluster's keys.
    pub keys: Keys,
    /// The cluster's settings.
    pub fixed: Value,
    /// Everybody, itself included.
    pub members: Vec<record::Record>,
}

impl Membership {
    pub(super) async fn request(
        &self,
        asker: Asker,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<Value, Status> {
        if path == JOIN_PATH && *method == Method::POST {
            return self.join(&body).await;
        }
        if asker == Asker::Anyone {
            return Err(Status::unauthorized());
        }
        let rest = path.strip_prefix(MEMBERS_PATH).unwrap_or_default();
        match (method, rest.trim_matches('/')) {
            (&Method::GET, "") => self.list().await,
            (&Method::POST, "rotate-secrets-key") => {
                let count = self.registry()?.rotate_secrets_key().await?;
                Ok(json!({ "secrets": count }))
            }
            (&Method::POST, "rotate-keys") => self.rotate_keys().await,
            (&Method::POST, "rotate-keys/finish") => {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.finish_keys(request["force"] == true).await
            }
            (&Method::POST, "revoke") => {
                let request: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.revoke_node(request["node"].as_str().unwrap_or_default())
                    .await
            }
            (&Method::DELETE, id) => {
                let id = id
                    .parse()
                    .map_err(|_| Status::bad_request(format!("{id:?} is not the id of a member")))?;
                self.remove(id).await
            }
            _ => Err(Status::no_such_path()),
        }
    }

    async fn join(&self, body: &[u8]) -> Result<Value, Status> {
        let request: JoinRequest = serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("the request does not parse: {error}")))?;
        if !self.pki.accepts_server(&request.token) {
            let mut status = Status::unauthorized();
            status.message = if self.pki.accepts(&request.token) {
                "this is the token of nodes; servers need the one that `skiff token --server` prints".into()
            } else {
                "the token is not valid".into()
            };
            return Err(status);
        }
        for (setting, theirs) in request.fixed.as_object().into_iter().flatten() {
            let ours = &self.fixed[setting];
            if !theirs.is_null() && theirs != ours {
                let option = setting.replace('_', "-");
                return Err(Status::bad_request(format!(
                    "this cluster has --{option} {}, not {}: give the same, or leave it out",
                    plain(ours),
                    plain(theirs)
                )));
            }
        }
        let added = record::add(&self.store, &request.name, request.address, &request.key).await?;
        let Some(record) = added else {
            return Err(Status::new(
                403,
                "Forbidden",
                "a member with this key was removed; remove the data directory of this server to join as a new one",
            ));
        };
        // Only now: a rotation is not finished before whoever has a record has the new keys.
        let keys = self.pki.keys().map_err(Status::internal)?;
        tracing::info!(id = record.id, name = record.name, address = %record.address, "a server joins");
        self.changed.notify_one();
        let mut members: Vec<record::Record> =
            record::all(&self.store).into_iter().map(|s| s.record).collect();
        // This one is known to itself before its record is there.
        members.retain(|known| known.id != record.id);
        let answer = JoinAnswer {
            id: record.id,
            keys,
            fixed: self.fixed.clone(),
            members: members.into_iter().chain([record]).collect(),
        };
        serde_json::to_value(answer).map_err(Status::internal)
    }

    async fn list(&self) -> Result<Value, Status> {
        let leader = self.store.leadership().borrow().clone();
        if let Some(id) = leader.leader.filter(|id| *id != self.me()) {
            match self.peers.ask(id, Method::GET, MEMBERS_PATH, Bytes::new()).await {
                Ok(value) => return Ok(value),
                Err(error) => tracing::debug!(%error, "asking the leader for the members"),
            }
        }
        let members = self.store.members().borrow().clone();
        let progress = self.store.progress();
        let newest = progress.iter().map(|p| p.matched).max();
        let list: Vec<Value> = record::all(&self.store)
            .into_iter()
            .map(|stored| {
                let record = stored.record;
                let role = if members.voters.contains(&record.id) {
                    "voter"
                } else if members.learners.contains(&record.id) {
                    "learner"
                } else {
                    "joining"
                };
                let matched = progress.iter().find(|p| p.member == record.id).map(|p| p.matched);
                json!({
                    "id": record.id, "name": record.name, "address": record.address.to_string(),
                    "role": role, "removing": record.removing,
                    "leader": leader.leader == Some(record.id),
                    "alive": self.peers.is_alive(record.id),
                    "lag": newest.zip(matched).map(|(newest, matched)| newest - matched),
                })
            })
            .collect();
        Ok(json!({"members": list, "term": leader.term, "leader": leader.leader, "asked": self.me()}))
    }

    pub(super) fn registry(&self) -> Result<&Registry, Status> {
        self.registry
            .get()
            .ok_or_else(|| Status::unavailable("the server starts"))
    }

    /// Refuses the key of a node from now on. Its Node stays, for whoever wants to look at it, or delete it.
    async fn revoke_node(&self, node: &str) -> Result<Value, Status> {
        let registry = self.registry()?;
        let resource = registry
            .resource("", "v1", "nodes")
            .ok_or_else(Status::no_such_path)?;
        let target = Target {
            resource,
            namespace: "",
            name: node,
        };
        let object = registry.get_value(&target).await?;
        let key = object["metadata"]["annotations"][NODE_KEY].as_str();
        let key = key.ok_or_else(|| {
            Status::new(
                409,
                "Conflict",
                format!("node {node} has not said which key it has; delete it instead"),
            )
        })?;
        record::refuse(&self.store, key, &json!({ "node": node })).await?;
        tracing::info!(node, key, "a node's certificate is refused from now on");
        Ok(json!({ "revoked": node }))
    }

    /// Takes a member out. Done by the leader; asked twice it is the same.
    async fn remove(&self, id: u64) -> Result<Value, Status> {
        let done = json!({"removed": id});
        let end = tokio::time::Instant::now() + REMOVAL;
        let mut asked = false;
        while tokio::time::Instant::now() < end {
            let leader = self.store.leadership().borrow().clone();
            if !leader.is_leader {
                let Some(other) = leader.leader.filter(|other| *other != self.me()) else {
                    tokio::time::sleep(POLL).await;
                    continue;
                };
                let path = format!("{MEMBERS_PATH}/{id}");
                return match self.peers.ask(other, Method::DELETE, &path, Bytes::new()).await {
                    Ok(value) => Ok(value),
                    Err(DialError::Refused { code: 404, .. }) if asked => Ok(done),
                    Err(DialError::Refused { code, message }) => {
                        Err(Status::new(code, reason_of(code), message))
                    }
                    Err(error) => Err(Status::unavailable(format!(
                        "the leader, member {other}: {error}"
                    ))),
                };
            }
            match record::get(&self.store, id) {
                None if asked => return Ok(done),
                None => return Err(Status::new(404, "NotFound", format!("there is no member {id}"))),
                Some(stored) => {
                    let members = self.store.members().borrow().clone();
                    plan::may_remove(&members, &|id| self.peers.is_alive(id), id)
                        .map_err(|why| Status::new(409, "Conflict", why))?;
                    if !stored.record.removing {
                        let mut record = stored.record;
                        record.removing = true;
                        match record::put(&self.store, &record, Some(stored.revision)).await {
                            Ok(()) | Err(skiff_store::Error::Conflict { .. }) => {}
                            Err(error) => return Err(error.into()),
                        }
                        self.changed.notify_one();
                    }
                    asked = true;
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Status::unavailable(format!(
            "member {id} is not out yet; it goes on in the background"
        )))
    }
}

fn reason_of(code: u16) -> &'static str {
    match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "ServiceUnavailable",
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! One request: who, may they, and who answers it.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use skiff_auth::{Decision, User};

use super::{
    App,
    body::Body,
    resource,
    respond::{self, Answer},
};
use crate::{
    audit::Trail,
    authn, authz, health, join,
    members::{self, Certificate},
    request::{RequestInfo, accept, query::Query},
    status::Status,
    stream,
};

/// A request with everything that was found out about it.
pub(crate) struct Call {
    pub(crate) info: RequestInfo,
    pub(crate) query: Query,
    pub(crate) user: User,
    /// What the connection's certificate is known by.
    pub(crate) certificate: Certificate,
    pub(crate) request: Request<Incoming>,
}

/// Who is at the other end of a connection.
pub(super) struct Peer {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// The user of its certificate, if it has one. A certificate that verified but names nobody is no identity, and no
    /// reason to treat its owner as anonymous.
    user: Result<Option<User>, Status>,
    /// What its certificate is known by.
    certificate: Certificate,
}

impl Peer {
    /// What its certificate is known by.
    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(super) fn of(certificate: Option<&CertificateDer<'_>>, address: SocketAddr) -> Self {
        let Some(leaf) = certificate else {
            return Self {
                address,
                user: Ok(None),
                certificate: Certificate::default(),
            };
        };
        let user = skiff_auth::authn::from_certificate(leaf);
        Self {
            address,
            user: user.map(Some).map_err(|error| {
                tracing::debug!(%address, %error, "client certificate without a user");
                Status::unauthorized()
            }),
            certificate: Certificate {
                key: skiff_auth::authn::key_hash(leaf).unwrap_or_default(),
                issuer: skiff_auth::authn::issuer_key(leaf).unwrap_or_default(),
            },
        }
    }
}

pub(super) async fn handle(app: Arc<App>, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
    let begun = Instant::now();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let info = RequestInfo::parse(request.method(), request.uri().path(), &query);
    let headers = request.headers().clone();
    let is_head = request.method() == Method::HEAD;
    let known = info.is_resource
        && app
            .registry
            .resource(&info.group, &info.version, &info.resource)
            .is_some();
    let call_info = info.clone();
    let trail = app
        .audit
        .as_ref()
        .map(|audit| audit.begin(&info, request.uri(), &headers, peer.address));
    let mut response = match answer(&app, request, call_info, query, peer, trail.as_ref()).await {
        Ok(response) => response,
        Err(status) => respond::failure(&status, &headers),
    };
    let code = response.status().as_u16();
    if let Some(trail) = &trail {
        trail.ended(&response);
        if let Ok(id) = HeaderValue::from_str(trail.id()) {
            response.headers_mut().insert("audit-id", id);
        }
    }
    if !response.headers().contains_key("audit-id")
        && let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string())
    {
        response.headers_mut().insert("audit-id", id);
    }
    app.registry
        .metrics()
        .answered(&info, known, code, begun.elapsed());
    tracing::debug!(verb = info.verb, path = info.path, code, "request");
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn answer(
    app: &Arc<App>,
    mut request: Request<Incoming>,
    info: RequestInfo,
    query: Query,
    peer: &Peer,
    trail: Option<&Trail>,
) -> Result<Response<Body>, Status> {
    let certificate = peer.user.as_ref().map_err(Clone::clone)?;
    let mut member = None;
    if let (Some(members), Some(user)) = (&app.members, certificate) {
        if let Some(why) = members.refused(&peer.certificate) {
            let mut status = Status::unauthorized();
            status.message = why;
            return Err(status);
        }
        member = members.member_of(user, &peer.certificate.key);
    }
    let user = authn::authenticate(
        &app.registry,
        &app.tokens,
        request.headers(),
        certificate.as_ref(),
    )?;
    let acting_as = authn::impersonate(&app.registry, user.clone(), request.headers())?;
    if let Some(tap) = trail.and_then(|trail| trail.identified(&user, &acting_as)) {
        request.extensions_mut().insert(tap);
    }
    let user = acting_as;
    // Joining nodes have no identity yet: the join token in the body is theirs.
    if !join::is_open(&info) && !members::is_open(&info) {
        authorize(app, &user, &info, member)?;
    }
    let call = Call {
        info,
        query,
        user,
        certificate: peer.certificate.clone(),
        request,
    };
    if members::is_ours(&call.info) {
        return members::answer(app, call, member).await;
    }
    if call.info.is_resource {
        return resource::answer(app, call).await;
    }
    plain(app, call).await
}

fn authorize(app: &App, user: &User, info: &RequestInfo, member: Option<u64>) -> Result<(), Status> {
    if members::is_ours(info) {
        if member.is_some() {
            return Ok(());
        }
        if members::is_for_members(info) {
            return Err(authz::refusal(user, info, "only members may ask for this"));
        }
    }
    if let Some(node) = stream::tunnel_node(info) {
        return match user.node() {
            Some(name) if name == node => Ok(()),
            _ => Err(authz::refusal(
                user,
                info,
                "only the node itself may open its tunnel",
            )),
        };
    }
    if stream::packets_node(info).is_some() {
        return match user.node() {
            Some(_) => Ok(()),
            None => Err(authz::refusal(user, info, "only nodes may have packets carried")),
        };
    }
    if join::is_renewal(info) && user.node().is_some() {
        return Ok(());
    }
    match app.registry.authorize(user, &info.attributes()) {
        Decision::Allow(_) => Ok(()),
        Decision::NoOpinion(why) => Err(authz::refusal(user, info, &why)),
    }
}

/// Paths that are not for a resource.
async fn plain(app: &Arc<App>, call: Call) -> Result<Response<Body>, Status> {
    let path = call.info.path.trim_end_matches('/').to_owned();
    if join::is_open(&call.info) || join::is_renewal(&call.info) {
        return join::answer(app, call).await;
    }
    if stream::tunnel_node(&call.info).is_some() {
        return stream::accept_tunnel(app, call);
    }
    if stream::packets_node(&call.info).is_some() {
        return stream::carry_packets(app, call).await;
    }
    if !matches!(*call.request.method(), Method::GET | Method::HEAD) {
        return Err(match path.as_str() {
            "/version" | "/api" | "/apis" | "/healthz" | "/livez" | "/readyz" | "/metrics" => {
                Status::method_not_allowed()
            }
            _ => Status::no_such_path(),
        });
    }
    let headers = call.request.headers();
    let json = |bytes: bytes::Bytes| -> Result<Response<Body>, Status> {
        let accepted = accept::negotiate(headers, accept::PLAIN)?;
        Ok(Answer::new(200, bytes, accepted).into_response(headers, &call.query))
    };
    match path.as_str() {
        "" => json(app.discovery.paths()),
        "/version" => json(crate::discovery::version()),
        "/metrics" => {
            let text = app.registry.metrics().text(&app.registry.store().stats());
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            Ok(respond::with_type(200, text.into(), kind, headers))
        }
        crate::snapshot::PATH => crate::snapshot::answer(app, headers).await,
        "/.well-known/openid-configuration" => json(app.registry.tokens().discovery().to_string().into()),
        "/openid/v1/jwks" => {
            let text = app.registry.tokens().jwks().to_string();
            Ok(respond::with_type(
                200,
                text.into(),
                "application/jwk-set+json",
                headers,
            ))
        }
        _ if path.starts_with("/openapi/") => app.openapi.answer(&path, headers, &call.query),
        _ if health::is_health(&path) => Ok(health::answer(app, &path, &call.query, headers)),
        _ => match app.discovery.answer(&path, headers, &call.query)? {
            Some(response) => Ok(response),
            None => Err(Status::no_such_path()),
        },
    }
}

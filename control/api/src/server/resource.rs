//! Requests for resources: verbs and sub-resources to calls of the registry.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use serde_json::Value;
use skiff_resources::{FieldError, Part, Resource};

use super::{
    App,
    body::Body,
    respond::{self, Answer},
    route::Call,
};
use crate::{
    audit,
    registry::{
        self, Binding, DeleteOptions, Patch, PatchFormat, RequestContext, Target, Written, api_version_of,
    },
    request::{
        accept::{self, Accepted, Format, Offer},
        body::{self, Syntax},
        protobuf,
        query::{FieldValidation, ListOptions, dry_run, parse_version},
    },
    review,
    status::{Status, success},
    stream,
    table::{Include, View},
    watch,
};

/// Longest `fieldManager`.
const MANAGER_MAX: usize = 128;

pub(super) async fn answer(app: &Arc<App>, call: Call) -> Result<Response<Body>, Status> {
    let info = &call.info;
    let resource = app
        .registry
        .resource(&info.group, &info.version, &info.resource)
        .ok_or_else(Status::no_such_path)?;
    if resource.namespaced && info.namespace.is_empty() && !matches!(info.verb, "list" | "watch") {
        let review = resource.plural == "localsubjectaccessreviews";
        if !review {
            // The collection over all namespaces is there, to be read.
            return Err(if info.name.is_empty() {
                Status::method_not_allowed()
            } else {
                Status::no_such_path()
            });
        }
    }
    if !resource.namespaced && !info.namespace.is_empty() && resource.plural != "namespaces" {
        return Err(Status::no_such_path());
    }
    if !info.subresource.is_empty() {
        return subresource(app, call, resource).await;
    }
    if !resource.verbs.contains(&info.verb) {
        return Err(Status::method_not_allowed());
    }
    if info.verb == "create" && review::is_review(resource) {
        return review_answer(app, call, resource).await;
    }
    match info.verb {
        "get" => get(app, call, resource).await,
        "list" => list(app, call, resource).await,
        "watch" => watch(app, call, resource).await,
        "create" if info.name.is_empty() => create(app, call, resource).await,
        "update" | "patch" | "delete" if info.name.is_empty() => Err(Status::method_not_allowed()),
        "update" => update(app, call, resource, Part::Main).await,
        "patch" => patch(app, call, resource, Part::Main).await,
        "delete" => delete(app, call, resource).await,
        "deletecollection" => delete_collection(app, call, resource).await,
        _ => Err(Status::method_not_allowed()),
    }
}

/// Where an object of a call is. A namespace is in no namespace, although its requests name one.
fn target<'a>(call: &'a Call, resource: &'static Resource) -> Target<'a> {
    Target {
        resource,
        namespace: if resource.namespaced {
            &call.info.namespace
        } else {
            ""
        },
        name: &call.info.name,
    }
}

fn context(call: &Call) -> Result<RequestContext, Status> {
    let options = match call.info.verb {
        "patch" => "PatchOptions",
        "update" => "UpdateOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => "CreateOptions",
    };
    let manager = call.query.get("fieldManager").unwrap_or_default();
    field_manager(manager).map_err(|error| Status::invalid_kind("meta.k8s.io", options, "", &[error]))?;
    let agent = call
        .request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok());
    Ok(RequestContext {
        user: call.user.clone(),
        field_manager: manager.to_owned(),
        dry_run: dry_run(&call.query, options)?,
        field_validation: FieldValidation::from_query(&call.query)?,
        user_agent: agent.unwrap_or_default().to_owned(),
    })
}

/// A name of a field manager is short and can be printed.
fn field_manager(name: &str) -> Result<(), FieldError> {
    let error = |reason, message| {
        Err(FieldError {
            reason,
            field: "fieldManager".into(),
            message,
        })
    };
    if name.len() > MANAGER_MAX {
        let message = format!("Too long: may not be more than {MANAGER_MAX} bytes");
        return error("FieldValueTooLong", message);
    }
    match name.chars().enumerate().find(|(_, c)| c.is_control()) {
        Some((at, odd)) => {
            let message = format!(
                "Invalid value: {name:?}: invalid character U+{:04X} (at position {at})",
                u32::from(odd)
            );
            error("FieldValueInvalid", message)
        }
        None => Ok(()),
    }
}

fn view(call: &Call, resource: &Resource) -> Result<(Accepted, View), Status> {
    let offer = Offer {
        transforms: true,
        protobuf: protobuf::knows(&api_version_of(resource), &resource.kind),
    };
    let accepted = accept::negotiate(call.request.headers(), offer)?;
    let view = View {
        shape: accepted.shape,
        include: Include::from_query(&call.query)?,
    };
    Ok((accepted, view))
}

/// The response for a written object.
fn written(
    call_parts: &Parts,
    resource: &'static Resource,
    written: Written,
    warnings: Vec<String>,
) -> Response<Body> {
    let code = if written.created { 201 } else { 200 };
    let value = written.value;
    let bytes = call_parts
        .view
        .object(resource, &written.bytes, || (*value).clone(), true);
    let mut answer = Answer::new(code, bytes, call_parts.accepted);
    answer.warnings = warnings;
    answer.warnings.extend(written.warnings);
    answer.into_response(&call_parts.headers, &call_parts.query)
}

/// What is left of a call when its body has been read.
struct Parts {
    headers: http::HeaderMap,
    query: crate::request::query::Query,
    accepted: Accepted,
    view: View,
}

/// Takes the body out of a call.
async fn split(call: Call, resource: &Resource) -> Result<(Parts, Bytes), Status> {
    let (accepted, view) = view(&call, resource)?;
    let (head, incoming) = call.request.into_parts();
    let bytes = body::read(incoming).await?;
    if let Some(tap) = head.extensions.get::<audit::Tap>() {
        tap.leave(&bytes);
    }
    let parts = Parts {
        headers: head.headers,
        query: call.query,
        accepted,
        view,
    };
    Ok((parts, bytes))
}

async fn get(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let (accepted, view) = view(&call, resource)?;
    let at_least = parse_version(call.query.get("resourceVersion"))?;
    let object = app.registry.get(&target(&call, resource), at_least).await?;
    let value = || (*app.registry.parse(&object.entry).unwrap_or_default()).clone();
    let bytes = view.object(resource, &object.bytes, value, true);
    let mut answer = Answer::new(200, bytes, accepted);
    answer.warnings = stale(app, at_least);
    Ok(answer.into_response(call.request.headers(), &call.query))
}

/// The warning of a read that took what is here although no leader can say whether it is the newest.
fn stale(app: &App, at_least: Option<skiff_store::Revision>) -> Vec<String> {
    let leader = app.registry.store().leadership().borrow().leader;
    let may_be = at_least.is_some() && leader.is_none();
    let text = "this server has no contact with a majority of the servers: what it shows may be out of date";
    may_be.then(|| text.to_owned()).into_iter().collect()
}

/// Lists from this size on are sent piece by piece.
const PIECES_FROM: usize = 256 << 10;

async fn list(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let (accepted, view) = view(&call, resource)?;
    let options = ListOptions::from_query(&call.query, false)?;
    let list = app
        .registry
        .list(resource, &call.info.namespace, &options)
        .await?;
    let headers = call.request.headers();
    if list.item_bytes() >= PIECES_FROM
        && accepted.format == Format::Json
        && view.is_plain()
        && respond::is_sent_as_it_is(headers, &call.query)
    {
        let (size, pieces) = list.into_pieces(&api_version_of(resource), &resource.kind);
        return Ok(respond::pieces(size, pieces));
    }
    let bytes = view.list(&app.registry, resource, &list)?;
    let mut answer = Answer::new(200, bytes, accepted);
    answer.warnings = stale(app, options.resource_version);
    Ok(answer.into_response(call.request.headers(), &call.query))
}

async fn watch(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let (accepted, view) = view(&call, resource)?;
    if accepted.format == Format::Yaml {
        return Err(Status::not_acceptable());
    }
    let mut options = ListOptions::from_query(&call.query, true)?;
    // GET /…/{name}?watch=true is the old way to watch one object.
    if !call.info.name.is_empty() && resource.plural != "namespaces" {
        options.field_selector = format!("metadata.name={}", call.info.name);
    }
    let namespace = if resource.namespaced {
        call.info.namespace.clone()
    } else {
        String::new()
    };
    let request = watch::Request {
        resource,
        namespace,
        options,
        view,
        protobuf: accepted.format == Format::Protobuf,
    };
    let content_type = match accepted.format {
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        _ => "application/json",
    };
    let frames = watch::start(&app.registry, request, app.stop.clone()).await?;
    let mut response = Response::new(Body::stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    Ok(response)
}

/// Parses the body as an object of this resource.
fn parse(
    ctx: &RequestContext,
    resource: &Resource,
    headers: &http::HeaderMap,
    bytes: &[u8],
) -> Result<(Value, Vec<String>), Status> {
    let syntax = Syntax::of(body::media_type(headers))?;
    body::parse(
        bytes,
        syntax,
        &api_version_of(resource),
        &resource.kind,
        ctx.field_validation,
    )
}

/// Parses the body of a sub-resource, which has a type of its own; an empty body is an empty object.
fn parse_as(api_version: &str, kind: &str, headers: &http::HeaderMap, bytes: &[u8]) -> Result<Value, Status> {
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let syntax = Syntax::of(body::media_type(headers))?;
    Ok(body::parse(bytes, syntax, api_version, kind, FieldValidation::Ignore)?.0)
}

async fn create(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let namespace = if resource.namespaced {
        call.info.namespace.clone()
    } else {
        String::new()
    };
    let (parts, bytes) = split(call, resource).await?;
    let (object, warnings) = parse(&ctx, resource, &parts.headers, &bytes)?;
    drop(bytes);
    let done = app.registry.create(&ctx, resource, &namespace, object).await?;
    Ok(written(&parts, resource, done, warnings))
}

async fn update(
    app: &App,
    call: Call,
    resource: &'static Resource,
    part: Part,
) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let (namespace, name) = (
        target(&call, resource).namespace.to_owned(),
        call.info.name.clone(),
    );
    let (parts, bytes) = split(call, resource).await?;
    let (object, warnings) = parse(&ctx, resource, &parts.headers, &bytes)?;
    drop(bytes);
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    let done = app.registry.update(&ctx, &target, part, object).await?;
    Ok(written(&parts, resource, done, warnings))
}

fn patch_of(
    headers: &http::HeaderMap,
    query: &crate::request::query::Query,
    body: Bytes,
) -> Result<Patch, Status> {
    Ok(Patch {
        format: PatchFormat::of(body::media_type(headers))?,
        body,
        force: query.flag("force"),
    })
}

async fn patch(
    app: &App,
    call: Call,
    resource: &'static Resource,
    part: Part,
) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let (namespace, name) = (
        target(&call, resource).namespace.to_owned(),
        call.info.name.clone(),
    );
    let (parts, bytes) = split(call, resource).await?;
    let patch = patch_of(&parts.headers, &parts.query, bytes)?;
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    // Server-side apply creates what is not there: that takes the right to create, too.
    if patch.format == PatchFormat::Apply && app.registry.store().get(&target.key()).is_none() {
        let what = skiff_auth::Attributes {
            verb: "create",
            group: &resource.group,
            resource: &resource.plural,
            namespace: &namespace,
            name: &name,
            ..skiff_auth::Attributes::default()
        };
        if let skiff_auth::Decision::NoOpinion(why) = app.registry.authorize(&ctx.user, &what) {
            return Err(crate::authz::refusal_for(&ctx.user, &what, &why));
        }
    }
    let done = app.registry.patch(&ctx, &target, part, &patch).await?;
    Ok(written(&parts, resource, done, Vec::new()))
}

/// The options of a delete: the body, with query parameters filling in.
fn delete_options(parts: &Parts, bytes: &[u8]) -> Result<(DeleteOptions, bool), Status> {
    let mut value = parse_as("v1", "DeleteOptions", &parts.headers, bytes)?;
    if let Some(seconds) = parts.query.number::<i64>("gracePeriodSeconds")? {
        value["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(policy) = parts.query.get("propagationPolicy") {
        value["propagationPolicy"] = policy.into();
    }
    if let Some(orphan) = parts.query.get("orphanDependents") {
        value["orphanDependents"] = (orphan == "true" || orphan == "1").into();
    }
    let dry = value["dryRun"]
        .as_array()
        .is_some_and(|d| d.iter().any(|v| v == "All"));
    Ok((DeleteOptions::from_value(&value)?, dry))
}

async fn delete(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let mut ctx = context(&call)?;
    let (namespace, name) = (
        target(&call, resource).namespace.to_owned(),
        call.info.name.clone(),
    );
    let (parts, bytes) = split(call, resource).await?;
    let (options, dry) = delete_options(&parts, &bytes)?;
    ctx.dry_run |= dry;
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    let deleted = app.registry.delete(&ctx, &target, &options).await?;
    // As Kubernetes does for those who ask in the old way, and for no others.
    let code = if options.asks_dependents_deleted && !deleted.gone {
        202
    } else {
        200
    };
    let answer = Answer::new(
        code,
        deleted.bytes,
        Accepted {
            format: parts.accepted.format,
            ..Accepted::default()
        },
    );
    Ok(answer.into_response(&parts.headers, &parts.query))
}

async fn delete_collection(
    app: &App,
    call: Call,
    resource: &'static Resource,
) -> Result<Response<Body>, Status> {
    let mut ctx = context(&call)?;
    let list = ListOptions::from_query(&call.query, false)?;
    let namespace = if resource.namespaced {
        call.info.namespace.clone()
    } else {
        String::new()
    };
    let (parts, bytes) = split(call, resource).await?;
    let (options, dry) = delete_options(&parts, &bytes)?;
    ctx.dry_run |= dry;
    let bytes = app
        .registry
        .delete_collection(&ctx, resource, &namespace, &list, &options)
        .await?;
    Ok(Answer::new(200, bytes, parts.accepted).into_response(&parts.headers, &parts.query))
}

async fn review_answer(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let namespace = call.info.namespace.clone();
    let (parts, bytes) = split(call, resource).await?;
    let (object, warnings) = parse(&ctx, resource, &parts.headers, &bytes)?;
    let value = review::answer(app, &ctx.user, resource, &namespace, object)?;
    let mut answer = Answer::new(201, value.to_string(), parts.accepted);
    answer.warnings = warnings;
    Ok(answer.into_response(&parts.headers, &parts.query))
}

async fn subresource(
    app: &Arc<App>,
    call: Call,
    resource: &'static Resource,
) -> Result<Response<Body>, Status> {
    let info = &call.info;
    let name = info.subresource.as_str();
    if stream::is_stream(resource, name) {
        return stream::answer(app, call, resource).await;
    }
    let row = resource
        .subresources
        .iter()
        .find(|s| s.name == name)
        .ok_or_else(Status::no_such_path)?;
    if !row.verbs.contains(&info.verb) {
        return Err(Status::method_not_allowed());
    }
    match (name, info.verb) {
        ("scale", _) => scale(app, call, resource).await,
        ("binding", "create") => bind(app, call, resource).await,
        ("eviction", "create") => evict(app, call, resource).await,
        ("token", "create") => token(app, call, resource).await,
        (_, "get") => get(app, call, resource).await,
        ("status", "update") => update(app, call, resource, Part::Status).await,
        ("status", "patch") => patch(app, call, resource, Part::Status).await,
        (_, "update") => update(app, call, resource, Part::Other(row.name)).await,
        (_, "patch") => patch(app, call, resource, Part::Other(row.name)).await,
        _ => Err(Status::method_not_allowed()),
    }
}

async fn scale(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let method = call.request.method().clone();
    let (namespace, name) = (call.info.namespace.clone(), call.info.name.clone());
    let (parts, bytes) = split(call, resource).await?;
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    let scale = match method {
        Method::GET | Method::HEAD => app.registry.get_scale(&target).await?,
        Method::PUT => {
            let scale = parse_as("autoscaling/v1", "Scale", &parts.headers, &bytes)?;
            app.registry.update_scale(&ctx, &target, &scale).await?
        }
        _ => {
            let patch = patch_of(&parts.headers, &parts.query, bytes)?;
            app.registry.patch_scale(&ctx, &target, &patch).await?
        }
    };
    Ok(Answer::new(200, scale.to_string(), parts.accepted).into_response(&parts.headers, &parts.query))
}

async fn bind(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let ctx = context(&call)?;
    let (namespace, name) = (call.info.namespace.clone(), call.info.name.clone());
    let (parts, bytes) = split(call, resource).await?;
    let object = parse_as("v1", "Binding", &parts.headers, &bytes)?;
    if registry::meta::name(&object) != name {
        return Err(Status::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    let kind = registry::meta::text(&object, &["target", "kind"]);
    let node = registry::meta::text(&object, &["target", "name"]);
    let mut wrong = Vec::new();
    if !matches!(kind, "" | "Node") {
        wrong.push(format!(
            "target.kind: Unsupported value: \"{kind}\": supported values: \"Node\", \"<empty>\""
        ));
    }
    if node.is_empty() {
        wrong.push("target.name: Required value".to_owned());
    }
    match wrong.as_slice() {
        [] => {}
        [one] => return Err(Status::bad_request(one)),
        several => return Err(Status::bad_request(format!("[{}]", several.join(", ")))),
    }
    let binding = Binding {
        namespace,
        name,
        uid: registry::meta::uid(&object).to_owned(),
        node: node.to_owned(),
    };
    app.registry.bind(&ctx, &binding, &object).await?;
    Ok(Answer::new(201, success(201, None).to_string(), parts.accepted)
        .into_response(&parts.headers, &parts.query))
}

async fn evict(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let mut ctx = context(&call)?;
    let (namespace, name) = (call.info.namespace.clone(), call.info.name.clone());
    let (parts, bytes) = split(call, resource).await?;
    let object = parse_as("policy/v1", "Eviction", &parts.headers, &bytes)?;
    let given = registry::meta::name(&object);
    if !given.is_empty() && given != name {
        return Err(Status::bad_request(
            "name in URL does not match name in Eviction object",
        ));
    }
    let options = &object["deleteOptions"];
    ctx.dry_run |= options["dryRun"]
        .as_array()
        .is_some_and(|d| d.iter().any(|v| v == "All"));
    let options = DeleteOptions::from_value(options)?;
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    app.registry.evict(&ctx, &target, &options).await?;
    Ok(Answer::new(201, success(201, None).to_string(), parts.accepted)
        .into_response(&parts.headers, &parts.query))
}

async fn token(app: &App, call: Call, resource: &'static Resource) -> Result<Response<Body>, Status> {
    let user = call.user.clone();
    let (namespace, name) = (call.info.namespace.clone(), call.info.name.clone());
    let (parts, bytes) = split(call, resource).await?;
    let object = parse_as("authentication.k8s.io/v1", "TokenRequest", &parts.headers, &bytes)?;
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    let value = review::token::request(&app.registry, &user, &target, object)?;
    Ok(Answer::new(201, value.to_string(), parts.accepted).into_response(&parts.headers, &parts.query))
}

//! TokenReview (is this token good, whose is it) and TokenRequest (`serviceaccounts/{name}/token`).

use serde_json::{Value, json};
use skiff_auth::{User, token};
use skiff_resources::FieldError;

use crate::{
    registry::{Registry, Target, meta},
    server::App,
    status::Status,
};

/// Kubernetes' limits and default.
const SHORTEST: i64 = 600;
const DEFAULT: i64 = 3600;
const LONGEST: i64 = 1 << 32;

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

/// The status of a TokenReview.
///
/// # Errors
/// 400 without a token.
pub(super) fn review(app: &App, spec: &Value) -> Result<Value, Status> {
    let token = meta::text(spec, &["token"]);
    if token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let Ok(verified) = app.tokens.verify(&app.registry, token) else {
        return Ok(json!({"user": {}, "error": "invalid bearer token"}));
    };
    let mut wanted = strings(&spec["audiences"]);
    if wanted.is_empty() {
        wanted.push(app.registry.tokens().issuer().to_owned());
    }
    wanted.retain(|a| verified.audiences.contains(a));
    if wanted.is_empty() {
        let error = format!(
            "token audiences {:?} is invalid for the target audiences",
            verified.audiences
        );
        return Ok(json!({"user": {}, "error": error}));
    }
    Ok(json!({"authenticated": true, "user": verified.user, "audiences": wanted}))
}

/// Answers a TokenRequest for a service account.
pub(crate) fn request(
    registry: &Registry,
    user: &User,
    target: &Target<'_>,
    mut object: Value,
) -> Result<Value, Status> {
    let account = registry
        .peek("", "serviceaccounts", target.namespace, target.name)
        .ok_or_else(|| Status::not_found(target.resource, target.name))?;
    let spec = &object["spec"];
    let invalid = |field: &str, message: String| {
        let error = FieldError {
            reason: "FieldValueInvalid",
            field: field.to_owned(),
            message,
        };
        Status::invalid_kind("authentication.k8s.io", "TokenRequest", target.name, &[error])
    };
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(DEFAULT);
    if seconds < SHORTEST {
        let message = format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        return Err(invalid("spec.expirationSeconds", message));
    }
    if seconds > LONGEST {
        let message =
            format!("Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds");
        return Err(invalid("spec.expirationSeconds", message));
    }
    let mut request = token::Request {
        namespace: target.namespace.to_owned(),
        service_account: target.name.to_owned(),
        service_account_uid: meta::uid(&account).to_owned(),
        audiences: strings(&spec["audiences"]),
        expiration_seconds: seconds,
        ..token::Request::default()
    };
    bind(registry, user, target, &spec["boundObjectRef"], &mut request)?;
    let (token, expires) = registry
        .tokens()
        .issue(&request, meta::now())
        .map_err(Status::internal)?;
    object["apiVersion"] = json!("authentication.k8s.io/v1");
    object["kind"] = json!("TokenRequest");
    let metadata = meta::metadata(&mut object);
    metadata.insert("name".into(), json!(target.name));
    metadata.insert("namespace".into(), json!(target.namespace));
    metadata.insert("creationTimestamp".into(), json!(meta::rfc3339(meta::now())));
    object["spec"]["expirationSeconds"] = json!(seconds);
    if request.audiences.is_empty() {
        object["spec"]["audiences"] = json!([registry.tokens().issuer()]);
    }
    object["status"] = json!({"token": token, "expirationTimestamp": meta::rfc3339(expires)});
    Ok(object)
}

/// Binds a token to a pod, secret or node, so that it ends with it.
fn bind(
    registry: &Registry,
    user: &User,
    target: &Target<'_>,
    reference: &Value,
    request: &mut token::Request,
) -> Result<(), Status> {
    let kind = meta::text(reference, &["kind"]);
    let name = meta::text(reference, &["name"]);
    let uid = meta::text(reference, &["uid"]);
    let refuse = |why: &str| Status::forbidden(target.resource, target.name, why);
    if let Some(node) = user.node()
        && kind != "Pod"
    {
        return Err(refuse(&format!("node {node} requested token not bound to a pod")));
    }
    let find = |plural: &str, namespace: &str| {
        let row = registry
            .any_version("", plural)
            .ok_or_else(Status::no_such_path)?;
        let found = registry
            .peek("", plural, namespace, name)
            .ok_or_else(|| Status::not_found(row, name))?;
        if !uid.is_empty() && uid != meta::uid(&found) {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
                 have been deleted and then recreated"
            );
            return Err(Status::conflict(row, name, &why));
        }
        Ok(found)
    };
    match kind {
        "" => Ok(()),
        "Pod" => {
            let pod = find("pods", target.namespace)?;
            if meta::text(&pod, &["spec", "serviceAccountName"]) != target.name {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
                    target.name
                )));
            }
            let node = meta::text(&pod, &["spec", "nodeName"]);
            if let Some(asking) = user.node()
                && asking != node
            {
                return Err(refuse(
                    "node requested token bound to a pod scheduled on a different node",
                ));
            }
            request.pod = Some((name.to_owned(), meta::uid(&pod).to_owned()));
            if let Some(found) = registry.peek("", "nodes", "", node) {
                request.node = Some((node.to_owned(), meta::uid(&found).to_owned()));
            }
            Ok(())
        }
        "Secret" => {
            let secret = find("secrets", target.namespace)?;
            request.secret = Some((name.to_owned(), meta::uid(&secret).to_owned()));
            Ok(())
        }
        "Node" => {
            let node = find("nodes", "")?;
            request.node = Some((name.to_owned(), meta::uid(&node).to_owned()));
            Ok(())
        }
        other => Err(Status::bad_request(format!(
            "cannot bind token to object of type {other}"
        ))),
    }
}

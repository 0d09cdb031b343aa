//! Questions about users and rights: the reviews of `authentication.k8s.io` and `authorization.k8s.io`. They are
//! created, answered, and never stored.

pub(crate) mod token;

use serde_json::{Value, json};
use skiff_auth::{Attributes, Decision, User};
use skiff_resources::{FieldError, Resource};

use crate::{registry::meta, server::App, status::Status};

/// Whether a kind is answered here.
pub(crate) fn is_review(resource: &Resource) -> bool {
    matches!(&*resource.group, "authentication.k8s.io" | "authorization.k8s.io")
        || (resource.group.is_empty() && resource.plural == "bindings")
}

/// Answers a review: the object with its status.
pub(crate) fn answer(
    app: &App,
    user: &User,
    resource: &'static Resource,
    namespace: &str,
    mut object: Value,
) -> Result<Value, Status> {
    let group = &resource.group;
    let version = &resource.version;
    object["apiVersion"] = json!(if group.is_empty() {
        version.to_string()
    } else {
        format!("{group}/{version}")
    });
    object["kind"] = json!(resource.kind);
    meta::metadata(&mut object);
    let status = match &*resource.plural {
        "selfsubjectreviews" => json!({"userInfo": user}),
        "tokenreviews" => token::review(app, &object["spec"])?,
        "selfsubjectaccessreviews" => access(app, resource, user, &object["spec"])?,
        "subjectaccessreviews" => access(
            app,
            resource,
            &subject(resource, &object["spec"])?,
            &object["spec"],
        )?,
        "localsubjectaccessreviews" => {
            let asked = meta::text(&object, &["spec", "resourceAttributes", "namespace"]);
            if asked != namespace {
                return Err(invalid(
                    resource,
                    "spec.resourceAttributes.namespace",
                    &format!("Invalid value: \"{asked}\": must match metadata.namespace"),
                ));
            }
            access(
                app,
                resource,
                &subject(resource, &object["spec"])?,
                &object["spec"],
            )?
        }
        "selfsubjectrulesreviews" => {
            let namespace = meta::text(&object, &["spec", "namespace"]);
            if namespace.is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            let (resources, paths) = app.registry.authorizer().policy().rules(user, namespace);
            json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
        }
        _ => return Err(Status::method_not_allowed()),
    };
    object["status"] = status;
    Ok(object)
}

fn invalid(resource: &Resource, field: &str, message: &str) -> Status {
    Status::invalid(
        resource,
        "",
        &[FieldError {
            reason: "FieldValueInvalid",
            field: field.to_owned(),
            message: message.to_owned(),
        }],
    )
}

/// The user a SubjectAccessReview asks about.
fn subject(resource: &Resource, spec: &Value) -> Result<User, Status> {
    let strings = |v: &Value| -> Vec<String> {
        v.as_array()
            .into_iter()
            .flatten()
            .filter_map(|g| g.as_str().map(str::to_owned))
            .collect()
    };
    let user = User {
        name: meta::text(spec, &["user"]).to_owned(),
        uid: meta::text(spec, &["uid"]).to_owned(),
        groups: strings(&spec["groups"]),
        extra: spec["extra"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, values)| (key.clone(), strings(values)))
            .collect(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        return Err(invalid(
            resource,
            "spec.user",
            "Invalid value: \"\": at least one of user or group must be specified",
        ));
    }
    Ok(user)
}

fn access(app: &App, resource: &Resource, user: &User, spec: &Value) -> Result<Value, Status> {
    let object = spec.get("resourceAttributes").filter(|v| v.is_object());
    let path = spec.get("nonResourceAttributes").filter(|v| v.is_object());
    let what = match (object, path) {
        (Some(a), None) => Attributes {
            verb: meta::text(a, &["verb"]),
            group: meta::text(a, &["group"]),
            resource: meta::text(a, &["resource"]),
            subresource: meta::text(a, &["subresource"]),
            namespace: meta::text(a, &["namespace"]),
            name: meta::text(a, &["name"]),
            path: "",
        },
        (None, Some(a)) => Attributes {
            verb: meta::text(a, &["verb"]),
            path: meta::text(a, &["path"]),
            ..Attributes::default()
        },
        (Some(_), Some(a)) => {
            return Err(invalid(
                resource,
                "spec.nonResourceAttributes",
                &format!("Invalid value: {a}: cannot be specified in combination with resourceAttributes"),
            ));
        }
        (None, None) => {
            return Err(invalid(
                resource,
                "spec.resourceAttributes",
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ));
        }
    };
    Ok(match app.registry.authorize(user, &what) {
        Decision::Allow(why) => json!({"allowed": true, "reason": why}),
        Decision::NoOpinion(why) if why.is_empty() => json!({"allowed": false}),
        Decision::NoOpinion(why) => json!({"allowed": false, "reason": why}),
    })
}

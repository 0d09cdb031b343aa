//! Errors as clients see them: Kubernetes' `Status` object. Every failure of this crate becomes a [`Status`] and
//! every `Status` is rendered here.

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_resources::{FieldError, Resource};
use skiff_schema::PatchError;

/// A request that failed. Source of reasons and wordings: apimachinery `metav1.Status`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP code.
    pub code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, …; empty for none.
    pub reason: &'static str,
    /// Text for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
    /// A token to go on with after an expired list.
    pub continue_token: Option<Box<str>>,
}

/// `Status.details`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Object name.
    pub name: String,
    /// API group.
    pub group: String,
    /// Plural, or for `Invalid` the kind.
    pub kind: String,
    /// Uid.
    pub uid: String,
    /// Single problems.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds; 0: not said.
    pub retry_after_seconds: u32,
}

/// One entry of `Status.details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`, …
    pub reason: String,
    /// Text.
    pub message: String,
    /// Path of the field.
    pub field: String,
}

/// The name of a resource as messages print it: `deployments.apps`, or `pods` in the core group.
pub fn qualified(resource: &Resource) -> String {
    qualify(&resource.plural, &resource.group)
}

fn qualify(what: &str, group: &str) -> String {
    if group.is_empty() {
        what.to_owned()
    } else {
        format!("{what}.{group}")
    }
}

impl Status {
    /// A status without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }
    }

    fn about(mut self, name: &str, group: &str, kind: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            ..Details::default()
        }));
        self
    }

    fn with_causes(mut self, causes: Vec<Cause>) -> Self {
        self.details.get_or_insert_default().causes = causes;
        self
    }

    /// 429/503/504 with the seconds to wait.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", qualified(resource)),
        )
        .about(name, &resource.group, &resource.plural)
    }

    /// 404 for a path that nothing is served under.
    pub fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .about("", "", "")
    }

    /// 409 for a create.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(resource));
        Self::new(409, "AlreadyExists", message).about(name, &resource.group, &resource.plural)
    }

    /// 409 for a precondition; `why` comes after the colon.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            qualified(resource)
        );
        Self::new(409, "Conflict", message).about(name, &resource.group, &resource.plural)
    }

    /// 409 for a stale resourceVersion.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 for an object (or, without a name, for the resource).
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        Self::forbidden_for(&resource.group, &resource.plural, name, why)
    }

    /// 403, with the resource by name.
    pub fn forbidden_for(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let what = qualify(plural, group);
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} \"{name}\" is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(name, group, plural)
    }

    /// 422 with one cause per field.
    pub fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        Self::invalid_kind(&resource.group, &resource.kind, name, errors)
    }

    /// 422, with the kind by name.
    pub fn invalid_kind(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let texts: Vec<String> = errors
            .iter()
            .map(|e| format!("{}: {}", e.field, e.message))
            .collect();
        let text = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes = errors
            .iter()
            .map(|e| Cause {
                reason: e.reason.to_owned(),
                message: e.message.clone(),
                field: e.field.clone(),
            })
            .collect();
        Self::new(
            422,
            "Invalid",
            format!("{} \"{name}\" is invalid: {text}", qualify(kind, group)),
        )
        .about(name, group, kind)
        .with_causes(causes)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405 for a verb the resource does not have.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .about("", "", "")
    }

    /// 406.
    pub fn not_acceptable() -> Self {
        Self::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        )
    }

    /// 415; `accepted` lists what would be read.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    /// 410 for a revision that is no longer retained.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 504 for a revision that lies ahead.
    pub fn too_large_version(requested: u64, current: u64) -> Self {
        let mut status = Self::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {requested}, current: {current}"),
        )
        .retry_after(1);
        status.details.get_or_insert_default().causes = vec![Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }];
        status
    }

    /// 500.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .with_causes(vec![Cause {
            message: message.to_string(),
            ..Cause::default()
        }])
    }

    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// A patch that can't be applied.
    pub fn patch(error: PatchError) -> Self {
        match error {
            PatchError::BadRequest(message) => Self::bad_request(message),
            PatchError::Invalid(message) => {
                // No kind and no name: with them kubectl would not print the message.
                Self::new(422, "Invalid", message).about("", "", "")
            }
            PatchError::Conflicts(ref conflicts) => {
                let message = error.to_string();
                let causes = conflicts
                    .iter()
                    .map(|c| Cause {
                        reason: "FieldManagerConflict".into(),
                        message: c.message.clone(),
                        field: c.field.clone(),
                    })
                    .collect();
                Self::new(409, "Conflict", message).with_causes(causes)
            }
        }
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = json!(token);
        }
        let mut out = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            out["details"] = details.to_value();
        }
        out
    }

    /// The `Status` object as bytes.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(self.to_value().to_string())
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = serde_json::Map::new();
        for (key, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !value.is_empty() {
                out.insert(key.into(), json!(value));
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(Cause::to_value).collect();
            out.insert("causes".into(), Value::Array(causes));
        }
        if self.retry_after_seconds > 0 {
            out.insert("retryAfterSeconds".into(), json!(self.retry_after_seconds));
        }
        Value::Object(out)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut out = serde_json::Map::new();
        for (key, value) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !value.is_empty() {
                out.insert(key.into(), json!(value));
            }
        }
        Value::Object(out)
    }
}

/// `{"kind":"Status","status":"Success",…}` for calls that return no object.
pub fn success(code: u16, details: Option<(&Resource, &str, &str)>) -> Value {
    let mut out = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    });
    match details {
        Some((resource, name, uid)) => {
            let details = Details {
                name: name.into(),
                group: resource.group.to_string(),
                kind: resource.plural.to_string(),
                uid: uid.into(),
                ..Details::default()
            };
            out["details"] = details.to_value();
        }
        None => out["code"] = json!(code),
    }
    out
}

impl From<skiff_store::Error> for Status {
    fn from(error: skiff_store::Error) -> Self {
        use skiff_store::Error;
        match error {
            // Writers look at conflicts themselves; one that gets here lost a race it could not resolve.
            Error::Conflict { .. } => Self::new(
                409,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            Error::Compacted { requested, oldest } => {
                Self::expired(format!("too old resource version: {requested} ({oldest})"))
            }
            Error::Future { requested, current } => Self::too_large_version(requested, current),
            Error::TooLarge { size, limit } => Self::new(
                413,
                "RequestEntityTooLarge",
                format!("Request entity too large: {size} bytes, limit is {limit}"),
            ),
            // As a quota: trying again does not help, deleting something does.
            full @ Error::Full { .. } => Self::new(507, "InsufficientStorage", full.to_string()),
            Error::Unavailable(why) => {
                Self::unavailable(format!("the store is unavailable: {why}")).retry_after(1)
            }
            Error::Closed(why) => {
                Self::unavailable(format!("the store of this server is closed: {why}")).retry_after(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_shape_clients_parse() {
        let status = Status::forbidden_for("", "pods", "", "User \"bob\" cannot list resource \"pods\"");
        let value = status.to_value();
        assert_eq!(value["kind"], "Status");
        assert_eq!(value["status"], "Failure");
        assert_eq!(value["code"], 403);
        assert_eq!(value["reason"], "Forbidden");
        assert_eq!(value["details"], json!({"kind": "pods"}));
        assert_eq!(
            value["message"],
            "pods is forbidden: User \"bob\" cannot list resource \"pods\""
        );
    }

    #[test]
    fn several_field_errors_are_joined_in_brackets() {
        let errors = [
            FieldError {
                reason: "FieldValueRequired",
                field: "spec.a".into(),
                message: "Required value".into(),
            },
            FieldError {
                reason: "FieldValueInvalid",
                field: "spec.b".into(),
                message: "Invalid value: 3: must be less".into(),
            },
        ];
        let status = Status::invalid_kind("apps", "Deployment", "x", &errors);
        assert_eq!(
            status.message,
            "Deployment.apps \"x\" is invalid: [spec.a: Required value, spec.b: Invalid value: 3: must be less]"
        );
        assert_eq!(status.to_value()["details"]["causes"][1]["field"], "spec.b");
    }
}

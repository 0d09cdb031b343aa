//! The policy: the first rule that matches a request says how much of it is written down.

use serde::Deserialize;
use serde_json::Value;
use skiff_auth::User;

use crate::request::RequestInfo;

/// How much of a request is written down; each more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// Why a policy is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Its file.
    #[error("read it")]
    Read(#[source] std::io::Error),
    /// It is not YAML of that form.
    #[error("it does not parse: {0}")]
    Syntax(String),
    /// It is something else.
    #[error("it is {0:?}, not audit.k8s.io/v1 Policy")]
    Kind(String),
    /// It says nothing.
    #[error("it has no rules")]
    Empty,
    /// A rule that can't be meant.
    #[error("rule {number}: {reason}")]
    Rule {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
}

const STAGES: [&str; 4] = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Policy {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<Resources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

/// What the policy says about one request.
pub(super) struct Verdict {
    pub(super) level: Level,
    omit_stages: Vec<String>,
    omit_managed_fields: bool,
}

impl Verdict {
    /// Whether a stage is written down.
    pub(super) fn wants(&self, stage: &str) -> bool {
        self.level > Level::None && !self.omit_stages.iter().any(|omitted| omitted == stage)
    }

    /// An object without what is to be left out.
    pub(super) fn trimmed(&self, mut object: Value) -> Value {
        if self.omit_managed_fields {
            let trim = |object: &mut Value| {
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("managedFields");
                }
            };
            trim(&mut object);
            for item in object
                .get_mut("items")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                trim(item);
            }
        }
        object
    }
}

impl Policy {
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            serde_saphyr::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if policy.kind != "Policy" || policy.api_version != "audit.k8s.io/v1" {
            return Err(PolicyError::Kind(format!(
                "{} {}",
                policy.api_version, policy.kind
            )));
        }
        if policy.rules.is_empty() {
            return Err(PolicyError::Empty);
        }
        let unknown = |stages: &[String]| {
            stages
                .iter()
                .find(|stage| !STAGES.contains(&stage.as_str()))
                .cloned()
        };
        for (index, rule) in policy.rules.iter().enumerate() {
            let wrong = |reason: String| PolicyError::Rule {
                number: index + 1,
                reason,
            };
            if let Some(stage) = unknown(&rule.omit_stages) {
                return Err(wrong(format!("{stage:?} is no stage")));
            }
            let of_objects = !rule.resources.is_empty() || !rule.namespaces.is_empty();
            if of_objects && !rule.non_resource_urls.is_empty() {
                return Err(wrong("it is for resources and for other URLs".into()));
            }
        }
        if let Some(stage) = unknown(&policy.omit_stages) {
            return Err(PolicyError::Syntax(format!("{stage:?} is no stage")));
        }
        Ok(policy)
    }

    /// What the first rule that matches says; nothing, when none does.
    pub(super) fn judge(&self, user: &User, info: &RequestInfo) -> Verdict {
        let Some(rule) = self.rules.iter().find(|rule| rule.matches(user, info)) else {
            return Verdict {
                level: Level::None,
                omit_stages: Vec::new(),
                omit_managed_fields: false,
            };
        };
        // A rule for everything is not meant to put passwords into a log: only one that names them does.
        let level = if holds_secrets(info) && !rule.names(info) {
            rule.level.min(Level::Metadata)
        } else {
            rule.level
        };
        Verdict {
            level,
            omit_stages: self
                .omit_stages
                .iter()
                .chain(&rule.omit_stages)
                .cloned()
                .collect(),
            omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
        }
    }
}

/// Requests whose bodies, or whose answers, are secret.
fn holds_secrets(info: &RequestInfo) -> bool {
    match (info.group.as_str(), info.resource.as_str()) {
        ("", "secrets") | ("authentication.k8s.io", "tokenreviews") => true,
        ("", "serviceaccounts") => info.subresource == "token",
        _ => false,
    }
}

fn is_in(list: &[String], text: &str) -> bool {
    list.is_empty() || list.iter().any(|entry| entry == text)
}

impl Rule {
    fn matches(&self, user: &User, info: &RequestInfo) -> bool {
        if !is_in(&self.users, &user.name) || !is_in(&self.verbs, info.verb) {
            return false;
        }
        if !self.user_groups.is_empty() && !self.user_groups.iter().any(|group| user.is_in(group)) {
            return false;
        }
        if info.is_resource {
            if !self.non_resource_urls.is_empty() || !is_in(&self.namespaces, &info.namespace) {
                return false;
            }
            return self.resources.is_empty() || self.resources.iter().any(|entry| entry.matches(info));
        }
        if !self.resources.is_empty() || !self.namespaces.is_empty() {
            return false;
        }
        self.non_resource_urls.is_empty() || self.non_resource_urls.iter().any(|url| is_url(url, &info.path))
    }

    /// Whether the rule names this kind, rather than matching whatever comes.
    fn names(&self, info: &RequestInfo) -> bool {
        self.resources.iter().any(|entry| {
            entry.group == info.group
                && entry
                    .resources
                    .iter()
                    .any(|name| name.split('/').next() == Some(&info.resource))
        })
    }
}

impl Resources {
    fn matches(&self, info: &RequestInfo) -> bool {
        if self.group != info.group && self.group != "*" {
            return false;
        }
        if !is_in(&self.resource_names, &info.name) {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        let combined = format!("{}/{}", info.resource, info.subresource);
        self.resources.iter().any(|entry| {
            entry == "*"
                || (info.subresource.is_empty() && *entry == info.resource)
                || *entry == combined
                || entry
                    .strip_prefix("*/")
                    .is_some_and(|sub| sub == info.subresource)
                || entry
                    .strip_suffix("/*")
                    .is_some_and(|resource| resource == info.resource)
        })
    }
}

/// `*` at the end stands for anything.
fn is_url(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::request::query::Query;

    const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ['system:kube-scheduler']
- level: None
  nonResourceURLs: ['/healthz*', /version]
- level: RequestResponse
  resources:
  - group: ''
    resources: [secrets]
  namespaces: [asked]
- level: RequestResponse
  verbs: [create, update]
- level: Request
  resources:
  - group: apps
    resources: ['deployments/*']
- level: Metadata
  userGroups: ['system:authenticated']
";

    fn level(user: &User, method: Method, path: &str) -> Level {
        let policy = Policy::parse(POLICY).unwrap();
        policy
            .judge(user, &RequestInfo::parse(&method, path, &Query::parse("")))
            .level
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let jane = User::authenticated("jane", &[]);
        let maps = "/api/v1/namespaces/a/configmaps";
        assert_eq!(level(&jane, Method::POST, maps), Level::RequestResponse);
        assert_eq!(level(&jane, Method::GET, maps), Level::Metadata);
        assert_eq!(level(&User::anonymous(), Method::GET, maps), Level::None);
        let scheduler = User::authenticated("system:kube-scheduler", &[]);
        assert_eq!(level(&scheduler, Method::POST, maps), Level::None);
        assert_eq!(level(&jane, Method::GET, "/healthz/etcd"), Level::None);
        assert_eq!(level(&jane, Method::GET, "/version"), Level::None);
        assert_eq!(level(&jane, Method::GET, "/metrics"), Level::Metadata);
        let scale = "/apis/apps/v1/namespaces/a/deployments/web/scale";
        assert_eq!(level(&jane, Method::PATCH, scale), Level::Request);
    }

    #[test]
    fn secrets_are_written_down_only_when_a_rule_names_them() {
        let jane = User::authenticated("jane", &[]);
        let secrets = |ns: &str| format!("/api/v1/namespaces/{ns}/secrets");
        assert_eq!(level(&jane, Method::POST, &secrets("a")), Level::Metadata);
        assert_eq!(
            level(&jane, Method::POST, &secrets("asked")),
            Level::RequestResponse
        );
        let token = "/api/v1/namespaces/a/serviceaccounts/default/token";
        assert_eq!(level(&jane, Method::POST, token), Level::Metadata);
    }

    #[test]
    fn stages_and_managed_fields_are_left_out_as_asked() {
        let policy = Policy::parse(
            "{apiVersion: audit.k8s.io/v1, kind: Policy, omitManagedFields: true, rules: [{level: Request, \
             omitStages: [ResponseStarted]}]}",
        )
        .unwrap();
        let info = RequestInfo::parse(&Method::GET, "/api/v1/pods", &Query::parse(""));
        let verdict = policy.judge(&User::anonymous(), &info);
        assert!(verdict.wants("RequestReceived") && !verdict.wants("ResponseStarted"));
        let list = serde_json::json!({"items": [{"metadata": {"name": "a", "managedFields": []}}]});
        assert_eq!(
            verdict.trimmed(list)["items"][0]["metadata"],
            serde_json::json!({"name": "a"})
        );
    }

    #[test]
    fn what_is_no_policy_is_refused_with_the_reason() {
        for (text, part) in [
            ("rules: [", "does not parse"),
            ("{apiVersion: v1, kind: Pod}", "not audit.k8s.io/v1"),
            ("{apiVersion: audit.k8s.io/v1, kind: Policy}", "no rules"),
            (
                "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Much}]}",
                "does not parse",
            ),
            (
                "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: None, omitStages: [Late]}]}",
                "rule 1",
            ),
        ] {
            let error = Policy::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

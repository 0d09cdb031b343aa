//! Query parameters and the options in them.

use crate::status::Status;

/// Decoded query parameters, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Splits and decodes `a=b&c=d`.
    pub fn parse(query: &str) -> Self {
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (percent_decode(key, true), percent_decode(value, true))
                })
                .collect(),
        )
    }

    /// The first value of a parameter, if it is there and not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, v)| k == key && !v.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Whether a boolean parameter is on: present and neither `false` nor `0` (as Kubernetes reads them).
    pub fn flag(&self, key: &str) -> bool {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .is_some_and(|(_, v)| !matches!(v.as_str(), "false" | "0"))
    }

    /// A number.
    ///
    /// # Errors
    /// 400 when it is not one.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Status> {
        self.get(key)
            .map(|text| {
                text.parse()
                    .map_err(|_| Status::bad_request(format!("invalid value {text:?} for parameter {key}")))
            })
            .transpose()
    }
}

/// Decodes `%41` (and `+` as a space where `plus` says so). What does not decode stays as it is.
pub fn percent_decode(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
                match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
                    Some(byte) => {
                        out.push(byte);
                        i += 3;
                        continue;
                    }
                    None => out.push(b'%'),
                }
            }
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How unknown and duplicate fields are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Forgotten silently.
    Ignore,
    /// Forgotten, with a `Warning` header each.
    #[default]
    Warn,
    /// Refused.
    Strict,
}

impl FieldValidation {
    /// From the query parameter.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        match query.get("fieldValidation") {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Status::invalid_kind(
                "meta.k8s.io",
                "CreateOptions",
                "",
                &[skiff_resources::FieldError {
                    reason: "FieldValueNotSupported",
                    field: "fieldValidation".into(),
                    message: format!(
                        "Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
                    ),
                }],
            )),
        }
    }
}

/// `dryRun=All`. `options` is the kind that the parameters of the verb make up.
///
/// # Errors
/// 422 for any other value.
pub fn dry_run(query: &Query, options: &str) -> Result<bool, Status> {
    match query.all("dryRun").find(|v| !v.is_empty()) {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Status::invalid_kind(
            "meta.k8s.io",
            options,
            "",
            &[skiff_resources::FieldError {
                reason: "FieldValueNotSupported",
                field: "dryRun".into(),
                message: format!("Unsupported value: [{other:?}]: supported values: \"All\""),
            }],
        )),
    }
}

/// The options of get, list and watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `labelSelector` as sent.
    pub label_selector: String,
    /// `fieldSelector` as sent.
    pub field_selector: String,
    /// `resourceVersion`; `None`: not given.
    pub resource_version: Option<u64>,
    /// `resourceVersionMatch`.
    pub version_match: Option<VersionMatch>,
    /// `limit`; 0: none.
    pub limit: usize,
    /// `continue`.
    pub continue_token: Option<String>,
    /// `timeoutSeconds`.
    pub timeout_seconds: Option<u64>,
    /// `allowWatchBookmarks`.
    pub bookmarks: bool,
    /// `sendInitialEvents`; `None`: not given.
    pub send_initial_events: Option<bool>,
}

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// Data at least as new.
    NotOlderThan,
    /// Data exactly as it was.
    Exact,
}

impl ListOptions {
    /// From the query parameters.
    ///
    /// # Errors
    /// 400 for values that can't be read, 422 for combinations that make no sense.
    pub fn from_query(query: &Query, watch: bool) -> Result<Self, Status> {
        let resource_version = parse_version(query.get("resourceVersion"))?;
        let version_match = match query.get("resourceVersionMatch") {
            None => None,
            Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
            Some("Exact") => Some(VersionMatch::Exact),
            Some(other) => {
                return Err(invalid_option(
                    "FieldValueNotSupported",
                    "resourceVersionMatch",
                    format!(
                        "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
                    ),
                ));
            }
        };
        let options = Self {
            label_selector: query.get("labelSelector").unwrap_or_default().to_owned(),
            field_selector: query.get("fieldSelector").unwrap_or_default().to_owned(),
            resource_version,
            version_match,
            limit: query.number::<i64>("limit")?.unwrap_or(0).max(0) as usize,
            continue_token: query.get("continue").map(str::to_owned),
            timeout_seconds: query.number("timeoutSeconds")?,
            bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query
                .get("sendInitialEvents")
                .map(|v| !matches!(v, "false" | "0")),
        };
        options.check(watch)?;
        Ok(options)
    }

    fn check(&self, watch: bool) -> Result<(), Status> {
        let forbidden = |field: &str, why: &str| {
            Err(invalid_option(
                "FieldValueForbidden",
                field,
                format!("Forbidden: {why}"),
            ))
        };
        if watch {
            match (self.send_initial_events, self.version_match) {
                (Some(_), Some(VersionMatch::NotOlderThan)) | (None, None) => {}
                (Some(_), None) => {
                    return forbidden(
                        "resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    );
                }
                (Some(_), Some(VersionMatch::Exact)) => {
                    return Err(invalid_option(
                        "FieldValueNotSupported",
                        "resourceVersionMatch",
                        "Unsupported value: \"Exact\": supported values: \"NotOlderThan\"".into(),
                    ));
                }
                (None, Some(_)) => {
                    return forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                    );
                }
            }
            return Ok(());
        }
        if self.send_initial_events.is_some() {
            return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if self.version_match.is_some() {
            if self.resource_version.is_none() {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if self.continue_token.is_some() {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            if self.version_match == Some(VersionMatch::Exact) && self.resource_version == Some(0) {
                return forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        if self.continue_token.is_some() && self.resource_version.is_some_and(|v| v != 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(())
    }
}

fn invalid_option(reason: &'static str, field: &str, message: String) -> Status {
    Status::invalid_kind(
        "meta.k8s.io",
        "ListOptions",
        "",
        &[skiff_resources::FieldError {
            reason,
            field: field.to_owned(),
            message,
        }],
    )
}

/// A resourceVersion; `None` when empty.
///
/// # Errors
/// 400 when it is not a number.
pub fn parse_version(text: Option<&str>) -> Result<Option<u64>, Status> {
    text.map(|text| {
        text.parse().map_err(|_| {
            Status::bad_request(format!(
                "Invalid value: \"{text}\": resourceVersion: must be a number"
            ))
        })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dweb%2Ctier+in+%28a%29&command=ls&command=-l&watch");
        assert_eq!(query.get("labelSelector"), Some("app=web,tier in (a)"));
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["ls", "-l"]);
        assert!(query.flag("watch"));
        assert!(!Query::parse("watch=false").flag("watch"));
    }

    #[test]
    fn initial_events_need_not_older_than() {
        let parse = |q: &str, watch| ListOptions::from_query(&Query::parse(q), watch);
        assert!(parse("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", true).is_ok());
        assert_eq!(parse("sendInitialEvents=true", true).unwrap_err().code, 422);
        let exact = parse("sendInitialEvents=true&resourceVersionMatch=Exact", true);
        assert_eq!(exact.unwrap_err().code, 422);
        assert_eq!(parse("resourceVersionMatch=Exact", false).unwrap_err().code, 422);
        assert_eq!(
            parse("continue=x&resourceVersion=5", false).unwrap_err().code,
            400
        );
    }
}

//! Probes and lifecycle hooks.

use serde_json::Value;

use crate::{
    validate::{Errors, Path, counter, exactly_one, port, port_or_name},
    value::{get, has, int, list, text},
};

/// Probes and hooks of a container that may have them.
pub(super) fn all(errors: &mut Errors, path: &Path<'_>, container: &Value) {
    for (name, once) in [
        ("livenessProbe", true),
        ("readinessProbe", false),
        ("startupProbe", true),
    ] {
        let Some(probe) = get(container, name) else {
            continue;
        };
        let at = path.field(name);
        self::probe(errors, &at, probe);
        let successes = int(probe, "successThreshold").unwrap_or(1);
        if once && successes != 1 {
            errors.invalid(&at.field("successThreshold"), successes, "must be 1");
        }
        let grace = int(probe, "terminationGracePeriodSeconds");
        if let Some(seconds) = grace {
            let at = at.field("terminationGracePeriodSeconds");
            if name == "readinessProbe" {
                errors.invalid(&at, seconds, "must not be set for readinessProbes");
            } else if seconds <= 0 {
                errors.invalid(&at, seconds, "must be greater than 0");
            }
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(hook) = get(container, "lifecycle").and_then(|l| get(l, name)) {
            handler(
                errors,
                &path.field("lifecycle").field(name),
                hook,
                &["exec", "httpGet", "tcpSocket", "sleep"],
            );
        }
    }
}

fn probe(errors: &mut Errors, path: &Path<'_>, probe: &Value) {
    handler(errors, path, probe, &["exec", "httpGet", "tcpSocket", "grpc"]);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        counter(errors, path, probe, field);
    }
}

fn handler(errors: &mut Errors, path: &Path<'_>, handler: &Value, kinds: &[&str]) {
    exactly_one(
        errors,
        path,
        handler,
        kinds,
        "must specify a handler type",
        "may not specify more than 1 handler type",
    );
    if has(handler, "exec") && list(handler, "exec.command").is_empty() {
        errors.required(&path.field("exec").field("command"), "");
    }
    if let Some(http) = get(handler, "httpGet") {
        let at = path.field("httpGet");
        if text(http, "path").is_empty() {
            errors.required(&at.field("path"), "");
        }
        port_or_name(errors, &at.field("port"), get(http, "port"));
        errors.one_of(
            &at.field("scheme"),
            text(http, "scheme"),
            &["HTTP", "HTTPS"],
            true,
        );
        for header in list(http, "httpHeaders") {
            let name = text(header, "name");
            let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !fits {
                errors.invalid(
                    &at.field("httpHeaders"),
                    name,
                    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
                );
            }
        }
    }
    if let Some(tcp) = get(handler, "tcpSocket") {
        port_or_name(errors, &path.field("tcpSocket").field("port"), get(tcp, "port"));
    }
    if let Some(grpc) = get(handler, "grpc") {
        port(
            errors,
            &path.field("grpc").field("port"),
            int(grpc, "port").unwrap_or_default(),
        );
    }
    if let Some(seconds) = int(handler, "sleep.seconds").filter(|s| *s < 0) {
        errors.invalid(
            &path.field("sleep").field("seconds"),
            seconds,
            "must be greater than or equal to 0",
        );
    }
}

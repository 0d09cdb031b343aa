//! `/livez`, `/readyz`, `/healthz`, each with `?verbose`, `?exclude=` and one path per check.

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::{
    request::query::Query,
    server::{App, body::Body, respond},
};

const ROOTS: [&str; 3] = ["/livez", "/readyz", "/healthz"];

pub(crate) fn is_health(path: &str) -> bool {
    ROOTS.iter().any(|root| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// One check: its name, and what is wrong.
type Check = (&'static str, Result<(), String>);

fn check(name: &'static str, holds: bool, otherwise: &str) -> Check {
    (name, if holds { Ok(()) } else { Err(otherwise.to_owned()) })
}

fn checks(app: &App, root: &str) -> Vec<Check> {
    let mut checks = vec![("ping", Ok(()))];
    // A member without a leader, or whose disk is full, is alive: killing it would not help.
    if root != "livez" {
        let store = app.registry.store();
        let has_leader = store.leadership().borrow().leader.is_some();
        checks.push(check("store", has_leader, "no leader is known"));
        // Others may be able to write: who asks here for what must be written is sent there.
        checks.push(("disk", store.trouble().map_or(Ok(()), Err)));
        checks.push(check(
            "poststarthook/bootstrap",
            *app.ready.borrow(),
            "not finished",
        ));
    }
    if root == "readyz" {
        checks.push(check(
            "shutdown",
            !app.stop.is_cancelled(),
            "process is shutting down",
        ));
    }
    checks
}

pub(crate) fn answer(app: &App, path: &str, query: &Query, headers: &HeaderMap) -> Response<Body> {
    let (root, one) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let checks = checks(app, root);
    let text = |code, text: String| {
        respond::with_type(code, Bytes::from(text), "text/plain; charset=utf-8", headers)
    };
    if !one.is_empty() {
        return match checks.iter().find(|(name, _)| *name == one) {
            Some((_, Ok(()))) => text(200, "ok".into()),
            Some((_, Err(reason))) => text(500, format!("internal server error: {reason}")),
            None => text(404, "404 page not found\n".into()),
        };
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut out = String::new();
    let mut healthy = true;
    for (name, result) in &checks {
        match result {
            _ if excluded.contains(name) => out.push_str(&format!("[+]{name} excluded: ok\n")),
            Ok(()) => out.push_str(&format!("[+]{name} ok\n")),
            Err(reason) => {
                healthy = false;
                out.push_str(&format!("[-]{name} failed: {reason}\n"));
            }
        }
    }
    match (healthy, query.flag("verbose")) {
        (true, false) => text(200, "ok".into()),
        (true, true) => text(200, format!("{out}{root} check passed\n")),
        (false, _) => text(500, format!("{out}{root} check failed\n")),
    }
}

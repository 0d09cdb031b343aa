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

pub(crate) fn answer(app: &App, path: &str, query: &Query, headers: &HeaderMap) -> Response<Body> {
    let (root, one) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let mut checks = vec![("ping", true)];
    let leadership = app.registry.store().leadership();
    let quorum = leadership.borrow().leader.is_some();
    checks.push(("store", quorum));
    if root != "livez" {
        checks.push(("poststarthook/bootstrap", *app.ready.borrow()));
    }
    if root == "readyz" {
        checks.push(("shutdown", !app.stop.is_cancelled()));
    }
    if root == "livez" {
        // A member without a leader is alive: killing it would not help.
        checks.retain(|(name, _)| *name != "store");
    }
    let text = |code, text: String| {
        respond::with_type(code, Bytes::from(text), "text/plain; charset=utf-8", headers)
    };
    if !one.is_empty() {
        return match checks.iter().find(|(name, _)| *name == one) {
            Some((_, true)) => text(200, "ok".into()),
            Some((_, false)) => text(500, "internal server error: not ok".into()),
            None => text(404, "404 page not found\n".into()),
        };
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut out = String::new();
    let mut healthy = true;
    for (name, ok) in &checks {
        if excluded.contains(name) {
            out.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if *ok {
            out.push_str(&format!("[+]{name} ok\n"));
        } else {
            healthy = false;
            out.push_str(&format!("[-]{name} failed: reason withheld\n"));
        }
    }
    match (healthy, query.flag("verbose")) {
        (true, false) => text(200, "ok".into()),
        (true, true) => text(200, format!("{out}{root} check passed\n")),
        (false, _) => text(500, format!("{out}{root} check failed\n")),
    }
}

//! Nobody grants what they do not hold (Kubernetes, "Privilege escalation prevention and bootstrapping").

use serde_json::Value;
use skiff_auth::Attributes;
use skiff_resources::Resource;

use crate::{
    registry::{Registry, RequestContext, meta},
    status::Status,
};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn check(
    registry: &Registry,
    ctx: &RequestContext,
    resource: &Resource,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if resource.group != GROUP || ctx.user.is_in("system:masters") {
        return Ok(());
    }
    let namespace = meta::namespace(new);
    let policy = registry.authorizer().policy();
    let (verb, wanted, asked) = match &*resource.plural {
        "roles" | "clusterroles" => {
            let same = |f: &str| old.is_some_and(|old| old[f] == new[f]);
            if same("rules") && same("aggregationRule") {
                return Ok(());
            }
            let mut rules = new["rules"].as_array().cloned().unwrap_or_default();
            if new["aggregationRule"].is_object() {
                // What will be aggregated is not known now: only who holds everything may say so.
                rules.push(serde_json::json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}));
            }
            (
                "escalate",
                rules,
                (resource.plural.to_string(), meta::name(new).to_owned()),
            )
        }
        _ => {
            let same = |f: &str| old.is_some_and(|old| old[f] == new[f]);
            if same("roleRef") && same("subjects") {
                return Ok(());
            }
            let kind = meta::text(new, &["roleRef", "kind"]);
            let role = meta::text(new, &["roleRef", "name"]);
            let plural = if kind == "Role" { "roles" } else { "clusterroles" };
            let rules = policy.role_rules(kind, namespace, role).unwrap_or_default();
            ("bind", rules, (plural.to_owned(), role.to_owned()))
        }
    };
    let what = Attributes {
        verb,
        group: GROUP,
        resource: &asked.0,
        namespace,
        name: &asked.1,
        ..Attributes::default()
    };
    if registry.authorize(&ctx.user, &what).is_allowed() {
        return Ok(());
    }
    let Some(rule) = policy.escalates(&ctx.user, namespace, &wanted) else {
        return Ok(());
    };
    let groups: Vec<String> = ctx.user.groups.iter().map(|g| format!("{g:?}")).collect();
    let why = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        ctx.user.name,
        groups.join(" "),
        print_rule(&rule)
    );
    Err(Status::forbidden(resource, meta::name(new), &why))
}

/// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`
fn print_rule(rule: &Value) -> String {
    let fields = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    ];
    let parts: Vec<String> = fields
        .iter()
        .filter(|(_, key)| rule[*key].as_array().is_some_and(|a| !a.is_empty()))
        .map(|(name, key)| format!("{name}:{}", rule[*key].to_string().replace("\",\"", "\" \"")))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

//! The address families of a service: what its policy asks for, made of what the client said and what the cluster has. Pure.
//!
//! Source of the rules and of the words: Kubernetes, "IPv4/IPv6 dual-stack", and what its API server answers.

use serde_json::{Value, json};
use skiff_resources::FieldError;

const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

/// The family of an address.
pub(super) fn family_of(address: &str) -> &'static str {
    if address.contains(':') { "IPv6" } else { "IPv4" }
}

fn other(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}

fn words<'v>(service: &'v Value, field: &str) -> Vec<&'v str> {
    let list = service["spec"][field].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn policy(service: &Value) -> Option<&str> {
    service["spec"]["ipFamilyPolicy"].as_str()
}

fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"] == "None"
}

fn has_selector(service: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    selector.is_some_and(|selector| !selector.is_empty())
}

fn invalid(field: &str, value: &Value, why: &str) -> FieldError {
    FieldError {
        reason: "FieldValueInvalid",
        field: field.into(),
        message: format!("Invalid value: {value}: {why}"),
    }
}

/// Gives a service its policy and its families, in a cluster whose first family is IPv4. Addresses that are to go are taken
/// away; those that are to come are left to whoever gives them out.
pub(super) fn settle(is_dual: bool, old: Option<&Value>, new: &mut Value) -> Result<(), Vec<FieldError>> {
    if new["spec"]["type"] == "ExternalName" || prefers_as_before(old, new) {
        return Ok(());
    }
    let policy = chosen_policy(old, new);
    new["spec"]["ipFamilyPolicy"] = json!(policy);
    let mut errors = Vec::new();
    if let Some(old) = old {
        errors.extend(take_away(&policy, old, new));
    }
    errors.extend(too_many(&policy, new));
    errors.extend(infer(is_dual, new));
    refuse(errors)?;
    if is_headless(new) && !has_selector(new) {
        // Nobody here makes its endpoints: the families are whatever is said, also in a cluster of one.
        complete(new, policy != SINGLE);
        return Ok(());
    }
    refuse(not_configured(is_dual, &policy, new))?;
    complete(new, policy != SINGLE && is_dual);
    Ok(())
}

fn refuse(errors: Vec<FieldError>) -> Result<(), Vec<FieldError>> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A service that prefers two families and is not changed in that keeps what it has, also when the cluster has got or lost
/// one since.
fn prefers_as_before(old: Option<&Value>, new: &Value) -> bool {
    old.is_some_and(|old| {
        policy(old) == Some(PREFER)
            && policy(new) == Some(PREFER)
            && ["clusterIPs", "ipFamilies"]
                .iter()
                .all(|field| words(old, field) == words(new, field))
    })
}

fn chosen_policy(old: Option<&Value>, new: &Value) -> String {
    let default = if is_headless(new) && !has_selector(new) {
        REQUIRE
    } else {
        SINGLE
    };
    policy(new).or_else(|| policy(old?)).unwrap_or(default).to_owned()
}

/// Only one family is clear enough to give up the second address for; with others the second may not go.
fn take_away(policy: &str, old: &Value, new: &mut Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, what) in [
        (
            "clusterIPs",
            "must be 'SingleStack' to release the secondary cluster IP",
        ),
        (
            "ipFamilies",
            "must be 'SingleStack' to release the secondary IP family",
        ),
    ] {
        let (before, now) = (words(old, field), words(new, field));
        if policy == SINGLE && before == now && now.len() > 1 {
            new["spec"][field] = json!([now[0]]);
        } else if policy != SINGLE && !now.is_empty() && now.len() < before.len() {
            errors.push(invalid("spec.ipFamilyPolicy", &json!(policy), what));
        }
    }
    errors
}

fn too_many(policy: &str, new: &Value) -> Vec<FieldError> {
    let many = [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")];
    many.into_iter()
        .filter(|(field, _)| policy == SINGLE && words(new, field).len() == 2)
        .map(|(_, what)| {
            let why =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            invalid("spec.ipFamilyPolicy", &json!(policy), &why)
        })
        .collect()
}

/// Families that are not said follow from the addresses.
fn infer(is_dual: bool, new: &mut Value) -> Vec<FieldError> {
    if is_headless(new) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let mut families: Vec<String> = words(new, "ipFamilies").into_iter().map(str::to_owned).collect();
    let said = families.len();
    for (i, address) in words(new, "clusterIPs").into_iter().enumerate().skip(said) {
        let family = family_of(address);
        if family == "IPv4" || is_dual {
            families.push(family.to_owned());
        } else {
            let why = format!("{family} is not configured on this cluster");
            errors.push(invalid(
                &format!("spec.clusterIPs[{i}]"),
                &new["spec"]["clusterIPs"],
                &why,
            ));
        }
    }
    if !families.is_empty() {
        new["spec"]["ipFamilies"] = json!(families);
    }
    errors
}

fn not_configured(is_dual: bool, policy: &str, new: &Value) -> Vec<FieldError> {
    if is_dual {
        return Vec::new();
    }
    let required = (policy == REQUIRE).then(|| {
        let why = "this cluster is not configured for dual-stack services";
        invalid("spec.ipFamilyPolicy", &json!(policy), why)
    });
    let families = words(new, "ipFamilies").into_iter().enumerate();
    let missing = families
        .filter(|(_, family)| *family == "IPv6")
        .map(|(i, family)| {
            invalid(
                &format!("spec.ipFamilies[{i}]"),
                &json!(family),
                "not configured on this cluster",
            )
        });
    required.into_iter().chain(missing).collect()
}

/// The cluster's first family if none is said, and the other one too if `both`.
fn complete(new: &mut Value, both: bool) {
    let mut families: Vec<&str> = words(new, "ipFamilies");
    if families.is_empty() {
        families.push("IPv4");
    }
    if both && families.len() == 1 {
        families.push(other(families[0]));
    }
    new["spec"]["ipFamilies"] = json!(families);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(spec: Value) -> Value {
        let mut service = json!({"spec": {"type": "ClusterIP", "selector": {"a": "b"}}});
        for (field, value) in spec.as_object().unwrap() {
            service["spec"][field] = value.clone();
        }
        service
    }

    /// Policy and families.
    fn settled(is_dual: bool, old: Option<&Value>, spec: Value) -> Result<(String, Vec<String>), String> {
        let mut new = service(spec);
        settle(is_dual, old, &mut new).map_err(|errors| {
            let errors = errors.iter().map(|e| format!("{}: {}", e.field, e.message));
            errors.collect::<Vec<_>>().join("; ")
        })?;
        let families = words(&new, "ipFamilies").into_iter().map(str::to_owned).collect();
        Ok((policy(&new).unwrap().to_owned(), families))
    }

    fn is(policy: &str, families: &[&str]) -> Result<(String, Vec<String>), String> {
        Ok((
            policy.to_owned(),
            families.iter().map(|f| (*f).to_owned()).collect(),
        ))
    }

    #[test]
    fn a_new_service_has_one_family_unless_it_asks_for_two() {
        assert_eq!(settled(true, None, json!({})), is(SINGLE, &["IPv4"]));
        for policy in [PREFER, REQUIRE] {
            let asked = json!({"ipFamilyPolicy": policy});
            assert_eq!(settled(true, None, asked), is(policy, &["IPv4", "IPv6"]));
        }
        let turned = json!({"ipFamilyPolicy": REQUIRE, "ipFamilies": ["IPv6"]});
        assert_eq!(settled(true, None, turned), is(REQUIRE, &["IPv6", "IPv4"]));
        assert_eq!(
            settled(true, None, json!({"ipFamilies": ["IPv6"]})),
            is(SINGLE, &["IPv6"])
        );
        let by_address = json!({"clusterIPs": ["fd00::7"], "clusterIP": "fd00::7"});
        assert_eq!(settled(true, None, by_address), is(SINGLE, &["IPv6"]));
    }

    #[test]
    fn a_cluster_of_one_family_gives_one_and_says_what_it_can_not() {
        assert_eq!(
            settled(false, None, json!({"ipFamilyPolicy": PREFER})),
            is(PREFER, &["IPv4"])
        );
        assert_eq!(
            settled(false, None, json!({"ipFamilyPolicy": REQUIRE})),
            Err("spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services".into())
        );
        assert_eq!(
            settled(false, None, json!({"ipFamilies": ["IPv6"]})),
            Err("spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster".into())
        );
        assert_eq!(
            settled(false, None, json!({"clusterIPs": ["fd00::7"]})),
            Err(
                "spec.clusterIPs[0]: Invalid value: [\"fd00::7\"]: IPv6 is not configured on this cluster"
                    .into()
            )
        );
        let headless = json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": null});
        assert_eq!(settled(false, None, headless), is(REQUIRE, &["IPv4", "IPv6"]));
    }

    #[test]
    fn two_of_anything_need_a_policy_that_says_so() {
        let two = json!({"clusterIPs": ["10.0.0.1", "fd00::1"]});
        assert_eq!(
            settled(true, None, two),
            Err("spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' \
                 when multiple cluster IPs are specified"
                .into())
        );
        let two = json!({"ipFamilies": ["IPv4", "IPv6"]});
        assert!(settled(true, None, two).is_err_and(|text| text.contains("multiple IP families")));
    }

    #[test]
    fn the_second_family_comes_and_goes_by_the_policy_alone() {
        let one = json!({"ipFamilyPolicy": SINGLE, "ipFamilies": ["IPv4"], "clusterIPs": ["10.0.0.1"]});
        let two = json!({"ipFamilyPolicy": PREFER, "ipFamilies": ["IPv4", "IPv6"], "clusterIPs": ["10.0.0.1", "fd00::1"]});
        let with = |spec: &Value, field: &str, value: Value| {
            let mut spec = spec.clone();
            spec[field] = value;
            spec
        };
        let (old_one, old_two) = (service(one.clone()), service(two.clone()));
        let more = with(&one, "ipFamilyPolicy", json!(PREFER));
        assert_eq!(settled(true, Some(&old_one), more), is(PREFER, &["IPv4", "IPv6"]));
        let less = with(&two, "ipFamilyPolicy", json!(SINGLE));
        assert_eq!(settled(true, Some(&old_two), less.clone()), is(SINGLE, &["IPv4"]));
        let mut trimmed = service(less);
        settle(true, Some(&old_two), &mut trimmed).unwrap();
        assert_eq!(trimmed["spec"]["clusterIPs"], json!(["10.0.0.1"]));
        let dropped = with(&two, "clusterIPs", json!(["10.0.0.1"]));
        assert!(
            settled(true, Some(&old_two), dropped)
                .is_err_and(|text| text.contains("must be 'SingleStack' to release the secondary cluster IP"))
        );
        // The cluster has got a second family since: that alone changes nothing.
        let preferring = with(&one, "ipFamilyPolicy", json!(PREFER));
        let old = service(preferring.clone());
        assert_eq!(settled(true, Some(&old), preferring), is(PREFER, &["IPv4"]));
    }
}

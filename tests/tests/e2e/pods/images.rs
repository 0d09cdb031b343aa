//! Images: where they come from and what is said when they don't.

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use skiff_tests::{Cluster, Registry, container_status, eventually, shell_pod};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        an_image_that_does_not_exist_is_tried_again_and_said_so,
        the_policy_never_uses_what_is_there,
        an_image_is_known_by_its_digest,
        a_private_registry_wants_the_pull_secrets_of_pod_or_account;
}

fn waits_for(reason: &'static str) -> impl Fn(&Pod) -> bool {
    move |pod| {
        let waiting = container_status(pod, "main")
            .and_then(|s| s.state.as_ref())
            .and_then(|s| s.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some(reason))
    }
}

fn an_image_that_does_not_exist_is_tried_again_and_said_so(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.registry()?.reference("nonsense");
    ns.apply(&[shell_pod("p", &image, "true")])?;
    ns.wait_pod("p", "to wait for its image", |pod| {
        waits_for("ErrImagePull")(pod) || waits_for("ImagePullBackOff")(pod)
    })?;
    ns.wait_pod("p", "to back off", waits_for("ImagePullBackOff"))?;
    has(&ns.kubectl("get pods").ok()?, &["ImagePullBackOff", "0/1"])
        .or_else(|_| has(&ns.kubectl("get pods").ok()?, &["ErrImagePull"]))?;
    eventually("the events", || {
        let events = ns.kubectl("get events").ok()?;
        has(
            &events,
            &[
                "Failed to pull image",
                "Error: ErrImagePull",
                "Back-off pulling image",
            ],
        )
    })
}

fn the_policy_never_uses_what_is_there(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let with = |name: &str, image: &str, policy: &str| {
        let mut object = shell_pod(name, image, "echo ran");
        object["spec"]["containers"][0]["imagePullPolicy"] = json!(policy);
        object
    };
    let image = cluster.image("v2")?;
    ns.apply(&[with("absent", &cluster.registry()?.reference("absent"), "Never")])?;
    ns.wait_pod("absent", "to be refused", waits_for("ErrImageNeverPull"))?;
    eventually("the events", || {
        let events = ns.kubectl("get events").ok()?;
        has(
            &events,
            &[
                "is not present with pull policy of Never",
                "Error: ErrImageNeverPull",
            ],
        )
    })?;
    ns.apply(&[with("pulls", &image, "Always")])?;
    same(ns.wait_succeeded("pulls")?.as_str(), "ran\n")?;
    ns.apply(&[with("there", &image, "Never")])?;
    same(ns.wait_succeeded("there")?.as_str(), "ran\n")
}

fn an_image_is_known_by_its_digest(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "true")])?;
    ns.wait_succeeded("p")?;
    let id = ns
        .kubectl("get pod p -o jsonpath={.status.containerStatuses[0].imageID}")
        .ok()?;
    has(&id, &["@sha256:"])?;
    ns.apply(&[shell_pod("q", &id, "echo by digest")])?;
    same(ns.wait_succeeded("q")?.as_str(), "by digest\n")
}

fn a_private_registry_wants_the_pull_secrets_of_pod_or_account(cluster: &Cluster) -> Result<()> {
    let registry = Registry::private()?;
    let ns = cluster.namespace()?;
    let with = |name: &str, secret: Option<&str>| {
        let mut object = shell_pod(name, &registry.reference("v1"), "echo let in");
        object["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
        if let Some(secret) = secret {
            object["spec"]["imagePullSecrets"] = json!([{ "name": secret }]);
        }
        object
    };
    let server = format!("--docker-server={}", registry.address());
    for (name, password) in [("good", "secret"), ("wrong", "nonsense")] {
        let password = format!("--docker-password={password}");
        let user = "--docker-username=someone";
        ns.kubectl([
            "create",
            "secret",
            "docker-registry",
            name,
            &server,
            user,
            &password,
        ])
        .ok()?;
    }
    let elsewhere = "--docker-server=registry.test";
    let words = [
        "create",
        "secret",
        "docker-registry",
        "elsewhere",
        elsewhere,
        "--docker-username=someone",
    ];
    let mut words = words.to_vec();
    words.push("--docker-password=secret");
    ns.kubectl(words.as_slice()).ok()?;
    ns.apply(&[
        with("nobody", None),
        with("wrong", Some("wrong")),
        with("elsewhere", Some("elsewhere")),
        with("missing", Some("missing")),
        with("good", Some("good")),
    ])?;
    same(ns.wait_succeeded("good")?.as_str(), "let in\n")?;
    for name in ["nobody", "wrong", "elsewhere", "missing"] {
        ns.wait_pod(name, "to be refused", |pod| {
            waits_for("ErrImagePull")(pod) || waits_for("ImagePullBackOff")(pod)
        })?;
    }
    eventually("the events", || {
        has(
            &ns.kubectl("get events").ok()?,
            &[
                "Failed to pull image",
                "Unable to retrieve some image pull secrets (missing); attempting to pull the image may not succeed.",
            ],
        )
    })?;
    // The account's secrets are those of every pod that names none.
    let patch = r#"{"imagePullSecrets": [{"name": "good"}]}"#;
    ns.kubectl(["patch", "serviceaccount", "default", "-p", patch])
        .ok()?;
    ns.apply(&[with("by-account", None)])?;
    same(ns.wait_succeeded("by-account")?.as_str(), "let in\n")?;
    let found = ns
        .kubectl("get pod by-account -o jsonpath={.spec.imagePullSecrets[*].name}")
        .ok()?;
    same(found.as_str(), "good")
}

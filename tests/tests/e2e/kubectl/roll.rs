//! Scaling and rolling updates.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use skiff_tests::{Cluster, eventually, web_deployment, web_service};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        scale_changes_the_number_of_pods,
        a_new_image_rolls_out_and_can_be_undone;
}

fn scale_changes_the_number_of_pods(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[web_deployment("web", &cluster.image("v1")?, 1)])?;
    ns.wait_rolled_out("web")?;
    same(
        ns.kubectl("scale deployment web --replicas=3").ok()?.trim(),
        "deployment.apps/web scaled",
    )?;
    ns.wait_rolled_out("web")?;
    same(ns.pods("app=web")?.len(), 3)?;
    has(
        &ns.kubectl("scale deployment web --current-replicas=7 --replicas=1")
            .fails(1)?,
        &["Expected replicas to be 7, was 3"],
    )?;
    ns.kubectl("scale deployment web --replicas=0").ok()?;
    let is_empty = |deployment: Option<&Deployment>| {
        deployment.is_some_and(|d| d.status.as_ref().is_some_and(|s| s.replicas.unwrap_or(0) == 0))
    };
    ns.wait("web", "to have no pods", is_empty)?;
    Ok(())
}

fn a_new_image_rolls_out_and_can_be_undone(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        web_deployment("web", &cluster.image("v1")?, 2),
        web_service("web"),
    ])?;
    let status = ns.kubectl("rollout status deployment/web --timeout=60s").ok()?;
    has(&status, &["deployment \"web\" successfully rolled out"])?;
    let new = format!("set image deployment/web web={}", cluster.image("v2")?);
    same(ns.kubectl(new).ok()?.trim(), "deployment.apps/web image updated")?;
    has(
        &ns.kubectl("rollout status deployment/web --timeout=60s").ok()?,
        &["successfully rolled out"],
    )?;
    let history = ns.kubectl("rollout history deployment/web").ok()?;
    has(
        &history,
        &[
            "deployment.apps/web",
            "REVISION  CHANGE-CAUSE",
            "1         <none>",
            "2         <none>",
        ],
    )?;
    has(
        &ns.kubectl("rollout history deployment/web --revision=1").ok()?,
        &["hello:v1", "pod-template-hash="],
    )?;
    same(
        ns.kubectl("rollout undo deployment/web").ok()?.trim(),
        "deployment.apps/web rolled back",
    )?;
    ns.wait_rolled_out("web")?;
    has(
        &ns.kubectl("get pods -l app=web -o jsonpath={..image}").ok()?,
        &["hello:v1"],
    )?;
    let before = ns.pods("app=web")?;
    same(
        ns.kubectl("rollout restart deployment/web").ok()?.trim(),
        "deployment.apps/web restarted",
    )?;
    ns.kubectl("rollout status deployment/web --timeout=60s").ok()?;
    // The old ones may still be on their way out: only who stays counts, once the last one is marked to go.
    eventually("two new pods to stay", || {
        let table = ns.kubectl("get pods -l app=web --no-headers").ok()?;
        let staying = table.lines().filter(|row| !row.contains(" Terminating "));
        let staying: Vec<&str> = staying.filter_map(|row| row.split(' ').next()).collect();
        same(staying.len(), 2)?;
        same(
            staying
                .iter()
                .filter(|name| before.iter().any(|old| old == *name))
                .count(),
            0,
        )
    })?;
    same(
        ns.kubectl("rollout pause deployment/web").ok()?.trim(),
        "deployment.apps/web paused",
    )?;
    same(
        ns.kubectl("rollout resume deployment/web").ok()?.trim(),
        "deployment.apps/web resumed",
    )
}

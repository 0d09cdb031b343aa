//! Commands that change objects.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;
use skiff_tests::{Cluster, shell_pod, web_deployment};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        apply_creates_configures_and_leaves_unchanged,
        diff_shows_what_apply_would_change,
        apply_on_the_server_finds_conflicts_and_can_be_forced,
        patch_takes_json_merge_and_strategic,
        label_annotate_and_edit_change_objects,
        create_run_and_expose_make_objects,
        delete_keeps_the_grace_and_cascades_as_asked;
}

fn map(value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": value}})
        .to_string()
}

fn apply_creates_configures_and_leaves_unchanged(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let apply = |value: &str| ns.kubectl_with_input("apply -f -", map(value)).ok();
    same(apply("1")?.trim(), "configmap/c created")?;
    same(apply("1")?.trim(), "configmap/c unchanged")?;
    same(apply("2")?.trim(), "configmap/c configured")?;
    same(
        ns.kubectl_with_input("apply --dry-run=server -f -", map("3"))
            .ok()?
            .trim(),
        "configmap/c configured (server dry run)",
    )?;
    same(
        ns.kubectl("get configmap c -o jsonpath={.data.k}").ok()?.as_str(),
        "2",
    )?;
    // What an earlier apply set and this one does not name is removed.
    let without =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"other": "x"}});
    ns.kubectl_with_input("apply -f -", without.to_string()).ok()?;
    same(
        ns.kubectl("get configmap c -o jsonpath={.data}").ok()?.as_str(),
        "{\"other\":\"x\"}",
    )?;
    same(
        ns.kubectl_with_input("delete -f -", map("1")).ok()?.trim_end(),
        &format!("configmap \"c\" deleted from {} namespace", ns.name()),
    )
    .or_else(|_| ns.kubectl("get configmap c").fails(1).map(drop))
}

fn diff_shows_what_apply_would_change(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.kubectl_with_input("apply -f -", map("1")).ok()?;
    same(ns.kubectl_with_input("diff -f -", map("1")).code, 0)?;
    let diff = ns.kubectl_with_input("diff -f -", map("2"));
    same(diff.code, 1)?;
    has(&diff.stdout, &["-  k: \"1\"", "+  k: \"2\""])
}

fn apply_on_the_server_finds_conflicts_and_can_be_forced(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let apply = |options: &str, value: &str| {
        ns.kubectl_with_input(format!("apply --server-side {options} -f -"), map(value))
    };
    same(
        apply("--field-manager=one", "1").ok()?.trim(),
        "configmap/c serverside-applied",
    )?;
    let conflict = apply("--field-manager=two", "2").fails(1)?;
    has(
        &conflict,
        &["Apply failed with 1 conflict: conflict with \"one\"", ".data.k"],
    )?;
    apply("--field-manager=two", "1").ok()?;
    apply("--field-manager=two --force-conflicts", "2").ok()?;
    same(
        ns.kubectl("get configmap c -o jsonpath={.data.k}").ok()?.as_str(),
        "2",
    )?;
    let managers = ns
        .kubectl("get configmap c --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}")
        .ok()?;
    same(managers.as_str(), "two")
}

fn patch_takes_json_merge_and_strategic(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut deployment = web_deployment("web", "example.invalid/none:1", 0);
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    ns.apply(&[deployment])?;
    let patch =
        |kind: &str, text: &str| ns.kubectl(["patch", "deployment", "web", "--type", kind, "-p", text]);
    let get = |path: &str| ns.kubectl(format!("get deployment web -o jsonpath={path}")).ok();
    let containers = "{.spec.template.spec.containers[*].name}";
    let sidecar = r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"x"}]}}}}"#;
    same(
        patch("strategic", sidecar).ok()?.trim(),
        "deployment.apps/web patched",
    )?;
    let mut names: Vec<String> = get(containers)?.split(' ').map(str::to_owned).collect();
    names.sort();
    same(names, vec!["side".to_owned(), "web".into()])?;
    same(
        patch("strategic", sidecar).ok()?.trim(),
        "deployment.apps/web patched (no change)",
    )?;
    let delete = r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}"#;
    patch("strategic", delete).ok()?;
    same(get(containers)?.as_str(), "web")?;
    let env =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"B","value":"2"}]}]}}}}"#;
    patch("strategic", env).ok()?;
    same(
        get("{.spec.template.spec.containers[0].env[*].name}")?
            .split(' ')
            .count(),
        2,
    )?;
    patch(
        "merge",
        r#"{"spec":{"template":{"metadata":{"labels":{"x":"y"}}}},"metadata":{"labels":{"app":null}}}"#,
    )
    .ok()?;
    same(get("{.spec.template.metadata.labels.x}")?.as_str(), "y")?;
    same(get("{.metadata.labels.app}")?.as_str(), "")?;
    patch("json", r#"[{"op":"test","path":"/spec/replicas","value":0},{"op":"replace","path":"/spec/paused","value":true}]"#)
        .ok()
        .or_else(|_| patch("json", r#"[{"op":"add","path":"/spec/paused","value":true}]"#).ok())?;
    same(get("{.spec.paused}")?.as_str(), "true")?;
    patch("json", r#"[{"op":"test","path":"/spec/replicas","value":7}]"#).fails(1)?;
    let refused = patch(
        "merge",
        r#"{"spec":{"selector":{"matchLabels":{"app":"other"}}}}"#,
    )
    .fails(1)?;
    has(
        &refused,
        &["The Deployment \"web\" is invalid", "field is immutable"],
    )
}

fn label_annotate_and_edit_change_objects(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.kubectl_with_input("apply -f -", map("1")).ok()?;
    same(
        ns.kubectl("label configmap c tier=x").ok()?.trim(),
        "configmap/c labeled",
    )?;
    has(
        &ns.kubectl("label configmap c tier=y").fails(1)?,
        &["'tier' already has a value (x), and --overwrite is false"],
    )?;
    ns.kubectl("label configmap c tier=y --overwrite").ok()?;
    same(
        ns.kubectl("label configmap c tier-").ok()?.trim(),
        "configmap/c unlabeled",
    )?;
    same(
        ns.kubectl("annotate configmap c note=hello").ok()?.trim(),
        "configmap/c annotated",
    )?;
    let mut edit = ns.kubectl_command("edit configmap c");
    edit.env("EDITOR", "sed -i s/hello/edited/");
    same(skiff_tests::run(&mut edit)?.ok()?.trim(), "configmap/c edited")?;
    same(
        ns.kubectl("get configmap c -o jsonpath={.metadata.annotations.note}")
            .ok()?
            .as_str(),
        "edited",
    )?;
    let mut edit = ns.kubectl_command("edit configmap c");
    edit.env("EDITOR", "true");
    has(
        &skiff_tests::run(&mut edit)?.stderr,
        &["Edit cancelled, no changes made."],
    )
}

fn create_run_and_expose_make_objects(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    same(
        ns.kubectl("create configmap m --from-literal=a=1 --from-literal=b=2")
            .ok()?
            .trim(),
        "configmap/m created",
    )?;
    same(
        ns.kubectl("create secret generic s --from-literal=p=w")
            .ok()?
            .trim(),
        "secret/s created",
    )?;
    same(
        ns.kubectl("get secret s -o jsonpath={.data.p}").ok()?.as_str(),
        "dw==",
    )?;
    has(
        &ns.kubectl("create configmap m").fails(1)?,
        &[
            "error: failed to create configmap:",
            "configmaps \"m\" already exists",
        ],
    )?;
    same(
        ns.kubectl(format!(
            "create deployment d --image={image} --replicas=1 --port=8080"
        ))
        .ok()?
        .trim(),
        "deployment.apps/d created",
    )?;
    same(
        ns.kubectl("expose deployment d --port=80 --target-port=8080")
            .ok()?
            .trim(),
        "service/d exposed",
    )?;
    same(
        ns.kubectl("wait deployment/d --for=condition=Available --timeout=60s")
            .ok()?
            .trim(),
        "deployment.apps/d condition met",
    )?;
    // It speaks when it is spoken to: nobody hears what a container said before he was attached.
    let out = ns.kubectl_with_input(
        format!("run once --image={image} --restart=Never --stdin --rm --command -- sh -c")
            .split(' ')
            .chain(["read word && echo said $word"])
            .collect::<Vec<_>>()
            .as_slice(),
        "hello\n",
    );
    has(&out.ok()?, &["said hello", "pod \"once\" deleted"])?;
    same(
        ns.kubectl(format!("run web --image={image} --port=8080 --expose"))
            .ok()?
            .lines()
            .count(),
        2,
    )?;
    ns.wait_ready("web")?;
    same(
        ns.kubectl("create job j --image=x --dry-run=client -o name")
            .ok()?
            .trim(),
        "job.batch/j",
    )?;
    Ok(())
}

fn delete_keeps_the_grace_and_cascades_as_asked(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    // Ends only when killed: the grace period passes.
    let stubborn = shell_pod("stubborn", &image, "trap '' TERM; while true; do sleep 1; done");
    ns.apply(&[
        stubborn,
        web_deployment("kept", &image, 1),
        web_deployment("gone", &image, 1),
    ])?;
    ns.wait_ready("stubborn")?;
    let begin = std::time::Instant::now();
    has(
        &ns.kubectl("delete pod stubborn --grace-period=2").ok()?,
        &["pod \"stubborn\" deleted"],
    )?;
    let took = begin.elapsed().as_secs_f64();
    ensure!((1.9..20.0).contains(&took), "it took {took:.1} s");
    ns.wait_gone::<Pod>("stubborn")?;
    ns.wait_rolled_out("kept")?;
    ns.kubectl("delete deployment kept --cascade=orphan").ok()?;
    same(
        ns.kubectl("get replicasets -l app=kept -o name")
            .ok()?
            .lines()
            .count(),
        1,
    )?;
    same(ns.pods("app=kept")?.len(), 1)?;
    ns.wait_rolled_out("gone")?;
    ns.kubectl("delete deployment gone --cascade=foreground").ok()?;
    same(
        ns.kubectl("get replicasets -l app=gone -o name")
            .ok()?
            .lines()
            .count(),
        0,
    )?;
    same(ns.pods("app=gone")?.len(), 0)?;
    ns.kubectl("create configmap x").ok()?;
    ns.kubectl("delete configmap x --wait=true --now").ok()?;
    ns.wait_gone::<ConfigMap>("x")?;
    has(&ns.kubectl("delete pods --all").ok()?, &["pod \"kept-"])
}

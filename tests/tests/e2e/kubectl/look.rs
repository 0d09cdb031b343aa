//! Commands that only look.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use skiff_tests::{Cluster, shell_pod, web_deployment, web_service};

use crate::{has, has_columns, same};

skiff_tests::cases! {
    shared:
        get_prints_the_columns_of_kubernetes,
        get_prints_the_object_in_every_format,
        get_watches,
        get_selects_and_sorts,
        describe_tells_what_an_operator_asks,
        explain_knows_types_and_fields,
        discovery_lists_resources_and_versions,
        what_does_not_exist_is_said_as_kubernetes_says_it,
        rights_are_asked_for_and_tokens_given;
}

fn get_prints_the_columns_of_kubernetes(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        web_deployment("web", &cluster.image("v1")?, 2),
        web_service("web"),
    ])?;
    ns.wait_rolled_out("web")?;

    let pods = ns.kubectl("get pods").ok()?;
    has_columns(&pods, "NAME,READY,STATUS,RESTARTS,AGE")?;
    same(
        pods.lines()
            .filter(|line| line.contains(" 1/1 ") && line.contains(" Running "))
            .count(),
        2,
    )?;
    let wide = ns.kubectl("get pods -o wide").ok()?;
    has_columns(
        &wide,
        "NAME,READY,STATUS,RESTARTS,AGE,IP,NODE,NOMINATED NODE,READINESS GATES",
    )?;
    has(&wide, &["10.244.", "<none>"])?;
    let deployments = ns.kubectl("get deployments").ok()?;
    has_columns(&deployments, "NAME,READY,UP-TO-DATE,AVAILABLE,AGE")?;
    let cells: Vec<&str> = deployments
        .lines()
        .nth(1)
        .context("a row")?
        .split_whitespace()
        .collect();
    same(&cells[..4], &["web", "2/2", "2", "2"])?;
    has_columns(
        &ns.kubectl("get deployments -o wide").ok()?,
        "NAME,READY,UP-TO-DATE,AVAILABLE,AGE,CONTAINERS,IMAGES,SELECTOR",
    )?;
    has_columns(
        &ns.kubectl("get replicasets").ok()?,
        "NAME,DESIRED,CURRENT,READY,AGE",
    )?;
    let services = ns.kubectl("get services -o wide").ok()?;
    has_columns(&services, "NAME,TYPE,CLUSTER-IP,EXTERNAL-IP,PORT(S),AGE,SELECTOR")?;
    has(&services, &["NodePort", "10.96.", "80:3", "/TCP", "app=web"])?;
    has_columns(
        &ns.kubectl("get endpointslices").ok()?,
        "NAME,ADDRESSTYPE,PORTS,ENDPOINTS,AGE",
    )?;
    has_columns(&ns.kubectl("get configmaps").ok()?, "NAME,DATA,AGE")?;
    has_columns(&ns.kubectl("get serviceaccounts").ok()?, "NAME,AGE").or_else(|_| {
        // Older releases of Kubernetes count secrets.
        has_columns(&ns.kubectl("get serviceaccounts").ok()?, "NAME,SECRETS,AGE")
    })?;
    has_columns(
        &ns.kubectl("get events").ok()?,
        "LAST SEEN,TYPE,REASON,OBJECT,MESSAGE",
    )?;
    has_columns(
        &ns.kubectl("events").ok()?,
        "LAST SEEN,TYPE,REASON,OBJECT,MESSAGE",
    )?;
    has(
        &ns.kubectl("get all").ok()?,
        &[
            "pod/web-",
            "service/web",
            "deployment.apps/web",
            "replicaset.apps/web-",
        ],
    )?;
    let nodes = cluster.kubectl("get nodes -o wide").ok()?;
    has_columns(
        &nodes,
        "NAME,STATUS,ROLES,AGE,VERSION,INTERNAL-IP,EXTERNAL-IP,OS-IMAGE,KERNEL-VERSION,CONTAINER-RUNTIME",
    )?;
    has(&nodes, &["Ready", "skiff://"])?;
    has_columns(&cluster.kubectl("get namespaces").ok()?, "NAME,STATUS,AGE")?;
    has_columns(
        &cluster.kubectl("get leases -A").ok()?,
        "NAMESPACE,NAME,HOLDER,AGE",
    )?;
    Ok(())
}

fn get_prints_the_object_in_every_format(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}),
    ])?;
    let yaml = ns.kubectl("get configmap c -o yaml").ok()?;
    has(
        &yaml,
        &[
            "apiVersion: v1\n",
            "kind: ConfigMap\n",
            "data:\n  k: v\n",
            "  uid: ",
            "  resourceVersion: ",
        ],
    )?;
    ensure!(!yaml.contains("managedFields"), "{yaml}");
    has(
        &ns.kubectl("get configmap c -o yaml --show-managed-fields").ok()?,
        &["f:data:", "kubectl-client-side-apply"],
    )?;
    let value: serde_json::Value = serde_json::from_str(&ns.kubectl("get configmap c -o json").ok()?)?;
    same(&value["data"], &json!({"k": "v"}))?;
    same(ns.kubectl("get configmap c -o name").ok()?.trim(), "configmap/c")?;
    same(
        ns.kubectl("get configmap c -o jsonpath={.data.k}").ok()?.as_str(),
        "v",
    )?;
    same(
        ns.kubectl("get configmap c -o go-template={{.data.k}}")
            .ok()?
            .as_str(),
        "v",
    )?;
    let custom = ns
        .kubectl("get configmap c -o custom-columns=N:.metadata.name,K:.data.k")
        .ok()?;
    same(
        custom.split_whitespace().collect::<Vec<_>>(),
        vec!["N", "K", "c", "v"],
    )?;
    Ok(())
}

fn get_watches(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let mut watch = ns.kubectl_in_background("get pods -w")?;
    let mut events = ns.kubectl_in_background("get pods -w --output-watch-events")?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "exit 0")])?;
    let is_row = |status: &'static str| move |line: &str| line.starts_with("p ") && line.contains(status);
    watch.line(|line| line.starts_with("NAME"))?;
    watch.line(is_row("Pending"))?;
    watch.line(is_row("Completed"))?;
    events.line(|line| line.starts_with("ADDED ") && line.contains(" p "))?;
    ns.kubectl("delete pod p").ok()?;
    events.line(|line| line.starts_with("DELETED ") && line.contains(" p "))?;
    Ok(())
}

fn get_selects_and_sorts(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let map = |name: &str, tier: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"tier": tier}}});
    ns.apply(&[map("b", "back"), map("a", "front"), map("c", "back")])?;
    let names = |options: &str| -> Result<Vec<String>> {
        let out = ns.kubectl(format!("get configmaps -o name {options}")).ok()?;
        Ok(out
            .lines()
            .map(|line| line.trim_start_matches("configmap/").to_owned())
            .filter(|n| n.len() == 1)
            .collect())
    };
    same(names("-l tier=back")?, vec!["b".to_owned(), "c".into()])?;
    same(names("-l tier!=back")?, vec!["a".to_owned()])?;
    same(names("-l tier,tier!=back")?, vec!["a".to_owned()])?;
    same(names("--field-selector metadata.name=c")?, vec!["c".to_owned()])?;
    same(
        names("--chunk-size=1")?,
        vec!["a".to_owned(), "b".into(), "c".into()],
    )?;
    let sorted = ns
        .kubectl([
            "get",
            "configmaps",
            "-l",
            "tier",
            "--sort-by={.metadata.labels.tier}",
            "-L",
            "tier",
        ])
        .ok()?;
    has_columns(&sorted, "NAME,DATA,AGE,TIER")?;
    has(sorted.lines().last().unwrap_or_default(), &["front"])?;
    same(
        ns.kubectl("get pods").stderr.trim(),
        &format!("No resources found in {} namespace.", ns.name()),
    )?;
    Ok(())
}

fn describe_tells_what_an_operator_asks(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        web_deployment("web", &cluster.image("v1")?, 1),
        web_service("web"),
    ])?;
    ns.wait_rolled_out("web")?;
    // The controller notes the revision without asking for anything new.
    let generations = "jsonpath={.metadata.generation} {.status.observedGeneration}";
    same(
        ns.kubectl(["get", "deployment", "web", "-o", generations])
            .ok()?
            .trim(),
        "1 1",
    )?;
    let pod = ns.pods("app=web")?.remove(0);
    let text = ns.kubectl(["describe", "pod", &pod]).ok()?;
    has(
        &text,
        &[
            "Status:           Running",
            "Controlled By:  ReplicaSet/web-",
            "Ready:          True",
            "Restart Count:  0",
            "Port:           8080/TCP",
            "Readiness:      http-get http://:http/ ",
            "QoS Class:                   BestEffort",
            "ContainersReady",
            "/var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-",
            "node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
            "Successfully assigned",
            "Pulled",
            "Created",
            "Started",
        ],
    )?;
    let text = ns.kubectl("describe deployment web").ok()?;
    has(
        &text,
        &[
            "1 desired | 1 updated | 1 total | 1 available | 0 unavailable",
            "RollingUpdateStrategy:  0 max unavailable, 1 max surge",
            "Available      True    MinimumReplicasAvailable",
            "Progressing    True    NewReplicaSetAvailable",
            "NewReplicaSet:   web-",
            "ScalingReplicaSet",
        ],
    )?;
    let text = ns.kubectl("describe service web").ok()?;
    has(
        &text,
        &[
            "Type:                     NodePort",
            "Endpoints:                10.244.",
            ":8080",
            "Session Affinity:         None",
        ],
    )?;
    let text = cluster.kubectl("describe nodes").ok()?;
    has(
        &text,
        &[
            "KubeletHasSufficientMemory   kubelet has sufficient memory available",
            "KubeletHasNoDiskPressure     kubelet has no disk pressure",
            "KubeletReady                 kubelet is posting ready status",
            "beta.kubernetes.io/os=linux",
            "Capacity:",
            "Allocatable:",
            "Container Runtime Version:",
            "Allocated resources:",
            "PodCIDR:",
        ],
    )?;
    Ok(())
}

fn explain_knows_types_and_fields(cluster: &Cluster) -> Result<()> {
    let pods = cluster.kubectl("explain pods").ok()?;
    has(&pods, &["KIND:       Pod", "VERSION:    v1", "spec\t<PodSpec>"])?;
    let field = cluster
        .kubectl("explain deployment.spec.strategy.rollingUpdate.maxSurge")
        .ok()?;
    has(&field, &["GROUP:      apps", "FIELD: maxSurge", "DESCRIPTION:"])?;
    has(
        &cluster.kubectl("explain service.spec --recursive").ok()?,
        &["sessionAffinityConfig", "nodePort"],
    )?;
    let refused = cluster.kubectl("explain pods.spec.nonsense").fails(1)?;
    has(&refused, &["field \"nonsense\" does not exist"])
}

fn discovery_lists_resources_and_versions(cluster: &Cluster) -> Result<()> {
    let resources = cluster.kubectl("api-resources").ok()?;
    has_columns(&resources, "NAME,SHORTNAMES,APIVERSION,NAMESPACED,KIND")?;
    let row = |name: &str| {
        resources
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
    };
    let cells = |name| row(name).split_whitespace().collect::<Vec<_>>();
    same(cells("pods "), vec!["pods", "po", "v1", "true", "Pod"])?;
    same(
        cells("deployments "),
        vec!["deployments", "deploy", "apps/v1", "true", "Deployment"],
    )?;
    same(cells("nodes "), vec!["nodes", "no", "v1", "false", "Node"])?;
    let versions = cluster.kubectl("api-versions").ok()?;
    for version in [
        "v1",
        "apps/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
    ] {
        ensure!(
            versions.lines().any(|line| line == version),
            "{version} is missing in\n{versions}"
        );
    }
    has(
        &cluster.kubectl("cluster-info").ok()?,
        &["Kubernetes control plane", "is running at"],
    )?;
    has(&cluster.kubectl("version").ok()?, &["Server Version: v1."])?;
    same(cluster.kubectl("get --raw /readyz").ok()?.as_str(), "ok")?;
    has(&cluster.kubectl("get --raw /metrics").ok()?, &["# TYPE "])
}

fn what_does_not_exist_is_said_as_kubernetes_says_it(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let text = ns.kubectl("get pod nobody").fails(1)?;
    same(
        text.trim(),
        "Error from server (NotFound): pods \"nobody\" not found",
    )?;
    let text = ns.kubectl("get nonsense").fails(1)?;
    same(
        text.trim(),
        "error: the server doesn't have a resource type \"nonsense\"",
    )?;
    let text = ns.kubectl("logs nobody").fails(1)?;
    has(&text, &["pods \"nobody\" not found"])?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Upper_Case"}});
    let text = ns.kubectl_with_input("create -f -", map.to_string()).fails(1)?;
    has(
        &text,
        &[
            "The ConfigMap \"Upper_Case\" is invalid: metadata.name: Invalid value: \"Upper_Case\": a lowercase RFC 1123 subdomain",
        ],
    )?;
    let typo = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "comand": ["x"]}]}});
    let text = ns.kubectl_with_input("create -f -", typo.to_string()).fails(1)?;
    has(
        &text,
        &["strict decoding error: unknown field \"spec.containers[0].comand\""],
    )?;
    let kind = json!({"apiVersion": "v1", "kind": "Pot", "metadata": {"name": "p"}});
    let text = ns.kubectl_with_input("create -f -", kind.to_string()).fails(1)?;
    has(&text, &["no matches for kind \"Pot\" in version \"v1\""])
}

fn rights_are_asked_for_and_tokens_given(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    same(ns.kubectl("auth can-i create pods").ok()?.trim(), "yes")?;
    let account = format!("system:serviceaccount:{}:reader", ns.name());
    ns.kubectl("create serviceaccount reader").ok()?;
    same(
        ns.kubectl(format!("auth can-i list pods --as {account}"))
            .stdout
            .trim(),
        "no",
    )?;
    ns.kubectl(format!(
        "create rolebinding reads --clusterrole=view --serviceaccount={}:reader",
        ns.name()
    ))
    .ok()?;
    skiff_tests::eventually("the role binding to be known", || {
        same(
            ns.kubectl(format!("auth can-i list pods --as {account}"))
                .stdout
                .trim(),
            "yes",
        )
    })?;
    same(
        ns.kubectl(format!("auth can-i delete pods --as {account}"))
            .stdout
            .trim(),
        "no",
    )?;
    has(
        &ns.kubectl(format!("auth can-i --list --as {account}")).ok()?,
        &["configmaps"],
    )?;
    let token = ns.kubectl("create token reader --duration=10m").ok()?;
    let server = format!("https://127.0.0.1:{}", cluster.port());
    let as_reader = |words: &str| {
        let mut all = vec![
            "--kubeconfig=/dev/null",
            "--insecure-skip-tls-verify",
            "--server",
            &server,
            "--token",
            token.trim(),
        ];
        all.extend(words.split_whitespace());
        ns.kubectl(all.as_slice())
    };
    has(
        &as_reader("auth whoami").ok()?,
        &[&account, "system:serviceaccounts"],
    )?;
    as_reader("get pods").ok()?;
    let refused = as_reader("delete pod x").fails(1)?;
    has(
        &refused,
        &[
            "Error from server (Forbidden): pods \"x\" is forbidden: User",
            "cannot delete resource \"pods\" in API group \"\" in the namespace",
        ],
    )?;
    let nobody = ns.kubectl([
        "--kubeconfig=/dev/null",
        "--insecure-skip-tls-verify",
        "--server",
        &server,
        "--token",
        "nonsense",
        "get",
        "pods",
    ]);
    has(&nobody.fails(1)?, &["You must be logged in to the server"])?;
    Ok(())
}

//! Start, stop and restart of `skiff up`.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::PostParams;
use serde_json::json;
use skiff_tests::{
    Cluster, Output, Role, User, container_status, eventually, need, run, shell_pod, web_deployment,
    web_service,
};

use crate::{has, same};

skiff_tests::cases! {
    own:
        up_starts_a_ready_node_and_down_leaves_nothing,
        down_without_purge_keeps_the_objects_and_a_snapshot_brings_them_back,
        a_snapshot_of_the_first_format_is_restored_and_one_of_an_unknown_format_refused,
        a_killed_server_has_lost_nothing,
        a_killed_agent_finds_its_pods_again,
        a_data_directory_cut_short_is_healed_or_refused,
        a_monitor_that_is_being_killed_is_followed_by_another,
        what_can_not_work_is_refused_with_the_reason;
    ordinary: without_a_range_of_ids_pods_have_one_user;
    plain: the_command_line_teaches;
}

fn up_starts_a_ready_node_and_down_leaves_nothing(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?;
    let said = cluster.up("").ok()?;
    has(&said, &["ready after", "export KUBECONFIG="])?;
    let nodes = cluster.kubectl("get nodes").ok()?;
    ensure!(
        nodes.lines().nth(1).is_some_and(|line| line.contains(" Ready ")),
        "{nodes}"
    );
    for role in [Role::Monitor, Role::Server, Role::Agent, Role::Spawner] {
        let found = cluster.processes_with(role);
        ensure!(found.len() == 1, "{role:?}: {:?}", cluster.processes());
    }
    has(&cluster.up("").ok()?, &["skiff runs already"])?;
    has(
        &cluster.up("--max-pods 7").fails(1)?,
        &["without --max-pods=7", "skiff down"],
    )?;
    has(
        &cluster.skiff("status").ok()?,
        &[
            "monitor  running",
            "server   running",
            "agent    running",
            ", ready",
        ],
    )?;
    same(
        cluster.skiff("kubeconfig --path").ok()?.trim(),
        &cluster.kubeconfig().display().to_string(),
    )?;
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "sleep 1000")])?;
    ns.wait_ready("p")?;
    same(cluster.processes_with(Role::Supervisor).len(), 1)?;
    drop(ns);
    let left = cluster.left_after_down();
    ensure!(left.is_empty(), "{left:#?}");
    has(&cluster.skiff("down --purge").ok()?, &["skiff is down"])?;
    has(&cluster.skiff("status").fails(1)?, &["no cluster runs here"])
}

fn down_without_purge_keeps_the_objects_and_a_snapshot_brings_them_back(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    cluster.kubectl("create configmap kept --from-literal=k=v").ok()?;
    let node = cluster.kubectl("get nodes -o name").ok()?;
    has(&cluster.down().ok()?, &["its data stays in"])?;
    ensure!(cluster.processes().is_empty(), "{:?}", cluster.processes());
    cluster.up("").ok()?;
    same(
        cluster
            .kubectl("get configmap kept -o jsonpath={.data.k}")
            .ok()?
            .as_str(),
        "v",
    )?;
    same(cluster.kubectl("get nodes -o name").ok()?, node)?;

    // Of the running server, then of its data directory; both hold the same object.
    let [live, stopped] = ["live", "stopped"].map(|name| cluster.home().join(name).display().to_string());
    let saved = cluster.skiff(format!("snapshot save {live}")).ok()?;
    has(&saved, &["core/configmaps", "saved"])?;
    cluster.down().ok()?;
    cluster.skiff(format!("snapshot save {stopped}")).ok()?;
    has(
        &cluster.skiff(format!("snapshot inspect {stopped}")).ok()?,
        &["core/configmaps"],
    )?;
    has(
        &cluster.skiff(format!("snapshot restore {live}")).fails(1)?,
        &["is not empty"],
    )?;
    fs::remove_dir_all(cluster.data_dir().join("store"))?;
    cluster.skiff(format!("snapshot restore {live}")).ok()?;
    cluster.up("").ok()?;
    let restored: ConfigMap = cluster.block_on(async {
        let api = kube::Api::<ConfigMap>::default_namespaced(cluster.client());
        anyhow::Ok(api.get("kept").await?)
    })?;
    same(
        restored.data.and_then(|data| data.get("k").cloned()).as_deref(),
        Some("v"),
    )
}

fn a_snapshot_of_the_first_format_is_restored_and_one_of_an_unknown_format_refused(user: User) -> Result<()> {
    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../control/store/tests/data/snapshot-format-1"
    );
    let cluster = Cluster::new(user)?;
    let (first, newer) = (cluster.home().join("first"), cluster.home().join("newer"));
    let mut bytes = fs::read(kept)?;
    fs::write(&first, &bytes)?;
    // Behind the eight bytes that say what it is.
    bytes[8] = 200;
    fs::write(&newer, &bytes)?;
    for file in [&first, &newer] {
        user.own(file)?;
    }
    let skiff = |command: &str, file: &std::path::Path| {
        cluster.skiff(["snapshot", command, &file.to_string_lossy()].as_slice())
    };
    for command in ["inspect", "restore"] {
        has(
            &skiff(command, &newer).fails(1)?,
            &["its format is 200; this version knows 1"],
        )?;
    }
    ensure!(
        !cluster.data_dir().join("store").exists(),
        "a refused snapshot has made a store"
    );
    has(
        &skiff("inspect", &first).ok()?,
        &["revision 42, 41 objects", "40 core/configmaps"],
    )?;
    has(
        &skiff("restore", &first).ok()?,
        &["revision 1000000042, 41 objects", "restored"],
    )?;
    // A store of a format that nobody knows is left alone.
    let format = cluster.data_dir().join("store/FORMAT");
    let known = fs::read(&format)?;
    fs::write(&format, "7\n")?;
    let again = cluster.home().join("again");
    has(
        &skiff("save", &again).fails(1)?,
        &["has format \"7\"; this version knows format 1"],
    )?;
    fs::write(&format, known)?;
    ensure!(!again.exists());
    Ok(())
}

fn a_killed_server_has_lost_nothing(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    let ns = cluster.namespace()?;
    let api = ns.api::<ConfigMap>();
    let create = |number: usize| {
        let object: ConfigMap = serde_json::from_value(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m-{number}")}}),
        )?;
        Ok::<_, anyhow::Error>(cluster.block_on(api.create(&PostParams::default(), &object))?)
    };
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for number in 0..50 {
            acknowledged.extend(create(round * 50 + number)?.metadata.name);
        }
        let server = cluster.processes_with(Role::Server).pop().context("a server")?;
        server.kill();
        eventually("the server to be back", || {
            ensure!(!server.is_alive(), "it lives");
            same(cluster.kubectl("get --raw /readyz").ok()?.as_str(), "ok")
        })?;
    }
    let there = ns.kubectl("get configmaps -o name").ok()?;
    for name in acknowledged {
        ensure!(
            there.lines().any(|line| line == format!("configmap/{name}")),
            "{name} was acknowledged and is gone"
        );
    }
    Ok(())
}

fn a_killed_agent_finds_its_pods_again(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "echo up; sleep 1000")])?;
    let before = ns.wait_ready("p")?;
    // Not the command line: the shell becomes the last command it runs.
    let containers = || -> Vec<(i32, u64)> {
        let found = cluster.processes_with(Role::Container).into_iter();
        found.map(|process| (process.pid, process.start_time)).collect()
    };
    let containers_before = containers();
    let agent = cluster.processes_with(Role::Agent).pop().context("an agent")?;
    agent.kill();
    eventually("another agent", || {
        ensure!(
            cluster
                .processes_with(Role::Agent)
                .iter()
                .any(|found| *found != agent && found.is_alive()),
            "none yet"
        );
        same(
            ns.kubectl("exec p -- echo still there").ok()?.as_str(),
            "still there\n",
        )
    })?;
    same(containers(), containers_before)?;
    let after = ns.get::<Pod>("p")?;
    let id = |pod: &Pod| {
        container_status(pod, "main").map(|status| (status.container_id.clone(), status.restart_count))
    };
    same(id(&after), id(&before))
}

fn a_data_directory_cut_short_is_healed_or_refused(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?;
    // What a machine that lost its power during the very first start may leave.
    let pki = cluster.data_dir().join("pki");
    for dir in [cluster.data_dir(), pki.clone(), cluster.data_dir().join("store")] {
        fs::create_dir(&dir)?;
        user.own(&dir)?;
    }
    let cut = cluster.data_dir().join("cluster.json");
    fs::write(&cut, "{\"clus")?;
    user.own(&cut)?;
    cluster.up("").ok()?;
    cluster.kubectl("create configmap kept").ok()?;
    cluster.down().ok()?;
    // A key that is gone is no reason to make another: everything signed with it would be worth nothing.
    fs::write(pki.join("ca.crt"), "nonsense")?;
    let refused = cluster.up("");
    ensure!(
        refused.code != 0 && refused.stderr.contains("ca.crt"),
        "{refused}"
    );
    Ok(())
}

/// Whoever types `skiff up` at once after a kill must not be told that it runs already.
fn a_monitor_that_is_being_killed_is_followed_by_another(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    for _ in 0..3 {
        let monitor = cluster.processes_with(Role::Monitor).pop().context("a monitor")?;
        let server = cluster.processes_with(Role::Server);
        monitor.kill();
        let said = cluster.up("").ok()?;
        ensure!(!said.contains("runs already"), "{said}");
        same(cluster.processes_with(Role::Monitor).len(), 1)?;
        same(cluster.processes_with(Role::Server), server)?;
    }
    Ok(())
}

fn without_a_range_of_ids_pods_have_one_user(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?.without_id_range()?;
    has(&cluster.skiff("check").stdout, &["no range for"])?;
    cluster.up("").ok()?;
    let ns = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let mut other = shell_pod("other", &image, "id");
    other["spec"]["securityContext"] = json!({"runAsUser": 1000});
    ns.apply(&[web_deployment("web", &image, 2), web_service("web"), other])?;
    ns.wait_rolled_out("web")?;
    let target = ns.node_address("web")?;
    eventually("an answer", || has(&http_get(target)?, &["Hello from web-"]))?;
    let pod = ns.pods("app=web")?.pop().context("a pod")?;
    has(&ns.kubectl(["exec", &pod, "--", "id"]).ok()?, &["uid=0(root)"])?;
    eventually("the reason", || {
        has(
            &ns.kubectl("get events").ok()?,
            &["container can't run as user 1000", "/etc/subuid"],
        )
    })
}

fn http_get(target: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(skiff_tests::DEADLINE))?;
    write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn what_can_not_work_is_refused_with_the_reason(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?;
    let taken = TcpListener::bind(("0.0.0.0", cluster.port()))?;
    let refused = cluster.up("").fails(1)?;
    has(
        &refused,
        &[&format!("port {} is taken", cluster.port()), "--port"],
    )?;
    drop(taken);
    let fails = |options: &str, code: i32, parts: &[&str]| -> Result<()> {
        has(&cluster.up(options).fails(code)?, parts)
    };
    fails("--nonsense", 2, &["unexpected argument '--nonsense'"])?;
    fails(
        "--cluster-cidr=x",
        2,
        &["invalid value 'x' for '--cluster-cidr <CIDR[,IPV6-CIDR]>'"],
    )?;
    fails("--cluster-cidr=10.96.0.0/15", 1, &["overlap"])?;
    fails("--node-name=Not_A_Name", 1, &["can't be the name of a node"])?;
    has(&cluster.down().ok()?, &["skiff is down"])?;
    cluster.up("--cluster-domain=first.test").ok()?;
    cluster.down().ok()?;
    fails(
        "--cluster-domain=second.test",
        1,
        &["was started with", "first.test"],
    )
}

fn the_command_line_teaches() -> Result<()> {
    let program = std::env::var_os("SKIFF_BIN")
        .map_or_else(|| skiff_tests::target_dir().join("debug/skiff"), Into::into);
    let skiff =
        |word: &str| -> Result<Output> { run(std::process::Command::new(&program).args(word.split(' '))) };
    has(
        &skiff("--help")?.ok()?,
        &["Start here:", "skiff up", "KUBECONFIG", "skiff down --purge"],
    )?;
    has(
        &skiff("up --help")?.ok()?,
        &["--port", "[default: 6443]", "--cluster-cidr"],
    )?;
    has(
        &skiff("nonsense")?.fails(2)?,
        &["unrecognized subcommand 'nonsense'"],
    )?;
    let checked = skiff("check")?;
    has(
        &checked.stdout,
        &["kernel", "user namespaces", "cgroups", "overlay"],
    )?;
    let script = skiff("completion bash")?.ok()?;
    let bash = need("bash")?;
    skiff_tests::run_with_input(std::process::Command::new(bash).arg("-n"), script.as_bytes())?
        .ok()
        .map(drop)
}

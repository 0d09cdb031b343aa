//! Services under load, while their replicas come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use skiff_tests::{
    Cluster, Namespace, Process, Role, User, container_status, eventually, is_ready, shell_pod,
    web_deployment, web_service,
};

use super::load::{self, Outcome};

skiff_tests::cases! {
    shared: ten_thousand_requests_spread_evenly_and_none_fails,
        a_rolling_update_fails_no_request,
        a_rolling_update_of_servers_that_end_at_once_fails_no_request,
        a_thousand_dropped_connections_leave_no_descriptor;
    own: only_requests_a_replica_had_when_it_was_killed_fail,
        a_killed_container_runs_again_within_a_second,
        a_pods_connection_to_a_service_outlives_the_agent;
}

const THREADS: usize = 4;

fn serve(space: &Namespace<'_>) -> Result<()> {
    let image = space.cluster().image("v1")?;
    space.apply(&[web_deployment("web", &image, 3), web_service("web")])?;
    space.wait_rolled_out("web")?;
    Ok(())
}

fn ten_thousand_requests_spread_evenly_and_none_fails(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace()?;
    serve(&space)?;
    let even = |from: &str, outcome: Outcome, count: u64| {
        ensure!(
            outcome.failures.is_empty() && outcome.answered() == count,
            "{from}: {outcome:?}"
        );
        ensure!(
            outcome.answers.len() == 3 && outcome.unevenness() < 0.1,
            "{from}: {:?}",
            outcome.answers
        );
        Ok(())
    };
    let target = space.node_address("web")?;
    // The node port answers once this node's proxy has seen the service.
    eventually("the node port", || Ok(std::net::TcpStream::connect(target)?))?;
    even(
        "from the host",
        load::start(target, THREADS, 5_000).finish(),
        5_000,
    )?;
    even(
        "from a pod",
        load::from_a_pod(&space, space.cluster_address("web")?, THREADS, 5_000)?,
        5_000,
    )
}

fn a_rolling_update_fails_no_request(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace()?;
    serve(&space)?;
    roll(&space)
}

/// As everybody does it in Kubernetes: the hook gives the endpoints time to follow before the signal.
fn a_rolling_update_of_servers_that_end_at_once_fails_no_request(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace()?;
    let mut deployment = web_deployment("web", &cluster.image("v1")?, 3);
    let spec = &mut deployment["spec"]["template"]["spec"];
    spec["terminationGracePeriodSeconds"] = json!(30);
    // The image's own server is process 1, which takes no notice of the signal.
    let script = "trap 'kill -9 $server; exit 0' TERM; /bin/serve & server=$!; while true; do wait; done";
    spec["containers"][0]["command"] = json!(["sh", "-c", script]);
    spec["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}});
    space.apply(&[deployment, web_service("web")])?;
    space.wait_rolled_out("web")?;
    roll(&space)
}

/// Updates the deployment `web` to the other image under load.
fn roll(space: &Namespace<'_>) -> Result<()> {
    let cluster = space.cluster();
    let target = space.node_address("web")?;
    eventually("the node port", || Ok(std::net::TcpStream::connect(target)?))?;
    let load = load::start(target, THREADS, u64::MAX);
    let image = format!("web={}", cluster.image("v2")?);
    space.kubectl(["set", "image", "deployment/web", &image]).ok()?;
    space.wait_rolled_out("web")?;
    // Pods of the old template are draining still.
    eventually("three pods", || {
        ensure!(space.pods("app=web")?.len() == 3);
        Ok(())
    })?;
    let outcome = load.stop();
    println!(
        "rolling update: {} answers, {} failures",
        outcome.answered(),
        outcome.failures.len()
    );
    ensure!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    ensure!(outcome.answers.len() > 3, "{:?}", outcome.answers);
    Ok(())
}

fn a_thousand_dropped_connections_leave_no_descriptor(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace()?;
    serve(&space)?;
    let target = space.node_address("web")?;
    eventually("the node port", || Ok(std::net::TcpStream::connect(target)?))?;
    let agent = cluster
        .processes_with(Role::Agent)
        .into_iter()
        .next()
        .context("the agent")?;
    let sockets_to_service = || open_sockets(&agent, target.port());
    for _ in 0..1_000 {
        drop(std::net::TcpStream::connect(target)?);
    }
    // The listener stays.
    eventually("the sockets to close", || {
        let open = sockets_to_service()?;
        ensure!(open == 0, "{open} connections of the node port are open");
        Ok(())
    })
}

/// Established or half-closed TCP sockets of a local port in the namespace of a process.
fn open_sockets(process: &Process, port: u16) -> Result<usize> {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let mut count = 0;
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{}/net/{table}", process.pid))?;
        count += text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(1);
                Some((fields.next()?, fields.nth(1)?))
            })
            .filter(|(local, state)| {
                local.ends_with(&format!(":{port:04X}")) && ![LISTEN, TIME_WAIT].contains(state)
            })
            .count();
    }
    Ok(count)
}

/// The web servers' main processes; no other pod runs in the cluster.
fn servers(cluster: &Cluster) -> Vec<Process> {
    let is_main = |process: &Process| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        ids.is_some_and(|ids| ids.split_whitespace().last() == Some("1"))
    };
    let containers = cluster.processes_with(Role::Container).into_iter();
    containers
        .filter(|process| process.command.starts_with("httpd") && process.is_alive() && is_main(process))
        .collect()
}

fn only_requests_a_replica_had_when_it_was_killed_fail(user: User) -> Result<()> {
    const KILLS: usize = 5;
    let cluster = Cluster::start(user)?;
    let space = cluster.namespace()?;
    serve(&space)?;
    let target = space.node_address("web")?;
    eventually("the node port", || Ok(std::net::TcpStream::connect(target)?))?;
    let load = load::start(target, THREADS, u64::MAX);
    let mut kills: Vec<(Instant, Instant)> = Vec::new();
    for kill in 0..KILLS {
        let running = servers(&cluster);
        let victim = running
            .get(kill % 3)
            .with_context(|| format!("three servers run, not {running:?}"))?;
        let before = Instant::now();
        victim.kill();
        eventually("the end of a server", || {
            ensure!(!victim.is_alive());
            Ok(())
        })?;
        kills.push((before, Instant::now()));
        // A container that ends again and again would be held back: its pod is replaced.
        let pods = space.api::<Pod>();
        let is_hurt = |pod: &Pod| {
            container_status(pod, "web").is_some_and(|status| {
                status.restart_count > 0 || status.state.as_ref().is_some_and(|s| s.running.is_none())
            })
        };
        eventually("another pod instead", || {
            let listed = cluster.block_on(pods.list(&ListParams::default()))?.items;
            for pod in listed
                .iter()
                .filter(|pod| is_hurt(pod) && pod.metadata.deletion_timestamp.is_none())
            {
                cluster.block_on(pods.delete(
                    pod.metadata.name.as_deref().context("name")?,
                    &DeleteParams::default(),
                ))?;
            }
            let unhurt = listed.iter().filter(|pod| is_ready(pod) && !is_hurt(pod)).count();
            ensure!(
                listed.len() == 3 && unhurt == 3 && servers(&cluster).len() == 3,
                "{unhurt} of {} pods",
                listed.len()
            );
            Ok(())
        })?;
    }
    let outcome = load.stop();
    let (had, others): (Vec<_>, Vec<_>) = outcome.failures.iter().partition(|failure| {
        kills
            .iter()
            .any(|(before, gone)| failure.began <= *gone && failure.ended >= *before)
    });
    println!(
        "{KILLS} kills: {} answers, {} requests were at a killed server",
        outcome.answered(),
        had.len()
    );
    ensure!(others.is_empty(), "{others:?}, kills: {kills:?}");
    ensure!(had.len() <= KILLS * THREADS, "{had:?}");
    Ok(())
}

fn a_killed_container_runs_again_within_a_second(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    let space = cluster.namespace()?;
    serve(&space)?;
    let before = servers(&cluster);
    let victim = before.first().context("a server")?;
    let killed = Instant::now();
    victim.kill();
    let again = || {
        ensure!(servers(&cluster).iter().any(|process| !before.contains(process)));
        Ok(())
    };
    eventually("the container", again)?;
    let took = killed.elapsed();
    println!("runs again after {took:?}");
    // A loaded machine takes longer; waiting for a back-off would be ten seconds.
    ensure!(took < Duration::from_secs(9), "{took:?}");
    Ok(())
}

fn a_pods_connection_to_a_service_outlives_the_agent(user: User) -> Result<()> {
    let cluster = Cluster::start(user)?;
    let space = cluster.namespace()?;
    let image = cluster.image("v1")?;
    let mut server = shell_pod("echo", &image, "nc -l -p 7000 -e cat");
    server["metadata"]["labels"] = json!({"app": "echo"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"},
        "spec": {"selector": {"app": "echo"}, "ports": [{"port": 7, "targetPort": 7000}]}});
    space.apply(&[server, service])?;
    space.wait_ready("echo")?;
    let script = "i=0; while true; do i=$((i+1)); echo $i; sleep 0.1; done | nc echo 7 >/tmp/answers; echo over >>/tmp/answers; sleep 1000";
    space.apply(&[shell_pod("client", &image, script)])?;
    let answers = || -> Result<Vec<String>> {
        let text = space.kubectl("exec client -- cat /tmp/answers").ok()?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    let more_than = |count: usize| {
        eventually("answers", || {
            let answers = answers()?;
            ensure!(answers.len() > count, "{answers:?}");
            Ok(answers)
        })
    };
    let before = more_than(3)?;
    for agent in cluster.processes_with(Role::Agent) {
        agent.kill();
    }
    // What is read now, a new agent has read.
    let after = more_than(before.len() + 10)?;
    let every: Vec<String> = (1..=after.len()).map(|number| number.to_string()).collect();
    ensure!(after == every, "{after:?}");
    Ok(())
}

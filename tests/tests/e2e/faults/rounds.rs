//! Any process of skiff killed at any moment, with writes going on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, ObjectMeta, PostParams};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use skiff_tests::{
    Cluster, Namespace, Process, Role, User, eventually, is_ready, web_deployment, web_service,
};

skiff_tests::cases! {
    own: every_acknowledged_write_and_every_pod_survives_kills_of_any_process;
}

/// Descriptors a process of ours has at most, in a cluster of a few pods.
const MOST_DESCRIPTORS: usize = 300;
const REPLICAS: usize = 3;

/// `SKIFF_FAULT_ROUNDS` and `SKIFF_FAULT_SEED`, or five rounds with any seed.
fn parameter(name: &str, default: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(default), |text| {
        text.parse().with_context(|| format!("{name}={text}"))
    })
}

fn every_acknowledged_write_and_every_pod_survives_kills_of_any_process(user: User) -> Result<()> {
    let rounds = parameter("SKIFF_FAULT_ROUNDS", 5)?;
    let seed = parameter("SKIFF_FAULT_SEED", rand::random::<u32>().into())?;
    println!("{rounds} rounds, SKIFF_FAULT_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start(user)?;
    let space = cluster.namespace()?;
    space.apply(&[
        web_deployment("web", &cluster.image("v1")?, REPLICAS as u32),
        web_service("web"),
    ])?;
    space.wait_rolled_out("web")?;
    let writer = Writer::start(&cluster, &space);
    for round in 0..rounds {
        let mut by_role: BTreeMap<Role, Vec<Process>> = BTreeMap::new();
        for process in cluster
            .processes()
            .into_iter()
            .filter(|process| process.role != Role::Container)
        {
            by_role.entry(process.role).or_default().push(process);
        }
        let victims = by_role
            .values()
            .nth(random.random_range(0..by_role.len()))
            .context("a role")?;
        let victim = victims[random.random_range(0..victims.len())].clone();
        victim.kill();
        eventually("its end", || {
            ensure!(!victim.is_alive());
            Ok(())
        })?;
        if victim.role == Role::Monitor {
            cluster.up("").ok()?;
        }
        let acknowledged = writer.count();
        converged(&cluster, &space)
            .with_context(|| format!("round {round}, seed {seed}, {victim:?} killed"))
            .inspect_err(|_| eprintln!("{}", told(&cluster, &space)))?;
        // Writes go on after each kill.
        eventually("another write", || {
            ensure!(writer.count() > acknowledged);
            Ok(())
        })
        .with_context(|| format!("round {round}, seed {seed}, {victim:?} killed"))?;
    }
    let acknowledged = writer.stop();
    let maps = space.api::<ConfigMap>();
    let listed = cluster.block_on(maps.list(&ListParams::default()))?;
    let there: BTreeSet<String> = listed
        .items
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|name| !there.contains(*name))
        .collect();
    println!("{} acknowledged writes", acknowledged.len());
    ensure!(lost.is_empty(), "seed {seed}, lost: {lost:?}");
    bounded(&cluster)
}

/// Every process is there, the node and every pod is ready, and nothing of a former pod or process is left.
fn converged(cluster: &Cluster, space: &Namespace<'_>) -> Result<()> {
    eventually("the cluster to converge", || {
        let pods = cluster
            .block_on(space.api::<Pod>().list(&ListParams::default()))?
            .items;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        ensure!(
            ready == REPLICAS && pods.len() == REPLICAS,
            "{ready} of {} pods are ready: {:#?}",
            pods.len(),
            pods.iter()
                .filter(|pod| !is_ready(pod))
                .map(|pod| &pod.status)
                .collect::<Vec<_>>()
        );
        let processes = cluster.processes();
        for (role, wanted) in [
            (Role::Monitor, 1),
            (Role::Server, 1),
            (Role::Agent, 1),
            (Role::Spawner, 1),
            (Role::Supervisor, REPLICAS),
        ] {
            let count = processes
                .iter()
                .filter(|process| process.role == role && process.is_alive())
                .count();
            ensure!(count == wanted, "{count} times {role:?}: {processes:#?}");
        }
        let zombies: Vec<&Process> = processes.iter().filter(|process| process.is_zombie()).collect();
        ensure!(zombies.is_empty(), "zombies: {zombies:?}");
        let agent = processes
            .iter()
            .find(|process| process.role == Role::Agent)
            .context("the agent")?;
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", agent.pid))?;
        let dir = cluster
            .run_dir()
            .parent()
            .context("folder")?
            .to_string_lossy()
            .into_owned();
        let uids: Vec<&str> = pods
            .iter()
            .filter_map(|pod| pod.metadata.uid.as_deref())
            .collect();
        let stale: Vec<&str> = mounts
            .lines()
            .filter(|line| {
                line.contains(&dir) && line.contains("/pods/") && !uids.iter().any(|uid| line.contains(uid))
            })
            .collect();
        ensure!(stale.is_empty(), "mounts of no pod: {stale:?}");
        for place in [
            cluster.run_dir().join("agent/pods"),
            cluster.data_dir().join("agent/pods"),
        ] {
            let entries = fs::read_dir(&place).into_iter().flatten().flatten();
            let names: Vec<String> = entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            ensure!(
                names.iter().all(|name| uids.contains(&name.as_str())),
                "{place:?}: {names:?}, pods {uids:?}"
            );
        }
        Ok(())
    })
}

/// What pods and agent have to say when they do not converge.
fn told(cluster: &Cluster, space: &Namespace<'_>) -> String {
    let mut text = space
        .kubectl("get events --sort-by=.metadata.creationTimestamp")
        .to_string();
    for pod in space.pods("app=web").unwrap_or_default() {
        for which in ["", "--previous"] {
            text.push_str(
                &space
                    .kubectl(format!("logs {pod} --timestamps --tail=20 {which}"))
                    .to_string(),
            );
        }
    }
    for process in cluster.processes() {
        let namespaces = ["user", "mnt", "net"].map(|kind| {
            let link = fs::read_link(format!("/proc/{}/ns/{kind}", process.pid));
            link.map(|link| link.display().to_string()).unwrap_or_default()
        });
        text.push_str(&format!("{process:?} {namespaces:?}\n"));
    }
    let log = fs::read_to_string(cluster.data_dir().join("logs/agent.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    text.push_str(&lines[lines.len().saturating_sub(60)..].join("\n"));
    text
}

/// No process has gathered descriptors.
fn bounded(cluster: &Cluster) -> Result<()> {
    for process in cluster
        .processes()
        .iter()
        .filter(|process| process.role != Role::Container)
    {
        let count = fs::read_dir(format!("/proc/{}/fd", process.pid))?.count();
        ensure!(count < MOST_DESCRIPTORS, "{count} descriptors: {process:?}");
    }
    Ok(())
}

/// Creates ConfigMaps and remembers which the API acknowledged.
struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
    runtime: tokio::runtime::Handle,
}

impl Writer {
    fn start(cluster: &Cluster, space: &Namespace<'_>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
        let maps = space.api::<ConfigMap>();
        let (stopped, names) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let runtime = cluster.runtime().handle().clone();
        let task = runtime.spawn(async move {
            let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
            for number in 0_u64.. {
                ticks.tick().await;
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let name = format!("written-{number}");
                let metadata = ObjectMeta {
                    name: Some(name.clone()),
                    ..Default::default()
                };
                let map = ConfigMap {
                    metadata,
                    ..Default::default()
                };
                // An answer that did not come promises nothing.
                if maps.create(&PostParams::default(), &map).await.is_ok() {
                    names.lock().expect("no panic while held").push(name);
                }
            }
        });
        Self {
            stop,
            acknowledged,
            task,
            runtime,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("no panic while held").len()
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.runtime.block_on(self.task);
        self.acknowledged.lock().expect("no panic while held").clone()
    }
}

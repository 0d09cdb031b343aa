//! Clients on a machine with an agent, when the server that they use dies.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams, runtime::watcher};
use rustix::process::Signal;
use skiff_tests::{Host, Lan, User, eventually};

use super::{agents, writers::map};
use crate::{has, same};

skiff_tests::cases! {
    plain:
        clients_of_the_forwarder_go_on_when_the_server_of_their_machine_is_killed;
}

/// On a quiet machine it is less than one second; the rest is for one that runs other tests meanwhile.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// The current context of a host's kubeconfig, and where it leads.
fn current(host: &Host) -> Result<(String, String)> {
    host.skiff("kubeconfig --path").ok()?;
    let show = |words: &str| host.kubectl(words).ok();
    Ok((
        show("config current-context")?.trim().to_owned(),
        show("config view --minify -o jsonpath={.clusters[0].cluster.server}")?,
    ))
}

/// Asks until nobody can tell it to stop, each time with a connection of its own; returns the longest time without an answer.
fn ask(host: &Host, stop: &mpsc::Receiver<()>) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
        if host
            .kubectl("get --raw /api/v1/namespaces/default --request-timeout=2s")
            .code
            == 0
        {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    longest.max(last.elapsed())
}

fn clients_of_the_forwarder_go_on_when_the_server_of_their_machine_is_killed() -> Result<()> {
    let lan = Lan::new()?;
    let [first, second, third] = agents::members(&lan, User::Root)?;
    // Without an agent there is a context for each server, and that of this machine is used.
    let (_, url) = current(&second)?;
    same(url.as_str(), "https://127.0.0.1:6443")?;
    let contexts = second.kubectl("config get-contexts -o name").ok()?;
    same(contexts.lines().count(), 3)?;
    ensure!(!contexts.lines().any(|name| name == "skiff"), "{contexts}");

    // Pods have all of them behind the service.
    let endpoints = first.kubectl("get endpoints kubernetes").ok()?;
    for host in [&first, &second, &third] {
        has(&endpoints, &[&format!("{}:6443", host.address())])?;
    }

    second.join(&second, "")?;
    third.wait_nodes_ready(&[&second])?;
    let forwarder = current(&second)?;
    same(
        forwarder,
        ("skiff".to_owned(), "https://127.0.0.1:6440".to_owned()),
    )?;
    let elsewhere = second.skiff("kubeconfig --server https://10.9.8.7:1").ok()?;
    has(
        &elsewhere,
        &["server: https://10.9.8.7:1", "current-context: skiff"],
    )?;

    // The first one leads: what dies is a server that others can do without.
    let leader = first.skiff("server list").ok()?;
    let leads = leader.lines().find(|line| line.contains("leads"));
    ensure!(
        leads.is_some_and(|line| !line.contains(&second.address().to_string())),
        "{leader}"
    );

    let maps = |host: &Host| Api::<ConfigMap>::namespaced(host.client(), "default");
    let (write_to, watched) = (maps(&first), maps(&second));
    let (seen, see) = mpsc::channel();
    let watching = second.runtime().spawn(async move {
        let mut events = watcher(watched, watcher::Config::default()).boxed();
        while let Some(event) = events.next().await {
            let told = match event {
                Ok(watcher::Event::InitDone) => Some("a new list".to_owned()),
                Ok(watcher::Event::Apply(map)) => map.metadata.name,
                // Whatever ends a connection: the watch goes on where it was.
                _ => None,
            };
            if told.is_some_and(|told| seen.send(told).is_err()) {
                return;
            }
        }
    });
    let next = || {
        let told = see.recv_timeout(skiff_tests::DEADLINE);
        told.with_context(|| format!("the watch says nothing\n{}", second.last_words()))
    };
    same(next()?.as_str(), "a new list")?;
    let write = |name: &str| -> Result<()> {
        first.block_on(write_to.create(&PostParams::default(), &map(name)?))?;
        Ok(())
    };
    write("before")?;
    while next()? != "before" {}

    let longest = std::thread::scope(|scope| -> Result<Duration> {
        let (stop, stopped) = mpsc::channel();
        let host = &second;
        let asking = scope.spawn(move || ask(host, &stopped));
        second.end("server", Signal::KILL)?;
        for number in 0..20 {
            write(&format!("after-{number}"))?;
        }
        for number in 0..20 {
            same(next()?, format!("after-{number}"))?;
        }
        eventually("another server", || {
            has(&second.last_words(), &["using another API server"])
        })?;
        drop(stop);
        Ok(asking.join().unwrap_or(Duration::MAX))
    })?;
    println!("the longest time without an answer was {longest:?}");
    ensure!(longest < LONGEST_GAP, "{longest:?} without an answer");

    // It is used again when it is back, and without the agent.
    second.serve("")?;
    let home = format!("to=\"{}:6443\"", second.address());
    eventually("the server of this machine to be used again", || {
        has(&second.last_words(), &[&home])
    })?;
    same(second.kubectl("get --raw /readyz").ok()?.as_str(), "ok")?;
    write("back")?;
    same(next()?.as_str(), "back")?;
    watching.abort();
    second.end("agent", Signal::TERM)?;
    same(current(&second)?.1.as_str(), "https://127.0.0.1:6443")?;
    second.end("server", Signal::KILL)?;
    let (_, url) = current(&second)?;
    ensure!([first.url(), third.url()].contains(&url), "{url}");
    has(&second.skiff("server list").ok()?, &["leads"])
}

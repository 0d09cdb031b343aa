//! New keys for the whole cluster while it runs.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Config, api::PostParams, config::KubeConfigOptions, config::Kubeconfig};
use rustix::process::Signal;
use serde_json::json;
use skiff_tests::{Lan, Members, User, eventually, shell_pod};

use super::writers::Writers;
use crate::{has, same};

skiff_tests::cases! {
    ordinary:
        nodes_and_pods_follow_the_keys_of_the_cluster;
    plain:
        keys_are_made_anew_under_load_while_members_die;
}

/// Whether the cluster answers somebody who has this kubeconfig.
fn is_served(members: &Members, kubeconfig: &str) -> Result<bool> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    members.block_on(async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?.apiserver_version().await.is_ok())
    })
}

fn write_secret(members: &Members, number: usize, name: &str) -> Result<()> {
    let secret = json!({"metadata": {"name": name}, "stringData": {"p": name}});
    members.block_on(async {
        let secrets: Api<Secret> = Api::namespaced(members.connect(number).await?, "default");
        secrets
            .create(&PostParams::default(), &serde_json::from_value(secret)?)
            .await?;
        Ok(())
    })
}

fn read_secret(members: &Members, number: usize, name: &str) -> Result<String> {
    let secret = members.block_on(async {
        let secrets: Api<Secret> = Api::namespaced(members.connect(number).await?, "default");
        Ok::<_, anyhow::Error>(secrets.get(name).await?)
    })?;
    let value = secret.data.and_then(|mut data| data.remove("p"));
    Ok(String::from_utf8(value.context("its value")?.0)?)
}

fn keys_are_made_anew_under_load_while_members_die() -> Result<()> {
    let members = Members::start(3)?;
    let kubeconfig = |number: usize| std::fs::read_to_string(members.data(number).join("kubeconfig"));
    let (old, tokens) = (
        kubeconfig(0)?,
        ["token", "token --server"].map(|words| members.skiff(0, words)),
    );
    let file = |number: usize| std::fs::read(members.data(number).join("pki/secrets.key"));
    let sealed_by = file(0)?;
    write_secret(&members, 0, "before")?;
    let writers = Writers::start(&members, &[0, 1], "keys")?;
    writers.more(20)?;
    // One member is away while the others get new keys. It comes back with the old ones, and follows.
    let away = members.id(2, 0)?;
    members.kill(2);
    members.skiff(1, "server rotate-keys").ok()?;
    write_secret(&members, 1, "between")?;
    writers.more(20)?;
    has(&members.skiff(0, "server rotate-keys").fails(1)?, &["--finish"])?;
    has(
        &members.skiff(0, "server rotate-keys --finish").fails(1)?,
        &[&format!("member {away} ")],
    )?;
    members.launch(2, "")?;
    members.serves(2)?;
    // Killed just after, a member comes back with them.
    members.kill(1);
    members.launch(1, "")?;
    members.serves(1)?;
    eventually("all members to have the new keys", || {
        let refusal = members.skiff(0, "server rotate-keys --finish").fails(1)?;
        ensure!(!refusal.contains("member"), "{refusal}\n{}", members.log_of(2));
        has(&refusal, &["pods, for another"])
    })?;
    for number in [0, 1, 2] {
        let ca = std::fs::read_to_string(members.data(number).join("pki/ca.crt"))?;
        same(ca.matches("BEGIN CERTIFICATE").count(), 2)?;
        ensure!(is_served(&members, &kubeconfig(number)?)?);
        // What seals is on disk before a member says that it has the keys.
        let now = file(number)?;
        ensure!(now != sealed_by && now == file(0)?, "the file of member {number}");
    }
    ensure!(
        is_served(&members, &old)?,
        "the old kubeconfig is refused too early"
    );
    for (words, old) in ["token", "token --server"].iter().zip(&tokens) {
        ensure!(members.skiff(0, *words).ok()? != old.stdout, "{words}");
    }
    writers.finish(&[0, 1, 2])?;
    members.skiff(2, "server rotate-keys --finish --force").ok()?;
    eventually("the old kubeconfig to be refused", || {
        ensure!(!is_served(&members, &old)?);
        Ok(())
    })?;
    // A new server joins with the new token.
    let fourth = members.join(0)?;
    members.serves(fourth)?;
    for (number, name) in [(0, "before"), (1, "between"), (2, "before"), (fourth, "between")] {
        same(read_secret(&members, number, name)?.as_str(), name)?;
    }
    ensure!(
        file(fourth)? == file(0)?,
        "the new member has another key of secrets"
    );
    for number in [0, 1, 2] {
        eventually("the new kubeconfig", || {
            ensure!(is_served(&members, &kubeconfig(number)?)?);
            Ok(())
        })?;
    }
    let writers = Writers::start(&members, &[0, 1, 2], "after")?;
    writers.more(20)?;
    writers.finish(&[0, 1, 2, fourth])?;
    Ok(())
}

fn nodes_and_pods_follow_the_keys_of_the_cluster(user: User) -> Result<()> {
    let lan = Lan::new()?;
    let (server, node, away) = (lan.host(user)?, lan.host(user)?, lan.host(user)?);
    server.serve("")?;
    for agent in [&node, &away] {
        agent.join(&server, "")?;
    }
    server.wait_nodes_ready(&[&node, &away])?;
    let namespace = server.namespace()?;
    let image = server.image("v1")?;
    namespace.apply(&[shell_pod("talker", &image, "echo hello; sleep 1000")])?;
    namespace.wait_pod("talker", "runs", |pod| {
        pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
    })?;
    away.end("agent", Signal::TERM)?;
    server.skiff("server rotate-keys").ok()?;
    let finish = || server.skiff("server rotate-keys --finish").fails(1);
    eventually("the node that is there to have the new keys", || {
        let refusal = finish()?;
        ensure!(!refusal.contains(&format!("node {}", node.name())), "{refusal}");
        has(&refusal, &[&format!("node {}", away.name())])
    })?;
    // One that was away comes back with what it knew.
    away.start(
        [vec!["agent".to_owned()], away.node_options()]
            .concat()
            .as_slice(),
    )?;
    eventually("the node that was away to have them", || {
        let refusal = finish()?;
        ensure!(!refusal.contains("node "), "{refusal}");
        Ok(())
    })?;
    eventually("the CAs in the pod's namespace", || {
        let map = server.kubectl("get configmap kube-root-ca.crt -o yaml").ok()?;
        same(map.matches("BEGIN CERTIFICATE").count(), 2)
    })?;
    server.skiff("server rotate-keys --finish --force").ok()?;
    eventually("one CA in the pod's namespace", || {
        let map = server.kubectl("get configmap kube-root-ca.crt -o yaml").ok()?;
        same(map.matches("BEGIN CERTIFICATE").count(), 1)
    })?;
    // Streams to the nodes go over connections with their new certificates; what they have to do, they hear.
    let kubectl = |words: &[&str]| {
        server
            .kubectl([&["-n", namespace.name()], words].concat().as_slice())
            .ok()
    };
    eventually("the pod's log", || {
        has(&kubectl(&["logs", "talker"])?, &["hello"])
    })?;
    kubectl(&[
        "run",
        "later",
        "--image",
        &image,
        "--restart=Never",
        "--command",
        "--",
        "echo",
        "later",
    ])?;
    eventually("a pod that ran later", || {
        has(&kubectl(&["logs", "later"])?, &["later"])
    })
}

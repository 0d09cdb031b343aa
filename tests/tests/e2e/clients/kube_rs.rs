//! kube-rs: watcher, reflector, server-side apply, logs, exec, port-forward.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde_json::json;
use skiff_tests::{Cluster, DEADLINE, Namespace, pod, shell_pod};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::same;

skiff_tests::cases! {
    shared:
        watchers_see_everything_in_both_modes,
        a_reflector_has_what_the_server_has,
        lists_come_in_pages,
        server_side_apply_owns_fields,
        exec_logs_and_port_forward_stream;
}

fn map(name: &str, value: &str) -> Result<ConfigMap> {
    Ok(serde_json::from_value(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}}),
    )?)
}

/// Fails what takes longer than anything may.
async fn in_time<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(DEADLINE, future)
        .await
        .context("took too long")?
}

fn watchers_see_everything_in_both_modes(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let api: Api<ConfigMap> = ns.api();
    for (mode, config) in [
        ("list", watcher::Config::default()),
        ("stream", watcher::Config::default().streaming_lists()),
    ] {
        cluster.block_on(in_time(async {
            let (before, after) = (format!("{mode}-before"), format!("{mode}-after"));
            api.create(&PostParams::default(), &map(&before, "1")?).await?;
            let mut events = std::pin::pin!(watcher(api.clone(), config));
            let mut initial = Vec::new();
            loop {
                match events.try_next().await?.context("the stream ended")? {
                    watcher::Event::InitApply(object) => initial.extend(object.metadata.name),
                    watcher::Event::InitDone => break,
                    _ => {}
                }
            }
            ensure!(initial.contains(&before), "{mode}: {initial:?}");
            api.create(&PostParams::default(), &map(&after, "1")?).await?;
            api.patch(
                &after,
                &PatchParams::default(),
                &Patch::Merge(json!({"data": {"k": "2"}})),
            )
            .await?;
            api.delete(&after, &DeleteParams::default()).await?;
            let mut seen = Vec::new();
            while seen.last().map(String::as_str) != Some("deleted") {
                match events.try_next().await?.context("the stream ended")? {
                    watcher::Event::Apply(object) => {
                        seen.extend(object.data.and_then(|mut data| data.remove("k")))
                    }
                    watcher::Event::Delete(_) => seen.push("deleted".into()),
                    _ => {}
                }
            }
            same(seen, vec!["1".to_owned(), "2".into(), "deleted".into()])
        }))?;
    }
    Ok(())
}

fn a_reflector_has_what_the_server_has(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let api: Api<ConfigMap> = ns.api();
    cluster.block_on(in_time(async {
        let (store, writer) = reflector::store();
        let stream = reflector(writer, watcher(api.clone(), watcher::Config::default())).applied_objects();
        let task = tokio::spawn(stream.for_each(|_| std::future::ready(())));
        store.wait_until_ready().await?;
        for number in 0..20 {
            api.create(&PostParams::default(), &map(&format!("m{number}"), "1")?)
                .await?;
        }
        while store
            .state()
            .iter()
            .filter(|m| m.metadata.name.as_deref().is_some_and(|n| n.starts_with('m')))
            .count()
            < 20
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        task.abort();
        Ok(())
    }))
}

fn lists_come_in_pages(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let api: Api<ConfigMap> = ns.api();
    cluster.block_on(in_time(async {
        for number in 0..7 {
            api.create(&PostParams::default(), &map(&format!("m{number}"), "1")?)
                .await?;
        }
        let mut params = ListParams::default().limit(3);
        let (mut names, mut pages) = (Vec::new(), 0);
        loop {
            let page = api.list(&params).await?;
            pages += 1;
            names.extend(
                page.items
                    .into_iter()
                    .filter_map(|m| m.metadata.name)
                    .filter(|n| n.starts_with('m')),
            );
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        ensure!(pages >= 3, "{pages} pages");
        same(names, (0..7).map(|number| format!("m{number}")).collect())
    }))
}

fn server_side_apply_owns_fields(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let api: Api<ConfigMap> = ns.api();
    cluster.block_on(in_time(async {
        let apply = |manager: &'static str, value: &'static str, force: bool| {
            let api = api.clone();
            async move {
                let mut params = PatchParams::apply(manager);
                params.force = force;
                api.patch("m", &params, &Patch::Apply(&map("m", value).map_err(kube_error)?))
                    .await
            }
        };
        apply("one", "1", false).await?;
        match apply("two", "2", false).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => anyhow::bail!("a conflict was expected, not {other:?}"),
        }
        let forced = apply("two", "2", true).await?;
        same(
            forced.data.and_then(|mut data| data.remove("k")).as_deref(),
            Some("2"),
        )
    }))
}

fn kube_error(error: anyhow::Error) -> kube::Error {
    kube::Error::Service(error.into())
}

fn exec_logs_and_port_forward_stream(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let web = json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": cluster.image("v1")?}]});
    ns.apply(&[
        pod("web", web),
        shell_pod("talks", &cluster.image("v1")?, "echo one; sleep 0.2; echo two"),
    ])?;
    ns.wait_ready("web")?;
    cluster.block_on(in_time(streams(&ns)))
}

async fn streams(ns: &Namespace<'_>) -> Result<()> {
    let pods: Api<Pod> = ns.api();
    let params = AttachParams::default().stdin(true).stderr(false);
    let mut process = pods
        .exec("web", ["sh", "-c", "read line; echo got $line; exit 3"], &params)
        .await?;
    let status = process.take_status().context("status")?;
    process.stdin().context("stdin")?.write_all(b"hello\n").await?;
    let mut text = String::new();
    process
        .stdout()
        .context("stdout")?
        .read_to_string(&mut text)
        .await?;
    same(text.as_str(), "got hello\n")?;
    let status = status.await.context("no status")?;
    same(status.status.as_deref(), Some("Failure"))?;
    ensure!(
        status
            .message
            .clone()
            .unwrap_or_default()
            .contains("exit status 3"),
        "{status:?}"
    );

    let params = LogParams {
        follow: true,
        ..Default::default()
    };
    kube::runtime::wait::await_condition(pods.clone(), "talks", |pod: Option<&Pod>| {
        let phase = pod
            .and_then(|pod| pod.status.as_ref())
            .and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Running" | "Succeeded"))
    })
    .await?;
    let lines: Vec<String> = pods
        .log_stream("talks", &params)
        .await?
        .lines()
        .try_collect()
        .await?;
    same(lines, vec!["one".to_owned(), "two".into()])?;

    let mut forward = pods.portforward("web", &[8080]).await?;
    let mut stream = forward.take_stream(8080).context("stream")?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.contains("Hello from web"), "{answer}");
    Ok(())
}

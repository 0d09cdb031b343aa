//! The server as `kube`, an outside client library, sees it.

mod support;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use support::Cluster;

async fn client(cluster: &Cluster) -> anyhow::Result<Client> {
    let admin = cluster.identity("admin", &["system:masters"])?;
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig(&admin))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn map(name: &str, value: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.into());
    map.data = Some(BTreeMap::from([("k".into(), value.into())]));
    map
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_written_read_applied_and_deleted() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let client = client(&cluster).await?;
    let version: Info = client.apiserver_version().await?;
    assert_eq!(version.minor, "37");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let made = maps.create(&PostParams::default(), &map("a", "1")).await?;
    assert!(made.resource_version().is_some());
    let patch = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"l": "2"}}));
    let applied = maps.patch("a", &PatchParams::apply("test"), &patch).await?;
    assert_eq!(applied.data.unwrap_or_default().len(), 2);
    let conflict = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"l": "3"}}));
    let refused = maps
        .patch("a", &PatchParams::apply("other"), &conflict)
        .await
        .unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 409));
    for i in 0..5 {
        maps.create(&PostParams::default(), &map(&format!("m{i}"), "x"))
            .await?;
    }
    let page = maps.list(&ListParams::default().limit(2)).await?;
    assert_eq!(
        (page.items.len(), page.metadata.remaining_item_count),
        (2, Some(4))
    );
    maps.delete("a", &DeleteParams::default()).await?;
    assert!(maps.get_opt("a").await?.is_none());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let patch = Patch::Apply(json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}}}));
    let made = deployments
        .patch("d", &PatchParams::apply("test"), &patch)
        .await?;
    assert_eq!(made.spec.replicas, Some(1));
    let discovered = kube::discovery::Discovery::new(client.clone())
        .run_aggregated()
        .await?;
    assert!(discovered.has_group("apps"));
    let pods: Api<Pod> = Api::all(client);
    assert!(pods.list_metadata(&ListParams::default()).await?.items.is_empty());
    cluster.stop().await;
    Ok(())
}

async fn follow(config: watcher::Config) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster).await?, "default");
    maps.create(&PostParams::default(), &map("before", "1")).await?;
    let mut seen = watcher(maps.clone(), config).applied_objects().boxed();
    assert_eq!(
        seen.try_next().await?.map(|m| m.name_any()).as_deref(),
        Some("before")
    );
    for i in 0..3 {
        let name = format!("m{i}");
        maps.create(&PostParams::default(), &map(&name, "1")).await?;
        assert_eq!(seen.try_next().await?.map(|m| m.name_any()), Some(name));
    }
    drop(seen);
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_follows_in_list_watch_mode() -> anyhow::Result<()> {
    follow(watcher::Config::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_follows_in_streaming_mode() -> anyhow::Result<()> {
    follow(watcher::Config::default().streaming_lists()).await
}

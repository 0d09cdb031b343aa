//! One member of the control plane: keys → store → API server → controllers while this member leads.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use anyhow::{Context, Result, anyhow};
use ipnet::Ipv4Net;
use skiff_api::{ClusterFacts, Server};
use skiff_store::{Leadership, Store};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    controllers::{ControllerApi, stored_kinds},
    join::Signer,
    pki::{self, Pki, Serving},
};

/// What a member needs to know.
pub struct Config {
    /// Where the store is.
    pub store_dir: PathBuf,
    /// The API server's socket, bound already: a taken port is found out before anything is written.
    pub listener: TcpListener,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Further names and addresses of the server's certificate.
    pub names: Vec<String>,
    /// Addresses of pods.
    pub cluster_cidr: Ipv4Net,
    /// Addresses of services.
    pub service_cidr: Ipv4Net,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Keys.
    pub pki: Pki,
}

/// A member that serves.
pub struct Member {
    server: Server,
    store: Store,
    stop: CancellationToken,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

/// Opens the store and serves. Returns once requests are answered.
///
/// # Errors
/// Names what could not be opened or made; nothing is left running.
pub async fn start(config: Config) -> Result<Member> {
    let Config {
        store_dir,
        listener,
        advertise,
        names,
        cluster_cidr,
        service_cidr,
        cluster_domain,
        pki,
    } = config;
    let pki = Arc::new(pki);
    let store = Store::open(skiff_store::Config::new(&store_dir))
        .await
        .with_context(|| format!("open {store_dir:?}"))?;
    let first_service = std::net::Ipv4Addr::from_bits(service_cidr.network().to_bits() + 1);
    let names = pki::server_names(&[advertise.ip(), first_service.into()], &names, &cluster_domain);
    let (serving, tls) = Serving::start(&pki, names)?;
    let server = Server::start(skiff_api::Config {
        store: store.clone(),
        listen: vec![listener],
        tls,
        service_account_key_pem: pki.service_account_key_pem().to_owned(),
        issuer: format!("https://kubernetes.default.svc.{cluster_domain}"),
        service_cidr,
        node_ports: 30000..=32767,
        advertise,
        secrets_key: pki.dir().join("secrets.key"),
        join: Some(Arc::new(Signer::new(
            pki.clone(),
            ClusterFacts {
                cluster_cidr,
                service_cidr,
                cluster_domain,
            },
        ))),
    })
    .await
    .context("start the API server")?;

    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(renew(serving, pki.clone(), stop.clone()));
    let controllers = skiff_controllers::Config {
        root_ca_pem: pki.ca_pem().to_owned(),
        pod_cidr: cluster_cidr.to_string(),
        node_grace_seconds: 40,
        resources: stored_kinds(),
    };
    tasks.spawn(lead(store.clone(), server.registry(), controllers, stop.clone()));
    Ok(Member {
        server,
        store,
        stop,
        tasks: tasks.into(),
    })
}

impl Member {
    /// Resolves when the member can't go on: its store has closed itself.
    pub async fn failed(&self) -> anyhow::Error {
        let mut leadership = self.store.leadership();
        while leadership.changed().await.is_ok() {}
        anyhow!("the store closed itself: the log above says why")
    }

    /// Drains connections, stops controllers and store.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        self.server.shutdown().await;
        if let Err(error) = self.store.close().await {
            tracing::error!(error = %error, "closing the store failed");
        }
    }
}

/// Renews the serving certificate until stopped.
async fn renew(serving: Arc<Serving>, pki: Arc<Pki>, stop: CancellationToken) {
    loop {
        let pause = match serving.renew_if_due(&pki, SystemTime::now()) {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(error = %error, "renewing the server's certificate failed");
                std::time::Duration::from_secs(600)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Runs controllers and scheduler whenever, and only while, this member leads.
async fn lead(
    store: Store,
    registry: skiff_api::Registry,
    config: skiff_controllers::Config,
    stop: CancellationToken,
) {
    let mut leadership = store.leadership();
    loop {
        tokio::select! {
            open = becomes(&mut leadership, true) => if !open { return },
            () = stop.cancelled() => return,
        }
        let term = stop.child_token();
        let registry = registry.clone();
        let api = move |name: &'static str| -> Arc<dyn skiff_controllers::Api> {
            Arc::new(ControllerApi::new(registry.clone(), name))
        };
        tracing::info!("leading: controllers and scheduler start");
        let running = skiff_controllers::run(api, config.clone(), term.clone());
        tokio::pin!(running);
        tokio::select! {
            () = &mut running => return,
            _ = becomes(&mut leadership, false) => {
                tracing::info!("no longer leading: controllers and scheduler stop");
                term.cancel();
                running.await;
            }
        }
    }
}

/// Waits until this member leads, or does not; false when the store is closed.
async fn becomes(leadership: &mut watch::Receiver<Leadership>, leader: bool) -> bool {
    leadership.wait_for(|l| l.is_leader == leader).await.is_ok()
}

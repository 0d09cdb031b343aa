//! One member of the control plane: keys → store, over the others → API server → membership → controllers while this
//! member leads.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, anyhow};
use skiff_api::{ClusterFacts, DualRange, Server};
use skiff_store::{FirstStart, Leadership, Store};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    controllers::{ControllerApi, stored_kinds},
    join::Signer,
    members::{Membership, identity::Identity, record},
    peers::Peers,
    pki::{self, MinTls, Pki, Serving, Tls},
};

/// How often a member that waits to be taken in says so.
const WAITING: Duration = Duration::from_secs(10);

/// What a member needs to know.
pub struct Config {
    /// Where its state is: the store, and which member it is.
    pub data_dir: PathBuf,
    /// The API server's socket, bound already: a taken port is found out before anything is written.
    pub listener: TcpListener,
    /// Where others reach it.
    pub advertise: SocketAddr,
    /// Further names and addresses of the server's certificate.
    pub names: Vec<String>,
    /// The oldest TLS that clients may speak.
    pub min_tls: MinTls,
    /// Addresses of pods.
    pub cluster_cidr: DualRange,
    /// Addresses of services.
    pub service_cidr: DualRange,
    /// DNS domain of the cluster.
    pub cluster_domain: String,
    /// Addresses of load balancers; without, they have those of the nodes.
    pub load_balancer_pool: Option<skiff_controllers::Pool>,
    /// What is written down of requests.
    pub audit: Option<skiff_api::audit::Config>,
    /// Which member it is.
    pub identity: Identity,
    /// Its host's name.
    pub host: String,
    /// Keys.
    pub pki: Arc<Pki>,
}

/// A member that serves.
pub struct Member {
    server: Server,
    store: Store,
    peers: Arc<Peers>,
    membership: Arc<Membership>,
    stop: CancellationToken,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

/// Opens the store and serves. Returns once requests are answered, and on a member that joins, once it votes.
///
/// # Errors
/// Names what could not be opened or made; nothing is left running.
pub async fn start(config: Config) -> Result<Member> {
    let Config {
        data_dir,
        listener,
        advertise,
        names,
        min_tls,
        cluster_cidr,
        service_cidr,
        cluster_domain,
        load_balancer_pool,
        audit,
        mut identity,
        host,
        pki,
    } = config;
    let now = SystemTime::now();
    let id = identity.id;
    let tls_to_members = Arc::new(Tls::start(&pki, id, now)?);
    let peers = Peers::new(id, advertise, tls_to_members.clone());
    peers.learn(&identity.members);
    let store_config = skiff_store::Config {
        member: id,
        first_start: if identity.joined {
            FirstStart::Join
        } else {
            FirstStart::Alone
        },
        ..skiff_store::Config::new(data_dir.join("store"))
    };
    let store = Store::open_with(store_config, peers.transport())
        .await
        .with_context(|| format!("open the store in {data_dir:?}"))?;
    peers.serve(store.clone());
    if identity.recovered {
        record::forget_others(&store, id)
            .await
            .context("forget the members that were given up")?;
        identity.recovered = false;
        identity.save(&data_dir)?;
    }
    let fixed = serde_json::json!({
        "cluster_cidr": cluster_cidr, "service_cidr": service_cidr, "cluster_domain": cluster_domain,
    });
    let membership = Membership::new(store.clone(), peers.clone(), pki.clone(), fixed);
    let first_service = std::net::Ipv4Addr::from_bits(service_cidr.v4.network().to_bits() + 1);
    let mut names = pki::server_names(&[advertise.ip(), first_service.into()], &names, &cluster_domain);
    names.push(pki::member_name(id));
    let (serving, tls) = Serving::start(&pki, names, min_tls, now)?;

    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    // Before the server starts: on a member among others it needs them to find its leader.
    let key = pki.member_key_hash()?;
    let run = |task: futures::future::BoxFuture<'static, ()>| {
        let stop = stop.clone();
        async move {
            stop.run_until_cancelled(task).await;
        }
    };
    tasks.spawn(run(Box::pin(crate::snapshots::take(
        store.clone(),
        data_dir.join("snapshots"),
    ))));
    tasks.spawn(run(Box::pin(
        membership.clone().follow(data_dir, identity.clone()),
    )));
    tasks.spawn(run(Box::pin(membership.clone().announce(host, key))));
    tasks.spawn(run(Box::pin(membership.clone().lead())));
    let starting = Server::start(skiff_api::Config {
        store: store.clone(),
        listen: vec![listener],
        tls,
        service_account_keys: pki.service_account_keys(),
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
        members: Some(membership.clone()),
        audit,
    });
    let server = tokio::select! {
        server = starting => server.context("start the API server")?,
        why = peers.removed() => return Err(gone(&why)),
    };
    membership.publish_through(server.registry());
    tasks.spawn(run(Box::pin(membership.clone().follow_keys())));
    tasks.spawn(renew(serving, tls_to_members, pki.clone(), stop.clone()));
    let controllers = skiff_controllers::Config {
        root_ca: pki.follow_ca(),
        pod_cidr: cluster_cidr.to_string(),
        node_grace_seconds: 40,
        load_balancer_pool,
        resources: stored_kinds(),
    };
    tasks.spawn(lead(store.clone(), server.registry(), controllers, stop.clone()));
    let member = Member {
        server,
        store,
        peers,
        membership,
        stop,
        tasks: tasks.into(),
    };
    if identity.joined {
        member.taken_in(id).await?;
    }
    Ok(member)
}

impl Member {
    /// Everybody in the control plane, as it changes.
    pub fn members(&self) -> watch::Receiver<Vec<record::Record>> {
        self.membership.known()
    }

    /// Waits until this member votes.
    async fn taken_in(&self, id: u64) -> Result<()> {
        let mut members = self.store.members();
        loop {
            let votes = members.wait_for(|members| members.voters.contains(&id));
            tokio::select! {
                votes = votes => return votes.map(drop).context("the store closed itself"),
                why = self.peers.removed() => return Err(gone(&why)),
                () = tokio::time::sleep(WAITING) => {
                    let leader = self.store.leadership().borrow().leader;
                    tracing::warn!(?leader, "waiting to be taken in by the other members");
                }
            }
        }
    }

    /// Resolves when the member can't go on: its store has closed itself, or the others have removed it.
    pub async fn failed(&self) -> anyhow::Error {
        let mut leadership = self.store.leadership();
        let closed = async { while leadership.changed().await.is_ok() {} };
        tokio::select! {
            () = closed => anyhow!("the store closed itself: the log above says why"),
            why = self.peers.removed() => gone(&why),
        }
    }

    /// Hands over leadership, drains connections, stops controllers and store.
    pub async fn stop(&self) {
        if !self.membership.hand_over().await && !self.peers.others().is_empty() {
            tracing::warn!("no other member could take over leadership");
        }
        self.stop.cancel();
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
        self.server.shutdown().await;
        self.peers.stop();
        if let Err(error) = self.store.close().await {
            tracing::error!(error = %error, "closing the store failed");
        }
    }
}

/// What a member says that the others have removed.
fn gone(why: &str) -> anyhow::Error {
    anyhow!("{why}: this server has no cluster any more; remove its data directory to join again")
}

/// Renews this member's certificates until stopped: before they end, and when the keys of the cluster are made anew.
async fn renew(serving: Arc<Serving>, members: Arc<Tls>, pki: Arc<Pki>, stop: CancellationToken) {
    let mut ca = pki.follow_ca();
    loop {
        let now = SystemTime::now();
        let both = [serving.renew_if_due(&pki, now), members.renew_if_due(&pki, now)];
        let mut pause = Duration::from_secs(600);
        for renewed in both {
            match renewed {
                Ok(next) => pause = pause.min(next),
                Err(error) => tracing::error!(error = %error, "renewing a certificate of this server failed"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = ca.changed() => {}
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

//! Addresses from the cluster's pool of load balancers: which node answers for which.
//!
//! Nodes agree by one Lease per address, in `kube-system`, named `load-balancer.ADDRESS`. Whoever holds it has the address on the
//! interface whose network it is in, and tells the neighbours, so that switches and hosts send what is for it there. The proxy listens on
//! it anyway, on every node.
//!
//! ```text
//!   no lease, or not renewed for TERM ─► take ─► renew every RENEW ─► leave: the service or its endpoints here go, the agent ends
//!                                                     └─ can't: the kernel drops the address when its lifetime, the rest of TERM, is over
//! ```
//!
//! Only agents of root can do that. Where none can (ordinary users, or an address of no network that nodes are in), somebody else must
//! lead the address to a node.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Service,
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
    runtime::watcher::{self, Event},
};
use skiff_pod_network::PodNetwork;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{agent::Agent, causes::chain};

/// Where the leases are, and how their names begin. The API server lets nodes have these.
const NAMESPACE: &str = "kube-system";
const PREFIX: &str = "load-balancer.";

/// How long an address stays where it is without a sign of life, and how often there is one.
const TERM: Duration = Duration::from_secs(6);
const RENEW: Duration = Duration::from_secs(2);
/// How often is looked whether it is time for something.
const LOOK: Duration = Duration::from_millis(500);
/// How long an address is left to others when it could not be had here.
const PAUSE: Duration = Duration::from_secs(30);

/// The addresses that this node is fit to answer for, each with its service.
type Wanted = BTreeMap<Ipv4Addr, Arc<Service>>;

/// Is told which addresses are wanted.
pub(super) struct Announcer {
    by_service: BTreeMap<String, Ipv4Addr>,
    wanted: watch::Sender<Wanted>,
}

impl Announcer {
    /// Starts; the task ends after `stop`, when what was held has been given back.
    pub fn start(agent: Arc<Agent>, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (wanted, receiver) = watch::channel(Wanted::new());
        let task = if agent.entered.rootless {
            tokio::spawn(async {})
        } else {
            tokio::spawn(run(agent, receiver, stop))
        };
        let by_service = BTreeMap::new();
        (Self { by_service, wanted }, task)
    }

    /// The address that is wanted for a service from now on.
    pub fn set(&mut self, name: &str, address: Option<(Ipv4Addr, Arc<Service>)>) {
        let before = self.by_service.remove(name);
        if before.is_none() && address.is_none() {
            return;
        }
        self.wanted.send_modify(|wanted| {
            before.map(|before| wanted.remove(&before));
            if let Some((address, service)) = address {
                self.by_service.insert(name.to_owned(), address);
                wanted.insert(address, service);
            }
        });
    }
}

/// A lease as last heard of.
#[derive(Clone, Debug)]
struct Heard {
    lease: Lease,
    /// When it was last seen to change, by our own clock: those of other nodes may be wrong.
    at: Instant,
}

impl Heard {
    fn holder(&self) -> Option<&str> {
        let spec = self.lease.spec.as_ref()?;
        spec.holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }
}

/// What is known of the addresses.
#[derive(Clone, Debug, Default)]
struct Known {
    leases: BTreeMap<Ipv4Addr, Heard>,
    /// Those this node answers for.
    held: BTreeMap<Ipv4Addr, Arc<Service>>,
    /// Those it could not have, and until when it does not try again.
    unable: BTreeMap<Ipv4Addr, Instant>,
}

/// What is to be done about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Write the lease, as one's own; then answer.
    Hold,
    /// Answer no longer, and remove the lease, which is one's own.
    Leave,
    /// Answer no longer: another node does.
    Yield,
}

/// What is to be done now. Pure.
fn plan(wanted: &Wanted, known: &Known, me: &str, now: Instant) -> Vec<(Ipv4Addr, Step)> {
    let mut steps = Vec::new();
    for address in wanted.keys() {
        let lease = known.leases.get(address);
        let silent_for = lease.map_or(Duration::MAX, |lease| now.duration_since(lease.at));
        let is_held = known.held.contains_key(address);
        let is_time = match lease.and_then(Heard::holder) {
            None => true,
            Some(holder) if holder == me => !is_held || silent_for >= RENEW,
            Some(_) if is_held => {
                steps.push((*address, Step::Yield));
                continue;
            }
            Some(_) => silent_for >= TERM,
        };
        let is_able = known.unable.get(address).is_none_or(|until| *until <= now);
        if is_time && is_able {
            steps.push((*address, Step::Hold));
        }
    }
    let own = known
        .leases
        .iter()
        .filter(|(_, lease)| lease.holder() == Some(me));
    let held = known.held.keys().chain(own.map(|(address, _)| address));
    let mut unwanted: Vec<Ipv4Addr> = held
        .filter(|address| !wanted.contains_key(address))
        .copied()
        .collect();
    unwanted.sort();
    unwanted.dedup();
    steps.extend(unwanted.into_iter().map(|address| (address, Step::Leave)));
    steps
}

async fn run(agent: Arc<Agent>, mut wanted: watch::Receiver<Wanted>, stop: CancellationToken) {
    loop {
        // Without a pool, or with services of other classes only, nothing is watched.
        tokio::select! {
            () = stop.cancelled() => return,
            some = wanted.wait_for(|wanted| !wanted.is_empty()) => if some.is_err() { return },
        }
        let node = Node {
            leases: Api::namespaced(agent.client.clone(), NAMESPACE),
            network: agent.network().await,
            agent: &agent,
        };
        node.follow(&mut wanted, &stop).await;
    }
}

/// Carries out what is to be done on this node.
struct Node<'a> {
    agent: &'a Agent,
    network: Arc<PodNetwork>,
    leases: Api<Lease>,
}

impl Node<'_> {
    /// Works until `stop`, or until nothing is wanted and nothing held.
    async fn follow(&self, wanted: &mut watch::Receiver<Wanted>, stop: &CancellationToken) {
        let mut events = std::pin::pin!(watcher::watcher(self.leases.clone(), watcher::Config::default()));
        let mut known = Known::default();
        let mut is_listed = false;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.carry_out(&Wanted::new(), &mut known).await;
                    return;
                }
                changed = wanted.changed() => if changed.is_err() { return },
                _ = looks.tick() => {}
                Some(event) = events.next() => match event {
                    Ok(Event::Init) => known.leases.clear(),
                    Ok(Event::InitDone) => is_listed = true,
                    Ok(Event::InitApply(lease) | Event::Apply(lease)) => known.hear(lease),
                    Ok(Event::Delete(lease)) => known.forget(&lease),
                    Err(error) => {
                        debug!(%error, "watch the leases of addresses");
                        tokio::time::sleep(LOOK).await;
                    }
                },
            }
            let now = wanted.borrow_and_update().clone();
            if is_listed {
                self.carry_out(&now, &mut known).await;
            }
            if now.is_empty() && known.held.is_empty() {
                return;
            }
        }
    }

    async fn carry_out(&self, wanted: &Wanted, known: &mut Known) {
        let steps = plan(wanted, known, &self.agent.config.node_name, Instant::now());
        let before = &*known;
        let all = steps.into_iter().map(|(address, step)| async move {
            let lease = before.leases.get(&address).map(|heard| &heard.lease);
            match step {
                Step::Hold => {
                    self.hold(address, lease, before.held.contains_key(&address))
                        .await
                }
                Step::Leave => self.leave(address, lease).await,
                Step::Yield => self.stop_answering(address).await,
            }
        });
        for done in join_all(all).await {
            known.note(done, wanted, self);
        }
    }

    /// Takes the lease, or renews it, and answers for the address.
    async fn hold(&self, address: Ipv4Addr, known: Option<&Lease>, is_held: bool) -> Done {
        match self.network.is_beside(address).await {
            Ok(true) => {}
            Ok(false) => return Done::Unable(address, None),
            Err(error) => return Done::Unable(address, Some(chain(&error))),
        }
        let begun = Instant::now();
        let lease = self.lease(address, known);
        let written = async {
            match known {
                Some(known) => {
                    self.leases
                        .replace(&known.name_any(), &PostParams::default(), &lease)
                        .await
                }
                None => self.leases.create(&PostParams::default(), &lease).await,
            }
        };
        let lease = match tokio::time::timeout(RENEW, written).await {
            Ok(Ok(lease)) => lease,
            // Somebody else was first, or the API server is away: the watch, or the end of the term, says how it goes on.
            Ok(Err(error)) => {
                debug!(%error, %address, "write the lease of an address");
                return Done::Nothing;
            }
            Err(_) => return Done::Nothing,
        };
        let rest = TERM.saturating_sub(begun.elapsed());
        match self.network.answer_for(address, rest).await {
            Ok(()) => Done::Held(address, Box::new(lease)),
            Err(error) => {
                let reason = chain(&error);
                if is_held {
                    let _ = self.stop_answering(address).await;
                }
                self.remove(&lease).await;
                Done::Unable(address, Some(reason))
            }
        }
    }

    async fn leave(&self, address: Ipv4Addr, known: Option<&Lease>) -> Done {
        let done = self.stop_answering(address).await;
        if let Some(lease) = known {
            self.remove(lease).await;
        }
        done
    }

    async fn stop_answering(&self, address: Ipv4Addr) -> Done {
        if let Err(error) = self.network.stop_answering_for(address).await {
            // It goes at the end of its lifetime.
            warn!(error = chain(&error), %address, "remove an address");
        }
        Done::Left(address)
    }

    /// Removes a lease unless it has changed since.
    async fn remove(&self, lease: &Lease) {
        let unchanged = Preconditions {
            resource_version: lease.resource_version(),
            uid: lease.uid(),
        };
        let how = DeleteParams {
            preconditions: Some(unchanged),
            ..DeleteParams::default()
        };
        let name = lease.name_any();
        let removed = tokio::time::timeout(RENEW, self.leases.delete(&name, &how)).await;
        debug!(lease = name, ?removed, "gave an address back");
    }

    /// The lease as it is to be written.
    fn lease(&self, address: Ipv4Addr, known: Option<&Lease>) -> Lease {
        let me = &self.agent.config.node_name;
        let before = known.and_then(|known| known.spec.clone()).unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let is_mine = before.holder_identity.as_ref() == Some(me);
        let transitions = before.lease_transitions.unwrap_or(-1);
        Lease {
            metadata: known.map_or_else(
                || ObjectMeta {
                    name: Some(format!("{PREFIX}{address}")),
                    ..ObjectMeta::default()
                },
                |known| known.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(me.clone()),
                lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
                acquire_time: before
                    .acquire_time
                    .filter(|_| is_mine)
                    .or_else(|| Some(now.clone())),
                lease_transitions: Some(if is_mine { transitions } else { transitions + 1 }),
                renew_time: Some(now),
                ..before
            }),
        }
    }
}

/// What has become of a step.
enum Done {
    Nothing,
    Held(Ipv4Addr, Box<Lease>),
    Left(Ipv4Addr),
    /// Why, if that is worth telling.
    Unable(Ipv4Addr, Option<String>),
}

impl Known {
    fn hear(&mut self, lease: Lease) {
        let Some(address) = address_of(&lease) else {
            return;
        };
        let same = |known: &&Heard| known.lease.resource_version() == lease.resource_version();
        // Our own write comes back by the watch.
        if self.leases.get(&address).filter(same).is_none() {
            let at = Instant::now();
            self.leases.insert(address, Heard { lease, at });
        }
    }

    fn forget(&mut self, lease: &Lease) {
        address_of(lease).map(|address| self.leases.remove(&address));
    }

    /// Takes note of what was done, and tells people of it.
    fn note(&mut self, done: Done, wanted: &Wanted, node: &Node<'_>) {
        let me = &node.agent.config.node_name;
        match done {
            Done::Nothing => {}
            Done::Held(address, lease) => {
                self.hear(*lease);
                self.unable.remove(&address);
                let Some(service) = wanted.get(&address) else {
                    return;
                };
                if self.held.insert(address, Arc::clone(service)).is_none() {
                    info!(%address, "answering for an address of a load balancer");
                    let text = format!("node {me} answers for {address}");
                    node.agent
                        .events
                        .service(service, false, "AddressAnnounced", text);
                }
            }
            Done::Left(address) => {
                if self.held.remove(&address).is_some() {
                    info!(%address, "no longer answering for an address of a load balancer");
                }
            }
            Done::Unable(address, reason) => {
                self.held.remove(&address);
                self.unable.insert(address, Instant::now() + PAUSE);
                if let (Some(reason), Some(service)) = (reason, wanted.get(&address)) {
                    warn!(error = reason, %address, "answer for an address of a load balancer");
                    let text = format!("node {me} can't answer for {address}: {reason}");
                    node.agent
                        .events
                        .service(service, true, "AddressNotAnnounced", text);
                }
            }
        }
    }
}

fn address_of(lease: &Lease) -> Option<Ipv4Addr> {
    lease.metadata.name.as_ref()?.strip_prefix(PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn wanted() -> Wanted {
        [(ADDRESS, Arc::default())].into()
    }

    fn held_by(holder: &str, at: Instant) -> Known {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(format!("{PREFIX}{ADDRESS}")),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                ..LeaseSpec::default()
            }),
        };
        Known {
            leases: [(ADDRESS, Heard { lease, at })].into(),
            ..Known::default()
        }
    }

    fn answering(mut known: Known) -> Known {
        known.held = wanted();
        known
    }

    #[test]
    fn an_address_is_taken_when_nobody_has_it_or_its_holder_is_silent() {
        let start = Instant::now();
        let steps = |known: &Known, after: Duration| plan(&wanted(), known, "me", start + after);
        let hold = vec![(ADDRESS, Step::Hold)];
        assert_eq!(steps(&Known::default(), Duration::ZERO), hold);
        let other = held_by("other", start);
        assert_eq!(steps(&other, TERM - LOOK), []);
        assert_eq!(steps(&other, TERM), hold);
        assert_eq!(steps(&held_by("", start), Duration::ZERO), hold);
        // One's own from an earlier life.
        let own = held_by("me", start);
        assert_eq!(steps(&own, Duration::ZERO), hold);
        assert_eq!(steps(&answering(own.clone()), Duration::ZERO), []);
        assert_eq!(steps(&answering(own), RENEW), hold);
    }

    #[test]
    fn an_address_that_another_node_has_taken_is_left_to_it() {
        let start = Instant::now();
        let known = answering(held_by("other", start));
        assert_eq!(plan(&wanted(), &known, "me", start), [(ADDRESS, Step::Yield)]);
    }

    #[test]
    fn what_is_no_longer_wanted_is_given_back_but_not_what_others_hold() {
        let start = Instant::now();
        let steps = |known: &Known| plan(&Wanted::new(), known, "me", start);
        assert_eq!(steps(&answering(held_by("me", start))), [(ADDRESS, Step::Leave)]);
        assert_eq!(steps(&held_by("me", start)), [(ADDRESS, Step::Leave)]);
        assert_eq!(steps(&held_by("other", start)), []);
    }

    #[test]
    fn what_could_not_be_had_is_tried_again_later() {
        let start = Instant::now();
        let mut known = Known::default();
        known.unable.insert(ADDRESS, start + PAUSE);
        assert_eq!(plan(&wanted(), &known, "me", start), []);
        assert_eq!(
            plan(&wanted(), &known, "me", start + PAUSE),
            [(ADDRESS, Step::Hold)]
        );
    }
}

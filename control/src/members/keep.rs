//! The three things that go on while a member runs: it follows who the others are, keeps its own record true, and, as
//! long as it leads, brings the group in line with the records.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use skiff_raft::{
    MemberChange,
    eraftpb::{ConfChangeSingle, ConfChangeType},
};
use skiff_store::Error;

use super::{
    Membership,
    identity::{FIRST, Identity},
    plan::{self, Step, View},
    record::{self, Record},
};

/// How often the leader looks: nobody tells it that a member has gone silent.
const LOOK: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_millis(200);

/// Where the servers are, and which CAs are to be believed.
type Published = (Vec<SocketAddr>, Vec<String>);

impl Membership {
    /// Follows the records, and writes them down for the next start. `identity` is what was written down last.
    pub async fn follow(self: Arc<Self>, data: PathBuf, mut identity: Identity) {
        // Until this member has heard from a leader its own state may be older than what was written down.
        let mut is_current = false;
        loop {
            let revision = self.store.revision();
            let watch = self.store.watch(record::PREFIX, revision);
            let known: Vec<Record> = record::all(&self.store).into_iter().map(|s| s.record).collect();
            let members = if is_current {
                known
            } else {
                merged(&identity.members, &known)
            };
            if !members.is_empty() {
                self.peers.learn(&members);
                self.known.send_if_modified(|known| {
                    let changes = *known != members;
                    known.clone_from(&members);
                    changes
                });
                if members != identity.members {
                    identity.members = members;
                    if let Err(error) = identity.save(&data) {
                        tracing::error!(%error, "writing down who the members are failed");
                    }
                }
            }
            self.revocations.send_modify(|count| *count += 1);
            let mut watch = match watch {
                Ok(watch) => watch,
                Err(Error::Closed(_)) => return,
                Err(_) => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            tokio::select! {
                event = watch.next() => if matches!(event, Err(Error::Closed(_))) { return },
                barrier = self.store.read_barrier(), if !is_current => match barrier {
                    Ok(_) => is_current = true,
                    Err(Error::Closed(_)) => return,
                    Err(_) => tokio::time::sleep(RETRY).await,
                },
            }
        }
    }

    /// Sees to it that the cluster knows this member under its present address.
    pub async fn announce(self: Arc<Self>, name: String, key: String) {
        while let Err(error) = self.try_announce(&name, &key).await {
            if matches!(error, Error::Closed(_)) {
                return;
            }
            tracing::debug!(%error, "announcing this member");
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_announce(&self, name: &str, key: &str) -> Result<(), Error> {
        self.store.read_barrier().await?;
        let mine = Record {
            id: self.me(),
            name: name.to_owned(),
            address: self.peers.advertise(),
            key: key.to_owned(),
            removing: false,
        };
        match record::get(&self.store, self.me()) {
            Some(stored) => {
                let mine = Record {
                    removing: stored.record.removing,
                    ..mine
                };
                if mine != stored.record {
                    tracing::info!(address = %mine.address, "announcing this member's address");
                    record::put(&self.store, &mine, Some(stored.revision)).await?;
                    self.changed.notify_one();
                }
            }
            // The first one is its own witness; all others are recorded when they join.
            None if self.me() == FIRST => record::put(&self.store, &mine, None).await?,
            None => tracing::warn!("the cluster has no record of this member"),
        }
        Ok(())
    }

    /// While this member leads: one step after the other, and the list of servers that are there.
    pub async fn lead(self: Arc<Self>) {
        let mut leadership = self.store.leadership();
        let mut published = None;
        // Alone, nobody can go silent, and all else that has to be done is told: nothing wakes such a member.
        let mut is_settled = false;
        loop {
            if leadership.wait_for(|l| l.is_leader).await.is_err() {
                return;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LOOK), if !is_settled => {}
                gone = leadership.wait_for(|l| !l.is_leader) => {
                    if gone.is_err() {
                        return;
                    }
                    (published, is_settled) = (None, false);
                    continue;
                }
            }
            let records: Vec<Record> = record::all(&self.store).into_iter().map(|s| s.record).collect();
            let step = plan::next(&View {
                me: self.me(),
                records: &records,
                members: &self.store.members().borrow().clone(),
                progress: &self.store.progress(),
                is_alive: &|id| self.peers.is_alive(id),
            });
            is_settled = step.is_none() && records.len() == 1 && self.is_alone();
            if let Some(step) = step
                && let Err(error) = self.take(&step, &records).await
            {
                tracing::warn!(?step, %error, "changing the members failed, trying again");
            }
            is_settled &= self.publish(&records, &mut published).await;
        }
    }

    async fn take(&self, step: &Step, records: &[Record]) -> Result<(), Error> {
        tracing::info!(?step, "changing the members");
        let (kind, id) = match *step {
            Step::AddLearner(id) => (ConfChangeType::AddLearnerNode, id),
            Step::Promote(id) => (ConfChangeType::AddNode, id),
            Step::Remove(id) => (ConfChangeType::RemoveNode, id),
            Step::HandOver => {
                self.hand_over().await;
                return Ok(());
            }
            Step::Forget(id) => {
                let record = records.iter().find(|record| record.id == id);
                return match record {
                    Some(record) => record::forget(&self.store, record).await,
                    None => Ok(()),
                };
            }
        };
        let mut change = MemberChange::default();
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id;
        change.changes.push(single);
        self.store.change_members(change).await?;
        // The next step may follow at once.
        self.changed.notify_one();
        Ok(())
    }

    /// Hands leadership to the member that is furthest; true when another one leads.
    pub async fn hand_over(&self) -> bool {
        let mut leadership = self.store.leadership();
        if !leadership.borrow().is_leader {
            return true;
        }
        let voters = self.store.members().borrow().voters.clone();
        let mut progress = self.store.progress();
        progress
            .retain(|p| p.member != self.me() && voters.contains(&p.member) && self.peers.is_alive(p.member));
        let Some(best) = progress.iter().max_by_key(|p| p.matched) else {
            return false;
        };
        tracing::info!(to = best.member, "handing over leadership");
        self.store.transfer_leadership(best.member);
        let handed = leadership.wait_for(|l| !l.is_leader && l.leader.is_some());
        tokio::time::timeout(Duration::from_secs(2), handed).await.is_ok()
    }

    fn is_alone(&self) -> bool {
        let members = self.store.members().borrow().clone();
        members.voters.len() == 1 && members.learners.is_empty()
    }

    /// True when everybody can see where the servers are.
    async fn publish(&self, records: &[Record], published: &mut Option<Published>) -> bool {
        let Some(registry) = self.registry.get() else {
            return false;
        };
        let members = self.store.members().borrow().clone();
        let servers: Vec<SocketAddr> = records
            .iter()
            .filter(|record| members.voters.contains(&record.id) && self.peers.is_alive(record.id))
            .map(|record| record.address)
            .collect();
        let now = (servers, self.pki.pins());
        if now.0.is_empty() || published.as_ref() == Some(&now) {
            return !now.0.is_empty();
        }
        match registry.publish_servers(&now.0, &now.1).await {
            Ok(()) => *published = Some(now),
            Err(error) => {
                tracing::warn!(%error, "publishing where the servers are failed, trying again");
                return false;
            }
        }
        true
    }
}

/// What was written down, and records of others that were not in it.
fn merged(written: &[Record], known: &[Record]) -> Vec<Record> {
    let new = known
        .iter()
        .filter(|record| written.iter().all(|other| other.id != record.id));
    written.iter().chain(new).cloned().collect()
}

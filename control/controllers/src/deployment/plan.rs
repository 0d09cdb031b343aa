//! What to do about a Deployment, from what is there.
//!
//! The sets are worked on as copies ([`Work`]); what differs at the end becomes the actions, in the order in which
//! the sets were first changed, so that a scale-up comes before or after a scale-down as the strategy demands.

use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};

use super::{revision, rollout, status};
use crate::machinery::Object;

/// What there is.
pub struct Observed {
    pub deployment: Arc<Deployment>,
    /// Its ReplicaSets.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// uids of the sets with pods that have not ended, those being deleted included.
    pub with_pods: HashSet<String>,
}

/// One step.
#[derive(Debug)]
pub enum Action {
    /// Change the Deployment's annotations.
    Annotate(Box<Deployment>),
    /// Create a set.
    Create(Box<ReplicaSet>),
    /// Change a set; the text of the event.
    Update {
        old: Arc<ReplicaSet>,
        new: Box<ReplicaSet>,
        event: Option<String>,
    },
    /// Delete a set that history no longer needs.
    Delete(Arc<ReplicaSet>),
}

/// What to do, in order, then the status to write.
#[derive(Debug)]
pub struct Plan {
    pub actions: Vec<Action>,
    pub status: DeploymentStatus,
    /// When to look again without a change.
    pub again: Option<Duration>,
}

struct Work {
    /// `None`: to be created.
    old: Option<Arc<ReplicaSet>>,
    new: ReplicaSet,
    event: Option<String>,
}

struct Planner<'a> {
    observed: &'a Observed,
    deployment: Deployment,
    now: Timestamp,
    work: Vec<Work>,
    /// Index of the set with the current template.
    newest: Option<usize>,
    /// Changed sets, in order.
    changed: Vec<usize>,
    delete: Vec<Arc<ReplicaSet>>,
    /// Conditions said on the way.
    status: DeploymentStatus,
}

/// Plans.
pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let deployment = (*observed.deployment).clone();
    let work = observed.sets.iter().map(|s| Work {
        old: Some(s.clone()),
        new: (**s).clone(),
        event: None,
    });
    let newest = revision::newest_template(&deployment, &observed.sets)
        .and_then(|n| observed.sets.iter().position(|s| Arc::ptr_eq(s, n)));
    let mut planner = Planner {
        observed,
        now,
        work: work.collect(),
        newest,
        changed: Vec::new(),
        delete: Vec::new(),
        status: deployment.status.clone().unwrap_or_default(),
        deployment,
    };
    if !planner.deployment.is_terminating() {
        status::pause(&planner.deployment, &mut planner.status, now);
        let scaled = planner.is_scaling();
        if planner.deployment.spec.paused == Some(true) || scaled {
            planner.sync_revision(false);
            planner.scale_all();
            if planner.deployment.spec.paused == Some(true) {
                planner.clean_up();
            }
        } else if rollout::is_recreate(&planner.deployment) {
            planner.recreate();
        } else {
            planner.roll();
        }
    }
    planner.finish()
}

impl Planner<'_> {
    fn wanted(&self) -> i32 {
        rollout::replicas(&self.deployment)
    }

    fn size(&self, index: usize) -> i32 {
        rollout::size(&self.work[index].new)
    }

    fn total(&self) -> i32 {
        (0..self.work.len()).map(|i| self.size(i)).sum()
    }

    fn active(&self) -> impl Iterator<Item = usize> {
        (0..self.work.len()).filter(|i| self.size(*i) > 0)
    }

    /// Old sets with replicas, oldest first.
    fn active_old(&self) -> Vec<usize> {
        let mut old: Vec<usize> = self.active().filter(|i| Some(*i) != self.newest).collect();
        old.sort_by(|a, b| rollout::oldest_first(&self.work[*a].new, &self.work[*b].new));
        old
    }

    /// Whether the Deployment's size has changed since a set with replicas was last scaled.
    fn is_scaling(&self) -> bool {
        let desired = |i: usize| revision::annotation(&self.work[i].new, revision::DESIRED);
        self.active()
            .any(|i| desired(i).is_some_and(|d| d != self.wanted()))
    }

    fn touch(&mut self, index: usize) {
        if !self.changed.contains(&index) {
            self.changed.push(index);
        }
    }

    fn resize(&mut self, index: usize, size: i32) {
        let before = self.size(index);
        let work = &mut self.work[index];
        revision::annotate_size(&self.deployment, &mut work.new);
        if before != size {
            work.new.spec.replicas = Some(size);
            let direction = if size > before { "up" } else { "down" };
            let name = work.new.name();
            work.event = Some(format!(
                "Scaled {direction} replica set {name} from {before} to {size}"
            ));
        }
        self.touch(index);
    }

    /// Finds the set of the current template, or makes it, and carries its revision over to the Deployment.
    fn sync_revision(&mut self, create: bool) {
        let newest = self.newest;
        let others = self.work.iter().enumerate().filter(|(i, _)| Some(*i) != newest);
        let next = others.map(|(_, w)| revision::of(&w.new)).max().unwrap_or(0) + 1;
        let said = match newest {
            Some(index) => {
                let work = &mut self.work[index];
                revision::annotate_newest(&self.deployment, &mut work.new, next);
                work.new.spec.min_ready_seconds = self.deployment.spec.min_ready_seconds;
                self.touch(index);
                let known = status::get(&self.status, "Progressing").is_some();
                (!known).then_some(("FoundNewReplicaSet", "Found new replica set"))
            }
            None if create => {
                let mut set = revision::new_set(&self.deployment, next);
                let size = rollout::new_size(&self.deployment, self.total(), 0);
                set.spec.replicas = Some(size);
                self.work.push(Work {
                    old: None,
                    new: set,
                    event: None,
                });
                let index = self.work.len() - 1;
                self.newest = Some(index);
                self.touch(index);
                Some(("NewReplicaSetCreated", "Created new replica set"))
            }
            None => None,
        };
        let Some(index) = self.newest else { return };
        let set = &self.work[index].new;
        if let Some((reason, text)) = said
            && status::has_deadline(&self.deployment)
        {
            let message = format!("{text} {:?}", set.name());
            status::set(&mut self.status, "Progressing", "True", reason, message, self.now);
        }
        let revision = set
            .annotations()
            .get(revision::REVISION)
            .cloned()
            .unwrap_or_default();
        self.deployment
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(revision::REVISION.into(), revision);
    }

    /// Scales without rolling: paused, or the size has changed.
    fn scale_all(&mut self) {
        let active: Vec<usize> = self.active().collect();
        let only = match active[..] {
            [] => self.newest.or_else(|| {
                (0..self.work.len())
                    .max_by(|a, b| rollout::oldest_first(&self.work[*a].new, &self.work[*b].new))
            }),
            [one] => Some(one),
            _ => None,
        };
        let wanted = self.wanted();
        if let Some(index) = only {
            return self.resize(index, wanted);
        }
        if active.is_empty() {
            return;
        }
        if let Some(index) = self.newest {
            let set = &self.work[index].new;
            let desired = revision::annotation(set, revision::DESIRED);
            if desired == Some(wanted) && rollout::size(set) == wanted && rollout::available(set) == wanted {
                for old in self.active_old() {
                    self.resize(old, 0);
                }
                return;
            }
        }
        if !rollout::is_recreate(&self.deployment) {
            let sets: Vec<(usize, &ReplicaSet)> = active.iter().map(|i| (*i, &self.work[*i].new)).collect();
            let before = self.status.replicas.unwrap_or(0);
            for (index, size) in rollout::proportional(&self.deployment, &sets, before) {
                self.resize(index, size);
            }
        }
    }

    fn roll(&mut self) {
        self.sync_revision(true);
        let Some(newest) = self.newest else { return };
        if self.work[newest].old.is_none() {
            return;
        }
        let (current, wanted) = (self.size(newest), self.wanted());
        let size = if current > wanted {
            wanted
        } else {
            rollout::new_size(&self.deployment, self.total(), current)
        };
        if size != current {
            return self.resize(newest, size);
        }
        if self.shrink_old(newest) {
            return;
        }
        if status::is_complete(&self.deployment, &self.observed_status()) {
            self.clean_up();
        }
    }

    /// Takes replicas from the old sets, as many as availability allows: unhealthy ones first.
    fn shrink_old(&mut self, newest: usize) -> bool {
        let old = self.active_old();
        let min_available = self.wanted() - rollout::max_unavailable(&self.deployment);
        let coming = self.size(newest) - rollout::available(&self.work[newest].new);
        let mut spare = self.total() - min_available - coming;
        if old.is_empty() || spare <= 0 {
            return false;
        }
        let mut shrunk = false;
        for &index in &old {
            let unhealthy = self.size(index) - rollout::available(&self.work[index].new);
            let take = unhealthy.min(spare);
            if take > 0 {
                self.resize(index, self.size(index) - take);
                spare -= take;
                shrunk = true;
            }
        }
        let available: i32 = self.work.iter().map(|w| rollout::available(&w.new)).sum();
        let mut spare = available - min_available;
        for &index in &old {
            let take = self.size(index).min(spare);
            if take > 0 {
                let from = self.size(index);
                self.resize(index, from - take);
                spare -= take;
                shrunk = true;
            }
        }
        shrunk
    }

    fn recreate(&mut self) {
        self.sync_revision(false);
        let old = self.active_old();
        if !old.is_empty() {
            for index in old {
                self.resize(index, 0);
            }
            return;
        }
        let newest = self.newest;
        let running = self
            .work
            .iter()
            .enumerate()
            .filter(|(i, _)| Some(*i) != newest)
            .any(|(_, w)| {
                w.new.status.as_ref().is_some_and(|s| s.replicas > 0)
                    || self.observed.with_pods.contains(w.new.uid())
            });
        if running {
            return;
        }
        if newest.is_none() {
            return self.sync_revision(true);
        }
        if let Some(index) = newest
            && self.size(index) != self.wanted()
        {
            self.resize(index, self.wanted());
        }
        if status::is_complete(&self.deployment, &self.observed_status()) {
            self.clean_up();
        }
    }

    fn observed_status(&self) -> DeploymentStatus {
        self.deployment.status.clone().unwrap_or_default()
    }

    /// Drops old, empty sets beyond the history limit, lowest revisions first.
    fn clean_up(&mut self) {
        let Some(limit) = self
            .deployment
            .spec
            .revision_history_limit
            .filter(|l| *l != i32::MAX)
        else {
            return;
        };
        let old = self
            .work
            .iter()
            .enumerate()
            .filter(|(i, w)| Some(*i) != self.newest && !w.new.is_terminating());
        let mut old: Vec<&Work> = old.map(|(_, w)| w).collect();
        let excess = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.sort_by_key(|w| Reverse((revision::of(&w.new), revision::age(&w.new))));
        let settled = |set: &ReplicaSet| {
            let status = set.status.clone().unwrap_or_default();
            status.replicas == 0
                && rollout::size(set) == 0
                && set.metadata.generation <= status.observed_generation
        };
        let gone = old
            .iter()
            .rev()
            .take(excess)
            .filter(|w| settled(&w.new))
            .filter_map(|w| w.old.clone());
        self.delete = gone.collect();
    }

    fn finish(mut self) -> Plan {
        let sets: Vec<&ReplicaSet> = self.work.iter().map(|w| &w.new).collect();
        let newest = self.newest.map(|i| &self.work[i].new);
        let mut with_said = self.deployment.clone();
        with_said.status = Some(self.status);
        let mut status = status::calculate(&with_said, &sets, newest, self.now);
        let rolling = !self.deployment.is_terminating() && self.deployment.spec.paused != Some(true);
        let again = if rolling {
            status::progress(&self.deployment, &sets, newest, &mut status, self.now)
        } else {
            None
        };
        if status.conditions.as_ref().is_some_and(Vec::is_empty) {
            status.conditions = None;
        }

        let mut actions = Vec::new();
        for &index in &self.changed {
            let work = &mut self.work[index];
            let new = Box::new(std::mem::take(&mut work.new));
            match work.old.take() {
                None => actions.push(Action::Create(new)),
                Some(old) if *old != *new => {
                    actions.push(Action::Update {
                        old,
                        new,
                        event: work.event.take(),
                    });
                }
                Some(_) => {}
            }
        }
        actions.extend(self.delete.into_iter().map(Action::Delete));
        if self.deployment.metadata != self.observed.deployment.metadata {
            actions.push(Action::Annotate(Box::new(self.deployment)));
        }
        Plan {
            actions,
            status,
            again,
        }
    }
}

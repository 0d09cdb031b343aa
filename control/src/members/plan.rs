//! What the leader does about the members, one step at a time: records and the group's members in, a step out.
//!
//! Level-triggered: whoever leads next goes on from what is there, wherever the last one stopped.

use skiff_store::{Members, Progress};

use super::record::Record;

/// How many entries a learner may be behind when it becomes a voter: it has the rest before anybody notices.
const CAUGHT_UP: u64 = 1000;

/// What is known.
pub struct View<'a> {
    /// This member, which leads.
    pub me: u64,
    /// Those that ought to be members, or ought not any more.
    pub records: &'a [Record],
    /// Those that are.
    pub members: &'a Members,
    /// How far they are.
    pub progress: &'a [Progress],
    /// Whether a member can be counted on.
    pub is_alive: &'a dyn Fn(u64) -> bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take a member in that counts for nothing yet.
    AddLearner(u64),
    /// It has caught up: let it vote.
    Promote(u64),
    /// Take it out of the group.
    Remove(u64),
    /// It is this member that goes: another must lead first.
    HandOver,
    /// It is out: forget it.
    Forget(u64),
}

/// The next step, if there is one.
pub fn next(view: &View<'_>) -> Option<Step> {
    let is_member = |id: u64| view.members.all().any(|member| member == id);
    // Taking out first: a dead member must not weigh on what comes after.
    for record in view.records.iter().filter(|record| record.removing) {
        if !is_member(record.id) {
            return Some(Step::Forget(record.id));
        }
        if may_remove(view.members, view.is_alive, record.id).is_ok() {
            return Some(if record.id == view.me {
                Step::HandOver
            } else {
                Step::Remove(record.id)
            });
        }
    }
    for record in view.records.iter().filter(|record| !record.removing) {
        if !is_member(record.id) {
            return Some(Step::AddLearner(record.id));
        }
        let is_learner = view.members.learners.contains(&record.id);
        let caught_up = matched(view, view.me)
            .zip(matched(view, record.id))
            .is_some_and(|(mine, theirs)| theirs > 0 && theirs + CAUGHT_UP >= mine);
        if is_learner
            && caught_up
            && (view.is_alive)(record.id)
            && may_add(view.members, view.is_alive, record.id)
        {
            return Some(Step::Promote(record.id));
        }
    }
    None
}

fn matched(view: &View<'_>, id: u64) -> Option<u64> {
    let progress = view.progress.iter().find(|progress| progress.member == id)?;
    Some(progress.matched)
}

fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Whether the group works on with one voter more.
fn may_add(members: &Members, is_alive: &dyn Fn(u64) -> bool, id: u64) -> bool {
    let alive = members.voters.iter().filter(|voter| is_alive(**voter)).count();
    let alive = alive + usize::from(is_alive(id));
    alive >= majority(members.voters.len() + 1)
}

/// Whether a member may go.
///
/// # Errors
/// Why not: without it those that are left could not work on.
pub fn may_remove(members: &Members, is_alive: &dyn Fn(u64) -> bool, id: u64) -> Result<(), String> {
    if !members.voters.contains(&id) {
        return Ok(());
    }
    let left: Vec<u64> = members
        .voters
        .iter()
        .copied()
        .filter(|voter| *voter != id)
        .collect();
    if left.is_empty() {
        return Err(format!(
            "member {id} is the only one that votes: without it there is no cluster"
        ));
    }
    let alive = left.iter().filter(|voter| is_alive(**voter)).count();
    if alive < majority(left.len()) {
        let dead: Vec<String> = left
            .iter()
            .filter(|voter| !is_alive(**voter))
            .map(u64::to_string)
            .collect();
        return Err(format!(
            "without member {id} only {alive} of {} members would be there, which is no majority: start member {} \
             again, or remove it first",
            left.len(),
            dead.join(" and ")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leader that is alone does not tick, and only ticks tell how far everybody is.
    #[test]
    fn a_new_member_is_taken_in_before_anything_is_known_of_the_progress() {
        let records = [record(1, false), record(2, false)];
        let members = Members {
            voters: vec![1],
            ..Members::default()
        };
        let view = View {
            me: 1,
            records: &records,
            members: &members,
            progress: &[],
            is_alive: &|id| id == 1,
        };
        assert_eq!(next(&view), Some(Step::AddLearner(2)));
    }

    fn record(id: u64, removing: bool) -> Record {
        Record {
            id,
            name: format!("m{id}"),
            address: "127.0.0.1:1".parse().unwrap(),
            key: format!("key-{id}"),
            removing,
        }
    }

    fn step(
        voters: &[u64],
        learners: &[u64],
        matched: &[(u64, u64)],
        removing: &[u64],
        dead: &[u64],
    ) -> Option<Step> {
        let mut ids: Vec<u64> = matched
            .iter()
            .map(|(id, _)| *id)
            .chain(removing.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let records: Vec<Record> = ids.iter().map(|id| record(*id, removing.contains(id))).collect();
        let progress: Vec<Progress> = matched
            .iter()
            .map(|(member, matched)| Progress {
                member: *member,
                matched: *matched,
            })
            .collect();
        next(&View {
            me: 1,
            records: &records,
            members: &Members {
                voters: voters.to_vec(),
                learners: learners.to_vec(),
            },
            progress: &progress,
            is_alive: &|id| !dead.contains(&id),
        })
    }

    #[test]
    fn a_new_member_learns_first_and_votes_when_it_has_caught_up() {
        assert_eq!(
            step(&[1], &[], &[(1, 5000), (2, 0)], &[], &[]),
            Some(Step::AddLearner(2))
        );
        assert_eq!(step(&[1], &[2], &[(1, 5000), (2, 0)], &[], &[]), None);
        assert_eq!(step(&[1], &[2], &[(1, 5000), (2, 3000)], &[], &[]), None);
        assert_eq!(
            step(&[1], &[2], &[(1, 5000), (2, 4900)], &[], &[]),
            Some(Step::Promote(2))
        );
        // It has gone away meanwhile: a vote of its own would stop the group.
        assert_eq!(step(&[1], &[2], &[(1, 5000), (2, 4900)], &[], &[2]), None);
    }

    #[test]
    fn one_change_at_a_time_and_the_dead_go_first() {
        let matched = [(1, 9), (2, 9), (3, 3), (4, 0)];
        assert_eq!(step(&[1, 2, 3], &[], &matched, &[3], &[3]), Some(Step::Remove(3)));
        assert_eq!(step(&[1, 2], &[], &matched, &[3], &[3]), Some(Step::Forget(3)));
    }

    #[test]
    fn a_leader_that_is_to_go_hands_over_first() {
        let matched = [(1, 9), (2, 9), (3, 9)];
        assert_eq!(step(&[1, 2, 3], &[], &matched, &[1], &[]), Some(Step::HandOver));
    }

    #[test]
    fn whatever_would_lose_quorum_is_refused() {
        let members = |voters: &[u64]| Members {
            voters: voters.to_vec(),
            learners: vec![],
        };
        let three = members(&[1, 2, 3]);
        assert!(may_remove(&three, &|_| true, 2).is_ok());
        assert!(may_remove(&three, &|id| id != 3, 3).is_ok());
        let why = may_remove(&three, &|id| id != 3, 2).unwrap_err();
        assert!(
            why.contains("only 1 of 2") && why.contains("start member 3"),
            "{why}"
        );
        assert!(may_remove(&members(&[1]), &|_| true, 1).is_err());
        // A learner counts for nothing.
        assert!(may_remove(&members(&[1]), &|_| true, 9).is_ok());
    }
}

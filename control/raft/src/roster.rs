//! Who the members are, and how far each of them is.

use raft::{StateRole, eraftpb::ConfState};

use crate::{
    core::{Core, LogDisk},
    machine::StateMachine,
};

/// The members of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Those whose votes and disks count.
    pub voters: Vec<u64>,
    /// Those that are sent everything and count for nothing yet.
    pub learners: Vec<u64>,
}

impl Members {
    /// Whether this member is the only one.
    pub fn is_only(&self, member: u64) -> bool {
        self.voters == [member] && self.learners.is_empty()
    }

    /// Everybody, voters first.
    pub fn all(&self) -> impl Iterator<Item = u64> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }
}

impl From<&ConfState> for Members {
    fn from(state: &ConfState) -> Self {
        let sorted = |lists: [&Vec<u64>; 2]| {
            let mut ids: Vec<u64> = lists.into_iter().flatten().copied().collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Self {
            voters: sorted([&state.voters, &state.voters_outgoing]),
            learners: sorted([&state.learners, &state.learners_next]),
        }
    }
}

/// How far a member is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose.
    pub member: u64,
    /// Index of the last entry it is known to have on disk.
    pub matched: u64,
}

impl<S: StateMachine, D: LogDisk> Core<S, D> {
    /// How far everybody is; nobody on a member that does not lead.
    pub(crate) fn progress_of_members(&self) -> Vec<Progress> {
        if self.raw.raft.state != StateRole::Leader {
            return Vec::new();
        }
        let all = self.raw.raft.prs().iter();
        all.map(|(&member, progress)| Progress {
            member,
            matched: progress.matched,
        })
        .collect()
    }
}

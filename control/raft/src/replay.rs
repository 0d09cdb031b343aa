//! What is on the disk of a member that does not run: for snapshots of it, and for going on without the others.

use std::{path::Path, sync::Arc};

use raft::{RawNode, eraftpb::EntryType};

use crate::{
    core::{LogDisk, applying::change_members, encode_members},
    disk::LogError,
    files::FileHealth,
    group::OpenError,
    log::Log,
    logger::logger,
    machine::{Position, StateMachine},
    roster::Members,
    storage::{LogStorage, recover},
};

/// Bytes of entries read at once.
const READ_BYTES: u64 = 4 << 20;

/// Where a member's disk stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// After its last entry.
    pub at: Position,
    /// The last entry that it knew to be committed. Later ones may have been acknowledged by the group, or not.
    pub committed: u64,
    /// How many of its last records were on disk once, and are lost: see [`accept_loss`](crate::accept_loss).
    pub lost: u64,
    /// Who the members were, all changes in the log included.
    pub members: Members,
}

/// Applies everything that is in the log in `dir`, after the checkpoint that `machine` stands at, to `machine`. The log
/// must not be in use.
///
/// # Errors
/// The log can't be opened, is damaged, or was never written.
pub fn replay<S: StateMachine>(dir: &Path, member: u64, machine: &mut S) -> Result<Replayed, OpenError> {
    let (log, lost) = Log::read(dir, Arc::new(FileHealth::default()))?;
    let log = Arc::new(log);
    let start = recover(&*log, machine.restored())?
        .ok_or_else(|| LogError::Damaged("nothing was ever written to it".into()))?;
    let mut members = start.members.clone();
    let committed = start.hard.commit;
    let mut at = start.applied.clone();
    let storage = LogStorage::load(log.clone(), start.base, start.members, start.hard);
    let last = storage.last();
    // It keeps the members while they change; nothing is proposed or sent.
    let mut raw = RawNode::new(
        &raft::Config {
            id: member,
            applied: at.index,
            ..Default::default()
        },
        storage,
        &logger(),
    )?;
    while at.index < last {
        for entry in log.entries(at.index + 1, last + 1, Some(READ_BYTES))? {
            (at.index, at.term) = (entry.index, entry.term);
            if entry.get_entry_type() != EntryType::EntryNormal {
                if let Ok(changed) = change_members(&mut raw, &entry).map_err(LogError::Damaged)? {
                    members = changed;
                }
            } else if !entry.data.is_empty() {
                machine.apply(entry.index, entry.term, entry.data);
            }
        }
        machine.end_batch();
    }
    at.members = encode_members(&members);
    Ok(Replayed {
        at,
        committed,
        lost,
        members: Members::from(&members),
    })
}

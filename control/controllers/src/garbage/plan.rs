//! What to do about one object.

use super::graph::{Seen, Uid};

/// What is known about one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// It exists.
    There,
    /// It is being deleted and waits for its dependents to go first.
    WaitsForDependents,
    /// The API says that it does not exist.
    Gone,
    /// Its kind is not known, or it can't be where it should be: leave the object alone.
    Unknown,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    Nothing,
    /// Decide about these.
    Look(Vec<Uid>),
    /// Delete it, with this propagation.
    Delete(&'static str),
    /// Remove the references to these owners.
    DropOwners(Vec<String>),
    /// Remove the references of these to it, then its `orphan` finalizer.
    Orphan(Vec<Uid>),
    /// Remove its `foregroundDeletion` finalizer.
    Finish,
}

/// Decides. `owners`: one per owner reference, none needed for an object that is being deleted.
pub fn decide(seen: &Seen, owners: &[OwnerState]) -> Decision {
    let entry = &seen.entry;
    if entry.deleting {
        if entry.orphan {
            return Decision::Orphan(seen.dependents.iter().map(|d| d.uid.clone()).collect());
        }
        if entry.foreground {
            let blocking = seen.dependents.iter().filter(|d| d.blocks);
            let blocking: Vec<Uid> = blocking.map(|d| d.uid.clone()).collect();
            return if blocking.is_empty() {
                Decision::Finish
            } else {
                Decision::Look(blocking)
            };
        }
        return Decision::Nothing;
    }
    if owners.is_empty() {
        return Decision::Nothing;
    }
    let keeps = |s: &OwnerState| matches!(s, OwnerState::There | OwnerState::Unknown);
    let waits = owners.contains(&OwnerState::WaitsForDependents);
    if owners.iter().any(keeps) {
        // One owner is enough to live; what is left of the others is cleared away.
        let gone = entry.owners.iter().zip(owners).filter(|(_, s)| !keeps(s));
        let gone: Vec<String> = gone.map(|(o, _)| o.uid.clone()).collect();
        return if gone.is_empty() {
            Decision::Nothing
        } else {
            Decision::DropOwners(gone)
        };
    }
    if waits && !seen.dependents.is_empty() {
        return Decision::Delete("Foreground");
    }
    // Its own finalizers say how it wanted to go.
    Decision::Delete(if entry.orphan {
        "Orphan"
    } else if entry.foreground {
        "Foreground"
    } else {
        "Background"
    })
}

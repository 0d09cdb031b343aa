//! The arithmetic of a rollout: bounds, and who gets how many replicas.

use std::cmp::Reverse;

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::revision;
use crate::machinery::{Object, amounts::scaled};

/// Wanted replicas.
pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Whether all old pods go before the first new one comes.
pub fn is_recreate(deployment: &Deployment) -> bool {
    deployment.spec.strategy.as_ref().and_then(|s| s.type_.as_deref()) == Some("Recreate")
}

/// Surge (percent rounded up) and unavailable (rounded down). Not both zero: then one may be unavailable.
fn bounds(deployment: &Deployment) -> (i32, i32) {
    let rolling = deployment
        .spec
        .strategy
        .as_ref()
        .and_then(|s| s.rolling_update.as_ref());
    let total = replicas(deployment);
    let quarter = IntOrString::String("25%".to_owned());
    let resolve = |value: Option<&IntOrString>, up| scaled(value.unwrap_or(&quarter), total, up);
    let surge = resolve(rolling.and_then(|r| r.max_surge.as_ref()), true);
    let unavailable = resolve(rolling.and_then(|r| r.max_unavailable.as_ref()), false);
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable)
    }
}

/// How many pods there may be above the wanted number.
pub fn max_surge(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        0
    } else {
        bounds(deployment).0
    }
}

/// How many of the wanted pods may be unavailable.
pub fn max_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) {
        0
    } else {
        bounds(deployment).1.min(replicas(deployment))
    }
}

/// Replicas a set is to have.
pub fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// Its available pods.
pub fn available(set: &ReplicaSet) -> i32 {
    set.status
        .as_ref()
        .and_then(|s| s.available_replicas)
        .unwrap_or(0)
}

/// The size the newest set may grow to, with `total` replicas in all sets together.
pub fn new_size(deployment: &Deployment, total: i32, current: i32) -> i32 {
    let wanted = replicas(deployment);
    if is_recreate(deployment) {
        return wanted;
    }
    let room = wanted + max_surge(deployment) - total;
    if room <= 0 {
        current
    } else {
        current + room.min(wanted - current)
    }
}

/// Spreads the Deployment's new size over its sets (of `sets`: index, set) in proportion to their sizes, what is left over to the
/// largest. `before`: replicas in the Deployment's status. Returns index and new size.
pub fn proportional(
    deployment: &Deployment,
    sets: &[(usize, &ReplicaSet)],
    before: i32,
) -> Vec<(usize, i32)> {
    let wanted = replicas(deployment);
    let allowed = if wanted > 0 {
        wanted + max_surge(deployment)
    } else {
        0
    };
    let to_add = allowed - sets.iter().map(|(_, s)| size(s)).sum::<i32>();
    let mut order: Vec<_> = sets.to_vec();
    if to_add > 0 {
        // Of equal sizes the newer grows first, and the older shrinks first.
        order.sort_by_key(|(_, s)| (Reverse(size(s)), Reverse(revision::age(s))));
    } else {
        order.sort_by_key(|(_, s)| (Reverse(size(s)), revision::age(s)));
    }
    let mut added = 0;
    let mut sizes: Vec<(usize, i32)> = Vec::new();
    for (index, set) in order {
        let share = if to_add == 0 || added == to_add || size(set) == 0 {
            0
        } else {
            let share = fraction(deployment, set, before);
            if to_add > 0 {
                share.min(to_add - added)
            } else {
                share.max(to_add - added)
            }
        };
        added += share;
        sizes.push((index, size(set) + share));
    }
    if let Some((_, largest)) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    sizes
}

fn fraction(deployment: &Deployment, set: &ReplicaSet, before: i32) -> i32 {
    let wanted = replicas(deployment);
    if wanted == 0 {
        return -size(set);
    }
    let max_now = wanted + max_surge(deployment);
    let max_then = revision::annotation(set, revision::MAX)
        .filter(|m| *m > 0)
        .unwrap_or(before);
    if max_then <= 0 {
        return 0;
    }
    let share = f64::from(size(set)) * f64::from(max_now) / f64::from(max_then);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most the product of two replica counts; `as` saturates"
    )]
    let share = share.round() as i32;
    share - size(set)
}

/// Sorts for a scale-down of old sets.
pub fn oldest_first(a: &ReplicaSet, b: &ReplicaSet) -> std::cmp::Ordering {
    (a.metadata.creation_timestamp.as_ref(), a.name())
        .cmp(&(b.metadata.creation_timestamp.as_ref(), b.name()))
}

//! From changes to keys: what several controllers listen for.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Cached, Caches, Key, Object, Queue, selector};

/// Adds the key of each object of a kind that changes or goes.
pub fn own_keys<T: Cached>(caches: &Caches, queue: &Arc<Queue<Key>>) {
    let queue = queue.clone();
    T::cache(caches).listen(move |old, new| new.or(old).into_iter().for_each(|o| queue.add(o.key())));
}

/// Adds the key of each namespace that is made or changes.
pub fn namespaces(caches: &Caches, queue: &Arc<Queue<Key>>) {
    let queue = queue.clone();
    caches
        .namespaces
        .listen(move |_, new| new.into_iter().for_each(|n| queue.add(n.key())));
}

/// Adds, for each child that changes or goes, the parent that controls it; for a child without a controller, the
/// parents in its namespace that select it, for they may adopt it.
pub fn keys_of_parents<P: Cached, C: Cached>(
    caches: &Arc<Caches>,
    queue: &Arc<Queue<Key>>,
    selector_of: fn(&P) -> &LabelSelector,
) {
    let (queue, weak) = (queue.clone(), Arc::downgrade(caches));
    C::cache(caches).listen(move |old, new| {
        for child in [old, new].into_iter().flatten() {
            match child.controller() {
                Some(owner) if owner.kind == P::KIND => queue.add(Key::new(child.namespace(), &owner.name)),
                Some(_) => {}
                None => {
                    let Some(caches) = weak.upgrade() else { return };
                    let parents = P::cache(&caches).in_namespace(child.namespace());
                    let fitting = parents
                        .iter()
                        .filter(|p| selector::matches(selector_of(p), child.labels()));
                    fitting.for_each(|p| queue.add(p.key()));
                }
            }
        }
    });
}

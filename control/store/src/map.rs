//! The ordered map of entries: two levels, copied on write, so that a clone is one reference count and shows the map
//! as it was for as long as it is kept (for checkpoints, and for readers that should not hold a lock).
//!
//! ```text
//! leaves: Arc<[ Arc<[e e e e]>, Arc<[e e e]>, … ]>     keys ascend within and across leaves; no leaf is empty
//! ```
//! A change copies what a clone still shares: at most one leaf (64 entries) and the list of leaves (8 bytes per
//! leaf). Why not a library: the persistent maps there are carry a licence or a size that this does not need.

use std::sync::Arc;

use bytes::Bytes;

use crate::Entry;

/// Most entries in a leaf.
const LEAF: usize = 64;

/// An ordered map from [`Entry::key`] to the entry.
#[derive(Clone, Default)]
pub(crate) struct Map {
    leaves: Arc<Vec<Arc<Vec<Entry>>>>,
    len: usize,
}

/// Where a key is or would be: leaf, and place in the leaf.
#[derive(Clone, Copy)]
struct Place {
    leaf: usize,
    at: usize,
    found: bool,
}

impl Map {
    pub fn len(&self) -> usize {
        self.len
    }

    fn place(&self, key: &[u8]) -> Place {
        let leaf = self
            .leaves
            .partition_point(|leaf| leaf[0].key <= key)
            .saturating_sub(1);
        match self.leaves.get(leaf) {
            None => Place {
                leaf: 0,
                at: 0,
                found: false,
            },
            Some(entries) => match entries.binary_search_by(|entry| entry.key.as_ref().cmp(key)) {
                Ok(at) => Place {
                    leaf,
                    at,
                    found: true,
                },
                Err(at) => Place {
                    leaf,
                    at,
                    found: false,
                },
            },
        }
    }

    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let place = self.place(key);
        place.found.then(|| &self.leaves[place.leaf][place.at])
    }

    /// Inserts or replaces, and returns what was there.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let place = self.place(&entry.key);
        let leaves = Arc::make_mut(&mut self.leaves);
        if leaves.is_empty() {
            leaves.push(Arc::new(vec![entry]));
            self.len = 1;
            return None;
        }
        let count = leaves.len();
        let leaf = Arc::make_mut(&mut leaves[place.leaf]);
        if place.found {
            return Some(std::mem::replace(&mut leaf[place.at], entry));
        }
        self.len += 1;
        if leaf.len() < LEAF {
            leaf.insert(place.at, entry);
            return None;
        }
        // Keys that only ascend leave full leaves behind; others split in the middle.
        let ascending = place.at == LEAF && place.leaf + 1 == count;
        let mut right = leaf.split_off(if ascending { LEAF } else { LEAF / 2 });
        match place.at.checked_sub(leaf.len()) {
            Some(at) if ascending || at > 0 => right.insert(at, entry),
            _ => leaf.insert(place.at, entry),
        }
        leaf.shrink_to_fit();
        leaves.insert(place.leaf + 1, Arc::new(right));
        None
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let place = self.place(key);
        if !place.found {
            return None;
        }
        let leaves = Arc::make_mut(&mut self.leaves);
        let leaf = Arc::make_mut(&mut leaves[place.leaf]);
        let entry = leaf.remove(place.at);
        self.len -= 1;
        if leaf.is_empty() {
            leaves.remove(place.leaf);
            return Some(entry);
        }
        // Small neighbours become one leaf, so that the list of leaves shrinks with the map.
        for left in [place.leaf.wrapping_sub(1), place.leaf] {
            if let (Some(a), Some(b)) = (leaves.get(left), leaves.get(left.wrapping_add(1)))
                && a.len() + b.len() <= LEAF / 2
            {
                let right = leaves.remove(left + 1);
                Arc::make_mut(&mut leaves[left]).extend(right.iter().cloned());
                break;
            }
        }
        Some(entry)
    }

    /// The entries with keys `>= key`, ascending.
    pub fn from(&self, key: &[u8]) -> impl Iterator<Item = &Entry> {
        let place = self.place(key);
        let first = self
            .leaves
            .get(place.leaf)
            .map_or(&[][..], |leaf| &leaf[place.at..]);
        let rest = self.leaves.get(place.leaf + 1..).unwrap_or_default();
        first.iter().chain(rest.iter().flat_map(|leaf| leaf.iter()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.leaves.iter().flat_map(|leaf| leaf.iter())
    }

    /// Number of keys in `[low, high)`; `None`: no upper end. Costs one step per leaf between.
    pub fn count(&self, low: &[u8], high: Option<&[u8]>) -> usize {
        let from = self.place(low);
        let to = match high {
            Some(high) if high <= low => return 0,
            Some(high) => self.place(high),
            None => Place {
                leaf: self.leaves.len(),
                at: 0,
                found: false,
            },
        };
        if from.leaf == to.leaf {
            return to.at.saturating_sub(from.at);
        }
        let between: usize = self.leaves[from.leaf..to.leaf]
            .iter()
            .map(|leaf| leaf.len())
            .sum();
        between + to.at - from.at
    }
}

/// The first key after all keys with this prefix; `None`: there is no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entry(key: &[u8], mod_revision: u64) -> Entry {
        Entry {
            key: Bytes::copy_from_slice(key),
            value: Bytes::new(),
            create_revision: mod_revision,
            mod_revision,
        }
    }

    fn check(map: &Map, model: &BTreeMap<Vec<u8>, u64>) {
        assert_eq!(map.len(), model.len());
        let ours: Vec<_> = map.iter().map(|e| (e.key.to_vec(), e.mod_revision)).collect();
        let theirs: Vec<_> = model.iter().map(|(k, v)| (k.clone(), *v)).collect();
        assert_eq!(ours, theirs);
        assert!(
            map.leaves
                .iter()
                .all(|leaf| !leaf.is_empty() && leaf.len() <= LEAF)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn behaves_like_a_btreemap_and_clones_do_not_change(
            changes in proptest::collection::vec((0u16..400, any::<bool>()), 0..1500),
            probes in proptest::collection::vec((0u16..400, 0u16..400), 20),
            clone_at in 0usize..1500,
        ) {
            let (mut map, mut model) = (Map::default(), BTreeMap::new());
            let mut kept = None;
            for (step, (number, put)) in changes.into_iter().enumerate() {
                if step == clone_at {
                    kept = Some((map.clone(), model.clone()));
                }
                let key = number.to_be_bytes();
                if put {
                    let old = map.insert(entry(&key, step as u64));
                    prop_assert_eq!(old.map(|e| e.mod_revision), model.insert(key.to_vec(), step as u64));
                } else {
                    prop_assert_eq!(map.remove(&key).map(|e| e.mod_revision), model.remove(&key[..]));
                }
            }
            check(&map, &model);
            if let Some((map, model)) = kept {
                check(&map, &model);
            }
            for (a, b) in probes {
                let (low, high) = (a.to_be_bytes(), b.to_be_bytes());
                let expected = if low < high { model.range(low.to_vec()..high.to_vec()).count() } else { 0 };
                prop_assert_eq!(map.count(&low, Some(&high)), expected);
                prop_assert_eq!(map.count(&low, None), model.range(low.to_vec()..).count());
                let ours: Vec<_> = map.from(&low).map(|e| e.key.to_vec()).collect();
                let theirs: Vec<_> = model.range(low.to_vec()..).map(|(k, _)| k.clone()).collect();
                prop_assert_eq!(ours, theirs);
                prop_assert_eq!(map.get(&low).map(|e| e.mod_revision), model.get(&low[..]).copied());
            }
        }
    }

    #[test]
    fn ascending_keys_fill_their_leaves() {
        let mut map = Map::default();
        for number in 0u32..10_000 {
            map.insert(entry(&number.to_be_bytes(), 1));
        }
        assert_eq!(map.leaves.len(), 10_000usize.div_ceil(LEAF));
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_without_it() {
        assert_eq!(prefix_end(b"a/"), Some(Bytes::from_static(b"a0")));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(Bytes::from_static(b"b")));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}

//! Who owns what: a controller adopts objects that match its selector and have no controller, and releases those that
//! it owns and that no longer match.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Cached, Client, Error, Object, selector};

/// What to do about the objects in sight of one owner.
#[derive(Debug)]
pub struct Claims<T> {
    /// Owned and matching.
    pub keep: Vec<Arc<T>>,
    /// Matching, without a controller.
    pub adopt: Vec<Arc<T>>,
    /// Owned, no longer matching.
    pub release: Vec<Arc<T>>,
}

/// Sorts `candidates` (owned objects and orphans of the namespace).
pub fn claims<O: Object, T: Object>(owner: &O, wanted: &LabelSelector, candidates: Vec<Arc<T>>) -> Claims<T> {
    let mut claims = Claims {
        keep: Vec::new(),
        adopt: Vec::new(),
        release: Vec::new(),
    };
    for object in candidates {
        let matching = selector::matches(wanted, object.labels());
        match object.controller() {
            Some(reference) if reference.uid != owner.uid() => {}
            Some(_) if matching => claims.keep.push(object),
            Some(_) if !owner.is_terminating() => claims.release.push(object),
            Some(_) => {}
            None if owner.is_terminating() || !matching || object.is_terminating() => {}
            None => claims.adopt.push(object),
        }
    }
    claims
}

impl Client {
    /// Carries out claims; returns the objects owned afterwards. Adoption asks the API first whether the owner is
    /// still there: an owner that was deleted and made anew must not take what the garbage collector is after.
    pub async fn claim<O: Cached, T: Cached>(
        &self,
        owner: &O,
        claims: Claims<T>,
    ) -> Result<Vec<Arc<T>>, Error> {
        let mut owned = claims.keep;
        for object in claims.release {
            let mut new = (*object).clone();
            new.metadata_mut()
                .owner_references
                .iter_mut()
                .for_each(|o| o.retain(|o| o.uid != owner.uid()));
            match self.patch(&*object, &new, "").await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        if claims.adopt.is_empty() {
            return Ok(owned);
        }
        let live = self.live::<O>(owner.namespace(), owner.name()).await?;
        if live.is_none_or(|l| l.uid() != owner.uid() || l.is_terminating()) {
            return Err(Error::Wait("the owner is being deleted"));
        }
        for object in claims.adopt {
            let mut new = (*object).clone();
            new.metadata_mut()
                .owner_references
                .get_or_insert_default()
                .push(owner.controller_reference());
            match self.patch(&*object, &new, "").await {
                Ok(Some(adopted)) => owned.push(adopted),
                Ok(None) => owned.push(object),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(owned)
    }
}

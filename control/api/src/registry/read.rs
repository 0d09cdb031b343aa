//! Get and list.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skiff_resources::Resource;
use skiff_store::{Entry, Range, Revision};

use super::{Registry, Target, key, prefix};
use crate::{
    request::query::{ListOptions, VersionMatch},
    selector::Selector,
    status::Status,
};

/// An object that was read: its entry, and its wire form on demand.
#[derive(Clone)]
pub struct Object {
    /// As stored.
    pub entry: Entry,
    /// As it goes on the wire.
    pub bytes: Bytes,
}

/// A page of objects.
pub struct List {
    /// The revision it shows.
    pub revision: Revision,
    /// The objects in key order.
    pub items: Vec<Object>,
    /// The token for the next page.
    pub continue_token: Option<String>,
    /// How many more there are, when that is known.
    pub remaining: Option<usize>,
}

/// What a continue token says.
#[derive(Serialize, Deserialize)]
struct Continue {
    /// The revision of the first page; -1: the newest, whatever it is.
    rv: i64,
    /// The key after which to go on, relative to the prefix.
    start: String,
}

impl Continue {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(token: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok();
        bytes
            .and_then(|b| serde_json::from_slice(&b).ok())
            .ok_or_else(|| {
                Status::bad_request("continue key is not valid: encoded token could not be decoded")
            })
    }
}

/// How long a reader waits for a revision that lies ahead. Kubernetes: 3 s.
const AHEAD_WAIT: Duration = Duration::from_secs(3);

impl Registry {
    /// Reads one object. Without a revision the read is linearizable.
    ///
    /// # Errors
    /// 404; 504 when `at_least` lies in the future.
    pub async fn get(&self, target: &Target<'_>, at_least: Option<Revision>) -> Result<Object, Status> {
        self.fresh(at_least).await?;
        let entry = self
            .store()
            .get(&target.key())
            .ok_or_else(|| Status::not_found(target.resource, target.name))?;
        let bytes = self
            .inner
            .parts
            .codec
            .bytes(target.resource, &entry, entry.mod_revision)?;
        Ok(Object { entry, bytes })
    }

    /// The same as [`Registry::get`], parsed.
    ///
    /// # Errors
    /// See [`Registry::get`].
    pub async fn get_value(&self, target: &Target<'_>) -> Result<Arc<Value>, Status> {
        self.fresh(None).await?;
        let entry = self
            .store()
            .get(&target.key())
            .ok_or_else(|| Status::not_found(target.resource, target.name))?;
        self.parse(&entry)
    }

    /// Every object of a resource in a namespace (empty: everywhere), parsed. The read is linearizable.
    ///
    /// # Errors
    /// 503 without a quorum.
    pub async fn list_values(
        &self,
        resource: &'static Resource,
        namespace: &str,
    ) -> Result<Vec<Arc<Value>>, Status> {
        self.fresh(None).await?;
        Ok(self.all(resource, namespace)?.1)
    }

    /// Makes sure that this member has applied what the reader may expect: everything acknowledged (`None`),
    /// anything (`Some(0)`), or a revision.
    pub(crate) async fn fresh(&self, at_least: Option<Revision>) -> Result<(), Status> {
        match at_least {
            None => {
                self.store().read_barrier().await?;
            }
            Some(revision) if revision > self.store().revision() => {
                // The revision comes from another member that is ahead of this one, or from nowhere.
                let current = tokio::time::timeout(AHEAD_WAIT, self.store().read_barrier()).await;
                let current = current.unwrap_or(Ok(self.store().revision()))?;
                if revision > current {
                    return Err(Status::too_large_version(revision, current));
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Lists objects in a namespace, or with an empty one everywhere.
    ///
    /// # Errors
    /// 400 for selectors and tokens that can't be read, 410 when the revision is no longer retained.
    pub async fn list(
        &self,
        resource: &'static Resource,
        namespace: &str,
        options: &ListOptions,
    ) -> Result<List, Status> {
        let selector = Selector::parse(&options.label_selector, &options.field_selector, resource)?;
        let prefix = prefix(resource, namespace);
        let mut range = Range {
            prefix: narrowed(resource, namespace, &selector),
            ..Range::default()
        };
        match &options.continue_token {
            Some(token) => {
                let token = Continue::decode(token)?;
                self.fresh(None).await?;
                range.revision = u64::try_from(token.rv).ok();
                range.after = Some([&prefix[..], token.start.as_bytes()].concat().into());
            }
            None => {
                self.fresh(options.resource_version).await?;
                // A limit without a match has always meant exactly this revision.
                let exact = options.version_match == Some(VersionMatch::Exact)
                    || (options.version_match.is_none() && options.limit > 0);
                range.revision = options.resource_version.filter(|v| exact && *v > 0);
            }
        }
        let mut items = Vec::new();
        let limit = options.limit;
        loop {
            // With a selector a page is filled from as many pages of the store as it takes.
            range.limit = match (limit, selector.is_empty()) {
                (0, _) => 0,
                (limit, true) => limit,
                (limit, false) => (limit - items.len()).max(500),
            };
            let page = self
                .store()
                .range(&range)
                .map_err(|error| expired_page(error, &range, &prefix, options))?;
            let revision = page.revision;
            let more = page.remaining;
            let total = page.entries.len();
            for (index, entry) in page.entries.into_iter().enumerate() {
                let bytes = self
                    .inner
                    .parts
                    .codec
                    .bytes(resource, &entry, entry.mod_revision)?;
                let parsed = || self.parse(&entry).unwrap_or_default();
                if !selector.matches(resource, &bytes, parsed) {
                    range.after = Some(entry.key);
                    continue;
                }
                let key = entry.key.clone();
                items.push(Object { entry, bytes });
                if limit > 0 && items.len() == limit {
                    let left = more + (total - index - 1);
                    let token = (left > 0).then(|| next_token(&prefix, &key, revision));
                    return Ok(List {
                        revision,
                        items,
                        remaining: (token.is_some() && selector.is_empty()).then_some(left),
                        continue_token: token,
                    });
                }
                range.after = Some(key);
            }
            if more == 0 {
                return Ok(List {
                    revision,
                    items,
                    continue_token: None,
                    remaining: None,
                });
            }
            range.revision = Some(revision);
        }
    }

    /// Every object of a resource as applied here, parsed.
    pub(crate) fn all(
        &self,
        resource: &'static Resource,
        namespace: &str,
    ) -> Result<(Revision, Vec<Arc<Value>>), Status> {
        let page = self.store().range(&Range {
            prefix: prefix(resource, namespace),
            ..Range::default()
        })?;
        let values: Result<Vec<_>, _> = page.entries.iter().map(|e| self.parse(e)).collect();
        Ok((page.revision, values?))
    }
}

/// The prefix of the keys that a selector can match: a single name makes it the object's key (and of names that
/// begin with it, which the selector refuses).
pub(crate) fn narrowed(resource: &Resource, namespace: &str, selector: &Selector) -> Bytes {
    match selector.fields.exact("metadata.name") {
        Some(name) if !namespace.is_empty() || !resource.namespaced => key(resource, namespace, name),
        _ => prefix(resource, namespace),
    }
}

fn next_token(prefix: &[u8], key: &[u8], revision: Revision) -> String {
    Continue {
        rv: revision as i64,
        start: String::from_utf8_lossy(&key[prefix.len()..]).into_owned(),
    }
    .encode()
}

/// The error of a page at a revision that is gone: with a token to go on at the newest revision.
fn expired_page(error: skiff_store::Error, range: &Range, prefix: &[u8], options: &ListOptions) -> Status {
    let skiff_store::Error::Compacted { .. } = error else {
        return error.into();
    };
    if options.continue_token.is_none() {
        return Status::expired("The resourceVersion for the provided list is too old.");
    }
    let start = range
        .after
        .as_deref()
        .map(|k| &k[prefix.len()..])
        .unwrap_or_default();
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of \
         the results. Continuing with the provided token results in an inconsistent list - objects that were \
         created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.continue_token = Some(
        Continue {
            rv: -1,
            start: String::from_utf8_lossy(start).into_owned(),
        }
        .encode()
        .into(),
    );
    status
}

/// Bytes of a piece of a list that is sent piece by piece.
const PIECE: usize = 128 << 10;

impl List {
    /// The body of a list: the items' bytes side by side.
    pub fn to_bytes(&self, api_version: &str, kind: &str) -> Bytes {
        let head = self.head(api_version, kind);
        let mut out = BytesMut::with_capacity(self.size(&head));
        out.extend_from_slice(head.as_bytes());
        for (index, item) in self.items.iter().enumerate() {
            append(&mut out, index, item);
        }
        out.extend_from_slice(TAIL);
        out.freeze()
    }

    /// The same bytes in pieces, each made when it is asked for, and how many bytes they are together: the first is on its
    /// way at once, and the list is never in memory twice.
    pub(crate) fn into_pieces(
        self,
        api_version: &str,
        kind: &str,
    ) -> (usize, impl Iterator<Item = Bytes> + Send + use<>) {
        let head = self.head(api_version, kind);
        let size = self.size(&head);
        let mut items = self.items.into_iter().enumerate().peekable();
        let mut begun = Some(head);
        let pieces = std::iter::from_fn(move || {
            items.peek()?;
            let mut out = BytesMut::with_capacity(PIECE + (PIECE >> 3));
            if let Some(head) = begun.take() {
                out.extend_from_slice(head.as_bytes());
            }
            while out.len() < PIECE
                && let Some((index, item)) = items.next()
            {
                append(&mut out, index, &item);
            }
            if items.peek().is_none() {
                out.extend_from_slice(TAIL);
            }
            Some(out.freeze())
        });
        (size, pieces)
    }

    /// Bytes of all items.
    pub(crate) fn item_bytes(&self) -> usize {
        self.items.iter().map(|item| item.bytes.len()).sum()
    }

    fn head(&self, api_version: &str, kind: &str) -> String {
        format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{},\"items\":[",
            self.metadata()
        )
    }

    fn size(&self, head: &str) -> usize {
        head.len() + self.item_bytes() + self.items.len().saturating_sub(1) + TAIL.len()
    }

    /// `metadata` of the list.
    pub fn metadata(&self) -> Value {
        let mut metadata = serde_json::json!({"resourceVersion": self.revision.to_string()});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }
}

const TAIL: &[u8] = b"]}";

fn append(out: &mut BytesMut, index: usize, item: &Object) {
    if index > 0 {
        out.extend_from_slice(b",");
    }
    out.extend_from_slice(&item.bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_pieces_is_the_list() {
        for count in [1, 2, 300] {
            let item = |number: usize| Object {
                entry: Entry {
                    key: Bytes::new(),
                    value: Bytes::new(),
                    create_revision: 1,
                    mod_revision: 1,
                },
                bytes: Bytes::from("x".repeat(number * 7)),
            };
            let list = List {
                revision: 5,
                items: (0..count).map(item).collect(),
                continue_token: None,
                remaining: None,
            };
            let whole = list.to_bytes("v1", "Pod");
            let (size, pieces) = list.into_pieces("v1", "Pod");
            let pieces: Vec<Bytes> = pieces.collect();
            assert_eq!(pieces.concat(), whole);
            assert_eq!(size, whole.len());
            assert_eq!(pieces.len() > 1, count == 300);
        }
    }
}

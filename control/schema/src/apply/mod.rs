//! Server-side apply and the tracking of field owners.
//!
//! An object's `metadata.managedFields` says for each manager which fields it set. [`apply`] merges a configuration
//! into the object, takes out what the manager applied before and no longer does, and refuses to change what others
//! own. [`track`] hands the fields that any other write changed to its writer.
//!
//! Source: "Server-Side Apply" in the Kubernetes documentation.

mod managers;
mod set;
mod walk;

use serde_json::Value;

use crate::facts::Shape;
use crate::{FieldConflict, PatchError, Type, Writer};
use managers::{Entry, Operation};
use set::FieldSet;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager whose annotation of client-side apply is honoured and kept up to date.
const KUBECTL: &str = "kubectl";
/// Owner of what is there when an object without managed fields is applied to.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Fields of `metadata` that nobody owns.
const UNOWNED_METADATA: &[&str] = &[
    "f:clusterName",
    "f:creationTimestamp",
    "f:generation",
    "f:managedFields",
    "f:name",
    "f:namespace",
    "f:resourceVersion",
    "f:selfLink",
    "f:uid",
];

/// Server-side apply. `live` is the stored object (`None`: it will be created), `applied` the configuration.
/// Returns the merged object with `metadata.managedFields` brought up to date; an apply that changes nothing returns
/// an object equal to `live`, times included.
///
/// Which fields count depends on `writer.subresource`: none for `status` of the object itself, none for `spec` of
/// the sub-resource `status`; the caller resets what the sub-resource may not change.
///
/// # Errors
/// `Conflicts` when another manager owns a field that would change and `force` is false; `BadRequest` for lists
/// with duplicate keys, fields the schema does not have, or a configuration that carries managedFields.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    ty: Type,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, PatchError> {
    let shape = Shape::Object(ty.0);
    check(applied, shape)?;
    let (live, managed) = match live {
        Some(live) => {
            let mut live = live.clone();
            let managed = take_managed(&mut live);
            (Some(live), managed)
        }
        None => (None, None),
    };
    let live = live.as_ref();
    let mut entries = managers::parse(managed.as_ref()).unwrap_or_default();
    if entries.is_empty() && live.is_some() {
        let owned = owned_by(writer, walk::compare(None, live, shape).changed);
        if !owned.is_empty() {
            let before = Writer {
                manager: BEFORE_FIRST_APPLY,
                subresource: "",
                ..*writer
            };
            entries.push(Entry::new(&before, Operation::Update, owned));
        }
    }

    let named = written_by(writer, walk::field_set(applied, shape));
    let set = owned_by(writer, named.clone());
    let mut mine = Entry::new(writer, Operation::Apply, set);
    let last = entries
        .iter()
        .position(|entry| entry.same_owner(&mine))
        .map(|at| entries.remove(at));

    let mut merged = walk::merge(live, Some(applied), shape).unwrap_or_default();
    if let Some(last) = &last {
        let mut held = named;
        entries.iter().for_each(|entry| held.union(&entry.set));
        merged = without_former(merged, &last.set, &held, shape);
    }

    let delta = walk::compare(live, Some(&merged), shape);
    let (changed, removed) = (owned_by(writer, delta.changed), owned_by(writer, delta.removed));
    if !force {
        refuse_conflicts(&entries, &changed, live, shape, writer)?;
    }
    managers::give_up(&mut entries, &changed);
    managers::give_up(&mut entries, &removed);
    if let Some(last) = last
        && changed.is_empty()
        && removed.is_empty()
        && last.set == mine.set
        && last.api_version == mine.api_version
    {
        mine.time = last.time;
    }
    if !mine.set.is_empty() {
        entries.push(mine);
    }
    put_managed(&mut merged, managers::print(entries));
    if writer.manager == KUBECTL {
        refresh_last_applied(&mut merged, applied);
    }
    Ok(merged)
}

/// Brings `metadata.managedFields` of `new` up to date after a plain create (`old` is `None`), update or patch.
/// A client that sends an empty `managedFields: [{}]` resets them; one that sends none keeps the stored ones; through
/// a sub-resource they can't be changed. An object whose managed fields were reset is not tracked until it is applied
/// to.
///
/// # Errors
/// None today.
pub fn track(old: Option<&Value>, new: &mut Value, ty: Type, writer: &Writer<'_>) -> Result<(), PatchError> {
    let sent = take_managed(new);
    let stored = old
        .and_then(|old| old.get("metadata"))
        .and_then(|metadata| metadata.get("managedFields"));
    if managers::is_reset(sent.as_ref()) {
        return Ok(());
    }
    let sent = sent.filter(|sent| writer.subresource.is_empty() && Some(sent) != stored);
    let delta = walk::compare(old, Some(new), Shape::Object(ty.0));
    let (changed, removed) = (owned_by(writer, delta.changed), owned_by(writer, delta.removed));
    if sent.is_none() && changed.is_empty() && removed.is_empty() && old.is_some() {
        put_managed(new, stored.cloned());
        return Ok(());
    }
    let sent = sent
        .and_then(|sent| managers::parse(Some(&sent)))
        .filter(|entries| !entries.is_empty());
    let mut entries = sent.or_else(|| managers::parse(stored)).unwrap_or_default();
    if entries.is_empty() && old.is_some() {
        return Ok(());
    }
    let had_mine = {
        let probe = Entry::new(writer, Operation::Update, FieldSet::default());
        entries
            .iter()
            .position(|entry| entry.same_owner(&probe))
            .map(|at| entries.remove(at))
    };
    managers::give_up(&mut entries, &changed);
    managers::give_up(&mut entries, &removed);
    let touched = !changed.is_empty();
    let mut mine = Entry::new(writer, Operation::Update, changed);
    if let Some(mut before) = had_mine {
        before.set.subtract(&removed);
        if !touched {
            mine.time = before.time;
        }
        mine.set.union(&before.set);
    }
    if !mine.set.is_empty() {
        entries.push(mine);
    }
    managers::cap(&mut entries);
    put_managed(new, managers::print(entries));
    Ok(())
}

/// Refuses a configuration that can't be merged.
fn check(applied: &Value, shape: Shape) -> Result<(), PatchError> {
    let metadata = applied.get("metadata");
    let managed = metadata.and_then(|metadata| metadata.get("managedFields"));
    if managed
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        return Err(PatchError::BadRequest(
            "metadata.managedFields must be nil".into(),
        ));
    }
    let faults = walk::faults(applied, shape);
    let faults = match faults.as_slice() {
        [] => return Ok(()),
        [fault] => fault.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(applied.get("apiVersion")), text(applied.get("kind")));
    let slash = if api_version.contains('/') { "" } else { "/" };
    let namespace = text(metadata.and_then(|metadata| metadata.get("namespace")));
    let name = text(metadata.and_then(|metadata| metadata.get("name")));
    Err(PatchError::BadRequest(format!(
        "failed to create typed patch object ({namespace}/{name}; {slash}{api_version}, Kind={kind}): {faults}"
    )))
}

/// `set` without the fields that `writer`'s sub-resource does not write.
fn written_by(writer: &Writer<'_>, mut set: FieldSet) -> FieldSet {
    match writer.subresource {
        "status" => set.cut("f:spec"),
        "approval" => {}
        _ => set.cut("f:status"),
    }
    set
}

/// The same without the fields that have no owner.
fn owned_by(writer: &Writer<'_>, set: FieldSet) -> FieldSet {
    let mut set = written_by(writer, set);
    set.member = false;
    set.cut("f:apiVersion");
    set.cut("f:kind");
    if let Some(metadata) = set.children.get_mut("f:metadata") {
        metadata.member = false;
        UNOWNED_METADATA.iter().for_each(|edge| metadata.cut(edge));
        if metadata.is_empty() {
            set.cut("f:metadata");
        }
    }
    set
}

/// Takes out of `merged` what is in `last` and in `held` no more: the fields this manager applied before, but not
/// now, and nobody else owns.
fn without_former(merged: Value, last: &FieldSet, held: &FieldSet, shape: Shape) -> Value {
    let all = |value: &Value| walk::with_named_fields(&walk::field_set(value, shape), shape);
    let left = |value: Option<Value>| value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let (last, held) = (
        walk::with_named_fields(last, shape),
        walk::with_named_fields(held, shape),
    );
    let everything = all(&merged);
    // Take out all that was applied; then put back what has an owner; then what was never applied, but fell with it.
    let bare = left(walk::remove(&merged, &last, shape));
    let mut unowned = everything.clone();
    unowned.subtract(&all(&bare));
    unowned.subtract(&held);
    let owned = left(walk::remove(&merged, &unowned, shape));
    let mut gone = everything;
    gone.subtract(&all(&owned));
    left(walk::remove(&merged, &gone.intersection(&last), shape))
}

fn refuse_conflicts(
    entries: &[Entry],
    changed: &FieldSet,
    live: Option<&Value>,
    shape: Shape,
    writer: &Writer<'_>,
) -> Result<(), PatchError> {
    let mut conflicts = Vec::new();
    let mut contested = FieldSet::default();
    for entry in entries {
        let both = entry.set.intersection(changed);
        let message = format!("conflict with {}", entry.owner());
        conflicts.extend(both.paths().into_iter().map(|field| FieldConflict {
            message: message.clone(),
            field,
        }));
        contested.union(&both);
    }
    if writer.manager == KUBECTL && !conflicts.is_empty() {
        // Who applied on the client's side before may take these fields over.
        contested.subtract(&applied_by_client(live, shape, writer).unwrap_or_default());
        if contested.is_empty() {
            return Ok(());
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    conflicts.sort_by(|a, b| a.message.cmp(&b.message));
    Err(PatchError::Conflicts(conflicts))
}

/// The fields that client-side apply set last and that still have the value it gave them.
fn applied_by_client(live: Option<&Value>, shape: Shape, writer: &Writer<'_>) -> Option<FieldSet> {
    let annotation = live?
        .get("metadata")?
        .get("annotations")?
        .get(LAST_APPLIED)?
        .as_str()?;
    let applied: Value = serde_json::from_str(annotation).ok()?;
    if applied.get("apiVersion")?.as_str()? != writer.api_version {
        return None;
    }
    let mut set = walk::field_set(&applied, shape);
    set.subtract(&walk::compare(Some(&applied), live, shape).changed);
    Some(set)
}

/// kubectl goes on to use the annotation when it is there: keep it true.
fn refresh_last_applied(merged: &mut Value, applied: &Value) {
    let Some(annotations) = merged
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if !annotations.contains_key(LAST_APPLIED) {
        return;
    }
    let mut applied = applied.clone();
    if let Some(metadata) = applied.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    annotations.insert(LAST_APPLIED.into(), format!("{applied}\n").into());
}

fn take_managed(object: &mut Value) -> Option<Value> {
    object
        .get_mut("metadata")?
        .as_object_mut()?
        .remove("managedFields")
}

fn put_managed(object: &mut Value, managed: Option<Value>) {
    if let Some(managed) = managed
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("managedFields".into(), managed);
    }
}

#[cfg(test)]
mod tests;

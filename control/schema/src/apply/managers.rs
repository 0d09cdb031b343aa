//! The entries of `metadata.managedFields`: who owns which fields, since when.

use serde_json::{Map, Value, json};

use super::set::FieldSet;
use crate::Writer;

/// More entries of operation Update than this are folded into [`OLD_UPDATES`].
const MAX_UPDATE_ENTRIES: usize = 10;
const OLD_UPDATES: &str = "ancient-changes";

/// The operation of an entry; its order is that of the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) set: FieldSet,
}

impl Entry {
    pub(super) fn new(writer: &Writer<'_>, operation: Operation, set: FieldSet) -> Entry {
        let manager = if writer.manager.is_empty() {
            "unknown"
        } else {
            writer.manager
        };
        Entry {
            manager: manager.to_owned(),
            operation,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: Some(writer.time.to_owned()),
            set,
        }
    }

    /// The same owner: appliers are told apart without their version.
    pub(super) fn same_owner(&self, other: &Entry) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The owner as conflicts name it: `"kubectl" using apps/v1`.
    pub(super) fn owner(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            text += &format!(" using {}", self.api_version);
        }
        text
    }

    fn parse(value: &Value) -> Option<Entry> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let operation = match text("operation")? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let set = match value.get("fieldsV1") {
            None | Some(Value::Null) => FieldSet::default(),
            Some(fields) => FieldSet::from_json(fields)?,
        };
        Some(Entry {
            manager: text("manager").unwrap_or_default().to_owned(),
            operation,
            api_version: text("apiVersion").unwrap_or_default().to_owned(),
            subresource: text("subresource").unwrap_or_default().to_owned(),
            time: text("time").map(str::to_owned),
            set,
        })
    }

    fn print(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, text: &str| entry.insert(name.to_owned(), Value::from(text));
        put("manager", &self.manager);
        put(
            "operation",
            if self.operation == Operation::Apply {
                "Apply"
            } else {
                "Update"
            },
        );
        put("apiVersion", &self.api_version);
        put("fieldsType", "FieldsV1");
        if let Some(time) = &self.time {
            put("time", time);
        }
        if !self.subresource.is_empty() {
            put("subresource", &self.subresource);
        }
        entry.insert("fieldsV1".into(), self.set.to_json());
        Value::Object(entry)
    }
}

/// Reads `managedFields`; `None`: malformed.
pub(super) fn parse(managed: Option<&Value>) -> Option<Vec<Entry>> {
    match managed {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(entries) => entries.as_array()?.iter().map(Entry::parse).collect(),
    }
}

/// A client asks for a reset with one empty entry.
pub(super) fn is_reset(managed: Option<&Value>) -> bool {
    managed.is_some_and(|managed| *managed == json!([{}]))
}

/// Takes `set` from every entry and drops the ones that own nothing more.
pub(super) fn give_up(entries: &mut Vec<Entry>, set: &FieldSet) {
    for entry in entries.iter_mut() {
        entry.set.subtract(set);
    }
    entries.retain(|entry| !entry.set.is_empty());
}

/// Folds the oldest updates, per version, into one entry until there are few enough.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let mut updates: Vec<usize> = (0..entries.len())
        .filter(|at| entries[*at].operation == Operation::Update)
        .collect();
    let mut excess = updates.len().saturating_sub(MAX_UPDATE_ENTRIES);
    if excess == 0 {
        return;
    }
    updates.sort_by(|a, b| {
        (&entries[*a].time, &entries[*a].manager).cmp(&(&entries[*b].time, &entries[*b].manager))
    });
    let mut firsts: Vec<usize> = Vec::new();
    let mut folded: Vec<usize> = Vec::new();
    for at in updates {
        if excess == 0 {
            break;
        }
        let first = firsts
            .iter()
            .copied()
            .find(|first| entries[*first].api_version == entries[at].api_version);
        let Some(first) = first else {
            firsts.push(at);
            continue;
        };
        let (set, time) = (entries[at].set.clone(), entries[at].time.clone());
        let bucket = &mut entries[first];
        bucket.set.union(&set);
        bucket.time = time;
        bucket.manager = OLD_UPDATES.into();
        bucket.subresource.clear();
        folded.push(at);
        excess -= 1;
    }
    let mut at = 0;
    entries.retain(|_| {
        at += 1;
        !folded.contains(&(at - 1))
    });
}

/// Writes `managedFields`, appliers first, then by time. `None`: nobody owns anything.
pub(super) fn print(mut entries: Vec<Entry>) -> Option<Value> {
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| {
            (
                entry.operation,
                entry.time.clone(),
                entry.manager.clone(),
                entry.api_version.clone(),
                entry.subresource.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    (!entries.is_empty()).then(|| Value::Array(entries.iter().map(Entry::print).collect()))
}

//! What pods of the tests use of this machine.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// The machine's C library and what else is installed, as volumes and their mounts: for programs that the small image
/// of the tests does not have.
pub fn libraries() -> (Vec<Value>, Vec<Value>) {
    let folders = ["/lib", "/lib64", "/usr"];
    let there = folders.iter().filter(|path| Path::new(path).exists());
    there
        .map(|path| {
            let name = format!("host-{}", &path[1..]);
            // These are links on most machines.
            let source = fs::canonicalize(path).unwrap_or_else(|_| path.into());
            (
                json!({"name": name, "hostPath": {"path": source}}),
                json!({"name": name, "mountPath": path, "readOnly": true}),
            )
        })
        .unzip()
}

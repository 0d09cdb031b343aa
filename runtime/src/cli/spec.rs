//! spec: a configuration to start from.

use std::{fs, io};

use oci_spec::runtime::Spec;
use serde_json::json;

use super::args;
use crate::error::{Context, invalid};

pub(super) fn write(args: &args::Spec) -> io::Result<i32> {
    let path = args.bundle.join("config.json");
    if path.exists() {
        return Err(invalid(format!(
            "File {} exists. Remove it first",
            path.display()
        )));
    }
    let spec = example(args.rootless)?;
    fs::write(&path, serde_json::to_string_pretty(&spec)? + "\n").context(|| format!("write {path:?}"))?;
    Ok(0)
}

/// A shell in a terminal, in namespaces of its own.
fn example(rootless: bool) -> io::Result<Spec> {
    let mut spec = if rootless {
        Spec::rootless(
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    } else {
        Spec::default()
    };
    spec.set_version(crate::OCI_VERSION.to_owned());
    spec.set_hostname(Some("skiff".to_owned()));
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_terminal(Some(true));
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    process.set_capabilities(
        serde_json::from_value(
            json!({"bounding": capabilities, "effective": capabilities, "permitted": capabilities}),
        )
        .context(|| "write the capabilities".into())?,
    );
    spec.set_process(Some(process));
    Ok(spec)
}

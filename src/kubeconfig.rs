//! `skiff kubeconfig`.

use anyhow::{Context, Result};

use crate::{cli::KubeconfigArgs, paths::Paths};

/// Prints the administrator's kubeconfig or its path.
pub fn run(paths: &Paths, args: &KubeconfigArgs) -> Result<()> {
    let path = paths.admin_kubeconfig();
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("read {path:?} (there is no cluster here yet: start one with `skiff up`)")
    })?;
    if args.path {
        crate::output::say!("{}", path.display());
    } else {
        print!("{text}");
    }
    Ok(())
}

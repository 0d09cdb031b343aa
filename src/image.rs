//! `skiff image`: the images of this node.

use anyhow::Result;
use skiff_image::{Credentials, Image};

use crate::{
    cli::{ImageArgs, ImageCommand},
    cluster::{self, Fixed},
    paths::Paths,
    server,
};

/// Works on the same store as the agent, running or not. As an ordinary user in the agent's user namespace, where the
/// owners of files in layers exist.
pub fn run(paths: &Paths, args: &ImageArgs) -> Result<()> {
    paths.create()?;
    let node = crate::cli::NodeArgs {
        insecure_registry: args.insecure_registry.clone(),
        ..Default::default()
    };
    let config = cluster::agent_config(paths, &node, &Fixed::recorded(&paths.data))?;
    // Relative paths mean what they meant before the namespaces are entered.
    let command = match &args.command {
        ImageCommand::Import { source, name } => ImageCommand::Import {
            source: std::path::absolute(source)?,
            name: name.clone(),
        },
        other => other.clone(),
    };
    let store = skiff_node_agent::open_images(&config)?;
    let runtime = server::runtime()?;
    match command {
        ImageCommand::Import { source, name } => {
            for image in runtime.block_on(store.import(&source, name.as_deref()))? {
                crate::output::say!("imported {}", image.tags.first().unwrap_or(&image.id));
            }
        }
        ImageCommand::Pull { reference } => {
            let image = runtime.block_on(store.pull(&reference, &Credentials::Anonymous))?;
            crate::output::say!("pulled {} ({})", reference, image.id);
        }
        ImageCommand::List => print_table(&store.list()?),
        ImageCommand::Remove { reference } => {
            store.remove(&reference)?;
            crate::output::say!("removed {reference}");
        }
    }
    Ok(())
}

fn print_table(images: &[Image]) {
    crate::output::say!("{:<60} {:<14} {:>9}", "IMAGE", "ID", "SIZE");
    for image in images {
        let id = image
            .id
            .trim_start_matches("sha256:")
            .get(..12)
            .unwrap_or(&image.id);
        let size = format!("{:.1}MB", image.size as f64 / 1e6);
        let names = if image.tags.is_empty() {
            &image.digests
        } else {
            &image.tags
        };
        for name in names {
            crate::output::say!("{name:<60} {id:<14} {size:>9}");
        }
    }
}

//! `skiff agent`: the node agent in the foreground.

use anyhow::{Context, Result};

use crate::{
    cli::AgentArgs,
    cluster::{self, Fixed},
    join,
    paths::Paths,
};

/// Joins if it has not yet, then runs the agent; the exit code is the agent's.
pub fn run(paths: &Paths, args: &AgentArgs) -> Result<i32> {
    paths.create()?;
    let name = cluster::node_name(args.node.node_name.as_deref())?;
    if let (Some(server), Some(token)) = (&args.join, &args.token) {
        // Joining needs threads, and the agent must start without any: a child does it.
        let asked = in_child(|| join::join(paths, server, token, &name, args.node.node_ip));
        // A node that is one goes on without that server, and with a token that is not valid any more.
        match asked {
            Err(error) if join::Joined::load(paths).is_ok_and(|joined| joined.is_some()) => {
                eprintln!("skiff agent: joining again failed, going on as the node it is: {error:#}");
            }
            other => other?,
        }
    }
    let joined = join::Joined::load(paths)?.context(
        "this node has not joined a cluster: give --join https://SERVER:6443 --token TOKEN (`skiff token` on the server \
         prints it)",
    )?;
    let fixed = Fixed::recorded(&paths.data);
    fixed.agree(args)?;
    let mut config = cluster::agent_config(paths, &args.node, &fixed)?;
    config.key = joined.key;
    crate::process::register(&paths.run, "agent")?;
    crate::server::start_logging();
    Ok(skiff_node_agent::main(config))
}

/// Runs `work` on a thread that has ended when this returns: the process is single-threaded again.
fn in_child(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    std::thread::scope(|scope| scope.spawn(work).join().ok().context("joining panicked")?)
}

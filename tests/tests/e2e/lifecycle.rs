//! Start, stop and restart of `skiff up`.

use anyhow::{Result, ensure};
use skiff_tests::{Cluster, Role, User};

skiff_tests::cases! {
    own: up_starts_a_ready_node_and_down_leaves_nothing;
}

fn up_starts_a_ready_node_and_down_leaves_nothing(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?;
    let said = cluster.up("").ok()?;
    ensure!(
        said.contains("ready after") && said.contains("export KUBECONFIG="),
        "{said}"
    );
    let nodes = cluster.kubectl("get nodes").ok()?;
    ensure!(
        nodes.lines().nth(1).is_some_and(|line| line.contains(" Ready ")),
        "{nodes}"
    );
    for role in [Role::Monitor, Role::Server, Role::Agent, Role::Spawner] {
        let found = cluster.processes_with(role);
        ensure!(found.len() == 1, "{role:?}: {:?}", cluster.processes());
    }
    let left = cluster.left_after_down();
    ensure!(left.is_empty(), "{left:#?}");
    Ok(())
}

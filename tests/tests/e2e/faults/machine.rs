//! A machine that does not give what a cluster wants.

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use anyhow::{Context, Result, ensure};
use skiff_tests::{Cluster, User, eventually, web_deployment, web_service};

skiff_tests::cases! {
    shared: a_taken_node_port_is_an_event_and_harms_no_other_service;
    ordinary: a_data_folder_that_cannot_be_written_is_refused_with_its_name;
}

fn a_taken_node_port_is_an_event_and_harms_no_other_service(cluster: &Cluster) -> Result<()> {
    let space = cluster.namespace()?;
    let held = (32_000..32_700)
        .find_map(|port| TcpListener::bind(("0.0.0.0", port)).ok())
        .context("a free port")?;
    let port = held.local_addr()?.port();
    let mut taken = web_service("web");
    taken["metadata"]["name"] = "taken".into();
    taken["spec"]["ports"][0]["nodePort"] = port.into();
    space.apply(&[
        web_deployment("web", &cluster.image("v1")?, 1),
        taken,
        web_service("web"),
    ])?;
    space.wait_rolled_out("web")?;
    let other = space.node_address("web")?;
    eventually("the other service", || Ok(std::net::TcpStream::connect(other)?))?;
    eventually("an event", || {
        let events = space
            .kubectl("get events --field-selector involvedObject.name=taken")
            .ok()?;
        ensure!(events.contains(&port.to_string()), "{events}");
        Ok(())
    })?;
    Ok(())
}

fn a_data_folder_that_cannot_be_written_is_refused_with_its_name(user: User) -> Result<()> {
    let cluster = Cluster::new(user)?;
    let data = cluster.data_dir();
    std::fs::create_dir_all(&data)?;
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555))?;
    let output = cluster.up("");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    std::fs::remove_dir_all(&data)?;
    ensure!(
        output.code != 0 && output.stderr.contains(&*data.to_string_lossy()),
        "{output}"
    );
    Ok(())
}

//! Members that join, move, go, and are replaced.

use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, PostParams};
use skiff_tests::{Members, eventually};

use super::writers::{Writers, map, maps};
use crate::has;

skiff_tests::cases! {
    plain:
        a_dead_member_is_replaced_and_a_needed_one_is_not_removed,
        a_member_that_comes_back_under_another_address_goes_on,
        joining_needs_the_servers_token_and_the_clusters_settings;
}

fn a_dead_member_is_replaced_and_a_needed_one_is_not_removed() -> Result<()> {
    let members = Members::start(3)?;
    members.block_on(async {
        let api = maps(&members, 1).await?;
        for number in 0..20 {
            api.create(&PostParams::default(), &map(&format!("before-{number}"))?)
                .await?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let (dead, id) = (2, members.id(2, 0)?);
    members.kill(dead);
    eventually("the dead one to be missed", || {
        let list = members.list(0)?;
        let known = list
            .iter()
            .find(|member| member["id"] == id)
            .context("it is known")?;
        ensure!(known["alive"] == false, "{known}");
        Ok(())
    })?;
    let needed = members.id(1, 0)?.to_string();
    let refusal = members
        .skiff(0, ["server", "remove", &needed].as_slice())
        .fails(1)?;
    has(&refusal, &["only 1 of 2", "no majority"])?;
    members
        .skiff(1, ["server", "remove", &id.to_string()].as_slice())
        .ok()?;
    // Its certificate is refused: it says why and ends.
    members.launch(dead, "")?;
    ensure!(!members.ended(dead)?, "a removed member must not end well");
    has(&members.log_of(dead), &["was removed from the cluster"])?;
    // A new one takes its place, and gets everything from a snapshot.
    let new = members.join(1)?;
    members.serves(new)?;
    let there = members.block_on(async {
        let list = maps(&members, new)
            .await?
            .list(&ListParams::default().match_any())
            .await?;
        Ok::<_, anyhow::Error>(list.items.len())
    })?;
    ensure!(there >= 20, "{there} objects at the new member");
    ensure!(members.list(new)?.len() == 3, "{:?}", members.list(new)?);
    ensure!(members.id(new, 0)? > id, "an id was given twice");
    // Two of three are enough again.
    members.kill(1);
    let writers = Writers::start(&members, &[0, new], "after")?;
    writers.more(10)?;
    writers.finish(&[0, new])?;
    let table = members.skiff(0, "server list").ok()?;
    has(&table, &["ID", "ROLE", "voter", "leads"])
}

fn a_member_that_comes_back_under_another_address_goes_on() -> Result<()> {
    let members = Members::start(3)?;
    let leader = members.leader(0)?;
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    let id = members.id(leader, others[0])?;
    let writers = Writers::start(&members, &others, "moved")?;
    members.kill(leader);
    writers.more(10)?;
    members.change_port(leader)?;
    members.launch(leader, "")?;
    members.serves(leader)?;
    ensure!(members.id(leader, others[0])? == id, "it is another member now");
    writers.finish(&[0, 1, 2])?;
    // Clients of the service `kubernetes` hear of it.
    let address = members.list(leader)?;
    let mine = address
        .iter()
        .find(|member| member["id"] == id)
        .context("its record")?;
    let port = mine["address"]
        .as_str()
        .and_then(|a| a.rsplit_once(':'))
        .context("port")?
        .1
        .to_owned();
    eventually("the endpoints of the new address", || {
        let slices = members.block_on(async {
            let client = members.connect(leader).await?;
            let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
            Ok::<_, anyhow::Error>(
                client
                    .request_text(http::Request::get(path).body(Vec::new())?)
                    .await?,
            )
        })?;
        ensure!(slices.contains(&format!("\"port\":{port}")), "{slices}");
        Ok(())
    })
}

fn joining_needs_the_servers_token_and_the_clusters_settings() -> Result<()> {
    let members = Members::start(1)?;
    let url = members.url(0);
    let nodes = members.skiff(0, "token").ok()?;
    let servers = members.skiff(0, "token --server").ok()?;
    ensure!(nodes != servers);
    let try_with = |token: &str, more: &[&str]| {
        let mut words = vec![
            "server",
            "--listen",
            "127.0.0.1",
            "--advertise",
            "127.0.0.1",
            "--port",
            "0",
        ];
        words.extend(["--join", &url, "--token", token.trim()]);
        words.extend(more);
        members.skiff(9, words.as_slice()).fails(1)
    };
    has(&try_with(&nodes, &[])?, &["skiff token --server"])?;
    let wrong = servers.trim().replace("::", "::0");
    has(&try_with(&wrong, &[])?, &["the token is not valid"])?;
    let elsewhere = format!("S{}::{}", "0".repeat(64), "1".repeat(32));
    has(
        &try_with(&elsewhere, &[])?,
        &["not the cluster that the token is for"],
    )?;
    has(
        &try_with(&servers, &["--service-cidr", "10.97.0.0/16"])?,
        &["this cluster has --service-cidr 10.96.0.0/16, not 10.97.0.0/16"],
    )?;
    ensure!(members.list(0)?.len() == 1, "a refused server was recorded");
    Ok(())
}

//! What is left without a majority.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use rustix::process::Signal;
use skiff_tests::{Members, eventually};

use super::writers::{map, maps, refused};

skiff_tests::cases! {
    plain: without_a_majority_writes_are_refused_soon_and_reads_are_marked;
}

/// A client that sees headers.
async fn get(members: &Members, number: usize, path: &str) -> Result<(u16, String)> {
    let client = members.connect(number).await?;
    let request = http::Request::get(path).body(kube::client::Body::empty())?;
    let response = client.send(request).await?;
    let warning = response
        .headers()
        .get("warning")
        .and_then(|value| value.to_str().ok());
    Ok((response.status().as_u16(), warning.unwrap_or_default().to_owned()))
}

fn without_a_majority_writes_are_refused_soon_and_reads_are_marked() -> Result<()> {
    const STALE: &str = "/api/v1/namespaces/default/configmaps?resourceVersion=0";
    let members = Members::start(3)?;
    let left = members.leader(0)?;
    members.block_on(async {
        maps(&members, left)
            .await?
            .create(&PostParams::default(), &map("before")?)
            .await?;
        let (code, warning) = get(&members, left, STALE).await?;
        ensure!(code == 200 && warning.is_empty(), "{code} {warning}");
        Ok::<_, anyhow::Error>(())
    })?;
    let others: Vec<usize> = (0..3).filter(|n| *n != left).collect();
    for other in &others {
        members.signal(*other, Signal::STOP);
    }
    members.block_on(async {
        refused(&members, left, "no leader").await?;
        // What may be old is told so where it was asked for, and refused where it was not.
        let (code, warning) = get(&members, left, STALE).await?;
        ensure!(code == 200 && warning.contains("out of date"), "{code} {warning}");
        let (code, _) = get(&members, left, "/api/v1/namespaces/default/configmaps").await?;
        ensure!(code == 503, "{code}");
        Ok::<_, anyhow::Error>(())
    })?;
    for other in &others {
        members.signal(*other, Signal::CONT);
    }
    eventually("writes again", || {
        members.block_on(async {
            let api = maps(&members, left).await?;
            let object = map("again")?;
            let parameters = PostParams::default();
            let created = tokio::time::timeout(Duration::from_secs(5), api.create(&parameters, &object));
            match created.await.context("took too long")? {
                Err(kube::Error::Api(answer)) if answer.code == 409 => Ok(()),
                other => other.map(drop).map_err(Into::into),
            }
        })
    })
}

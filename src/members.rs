//! The members of the control plane: joining them (`skiff server --join`), `skiff server list`, `skiff server remove`.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use hyper::Request;
use kube::Client;
use serde_json::{Value, json};
use skiff_control::{
    members::{JoinAnswer, JoinRequest, identity::Identity},
    pki,
};

use crate::{
    cli::ServerArgs,
    cluster::{self, Fixed},
    join::{authority, pin, post},
    kubeconfig,
    paths::Paths,
    server,
};

const PATH: &str = "/skiff/v1/members";

/// Asks a member to let this server in, and writes down what it gets. Killed at any point, it can be asked again: the
/// cluster knows this server by its key. The keys of the cluster appear under their final name last, all at once.
pub fn join(
    paths: &Paths,
    args: &ServerArgs,
    url: &str,
    token: &str,
    advertise: SocketAddr,
) -> Result<Identity> {
    let pin = pin(token, 'S').context("`skiff token --server` on a member prints the token of servers")?;
    let unfinished = paths.data.join("pki.joining");
    let request = JoinRequest {
        token: token.to_owned(),
        name: cluster::host_name()?,
        address: advertise,
        key: pki::prepare_member_key(&unfinished)?,
        fixed: json!({
            "cluster_cidr": args.cluster_cidr.map(|cidr| cidr.trunc()),
            "service_cidr": args.service_cidr.map(|cidr| cidr.trunc()),
            "cluster_domain": args.cluster_domain,
        }),
    };
    let body = serde_json::to_value(&request)?;
    let (_, answer) = server::runtime()?
        .block_on(post(authority(url)?, pin, &format!("{PATH}/join"), |_| body))
        .with_context(|| format!("join {url}"))?;
    let answer: JoinAnswer = serde_json::from_value(answer).context("the answer of the member")?;
    let fixed: Fixed = serde_json::from_value(answer.fixed).context("the settings of the cluster")?;
    fixed.record(&paths.data)?;
    let identity = Identity {
        id: answer.id,
        joined: true,
        recovered: false,
        members: answer.members,
    };
    identity.save(&paths.data)?;
    answer.keys.install(&unfinished)?;
    let keys = paths.pki();
    // Without the CA's key it is what an earlier attempt left, or nothing.
    let _ = std::fs::remove_dir_all(&keys);
    std::fs::rename(&unfinished, &keys).with_context(|| format!("rename {unfinished:?}"))?;
    tracing::info!(
        member = identity.id,
        "the cluster knows this server; waiting to be taken in"
    );
    Ok(identity)
}

/// What the members say of themselves.
pub async fn ask(client: &Client) -> Result<Value> {
    let request = Request::get(PATH).body(Vec::new())?;
    client.request(request).await.context("ask for the members")
}

/// Prints a line per member.
pub fn print(answer: &Value) {
    crate::output::say!(
        "{:<4} {:<20} {:<24} {:<10} STATE",
        "ID",
        "NAME",
        "ADDRESS",
        "ROLE"
    );
    for member in answer["members"].as_array().into_iter().flatten() {
        let text = |field: &str| member[field].as_str().unwrap_or_default().to_owned();
        let mut state = vec![
            if member["alive"] == true {
                "there"
            } else {
                "not heard"
            }
            .to_owned(),
        ];
        if member["leader"] == true {
            state.push("leads".into());
        }
        if let Some(lag) = member["lag"].as_u64().filter(|lag| *lag > 0) {
            state.push(format!("{lag} entries behind"));
        }
        if member["removing"] == true {
            state.push("being removed".into());
        }
        crate::output::say!(
            "{:<4} {:<20} {:<24} {:<10} {}",
            member["id"].to_string(),
            text("name"),
            text("address"),
            text("role"),
            state.join(", ")
        );
    }
}

/// `skiff server list`.
pub fn list(paths: &Paths) -> Result<()> {
    let answer = server::runtime()?.block_on(async { ask(&kubeconfig::client(paths).await?).await })?;
    print(&answer);
    Ok(())
}

/// `skiff server remove`.
pub fn remove(paths: &Paths, id: u64) -> Result<()> {
    send(paths, Request::delete(format!("{PATH}/{id}")).body(Vec::new())?)?;
    crate::output::say!("member {id} is removed");
    Ok(())
}

/// `skiff server revoke-node`.
pub fn revoke_node(paths: &Paths, node: &str) -> Result<()> {
    let body = serde_json::to_vec(&json!({ "node": node }))?;
    send(paths, Request::post(format!("{PATH}/revoke")).body(body)?)?;
    crate::output::say!("the certificate of node {node} is refused from now on");
    Ok(())
}

/// `skiff server rotate-secrets-key`.
pub fn rotate_secrets_key(paths: &Paths) -> Result<()> {
    let request = Request::post(format!("{PATH}/rotate-secrets-key")).body(Vec::new())?;
    let answer = send(paths, request)?;
    crate::output::say!("{} secrets are sealed with a new key", answer["secrets"]);
    Ok(())
}

/// `skiff server rotate-keys`.
pub fn rotate_keys(paths: &Paths, finish: bool, force: bool) -> Result<()> {
    let (path, body) = if finish {
        ("rotate-keys/finish", json!({ "force": force }))
    } else {
        ("rotate-keys", Value::Null)
    };
    let body = serde_json::to_vec(&body)?;
    send(paths, Request::post(format!("{PATH}/{path}")).body(body)?)?;
    if finish {
        crate::output::say!("only the present keys are valid from now on");
    } else {
        crate::output::say!(
            "the cluster has new keys; those before stay valid until `skiff server rotate-keys --finish`.\nUntil then take \
             over the new kubeconfig (`skiff kubeconfig`) and the new tokens (`skiff token`) wherever copies of them are"
        );
    }
    Ok(())
}

fn send(paths: &Paths, request: Request<Vec<u8>>) -> Result<Value> {
    server::runtime()?.block_on(async {
        let client = kubeconfig::client(paths).await?;
        let answer: Result<Value, kube::Error> = client.request(request).await;
        answer.map_err(|error| match error {
            kube::Error::Api(answer) => anyhow::anyhow!("{}", answer.message),
            other => other.into(),
        })
    })
}

//! What a server writes down of requests, and how old a TLS it speaks.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use skiff_tests::{Members, eventually, need, run};

use super::writers::map;
use crate::{has, same};

skiff_tests::cases! {
    plain:
        requests_are_written_down_as_the_policy_says,
        secrets_are_sealed_with_a_new_key_on_all_members,
        old_tls_is_spoken_only_when_asked;
}

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  verbs: [create]
  resources:
  - group: ''
    resources: [configmaps]
- level: RequestResponse
  namespaces: [default]
";

fn requests_are_written_down_as_the_policy_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (policy, log) = (dir.path().join("policy.yaml"), dir.path().join("audit.log"));
    std::fs::write(&policy, POLICY)?;
    let (policy, log_path) = (policy.to_string_lossy(), log.to_string_lossy());
    let options = ["--audit-policy-file", &policy, "--audit-log-path", &log_path];
    let members = Members::start_with(1, options.as_slice())?;
    members.block_on(async {
        let client = members.connect(0).await?;
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
        maps.create(&PostParams::default(), &map("seen")?).await?;
        let secrets: Api<Secret> = Api::namespaced(client, "default");
        let secret = serde_json::from_value(
            json!({"metadata": {"name": "hidden"}, "stringData": {"p": "swordfish"}}),
        )?;
        secrets.create(&PostParams::default(), &secret).await?;
        ensure!(secrets.get_opt("missing").await?.is_none());
        Ok::<_, anyhow::Error>(())
    })?;
    let of = |events: &[Value], name: &str| -> Option<Value> {
        let found = events.iter().find(|event| {
            event["objectRef"]["name"] == name || event["requestObject"]["metadata"]["name"] == name
        });
        found.cloned()
    };
    let events: Vec<Value> = eventually("the events", || {
        let text = std::fs::read_to_string(&log)?;
        let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(of(&events, "missing").is_some(), "{text}");
        Ok(events)
    })?;
    let seen = of(&events, "seen").unwrap_or_default();
    same(seen["level"].clone(), json!("RequestResponse"))?;
    same(seen["stage"].clone(), json!("ResponseComplete"))?;
    same(seen["user"]["username"].clone(), json!("kubernetes-admin"))?;
    same(seen["responseStatus"]["code"].clone(), json!(201))?;
    same(seen["responseObject"]["data"]["k"].clone(), json!("v"))?;
    same(seen["sourceIPs"].clone(), json!(["127.0.0.1"]))?;
    let missing = of(&events, "missing").unwrap_or_default();
    same(missing["responseStatus"]["code"].clone(), json!(404))?;
    let secret = events
        .iter()
        .find(|event| event["objectRef"]["resource"] == "secrets" && event["verb"] == "create");
    same(
        secret.map(|event| event["level"].clone()),
        Some(json!("Metadata")),
    )?;
    let text = std::fs::read_to_string(&log)?;
    ensure!(
        !text.contains("swordfish") && !text.contains("c3dvcmRmaXNo"),
        "a secret is in the log"
    );
    ensure!(!text.contains("\"stage\":\"RequestReceived\""), "{text}");
    Ok(())
}

fn secrets_are_sealed_with_a_new_key_on_all_members() -> Result<()> {
    let members = Members::start(2)?;
    let read = |number: usize, name: &str| {
        members.block_on(async {
            let secrets: Api<Secret> = Api::namespaced(members.connect(number).await?, "default");
            let secret = secrets.get(name).await?;
            let value = secret.data.and_then(|mut data| data.remove("p"));
            Ok::<_, anyhow::Error>(value.map(|value| String::from_utf8_lossy(&value.0).into_owned()))
        })
    };
    let write = |number: usize, name: &str| {
        members.block_on(async {
            let secrets: Api<Secret> = Api::namespaced(members.connect(number).await?, "default");
            let secret =
                serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {"p": name}}))?;
            secrets.create(&PostParams::default(), &secret).await?;
            Ok::<_, anyhow::Error>(())
        })
    };
    write(0, "before")?;
    for round in ["first", "second"] {
        has(
            &members.skiff(1, "server rotate-secrets-key").ok()?,
            &["secrets are sealed"],
        )?;
        write(1, round)?;
    }
    // A member that starts again opens all of them with what is in its store.
    members.kill(1);
    members.launch(1, "")?;
    members.serves(1)?;
    for name in ["before", "first", "second"] {
        for number in [0, 1] {
            // Two members need each other: until they have found each other again, there is no reading.
            let value = eventually("a secret", || read(number, name))?;
            same(value, Some(name.to_owned()))?;
        }
    }
    Ok(())
}

fn old_tls_is_spoken_only_when_asked() -> Result<()> {
    let curl = need("curl")?;
    let ask = |members: &Members, version: &str| {
        let url = format!("{}/livez", members.url(0));
        let words = ["--silent", "--insecure", "--tls-max", version, &url];
        run(std::process::Command::new(&curl).args(words))
    };
    // Who may ask for it is known a moment after the start.
    let answers = |members: &Members, version: &str| {
        eventually("an answer", || {
            same(ask(members, version)?.ok()?, "ok".to_owned())
        })
    };
    let members = Members::start(1)?;
    answers(&members, "1.3")?;
    ensure!(ask(&members, "1.2")?.code != 0, "TLS 1.2 was spoken unasked");
    let members = Members::start_with(1, "--tls-min-version 1.2")?;
    answers(&members, "1.2")
}

//! Leader election of an application over a Lease, with the rights and the token of its service account.

use std::{fs, process::Command};

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use skiff_tests::{Background, Cluster};

skiff_tests::cases! {
    shared: a_killed_leader_is_followed_by_the_other_replica;
}

const SCRIPT: &str = r#"
import logging, os, sys
from kubernetes import client, config
from kubernetes.leaderelection import leaderelection, electionconfig
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

logging.basicConfig(level=logging.INFO)
server, ca, token, namespace, name = sys.argv[1:]
settings = client.Configuration()
settings.host, settings.ssl_ca_cert = server, ca
settings.api_key = {"authorization": "Bearer " + token}
client.Configuration.set_default(settings)
def leads():
    print("leads " + name + "\n", end="", flush=True)
election = electionconfig.Config(LeaseLock("election", namespace, name), lease_duration=3, renew_deadline=2,
                                 retry_period=1, onstarted_leading=leads, onstopped_leading=lambda: os._exit(1))
leaderelection.LeaderElection(election).run()
"#;

fn a_killed_leader_is_followed_by_the_other_replica(cluster: &Cluster) -> Result<()> {
    let python = super::python::python()?;
    let ns = cluster.namespace()?;
    ns.kubectl("create serviceaccount app").ok()?;
    ns.kubectl("create role app --verb=get,create,update,patch --resource=leases.coordination.k8s.io")
        .ok()?;
    ns.kubectl(format!(
        "create rolebinding app --role=app --serviceaccount={}:app",
        ns.name()
    ))
    .ok()?;
    let token = ns.kubectl("create token app").ok()?;
    let script = cluster.home().join(format!("{}.py", ns.name()));
    fs::write(&script, SCRIPT)?;
    let ca = cluster.data_dir().join("pki/ca.crt");
    let server = format!("https://127.0.0.1:{}", cluster.port());
    let start = |name: &str| {
        let mut command = Command::new(&python);
        command
            .arg(&script)
            .arg(&server)
            .arg(&ca)
            .args([token.trim(), ns.name(), name]);
        Background::start(&mut command)
    };
    let holder_is = |name: &'static str| {
        move |lease: Option<&Lease>| {
            let holder = lease
                .and_then(|lease| lease.spec.as_ref())
                .and_then(|spec| spec.holder_identity.as_deref());
            holder == Some(name)
        }
    };
    let mut first = start("first")?;
    first.line(|line| line == "leads first")?;
    ns.wait("election", "to be held by the first", holder_is("first"))?;
    let mut second = start("second")?;
    // It has seen the lease and waits.
    second.line(|line| line.contains("lease held by first"))?;
    drop(first);
    second.line(|line| line == "leads second")?;
    ns.wait("election", "to be held by the second", holder_is("second"))?;
    Ok(())
}

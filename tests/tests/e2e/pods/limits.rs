//! Limits of an ordinary user's pods. They need cgroup v2 and a systemd that delegates, which the machines that run these tests
//! often lack: the test asks for a guest that has both.
//!
//! `SKIFF_VM_DIR` names a folder with a program `vm-run.sh -e tcg -m MIB -t SECONDS -i IN -o OUT -- COMMAND`: it boots a guest,
//! runs COMMAND in a copy of IN as an ordinary user, and leaves what that wrote to `out` in OUT. Without it the test is skipped,
//! also where an unmet need is a failure otherwise: no package has such a program.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use skiff_tests::{kubectl_versions, need, run};

use crate::{has, same};

skiff_tests::cases! {
    plain: an_ordinary_user_has_limits_where_systemd_delegates;
}

/// Runs in the guest. What it prints is looked at in here.
const SCRIPT: &str = r#"
cd "$(dirname "$0")"; mkdir -p out; exec >out/log 2>&1
export PATH=$PWD:$PATH:/usr/sbin SKIFF_DATA_DIR=$HOME/data SKIFF_RUN_DIR=/tmp/run KUBECONFIG=$HOME/data/kubeconfig
skiff check
skiff up
skiff status
skiff image import layout --name example.test/hello:v1
pod() {
    kubectl apply --validate=false -f - <<POD
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "$1"}, "spec": {"restartPolicy": "Never", "containers": [{
    "name": "main", "image": "example.test/hello:v1", "command": ["sh", "-c", "$2"],
    "resources": {"limits": {"memory": "32Mi", "cpu": "500m"}}}]}}
POD
    kubectl wait "pod/$1" --for=jsonpath="{.status.phase}=$3" --timeout=120s
    kubectl logs "$1"
}
files='cd /sys/fs/cgroup && echo limits: $(cat memory.max) $(cat cpu.max)'
pod first "$files" Succeeded
# The next agent has a scope of its own.
kill -9 "$(sed 's/.*"pid":\([0-9]*\).*/\1/' $SKIFF_RUN_DIR/agent.json)"
pod second "$files" Succeeded
pod greedy 'x=0123456789abcdef; while true; do x=$x$x; done' Failed
kubectl get pod greedy -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason}'
skiff down --purge
find /sys/fs/cgroup -name 'kubepods*' | sed 's/^/left: /'
"#;

fn an_ordinary_user_has_limits_where_systemd_delegates() -> Result<()> {
    let Some(folder) = std::env::var_os("SKIFF_VM_DIR") else {
        println!(
            "skipped: SKIFF_VM_DIR names no folder with a vm-run.sh, so there is no guest with cgroup v2 and systemd"
        );
        return Ok(());
    };
    let work = tempfile::tempdir()?;
    let (given, taken) = (work.path().join("in"), work.path().join("out"));
    fs::create_dir(&given)?;
    let program = std::env::var_os("SKIFF_BIN")
        .map_or_else(|| skiff_tests::target_dir().join("debug/skiff"), Into::into);
    run(Command::new(need("strip")?)
        .arg("-o")
        .arg(given.join("skiff"))
        .arg(program))?
    .ok()?;
    let kubectl = match kubectl_versions().pop() {
        Some((_, path)) => path,
        None => need("kubectl")?,
    };
    fs::copy(kubectl, given.join("kubectl")).context("copy kubectl")?;
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("lib/hello-image.sh");
    run(Command::new("bash").arg(recipe).arg(&given).arg("-"))?.ok()?;
    fs::write(given.join("script"), SCRIPT)?;
    let output = Command::new("bash")
        .arg(Path::new(&folder).join("vm-run.sh"))
        .args(["-e", "tcg", "-m", "1500", "-t", "500", "-i"])
        .arg(&given)
        .arg("-o")
        .arg(&taken)
        .args(["--", "bash", "script"])
        .output()
        .context("run the guest")?;
    let log = fs::read_to_string(taken.join("log"))
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    println!("{log}");
    has(
        &log,
        &[
            "version 2, delegated to you",
            "limits of cpu, memory and pids are enforced",
            "OOMKilled",
        ],
    )?;
    same(log.matches("limits: 33554432 50000 100000").count(), 2)?;
    same(log.contains("left: "), false)
}

//! The Python client: its own list, watch, patch and exec.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use anyhow::Result;
use skiff_tests::{Cluster, Unmet, shell_pod};

use crate::has;

skiff_tests::cases! {
    shared: the_python_client_lists_watches_patches_and_executes;
}

const SCRIPT: &str = r#"
import sys
from kubernetes import client, config, watch
from kubernetes.stream import stream

namespace = sys.argv[1]
config.load_kube_config()
v1 = client.CoreV1Api()
print("pods", [p.metadata.name for p in v1.list_namespaced_pod(namespace).items])
body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="m"), data={"k": "1"})
begin = v1.create_namespaced_config_map(namespace, body).metadata.resource_version
v1.patch_namespaced_config_map("m", namespace, {"data": {"k": "2"}})
v1.delete_namespaced_config_map("m", namespace)
w = watch.Watch()
seen = []
for event in w.stream(v1.list_namespaced_config_map, namespace, resource_version=begin, timeout_seconds=30):
    seen.append(event["type"])
    if event["type"] == "DELETED":
        w.stop()
print("watch", seen)
out = stream(v1.connect_get_namespaced_pod_exec, "p", namespace, command=["sh", "-c", "echo out; echo err >&2"],
             stdin=False, stdout=True, stderr=True, tty=False)
print("exec", sorted(out.split()))
shell = stream(v1.connect_get_namespaced_pod_exec, "p", namespace, command=["sh"], stdin=True, stdout=True, stderr=True,
               tty=False, _preload_content=False)
shell.write_stdin("echo typed; exit 5\n")
shell.run_forever(timeout=30)
print("shell", shell.read_stdout().strip(), shell.returncode)
print("log", v1.read_namespaced_pod_log("p", namespace).strip())
try:
    v1.read_namespaced_pod("nobody", namespace)
except client.ApiException as error:
    print("error", error.status, error.reason)
apps = client.AppsV1Api()
print("apps", len(apps.list_namespaced_deployment(namespace).items), client.VersionApi().get_code().major)
"#;

/// Python with the client installed, made once and kept under Cargo's target folder.
pub fn python() -> Result<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let make = || -> Result<PathBuf> {
        let venv = skiff_tests::target_dir().join("test-python");
        let program = venv.join("bin/python");
        let has_client = || {
            program.exists()
                && skiff_tests::run(Command::new(&program).args(["-c", "import kubernetes"]))
                    .is_ok_and(|o| o.code == 0)
        };
        if !has_client() {
            let python = skiff_tests::need("python3")?;
            skiff_tests::run(Command::new(python).args(["-m", "venv"]).arg(&venv))?.ok()?;
            skiff_tests::run(Command::new(&program).args(["-m", "pip", "install", "--quiet", "kubernetes"]))?
                .ok()?;
        }
        Ok(program)
    };
    let made = MADE.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    made.clone()
        .map_err(|error| Unmet(format!("no Python with the kubernetes client: {error}")).into())
}

fn the_python_client_lists_watches_patches_and_executes(cluster: &Cluster) -> Result<()> {
    let python = python()?;
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "echo logged; sleep 1000")])?;
    ns.wait_ready("p")?;
    let script = cluster.home().join(format!("{}.py", ns.name()));
    fs::write(&script, SCRIPT)?;
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(ns.name())
        .env("KUBECONFIG", cluster.kubeconfig());
    let text = skiff_tests::run(&mut command)?.ok()?;
    has(
        &text,
        &[
            "pods ['p']\n",
            "watch ['MODIFIED', 'DELETED']\n",
            "exec ['err', 'out']\n",
            "shell typed 5\n",
            "log logged\n",
            "error 404 Not Found\n",
            "apps 0 1\n",
        ],
    )
}

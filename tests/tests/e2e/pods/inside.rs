//! The API as programs inside pods use it.

use anyhow::Result;
use serde_json::json;
use skiff_tests::{Cluster, need, shell_pod};

use super::host;
use crate::has;

skiff_tests::cases! {
    shared: a_pod_trusts_the_api_by_its_mounted_ca_and_is_known_by_its_token;
}

const CLIENT: &str = r#"
import json, os, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
token = open(folder + "token").read()
namespace = open(folder + "namespace").read()
def get(path, ca=True, token=token):
    context = ssl.create_default_context(cafile=folder + "ca.crt" if ca else None)
    request = urllib.request.Request("https://%s%s" % (host, path))
    if token:
        request.add_header("Authorization", "Bearer " + token)
    return json.load(urllib.request.urlopen(request, context=context, timeout=30))
for host in ("kubernetes.default.svc", os.environ["KUBERNETES_SERVICE_HOST"]):
    print("versions", get("/api")["versions"])
    try:
        get("/api", ca=False)
    except urllib.error.URLError as error:
        print("without the CA:", error.reason.verify_message)
    for what, path in ("own", "/api/v1/namespaces/%s/pods" % namespace), ("other", "/api/v1/secrets"):
        try:
            print(what, [pod["metadata"]["name"] for pod in get(path)["items"]])
        except urllib.error.HTTPError as error:
            print(what, error.code, json.load(error)["message"])
    try:
        get("/api/v1/nodes", token=None)
    except urllib.error.HTTPError as error:
        print("nobody", error.code)
"#;

fn a_pod_trusts_the_api_by_its_mounted_ca_and_is_known_by_its_token(cluster: &Cluster) -> Result<()> {
    need("python3")?;
    let ns = cluster.namespace()?;
    let (mut volumes, mut mounts) = host::libraries();
    volumes.push(json!({"name": "client", "configMap": {"name": "client"}}));
    mounts.push(json!({"name": "client", "mountPath": "/client"}));
    let mut object = shell_pod("p", &cluster.image("v1")?, "/usr/bin/python3 /client/client.py");
    object["spec"]["volumes"] = json!(volumes);
    object["spec"]["containers"][0]["volumeMounts"] = json!(mounts);
    let subject = json!({"kind": "ServiceAccount", "name": "default", "namespace": ns.name()});
    ns.apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "client"}, "data": {"client.py": CLIENT}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "view"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [subject]}),
        object,
    ])?;
    let text = ns.wait_succeeded("p")?;
    let refused = format!(
        "other 403 secrets is forbidden: User \"system:serviceaccount:{}:default\" cannot list resource \"secrets\"",
        ns.name()
    );
    has(
        &text,
        &[
            "versions ['v1']",
            "without the CA: ",
            "own ['p']",
            &refused,
            "nobody 40",
        ],
    )?;
    // By name and by address.
    anyhow::ensure!(text.matches("own ['p']").count() == 2, "{text}");
    Ok(())
}

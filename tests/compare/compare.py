#!/usr/bin/env python3
"""Runs the same commands and requests against two API servers and prints where their answers differ.

    compare.py [--kubectl PROGRAM] [--same] [--image NAME] LEFT_KUBECONFIG RIGHT_KUBECONFIG [CASE…]

A case is a file of steps, run in a namespace of its own that has the name of the file:

    $ COMMAND           a shell command; `kubectl` has the side's kubeconfig and namespace, $PORT is a free port
    > METHOD PATH [HEADER: VALUE]…
                        a request of the cluster's administrator; {ns} is the namespace
    @ POD COMMAND       what a watch tells of a pod while the command runs, up to the pod's end
    # …                 a remark

The lines after a step up to the next step or an empty line are its input or body. A line `...` is an empty line in it.
{ns} is the namespace, {image} the name of an image without its tag.

Names that servers make up, identities, times, ages and addresses are masked before comparing, so that what is left is how the
servers differ.

The cases in cases/ need no nodes: the program keeps one Node on each side and plays its agent: pods bound to it are
Running and Ready (not so with an image named `broken`) and go when they are deleted. The cases in nodes/ are for clusters that
run pods, on one node named `compare-node`, and are taken with --image: NAME:v1 and NAME:v2 are images that
lib/hello-image.sh made, in a registry that both clusters reach. Without CASE every one in the folder is run.

Exit code: 0 no difference, 1 differences, 2 it could not be run.
"""

import argparse
import base64
import difflib
import http.client
import json
import os
import pathlib
import re
import shlex
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
NODE = "compare-node"
COMMAND_SECONDS = 60
# How steps begin.
KINDS = ("$ ", "> ", "@ ")

# What may differ from run to run, most special first.
MASKS = [
    (re.compile(pattern), mask)
    for pattern, mask in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r"-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----", "PEM"),
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"),
        (r"(resourceVersion\"?[:=] ?\"?)\d+", r"\1RV"),
        (r"(Resource Version: +)\d+", r"\1RV"),
        (r"(?<=-)(?=[a-z0-9]*\d)[bcdf-hj-np-tv-xz24-9]{8,10}-[bcdf-hj-np-tv-xz24-9]{5}\b", "HASH-RAND"),
        (r"\b(?=[a-z0-9]*\d)[bcdf-hj-np-tv-xz24-9]{8,10}\b", "HASH"),
        (r"(?<=-)(?=[a-z]*\d|[bcdf-hj-np-tv-xz]{5}\b)[bcdf-hj-np-tv-xz24-9]{5}\b", "RAND"),
        (r"(?<=\.)[0-9a-f]{16,20}\b", "EVENT"),
        (r"\b(\d+\.){3}\d+(:\d{4,5})?\b", "IP"),
        (r"\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms|µs)\b", "AGE"),
        (r"\b[a-z]+://[0-9a-f]{64}", "CONTAINER"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\bnodePort(\"?): \d+", r"nodePort\1: PORT"),
        (r"\b3[0-2]\d{3}(?=/(TCP|UDP))", "PORT"),
        (r"(?<=\S) {2,}", "  "),
        (r"-{4,}", "----"),
    ]
]


# What later versions of Kubernetes say differently from 1.20, which is the one that Debian has: made the same.
VERSIONS = [
    (re.compile(pattern, re.MULTILINE), text)
    for pattern, text in [
        # Texts of events.
        (r"Created container:? \S+$", "Container created"),
        (r"Started container:? \S+$", "Container started"),
        (r"already present on machine( and can be accessed by the pod)?", "already present on machine"),
        (r"(Successfully pulled image \"[^\"]*\") in .*?(?=  |$)", r"\1"),
        (r"(Back-off restarting failed container)( \S+ in pod \S+)?", r"\1"),
        (r"(Scaled (?:up|down) replica set \S+)( from \d+)?( to \d+)", r"\1\3"),
        (r"(Failed(PostStart|PreStop)Hook .*)Exec lifecycle hook .*", r"\1\2Hook failed"),
        (r"probe errored: ", "probe errored and resulted in unknown state: "),
        (r"didn't match Pod's node affinity(/selector)?", "didn't match Pod's node affinity"),
        (r"(nodes are available: .*?) (no new claims to deallocate, )?preemption: .*?scheduling\.", r"\1"),
        (r"had taint (\{[^}]*\}), that the pod didn't tolerate", r"had untolerated taint \1"),
        (r"(Back-off pulling image \\?\"[^\"\\]*\\?\"): ErrImagePull: .*?not found", r"\1"),
        (r"default-scheduler( host:|, )default-scheduler-\w+", "default-scheduler"),
        # Columns and lines of kubectl.
        (r"(\d+) \((\d+\w)+ ago\)", r"\1"),
        (r"^ +PodReadyToStartContainers +\w+ *\n", ""),
        (r"^(Endpoints|IP Famil\w+( Policy)?|Internal Traffic Policy): .*\n", ""),
        # The end of a pod as a watch tells it.
        (r"^(MODIFIED|DELETED) (Running|Failed) (?=.*state terminated.*ready=False)", r"\1 Running "),
        (r"\(PodFailed\)", "(ContainersNotReady)"),
        # Fields.
        (r"^( +)- lastProbeTime: null\n\1  ", r"\1- "),
        (r"^( +)- lastTransitionTime: .*\n(\1  .*\n)*?\1  type: PodReadyToStartContainers\n", ""),
        (r"^ *\{\n( +\"(lastTransitionTime|status)\": .*\n| +\"observedGeneration\": .*\n)+"
         r" +\"type\": \"PodReadyToStartContainers\"\n *\},?\n", ""),
        (r"^ +\"?(observedGeneration|eventTime|lastProbeTime|creationTimestamp)\"?: (\d+|null),?\n", ""),
        (r"^ +\"?(started\"?: false|terminatingReplicas\"?: 0),?\n", ""),
        (r",\n +\"volumeMounts\": \[[^]]*\]", ""),
        (r"^    volumeMounts:\n(    - mountPath: .*\n      name: .*\n      readOnly: true\n      recursiveReadOnly: .*\n)+", ""),
        (r"^  generation: 1\n", ""),
        (r"^  hostIPs:\n  - .*\n", ""),
        (r"^ +\"hostIPs\": \[[^]]*\],\n", ""),
        (r"^ +reporting(Component|Instance): .*\n", ""),
        (r"^ +endpoints.kubernetes.io/managed-by: .*\n", ""),
        (r"(kind: Pod\n +name: .*\n +namespace: .*\n) +resourceVersion: .*\n", r"\1"),
    ]
]

# What skiff means to do differently: see docs/api.md.
MEANT = [
    (re.compile(pattern, re.MULTILINE), text)
    for pattern, text in [
        (r"failed to create containerd task: .*?unable to start container process: (.*?): unknown", r"\1"),
        (r"failed to exec in container: .*?unable to start container process: (.*?): unknown", r"\1"),
        (r"rpc error: code = \w+ desc = (failed to pull and unpack .*?failed to resolve reference \"[^\"]*\": )?", ""),
        (r"^ +\"?[sS]ignal\"?: +\d+,?\n", ""),
        (r"(BackOff +\w+) \(x\d+ over \w+\)", r"\1"),
        (r"^MODIFIED Pending bound (addressed )?(\w+=\S+ )+(\[\w+: state waiting (ContainerCreating|PodInitializing) .*?\] ?)+\n", ""),
        (r"^(MODIFIED .*) deleting in 0 s .*\n(?=DELETED)", ""),
        (r"^(DELETED .*?)deleting in 0 s ", r"\1"),
    ]
]


class Side:
    """One of the two API servers."""

    def __init__(self, label, kubeconfig, kubectl, folder):
        self.label = label
        self.kubectl = kubectl
        self.folder = pathlib.Path(folder) / label
        self.folder.mkdir()
        show = [kubectl, "--kubeconfig", kubeconfig, "config", "view", "--raw", "--flatten", "--minify", "-o", "json"]
        self.config = json.loads(subprocess.run(show, check=True, capture_output=True, text=True).stdout)
        cluster = self.config["clusters"][0]["cluster"]
        user = self.config["users"][0]["user"]
        url = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = url.hostname, url.port
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self.tls.load_cert_chain(
            self._file("client.crt", user["client-certificate-data"]), self._file("client.key", user["client-key-data"])
        )
        self.agent = threading.Thread(target=self._play_agent, daemon=True)

    def _file(self, name, encoded):
        path = self.folder / name
        path.write_bytes(base64.b64decode(encoded))
        path.chmod(0o600)
        return path

    def request(self, method, path, body=None, headers=None):
        """Sends one request; returns status, headers and body."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=COMMAND_SECONDS)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
            headers = {name: value for name, value in headers.items() if value}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path):
        """Gets an object."""
        status, _, body = self.request("GET", path)
        if status != 200:
            raise RuntimeError(f"{self.label}: GET {path}: {status} {body[:200]}")
        return json.loads(body)

    def warm(self, image):
        """Runs both versions of the image once: what follows finds them on the node."""
        for tag in ("v1", "v2"):
            path = "/api/v1/namespaces/default/pods"
            container = {"name": "main", "image": f"{image}:{tag}", "command": ["true"]}
            pod = {"metadata": {"name": tag}, "spec": {"restartPolicy": "Never", "containers": [container]}}
            self.request("DELETE", f"{path}/{tag}")
            until(lambda: self.request("GET", f"{path}/{tag}")[0] == 404, f"{self.label}: the end of pod {tag}")
            self.request("POST", path, pod)
            ended = ("Succeeded", "Failed")
            until(lambda: self.get(f"{path}/{tag}")["status"]["phase"] in ended, f"{self.label}: image {image}:{tag}")
            self.request("DELETE", f"{path}/{tag}")

    def enter(self, namespace):
        """Makes a new namespace, and the kubeconfig of it."""
        path = f"/api/v1/namespaces/{namespace}"
        self.request("DELETE", path)
        until(lambda: self.request("GET", path)[0] == 404, f"{self.label}: the end of namespace {namespace}")
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        ready = f"{path}/serviceaccounts/default"
        until(lambda: self.request("GET", ready)[0] == 200, f"{self.label}: the service account of {namespace}")
        config = json.loads(json.dumps(self.config))
        config["contexts"][0]["context"]["namespace"] = namespace
        (self.folder / "kubeconfig").write_text(json.dumps(config))

    def run(self, step, namespace, image):
        """Carries out one step; returns what is to be compared."""
        step = step.filled(namespace, image)
        if step.kind == ">":
            text = step.request(self)
        elif step.kind == "@":
            text = self._life(step, namespace)
        else:
            text = self._command(step)
        text = text.replace(f"{self.host}:{self.port}", "SERVER")
        return [line.rstrip() for line in mask(text).splitlines()]

    def _life(self, step, namespace):
        """Follows the pod that the step's command makes and deletes; one line for each change."""
        pod, _, command = step.text.partition(" ")
        lines, answered = [], threading.Event()

        def follow():
            connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=COMMAND_SECONDS)
            query = urllib.parse.urlencode({"watch": "1", "fieldSelector": f"metadata.name={pod}"})
            try:
                connection.request("GET", f"/api/v1/namespaces/{namespace}/pods?{query}")
                answer = connection.getresponse()
                answered.set()
                for line in answer:
                    event = json.loads(line)
                    lines.append(f"{event['type']} {summary(event['object'])}")
                    if event["type"] == "DELETED":
                        return
            except OSError as error:
                lines.append(f"no end of the pod: {error}")
            finally:
                answered.set()
                connection.close()

        follower = threading.Thread(target=follow)
        follower.start()
        answered.wait()
        self._command(Step("$", command, step.input))
        follower.join()
        return "\n".join(line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]) + "\n"

    def _command(self, step):
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        port = str(free_port())
        env = {
            **os.environ,
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "PORT": port,
        }
        link = self.folder / "bin" / "kubectl"
        if not link.exists():
            link.parent.mkdir()
            link.symlink_to(self.kubectl)
        try:
            done = subprocess.run(
                ["sh", "-c", step.text],
                input=step.input,
                env=env,
                cwd=work,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as late:
            return f"no end after {COMMAND_SECONDS} s\n{(late.stdout or b'').decode()}"
        text = re.sub(rf"\b{port}\b", "PORT", f"{done.stdout}{done.stderr}")
        return text + (f"exit code {done.returncode}\n" if done.returncode else "")

    # The agent of the one node.

    def start_agent(self):
        """Makes the node and keeps it ready from now on."""
        self._heartbeat()
        self.agent.start()

    def _play_agent(self):
        turn = 0
        while True:
            turn += 1
            try:
                if turn % 40 == 0:
                    self._heartbeat()
                query = urllib.parse.urlencode({"fieldSelector": f"spec.nodeName={NODE}"})
                for pod in self.get(f"/api/v1/pods?{query}")["items"]:
                    self._care(pod)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                print(f"# {self.label}: {error}", file=sys.stderr)
            time.sleep(0.25)

    def _heartbeat(self):
        path = "/api/v1/nodes"
        if self.request("GET", f"{path}/{NODE}")[0] == 404:
            self.request("POST", path, {"metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}})
        now = stamp()
        conditions = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]
        names = ["type", "status", "reason", "message"]
        amounts = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        status = {
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname", "address": NODE}],
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [
                {**dict(zip(names, c)), "lastHeartbeatTime": now, "lastTransitionTime": now} for c in conditions
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "boot",
                "containerRuntimeVersion": "compare://1",
                "kernelVersion": "6.0",
                "kubeProxyVersion": "v1",
                "kubeletVersion": "v1",
                "machineID": "machine",
                "operatingSystem": "linux",
                "osImage": "an image",
                "systemUUID": "system",
            },
        }
        self.request(
            "PATCH", f"{path}/{NODE}/status", {"status": status}, {"Content-Type": "application/merge-patch+json"}
        )

    def _care(self, pod):
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if "deletionTimestamp" in meta:
            self.request("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
            return
        wanted = [container["image"] for container in pod["spec"]["containers"]]
        seen = [container["image"] for container in pod["status"].get("containerStatuses", [])]
        if wanted == seen:
            return
        now = stamp()
        broken = any("broken" in image for image in wanted)
        started = {"state": {"running": {"startedAt": now}}, "ready": True, "started": True}
        waiting = {
            "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}},
            "ready": False,
            "started": False,
        }
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": f"{container['image']}@sha256:{'0' * 64}",
                "containerID": f"compare://{'1' * 64}",
                "restartCount": 0,
                "lastState": {},
                **(waiting if "broken" in container["image"] else started),
            }
            for container in pod["spec"]["containers"]
        ]
        ready = "False" if broken else "True"
        conditions = [("Initialized", "True"), ("Ready", ready), ("ContainersReady", ready), ("PodScheduled", "True")]
        status = {
            "phase": "Pending" if broken else "Running",
            "hostIP": "192.0.2.1",
            "podIP": "10.244.0.9",
            "podIPs": [{"ip": "10.244.0.9"}],
            "startTime": now,
            "containerStatuses": containers,
            "conditions": [
                {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now}
                for kind, status in conditions
            ],
        }
        self.request(
            "PATCH", f"{path}/status", {"status": status}, {"Content-Type": "application/strategic-merge-patch+json"}
        )


class Step:
    """One step of a case."""

    def __init__(self, kind, text, given):
        self.kind, self.text, self.input = kind, text, given

    def filled(self, namespace, image):
        """The step with its placeholders filled in."""

        def fill(text):
            return text.replace("{ns}", namespace).replace("{image}", image or "")

        return Step(self.kind, fill(self.text), fill(self.input))

    def request(self, side):
        """Sends the request; returns status, what headers tell, and the body."""
        method, path, *rest = shlex.split(self.text)
        headers = dict(header.split(": ", 1) if ": " in header else (header.rstrip(":"), "") for header in rest)
        status, answered, body = side.request(method, path, self.input.encode() or None, headers)
        shown = [str(status)]
        for name in ["Content-Type", "Warning", "Retry-After", "Allow", "Location"]:
            shown += [f"{name}: {value}" for value in answered.get_all(name, [])]
        return "\n".join([*shown, *readable(body)]) + "\n"


def readable(body):
    """The lines of a body: JSON in order of keys, one document a line where it is several."""
    text = body.decode(errors="replace")
    try:
        return json.dumps(json.loads(text), indent=1, sort_keys=True).splitlines()
    except ValueError:
        pass
    try:
        return [json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines()]
    except ValueError:
        return text.splitlines()


def steps(path):
    """Reads a case."""
    found, lines, head = [], [], None

    def finish():
        if head:
            found.append(Step(head[0], head[2:], "".join("\n" if line == "..." else f"{line}\n" for line in lines)))
        lines.clear()

    for line in path.read_text().splitlines():
        if not line or line[:2] in ("# ", *KINDS):
            finish()
            head = line if line[:2] in KINDS else None
        else:
            lines.append(line)
    finish()
    return found


def mask(text):
    """Hides what differs from run to run, between versions of Kubernetes, and because it is meant to."""
    for pattern, by in VERSIONS + MEANT + MASKS:
        text = pattern.sub(by, text)
    return text


def summary(pod):
    """What of a pod changes in its life, in one line."""
    meta, status = pod["metadata"], pod["status"]
    words = [status.get("phase", "-"), status.get("reason", "")]
    if "deletionTimestamp" in meta:
        words.append(f"deleting in {meta.get('deletionGracePeriodSeconds')} s")
    words += ["bound" if pod["spec"].get("nodeName") else "", "addressed" if status.get("podIP") else ""]
    for condition in status.get("conditions", []):
        # Younger than some of the servers that are compared.
        if condition["type"] != "PodReadyToStartContainers":
            reason = f"({condition['reason']})" if "reason" in condition else ""
            words.append(f"{condition['type']}={condition['status']}{reason}")
    main = status.get("containerStatuses", [])
    for container in status.get("initContainerStatuses", []) + main:
        words.append(f"[{container['name']}:")
        for name in ("state", "lastState"):
            for kind, detail in container.get(name, {}).items():
                code = f" {detail['exitCode']}" if "exitCode" in detail else ""
                words.append(f"{name} {kind} {detail.get('reason', '')}{code}")
        # Also of init containers only since they may be sidecars.
        words.append(f"started={container['started']}" if container in main else "")
        words.append(f"ready={container['ready']} restarts={container['restartCount']}]")
    return " ".join(word for word in words if word)


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def stamp():
    """The time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def until(condition, what):
    """Waits until a condition holds."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.05)


def both(sides, work):
    """Does the same on both sides at once."""
    results = [None, None]

    def one(i):
        try:
            results[i] = work(sides[i])
        except Exception as error:  # Handed to the caller, who ends the program.
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def compare(sides, case, image, show_same):
    """Runs one case; returns how many steps there were and how many differed."""
    namespace = case.stem
    both(sides, lambda side: side.enter(namespace))
    differing = 0
    todo = steps(case)
    for step in todo:
        left, right = both(sides, lambda side: side.run(step, namespace, image))
        if left == right:
            if show_same:
                print(f"= {namespace}: {step.kind} {step.text}", *left, sep="\n  ")
            continue
        differing += 1
        print(f"\n! {namespace}: {step.kind} {step.text}")
        for line in list(difflib.unified_diff(left, right, n=2, lineterm=""))[2:]:
            print(f"  {line}")
        sys.stdout.flush()
    both(sides, lambda side: side.request("DELETE", f"/api/v1/namespaces/{namespace}"))
    return len(todo), differing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl", default="kubectl", help="program to run as kubectl")
    parser.add_argument("--same", action="store_true", help="print what is the same, too")
    parser.add_argument("--image", metavar="NAME", help="name of an image that both clusters can pull: runs the cases of nodes/")
    parser.add_argument("left", help="kubeconfig of the server taken as right; its lines are marked -")
    parser.add_argument("right", help="kubeconfig of the server looked at; its lines are marked +")
    parser.add_argument("case", nargs="*", help="names of cases, or files")
    options = parser.parse_args()
    which = subprocess.run(["which", options.kubectl], capture_output=True, text=True).stdout.strip()
    folder = HERE / ("nodes" if options.image else "cases")
    cases = [
        path if (path := pathlib.Path(name)).is_file() else folder / f"{name}.case" for name in options.case
    ] or sorted(folder.glob("*.case"))
    total = differing = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            sides = [Side("left", options.left, which, folder), Side("right", options.right, which, folder)]
            if options.image:
                both(sides, lambda side: side.warm(options.image))
            else:
                both(sides, Side.start_agent)
            for case in cases:
                ran, found = compare(sides, case, options.image, options.same)
                total, differing = total + ran, differing + found
                print(f"{case.stem}: {ran} steps, {found} differ", flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"compare.py: {error}", file=sys.stderr)
            return 2
    print(f"{total} steps, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

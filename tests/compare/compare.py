#!/usr/bin/env python3
"""Runs the same commands and requests against two API servers and prints where their answers differ.

    compare.py [--kubectl PROGRAM] [--same] LEFT_KUBECONFIG RIGHT_KUBECONFIG [CASE…]

A case is a file of steps (by default every one in cases/, by name), run in a namespace of its own that has the name of the file:

    $ COMMAND           a shell command; `kubectl` has the side's kubeconfig and namespace
    > METHOD PATH [HEADER: VALUE]…
                        a request of the cluster's administrator; {ns} is the namespace
    # …                 a remark

The lines after a step up to the next step or an empty line are its input or body. A line `...` is an empty line in it.

Names that servers make up, identities, times, ages and addresses are masked before comparing, so that what is left is how the
servers differ. Neither server needs nodes: the program keeps one Node on each side and plays its agent: pods bound to it are
Running and Ready (not so with an image named `broken`) and go when they are deleted.

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
        (r"\b(\d+\.){3}\d+(:\d{4,5})?\b", "IP"),
        (r"\b(\d+d)?(\d+h)?(\d+m)?\d+s\b", "AGE"),
        (r"\bnodePort(\"?): \d+", r"nodePort\1: PORT"),
        (r"\b3[0-2]\d{3}(?=/(TCP|UDP))", "PORT"),
        (r"(?<=\S) {2,}", "  "),
        (r"-{4,}", "----"),
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

    def run(self, step, namespace):
        """Carries out one step; returns what is to be compared."""
        text = step.request(self, namespace) if step.kind == ">" else self._command(step)
        text = text.replace(f"{self.host}:{self.port}", "SERVER")
        return [line.rstrip() for line in mask(text).splitlines()]

    def _command(self, step):
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        env = {
            **os.environ,
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
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
        return f"{done.stdout}{done.stderr}" + (f"exit code {done.returncode}\n" if done.returncode else "")

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

    def __init__(self, kind, text, lines):
        self.kind, self.text = kind, text
        self.input = "".join("\n" if line == "..." else f"{line}\n" for line in lines)

    def request(self, side, namespace):
        """Sends the request; returns status, what headers tell, and the body."""
        words = shlex.split(self.text.replace("{ns}", namespace))
        method, path, *rest = words
        headers = dict(header.split(": ", 1) if ": " in header else (header.rstrip(":"), "") for header in rest)
        body = self.input.replace("{ns}", namespace).encode() or None
        status, answered, body = side.request(method, path, body, headers)
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
            found.append(Step(head[0], head[2:], list(lines)))
        lines.clear()

    for line in path.read_text().splitlines():
        if not line or line.startswith("# ") or line[:2] in ("$ ", "> "):
            finish()
            head = line if line[:2] in ("$ ", "> ") else None
        else:
            lines.append(line)
    finish()
    return found


def mask(text):
    """Hides what differs from run to run."""
    for pattern, by in MASKS:
        text = pattern.sub(by, text)
    return text


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


def compare(sides, case, show_same):
    """Runs one case; returns how many steps there were and how many differed."""
    namespace = case.stem
    both(sides, lambda side: side.enter(namespace))
    differing = 0
    todo = steps(case)
    for step in todo:
        left, right = both(sides, lambda side: side.run(step, namespace))
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
    parser.add_argument("left", help="kubeconfig of the server taken as right; its lines are marked -")
    parser.add_argument("right", help="kubeconfig of the server looked at; its lines are marked +")
    parser.add_argument("case", nargs="*", help="names of cases, or files")
    options = parser.parse_args()
    which = subprocess.run(["which", options.kubectl], capture_output=True, text=True).stdout.strip()
    cases = [
        path if (path := pathlib.Path(name)).exists() else HERE / "cases" / f"{name}.case" for name in options.case
    ] or sorted((HERE / "cases").glob("*.case"))
    total = differing = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            sides = [Side("left", options.left, which, folder), Side("right", options.right, which, folder)]
            both(sides, Side.start_agent)
            for case in cases:
                ran, found = compare(sides, case, options.same)
                total, differing = total + ran, differing + found
                print(f"{case.stem}: {ran} steps, {found} differ", flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"compare.py: {error}", file=sys.stderr)
            return 2
    print(f"{total} steps, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

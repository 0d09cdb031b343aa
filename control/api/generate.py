#!/usr/bin/env python3
"""Writes src/request/protobuf/generated.rs: field numbers and JSON names of the messages that clients send.

    python3 generate.py K8S_PB DEFINITIONS

K8S_PB is the unpacked source of the crate k8s-pb (types generated from Kubernetes' published .proto files: field
numbers and wire types); DEFINITIONS the `_definitions.json` of the package kubernetes-validate, or its .whl (the
published OpenAPI definitions: JSON names). Only facts are taken.
"""

import json
import pathlib
import re
import sys
import zipfile

OUT = pathlib.Path(__file__).parent / "src" / "request" / "protobuf" / "generated.rs"
MEMBER = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local/_definitions.json"

# What clients send: every kind of these groups, and the options and sub-resources that go with them.
ROOTS = re.compile(
    r"^(api\.(core|apps|authentication|authorization|autoscaling|batch|coordination|discovery|events|networking|node|"
    r"policy|rbac|scheduling|storage)\.v1|apimachinery\.pkg\.apis\.meta\.v1)\.[A-Za-z0-9]+$"
)
SPECIAL = {
    "apimachinery.pkg.apis.meta.v1.Time": "Time",
    "apimachinery.pkg.apis.meta.v1.MicroTime": "MicroTime",
    "apimachinery.pkg.apis.meta.v1.FieldsV1": "Raw",
    "apimachinery.pkg.runtime.RawExtension": "Raw",
    "apimachinery.pkg.api.resource.Quantity": "Quantity",
    "apimachinery.pkg.util.intstr.IntOrString": "IntOrString",
}
# Fields that are no pointers in the published Go types: always on the wire, and absent in JSON when zero. For other
# fields zero is a value (`replicas: 0`). Names with a dot belong to one type only.
ABSENT_WHEN_ZERO = set(
    """hostNetwork hostPID hostIPC stdin stdinOnce tty readOnly paused publishNotReadyAddresses unschedulable
    globalDefault denied authenticated allowed incomplete watch allowWatchBookmarks minReadySeconds generation
    observedGeneration restartCount hostPort nodePort healthCheckNodePort initialDelaySeconds timeoutSeconds
    periodSeconds successThreshold failureThreshold partition. Event.count EventSeries.count fullyLabeledReplicas
    readyReplicas availableReplicas unavailableReplicas updatedReplicas currentReplicas follow previous timestamps
    signal exitCode stdout stderr deprecatedCount suspend. includeUninitialized force. allowedTopologies.
    DeploymentStatus.replicas ReplicaSetStatus.replicas StatefulSetStatus.replicas ScaleStatus.replicas
    ScaleSpec.replicas""".split()
)
# Empty strings that are values.
EMPTY_IS_A_VALUE = {"storageClassName", "volumeAttributesClassName"}
# Types with an embedded one.
EMBEDDING = set(
    """ConfigMapEnvSource ConfigMapKeySelector ConfigMapProjection ConfigMapVolumeSource EphemeralContainer
    PersistentVolumeSpec Probe LifecycleHandler SecretEnvSource SecretKeySelector SecretProjection Volume
    IngressRule""".split()
)
INTEGERS = {"int32", "int64", "uint32", "uint64", "sint32", "sint64"}


def messages(root):
    """Yields (name, [(tag, snake name, wire type, rust type, repeated)])."""
    for path in sorted(root.rglob("*.rs")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".mod")
        text = path.read_text()
        for struct in re.finditer(r"pub struct (\w+) \{(.*?)\n\}", text, re.S):
            fields = []
            for field in re.finditer(r"#\[prost\((.*?)\)\]\s*pub (?:r#)?(\w+):\s*(.*?),\n(?=\s*(?:///|#|$))", struct[2] + "\n", re.S):
                attributes = re.findall(r'(\w+)(?:\s*=\s*"([^"]*)")?', field[1])
                kind, value = attributes[0]
                tag = int(dict(attributes)["tag"])
                repeated = "repeated" in field[1]
                if kind in ("btree_map", "map"):
                    kind = "map " + value.split(",")[1].strip()
                fields.append((tag, field[2], kind, re.sub(r"\s", "", field[3]), repeated))
            yield f"{module}.{struct[1]}", fields


def resolve(module, rust):
    """The full name of the message type inside a Rust type."""
    inner = re.search(r"([\w:]+)[,>]*$", rust)[1]
    inner = inner.split("BTreeMap")[-1]
    parts = inner.split("::")
    at = module.split(".")
    while parts and parts[0] == "super":
        at.pop()
        parts.pop(0)
    return ".".join(at + parts)


def main():
    source, definitions = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if definitions.suffix == ".whl":
        definitions = json.loads(zipfile.ZipFile(definitions).read(MEMBER))
    else:
        definitions = json.loads(definitions.read_text())
    definitions = definitions.get("$defs", definitions)
    known = dict(messages(source / "src"))

    def published(name):
        return definitions.get("io.k8s." + name)

    wanted = sorted(name for name in known if ROOTS.match(name) and published(name))
    todo = list(wanted)
    while todo:
        name = todo.pop()
        module = name.rsplit(".", 1)[0]
        for _, _, kind, rust, _ in known[name]:
            if "message" in kind:
                inner = resolve(module, rust)
                if inner not in SPECIAL and inner not in wanted:
                    assert inner in known, (name, inner)
                    wanted.append(inner)
                    todo.append(inner)
    wanted = sorted(set(wanted))
    number = {name: i for i, name in enumerate(wanted)}
    # Embedded types are not published themselves: their names are those of the types around them.
    around = {}
    for name in wanted:
        if name.rsplit(".", 1)[1] in EMBEDDING and published(name):
            for _, _, kind, rust, _ in known[name]:
                if kind == "message" and not published(resolve(name.rsplit(".", 1)[0], rust)):
                    around[resolve(name.rsplit(".", 1)[0], rust)] = published(name)
    out = ["// Written by generate.py: do not edit.\n", "use super::{Field, Kind::*, Message, Shape::*};\n\n"]
    out.append(f"pub(super) static MESSAGES: [Message; {len(wanted)}] = [\n")
    for name in wanted:
        module, short = name.rsplit(".", 1)
        schema = published(name)
        names = (schema or around.get(name, {})).get("properties", {})
        properties = {p.lower().replace("$", ""): p for p in names}
        out.append(f'    Message {{ name: "{name}", fields: &[\n')
        for tag, snake, kind, rust, repeated in sorted(known[name]):
            plain = snake.replace("_", "").lower()
            json_name = properties.get(plain)
            is_map = kind.startswith("map ")
            wire = kind.split()[-1]
            if wire == "message":
                inner = resolve(module, rust)
                target = published(inner)
                if inner in SPECIAL:
                    what = SPECIAL[inner]
                elif inner.rsplit(".", 1)[1] in ("ExtraValue", "Verbs"):
                    what = "Items"
                else:
                    what = f"Message({number[inner]})"
            elif wire in INTEGERS:
                what = "Int"
            else:
                what = {"string": "String", "bool": "Bool", "bytes": "Bytes"}[wire]
            if json_name is None and schema is not None and what.startswith("Message") and not repeated and not is_map:
                if short not in EMBEDDING:
                    continue  # A field that the published version no longer has.
                json_name = ""  # An embedded type: its fields belong to this object.
            elif json_name is None:
                words = snake.split("_")
                json_name = words[0] + "".join(w.capitalize() for w in words[1:])
            zero = json_name in ABSENT_WHEN_ZERO or f"{short}.{json_name}" in ABSENT_WHEN_ZERO
            if what == "String" and not is_map and not repeated:
                zero = json_name not in EMPTY_IS_A_VALUE
            shape = "Map" if is_map else "List" if repeated else "One"
            zero = "true" if zero else "false"
            out.append(f'        Field({tag}, "{json_name}", {what}, {shape}, {zero}),\n')
        out.append("    ] },\n")
    out.append("];\n")
    OUT.write_text("".join(out))
    print(len(wanted), "messages")


main()

#!/usr/bin/env python3
"""Writes src/facts/generated.rs, the published facts about the Kubernetes types as static tables, and
src/openapi/roots.rs, which k8s-openapi types describe the kinds among them.

    python3 generate.py [PATH]

PATH is the package kubernetes-validate (a .whl) or its `_definitions.json`; without it the package is downloaded
with pip. It holds the OpenAPI definitions that Kubernetes publishes, for each version. Only facts are taken
(names, types, list types, keys, merge keys, required fields), no sentence of the documentation.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

VERSION = "1.37"
PACKAGE = f"kubernetes-validate=={VERSION}.0"
MEMBER = f"kubernetes_validate/kubernetes-json-schema/v{VERSION}.0-local/_definitions.json"
SOURCES = pathlib.Path(__file__).parent / "src"
FACTS = SOURCES / "facts" / "generated.rs"
ROOTS = SOURCES / "openapi" / "roots.rs"

# Group versions whose kinds are wanted; other types come in when one of these refers to them.
WANTED = re.compile(
    r"^io\.k8s\.(api\.[a-z]+\.v[0-9]+"
    r"|api\.(certificates|coordination|storagemigration)\.v1beta1"
    r"|apiextensions-apiserver\.pkg\.apis\.apiextensions\.v1"
    r"|kube-aggregator\.pkg\.apis\.apiregistration\.v1"
    r"|apimachinery\.pkg\.(apis\.meta\.v1|version))\.[A-Za-z0-9]+$"
)

# Types whose value has a form of its own.
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "Quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "IntOrString",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "Time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "MicroTime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "Any",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": "Any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "Any",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "Any",
}

# Defaults of fields that are list-map keys: an element may leave them out. The package has no defaults; these are
# the `+default` markers of the documented API types (ContainerPort, ServicePort, LocalObjectReference).
KEY_DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.LocalObjectReference", "name"): "",
}

# Kinds of the meta group are listed under every group; one entry each is enough.
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def load(path):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as package:
            return json.loads(package.read(MEMBER))["$defs"]
    return json.loads(path.read_text())["$defs"]


def definitions():
    if len(sys.argv) > 1:
        return load(pathlib.Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True
        )
        return load(next(pathlib.Path(folder).glob("*.whl")))


def base_type(schema):
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(k for k in kind if k != "null")
    return kind


def target(schema):
    return schema["$ref"].rsplit("/", 1)[-1]


def ident(name):
    name = name.removeprefix("io.k8s.").removeprefix("api.")
    name = name.replace("apiextensions-apiserver.pkg.apis.", "").replace("kube-aggregator.pkg.apis.", "")
    name = name.replace("apimachinery.pkg.apis.", "").replace("apimachinery.pkg.", "")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[.\-]", "_", name).upper()


def referenced(schema):
    if "$ref" in schema:
        yield target(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from referenced(schema[key])


def is_struct(defs, name):
    return name not in SPECIAL and base_type(defs[name]) == "object"


def reachable(defs):
    todo = sorted(n for n in defs if WANTED.match(n) and is_struct(defs, n) and not re.search(r"v\d+alpha\d", n))
    seen = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for field in defs[name].get("properties", {}).values():
            todo += [n for n in referenced(field) if is_struct(defs, n)]
    return sorted(seen)


def string(text):
    return json.dumps(text)


def map_keys(schema):
    of = target(schema["items"])
    keys = []
    for key in sorted(schema["x-kubernetes-list-map-keys"]):  # as path elements have them
        default = KEY_DEFAULTS.get((of, key))
        keys.append(f"K({string(key)}, {'None' if default is None else f'Some({string(default)})'})")
    return "&[" + ", ".join(keys) + "]"


def list_kind(schema):
    """The effective list type; without one the patch strategy counts, and then it is atomic."""
    kind = schema.get("x-kubernetes-list-type")
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    if kind == "map":
        return f"Keyed({map_keys(schema)})"
    if kind == "set":
        return "Set"
    if kind is None and "merge" in strategy:
        key = schema.get("x-kubernetes-patch-merge-key")
        return f"Keyed(&[K({string(key)}, None)])" if key else "Set"
    return "Atomic"


def shape(defs, schema):
    if "$ref" in schema:
        name = target(schema)
        if name in SPECIAL:
            return f"Any({string(name)})" if SPECIAL[name] == "Any" else SPECIAL[name]
        if schema.get("x-kubernetes-map-type") == "granular" and "x-kubernetes-map-type" in defs[name]:
            return f"Granular(&{ident(name)})"
        return f"Object(&{ident(name)})"
    kind, form = base_type(schema), schema.get("format")
    if kind == "string":
        return {None: "String", "byte": "Bytes", "date-time": "Time"}[form]
    if kind == "integer":
        return {"int32": "Int32", "int64": "Int64"}[form]
    if kind == "number":
        return "Number"
    if kind == "boolean":
        return "Bool"
    if kind == "array":
        return f"List(&L {{ items: {shape(defs, schema['items'])}, kind: {list_kind(schema)} }})"
    if kind == "object" and "additionalProperties" in schema:
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        values = shape(defs, schema["additionalProperties"])
        return f"Map(&M {{ values: {values}, atomic: {str(atomic).lower()} }})"
    raise SystemExit(f"no shape for {schema}")


def field(defs, name, schema, required):
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    flags = [
        flag
        for flag, on in (
            ("REQUIRED", name in required),
            ("MERGE", "merge" in strategy),
            ("RETAIN", "retainKeys" in strategy),
            ("REPLACE", "replace" in strategy),
        )
        if on
    ]
    key = schema.get("x-kubernetes-patch-merge-key", "")
    return (
        f"    F {{ name: {string(name)}, shape: {shape(defs, schema)}, "
        f"flags: {' | '.join(flags) or '0'}, merge_key: {string(key)} }},"
    )


def write_roots(defs, names):
    """The kinds that k8s-openapi has a type for; lists and watch events are generic there and carry no text."""
    out = [
        "// Written by generate.py; do not edit by hand.",
        "",
        "use schemars::SchemaGenerator;",
        "",
        "/// Adds a type, and what it refers to, to the definitions of a generator.",
        "pub(super) type Describe = fn(&mut SchemaGenerator);",
        "",
        "fn describe<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) {",
        "    generator.subschema_for::<T>();",
        "}",
        "",
        "pub(super) static ROOTS: &[(&str, Describe)] = &[",
    ]
    for name in names:
        is_list = name.endswith("List") and "items" in defs[name].get("properties", {})
        if "x-kubernetes-group-version-kind" in defs[name] and not is_list and not name.endswith(".WatchEvent"):
            path = name.removeprefix("io.k8s.").replace("-", "_").replace(".", "::")
            out.append(f"    ({string(name)}, describe::<k8s_openapi::{path}>),")
    ROOTS.write_text("\n".join(out + ["];"]) + "\n")


def main():
    defs = definitions()
    names = reachable(defs)
    out = [
        "// Written by generate.py from the published OpenAPI definitions of Kubernetes "
        f"{VERSION}; do not edit by hand.",
        "",
        "use super::Shape::*;",
        "use super::{Field as F, Key as K, List as L, ListKind::*, Map as M, Struct as S};",
        "use super::{MERGE, REPLACE, REQUIRED, RETAIN};",
    ]
    kinds = []
    for name in names:
        definition = defs[name]
        required = set(definition.get("required", []))
        atomic = definition.get("x-kubernetes-map-type") == "atomic"
        fields = sorted(definition.get("properties", {}).items())
        out += ["", f"static {ident(name)}: S = S {{"]
        out += [f"    name: {string(name)}, atomic: {str(atomic).lower()},"]
        out += ["    fields: &["] + [field(defs, f, s, required) for f, s in fields] + ["    ],", "};"]
        gvks = definition.get("x-kubernetes-group-version-kind", [])
        if name.startswith(META):
            gvks = [{"group": "", "version": "v1", "kind": name.removeprefix(META)}] if gvks else []
        for gvk in gvks:
            version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            kinds.append((version, gvk["kind"], ident(name)))
    out += ["", "pub(super) static KINDS: &[(&str, &str, &S)] = &["]
    out += [f"    ({string(v)}, {string(k)}, &{i})," for v, k, i in sorted(kinds)] + ["];"]
    out += ["", "pub(super) static TYPES: &[&S] = &["] + [f"    &{ident(n)}," for n in names] + ["];"]
    FACTS.write_text("\n".join(out) + "\n")
    write_roots(defs, names)
    print(f"{len(names)} types, {len(kinds)} kinds, {FACTS.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()

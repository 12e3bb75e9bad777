"""Stands in for kubectl where a tutorial is tested: what it is asked to create is kept as JSON files in $KUBECTL_STORE."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

STORE = "KUBECTL_STORE"


def main(arguments: list[str]) -> int:
    """`apply -f`, and `create`, `label`, `patch` and `get configmap`, of which this is all that tutorials use."""
    parser = argparse.ArgumentParser(prog="kubectl")
    parser.add_argument("verb", choices=["apply", "create", "label", "patch", "get"])
    parser.add_argument("words", nargs="*")
    parser.add_argument("-f", dest="file")
    parser.add_argument("-n", dest="namespace", default="default")
    parser.add_argument("-o", dest="output")
    parser.add_argument("-p", dest="patch")
    parser.add_argument("--type", choices=["merge"])
    parser.add_argument("--from-file", action="append", default=[])
    parser.add_argument("--from-literal", action="append", default=[])
    options = parser.parse_intermixed_args(arguments)
    if options.verb == "apply":
        for number, obj in enumerate(yaml.safe_load_all(Path(options.file).read_text())):
            keep(f"applied-{number}", obj)
        return 0
    kind, name, *rest = options.words
    assert kind == "configmap"
    if options.verb == "create":
        data = dict(entry.split("=", 1) for entry in options.from_literal)
        data |= {key: Path(path).read_text() for key, path in (entry.split("=", 1) for entry in options.from_file)}
        meta = {"name": name, "namespace": options.namespace}
        keep(name, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    elif options.verb == "label":
        obj = json.loads(place(name).read_text())
        obj["metadata"].setdefault("labels", {}).update(entry.split("=", 1) for entry in rest)
        keep(name, obj)
    elif options.verb == "patch":
        keep(f"{name}-patch", json.loads(options.patch))
    else:
        print(place(name).read_text() if options.output is None else "")
    return 0


def place(name: str) -> Path:
    """Where an object is kept."""
    return Path(os.environ[STORE], f"{name}.json")


def keep(name: str, obj: Any) -> None:
    """Keep an object."""
    place(name).write_text(json.dumps(obj))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

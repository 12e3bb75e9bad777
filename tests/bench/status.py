"""How long a RulePack waits for its status: `python -m tests.bench.status`, against a real kube-apiserver.

Prints milliseconds from the answer to a write to the first status that is about it: of a new pack, of one that breaks, and of
one that is mended.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from engine.packs.crd import custom_resource_definition
from tests.bench.figures import milliseconds
from tests.bench.machine import about
from tests.chaos.layout import prepare
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine

ROUNDS = 30
PATIENCE = 60.0


def pack(name: str, key: str = "when") -> dict[str, Any]:
    """Return a RulePack of one rule."""
    rule = {"name": "mark", key: "has(object.data)", "actions": [{"annotate": {"annotations": {"example.com/mark": "yes"}}}]}
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"example.com/marked": "true"}}
    return {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name},
        "spec": {"watch": watch, "rules": [rule]},
    }  # fmt: skip


def waited(plane: ControlPlane, path: str, accepted: str) -> float:
    """Return seconds until the status of an object is about its spec as it is now. Raises TimeoutError."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        found = plane.request("GET", path)
        status = found.get("status", {})
        if status.get("observedGeneration") == found["metadata"]["generation"]:
            assert [one["status"] for one in status["conditions"] if one["type"] == "Accepted"] == [accepted]
            return time.monotonic() - began
        time.sleep(0.005)
    raise TimeoutError(f"{path} has no status after {PATIENCE:.0f} s")


def measure(plane: ControlPlane, home: str) -> dict[str, list[float]]:
    """Return the seconds of each kind of write, one at a time."""
    found: dict[str, list[float]] = {"created": [], "broken": [], "mended": []}
    for number in range(ROUNDS):
        path, name = f"{home}/bench-{number}", f"bench-{number}"
        plane.request("POST", home, pack(name))
        found["created"].append(waited(plane, path, "True"))
        for what, key, accepted in (("broken", "wehn", "False"), ("mended", "when", "True")):
            meta = {"name": name, "resourceVersion": plane.request("GET", path)["metadata"]["resourceVersion"]}
            plane.request("PUT", path, pack(name, key) | {"metadata": meta})
            found[what].append(waited(plane, path, accepted))
    return found


def main() -> None:
    """Measure, and print the results."""
    try:
        found = programs()
    except MissingProgram as missing:
        sys.exit(str(missing))
    with ControlPlane(found) as plane:
        plane.define(custom_resource_definition())
        prepare(plane, "bench")
        with Engine(plane, "bench") as engine:
            engine.grant("", "configmaps")
            engine.start()
            engine.ready()
            home = f"/apis/rules.mlops.dev/v1alpha1/namespaces/{engine.own}/rulepacks"
            eventually(lambda: plane.request("GET", home)["items"], "RulePacks of the shipped packs")
            print(about("tests.bench.status"))
            for what, seconds in measure(plane, home).items():
                print(what, milliseconds(seconds))


if __name__ == "__main__":
    main()

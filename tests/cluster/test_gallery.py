"""examples/packs: each pack on a real kube-apiserver, applied and granted as its README says; how fast each reacts is printed.

The packs are as they stand there but for their times: what must hold for minutes or a day holds for a second.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
from collections.abc import Iterator
from contextlib import redirect_stdout
from http import HTTPStatus
from io import StringIO
from pathlib import Path

import pytest
import yaml

from engine.cli.main import run_command
from engine.model.objects import Object
from engine.packs.crd import custom_resource_definition
from tests.chaos.layout import prepare
from tests.cluster.conftest import RULE_PACKS
from tests.cluster.reactions import CORE, GALLERY, SHORT, WEB, content, made
from tests.controlplane import owners
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import RULES

PACKS = RULES.parent / "examples" / "packs"


class Everywhere(Engine):
    """An operator for all namespaces."""

    def command(self, served: Served, kubeconfig: Path | None = None) -> list[str]:
        """What starts one process of it."""
        return [option for option in super().command(served, kubeconfig) if not option.startswith("--namespace=")]


@pytest.fixture(scope="module")
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    """An operator that has the packs in force, each with the rights that `rulepack rbac` writes for it."""
    try:
        own_plane.define(custom_resource_definition(), *owners.delivery(), *owners.runs())
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
    prepare(own_plane, "gallery")
    own_plane.ensure(f"{CORE}/serviceaccounts", made("default"))
    with Everywhere(own_plane, "gallery") as engine:
        for name in GALLERY:
            grant(own_plane, name, engine.own)
            own_plane.request("POST", RULE_PACKS.format(engine.own), quick(name))
        engine.start()
        engine.ready()
        yield engine


def quick(name: str) -> Object:
    """The pack with short times."""
    text = (PACKS / name / "pack.yaml").read_text()
    pack: Object = yaml.safe_load(re.sub(r"\b(for|every): \d+[smh]\b", rf"\1: {SHORT:g}s", text))
    return pack


def find(plane: ControlPlane, path: str) -> Object:
    """What is at a path, empty where nothing is."""
    try:
        return plane.request("GET", path)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return {}


@pytest.mark.parametrize("name", GALLERY)
def test_a_pack_of_the_gallery_reacts(name: str, own_plane: ControlPlane, engine: Engine, say: Say) -> None:
    """Each in turn, once the pack is in force; the time is from the last change to the effect."""
    plane = own_plane
    eventually(lambda: ready(plane, name), f"{name} in force")
    for what, changes, path, holds, held in GALLERY[name]:
        time.sleep(2 * SHORT + 0.2)  # its throttle, and that of what follows from its own write
        before = find(plane, path)
        for method, where, body in changes:
            began = time.monotonic()
            plane.request(method, where, body() if callable(body) else body)
        while not holds(before, find(plane, path)):
            assert time.monotonic() < began + 30, f"{name}: {what}: {json.dumps(find(plane, path))}"
            time.sleep(0.005)
        took = time.monotonic() - began - held
        say(f"{name}: {what}: {took * 1000:.0f} ms" + (f" after the {held:g} s that it waits" if held else ""))


def test_a_restart_changes_nothing(own_plane: ControlPlane, engine: Engine) -> None:
    """What all packs have done is done: no pods restart because an operator has to read all ConfigMaps and Secrets anew."""
    eventually(engine.idle, "engine with nothing left to do")
    assert content(find(own_plane, WEB)) != ""
    before = len(engine.writes())

    engine.kill()
    engine.start()
    engine.ready()
    eventually(engine.idle, "engine with nothing left to do")
    time.sleep(2 * SHORT + 0.2)

    reported_anew = f"create {CORE}/events?"  # an incident that lasts: the Event is there, and the server refuses a second one
    writes = [write for write in engine.writes()[before:] if f"/{engine.own}/" not in write]
    assert [write for write in writes if not write.startswith(reported_anew)] == []


def grant(plane: ControlPlane, name: str, namespace: str) -> None:
    """Apply what `rulepack rbac` writes for an operator in a namespace."""
    with redirect_stdout(StringIO()) as written:
        assert run_command(["rbac", str(PACKS / name), "--operator-namespace", namespace]) == 0
    for document in yaml.safe_load_all(written.getvalue()):
        plane.ensure(f"/apis/{document['apiVersion']}/{document['kind'].lower()}s", document)


def ready(plane: ControlPlane, name: str) -> bool:
    """Whether the pack's RulePack says so."""
    conditions = find(plane, f"{RULE_PACKS.format('gallery-rulepack')}/{name}").get("status", {}).get("conditions", [])
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

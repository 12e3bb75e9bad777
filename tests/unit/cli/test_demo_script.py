"""Demo scripts: their text, and the fixtures on the cluster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.cel import backend
from engine.cli.demo.fixtures import Fixtures
from engine.cli.demo.script import load
from engine.errors import ApiError, InvalidText, UsageError
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Object
from engine.packs.sources import shipped_demo

WIDGET = Kind("example.com/v1", "Widget")
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped demo, to be spoilt."""
    return Path(shutil.copytree(shipped_demo(), tmp_path / "demo"))


def test_the_shipped_script_compiles() -> None:
    """The shipped script has no faults, and effects to check."""
    assert load(shipped_demo(), backend()).effects


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("timeout:", "timeuot:", "unknown key 'timeuot'"),
        ("ready: >-\n  objects", "ready: >-\n  objets", "objets"),
        ("watched: applications", "watched: appliances", "nothing is watched as 'appliances'"),
        ("    that: >-", "    those: >-", "unknown key 'those'"),
    ],
)
def test_what_is_wrong_in_a_script_has_its_location(folder: Path, right: str, wrong: str, message: str) -> None:
    """A script with a fault is refused with file, line and column, before anything runs."""
    script = folder / "script.yaml"
    script.write_text(script.read_text().replace(right, wrong, 1))
    with pytest.raises(InvalidText) as refusal:
        load(folder, backend())
    assert message in str(refusal.value)
    assert all(fault.location.file == str(script) and fault.location.line > 1 for fault in refusal.value.faults)


def test_a_demo_that_is_not_complete_is_refused(folder: Path) -> None:
    """A folder that lacks a part of the demo is refused with the name of that part."""
    (folder / "cluster.yaml").unlink()
    with pytest.raises(UsageError, match=r"cluster\.yaml.*not complete"):
        load(folder, backend())


async def test_a_missing_kind_is_installed_only_if_asked_for() -> None:
    """A cluster that lacks a kind is left as it is, and the refusal names the kind and the way to have it."""
    cluster = EmbeddedCluster(FakeClock())
    with pytest.raises(UsageError, match=r"Widget\.example\.com/v1.*--install-crds"):
        await Fixtures(cluster).define([DEFINITION], install=False)
    assert cluster.writes == []


async def test_the_cluster_is_left_as_it_was() -> None:
    """Cleaning up takes away the namespaces and definitions that were put there, and leaves a kind that was served before."""
    cluster = EmbeddedCluster(FakeClock())
    gadget = {**DEFINITION, "metadata": {"name": "gadgets.example.org"}, "spec": {
        **DEFINITION["spec"], "group": "example.org", "names": {"kind": "Gadget", "plural": "gadgets"},
    }}  # fmt: skip
    await Fixtures(cluster).create(gadget)
    fixtures = Fixtures(cluster)
    await fixtures.define([DEFINITION, gadget], install=True)
    await fixtures.namespace("demo")
    await fixtures.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": "demo"}})
    await fixtures.clean_up()
    assert await cluster.discover(Kind("example.org/v1", "Gadget"))
    with pytest.raises(ApiError, match="404"):
        await cluster.discover(WIDGET)
    with pytest.raises(ApiError, match="404"):
        await cluster.get(await cluster.discover(Kind("v1", "Namespace")), "", "demo")

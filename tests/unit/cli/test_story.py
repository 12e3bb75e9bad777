"""Stories: their text, the stage, and the clock."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.cel import backend
from engine.cli.story.script import load
from engine.cli.story.stage import Stage
from engine.errors import ApiError, InvalidText, UsageError
from engine.kube.embedded import EmbeddedCluster
from engine.kube.manual_clock import ManualClock
from engine.model.objects import Kind, Object
from engine.packs.shipped import shipped_story

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
    """A copy of the shipped story, to be spoilt."""
    return Path(shutil.copytree(shipped_story(), tmp_path / "story"))


def test_the_shipped_story_compiles() -> None:
    """The shipped story has no fault in its expressions."""
    assert load(shipped_story(), backend()).effects


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("patience:", "patiense:", "unknown key 'patiense'"),
        ("opening: >-\n  objects", "opening: >-\n  objets", "objets"),
        ("watched: applications", "watched: appliances", "nothing is watched as 'appliances'"),
        ("    that: >-", "    those: >-", "unknown key 'those'"),
    ],
)
def test_what_is_wrong_in_a_story_has_its_place(folder: Path, right: str, wrong: str, message: str) -> None:
    """A story with a fault is refused with file, line and column, before anything is played."""
    script = folder / "story.yaml"
    script.write_text(script.read_text().replace(right, wrong, 1))
    with pytest.raises(InvalidText) as refusal:
        load(folder, backend())
    assert message in str(refusal.value)
    assert all(fault.location.file == str(script) and fault.location.line > 1 for fault in refusal.value.faults)


def test_a_story_that_is_not_complete_is_refused(folder: Path) -> None:
    """A folder that lacks a part of the story is refused with the name of that part."""
    (folder / "cluster.yaml").unlink()
    with pytest.raises(UsageError, match=r"cluster\.yaml.*not complete"):
        load(folder, backend())


async def test_a_missing_kind_is_installed_only_if_asked_for() -> None:
    """A cluster that lacks a kind is left as it is, and the refusal names the kind and the way to have it."""
    cluster = EmbeddedCluster(ManualClock())
    with pytest.raises(UsageError, match=r"Widget\.example\.com/v1.*--install-crds"):
        await Stage(cluster).define([DEFINITION], install=False)
    assert cluster.writes == []


async def test_the_stage_is_left_as_it_was() -> None:
    """Striking takes away the namespaces and definitions that were put there, and leaves a kind that was served before."""
    cluster = EmbeddedCluster(ManualClock())
    gadget = {**DEFINITION, "metadata": {"name": "gadgets.example.org"}, "spec": {
        **DEFINITION["spec"], "group": "example.org", "names": {"kind": "Gadget", "plural": "gadgets"},
    }}  # fmt: skip
    await Stage(cluster).create(gadget)
    stage = Stage(cluster)
    await stage.define([DEFINITION, gadget], install=True)
    await stage.namespace("story")
    await stage.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": "story"}})
    await stage.strike()
    assert await cluster.discover(Kind("example.org/v1", "Gadget"))
    with pytest.raises(ApiError, match="404"):
        await cluster.discover(WIDGET)
    with pytest.raises(ApiError, match="404"):
        await cluster.get(await cluster.discover(Kind("v1", "Namespace")), "", "story")

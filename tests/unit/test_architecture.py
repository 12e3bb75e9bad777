"""docs/architecture.md: its diagrams show the modules and layers that there are."""

from __future__ import annotations

import re
import tomllib

from scripts.project import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text()
PIPELINE, LAYERS = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)


def test_each_module_of_the_pipeline_exists() -> None:
    """Every box names its modules, and they are files of the engine."""
    modules = re.findall(r"[a-z_]+/[a-z_]+\.py", PIPELINE)
    assert len(modules) >= 12
    assert [module for module in modules if not (ROOT / "engine" / module).is_file()] == []


def test_the_pipeline_has_the_parts_of_the_engine() -> None:
    """The boxes, and the rows of the table below, are the parts that engine/README.md names."""
    (parts,) = re.findall(r"^\*\*(watch → .*)\*\*$", (ROOT / "engine/README.md").read_text(), re.MULTILINE)
    titles = re.findall(r"│ (watch|match|evaluate|plan|act|record) +│", PIPELINE)
    assert sorted(titles) == sorted(parts.split(" → "))
    (table,) = re.findall(r"^\| part \|.*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == ["part", *parts.split(" → ")]


def test_the_layers_are_those_of_the_contract() -> None:
    """From top to bottom, and beside one another, as import-linter holds them."""
    (contract,) = (
        contract
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    drawn = [" | ".join(re.findall(r"engine/(\w+)", line)) for line in LAYERS.splitlines() if "engine/" in line]
    assert drawn == contract["layers"]


def test_each_layer_exists() -> None:
    """A layer is a package of the engine, or a module."""
    assert all((ROOT / path).exists() for path in re.findall(r"engine/[\w.]+", LAYERS))

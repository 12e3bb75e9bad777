"""The API server sorts the keys of every mapping: that changes the meaning of no pack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.cel import backend
from engine.cli.main import run_command
from engine.errors import InvalidText, Location
from engine.packs.parse import parse_pack
from engine.packs.yamltext import read_yaml
from tests.world import RULES

VARS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: example}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets: [{apiVersion: v1, kind: Node, verbs: [get]}]
  rules:
    - name: first
      vars: {early: vars.late, late: "'node'"}
      lookup: LOOKUP
      actions:
        - annotate: {annotations: {a: '${vars.early}'}}
"""


def node(name: str) -> str:
    """A lookup of a node, as JSON."""
    return json.dumps({"apiVersion": "v1", "kind": "Node", "name": name})


def test_the_shipped_packs_pass_their_tests_with_all_keys_sorted(tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "rules")
    for file in (tmp_path / "rules").glob("*/pack.yaml"):
        (written,) = read_yaml(file.read_text(), lambda line, column: Location("pack.yaml", line, column))
        file.write_text(json.dumps(written.value, sort_keys=True))

    assert run_command(["test", str(tmp_path / "rules")]) == 0


def test_vars_and_lookups_may_use_others_wherever_these_are_written() -> None:
    """Lookups are read in an order in which each has what it needs, also through vars."""
    lookups = f"{{a: {node('${get(lookup.b, `name`, `x`)}')}, b: {node('${vars.early}')}, c: {node('x')}}}".replace("`", "'")

    (pack,) = parse_pack(VARS.replace("LOOKUP", lookups), "pack.yaml", backend())

    assert [*pack.rules[0].lookups] == ["b", "a", "c"]


def test_lookups_that_need_one_another_are_refused() -> None:
    lookups = f"{{a: {node('${lookup.b}')}, b: {node('${lookup.a}')}}}"

    with pytest.raises(InvalidText, match=r"lookup go round in a circle: lookup\.a -> lookup\.b -> lookup\.a"):
        parse_pack(VARS.replace("LOOKUP", lookups), "pack.yaml", backend())

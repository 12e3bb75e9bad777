"""What stands where it means nothing is refused with where it belongs: keys of a spec, values of params, modes, flags."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InvalidText
from engine.packs.belongs import PARAMETERS
from engine.packs.declarations import COMMON
from engine.packs.libraries import read_libraries
from engine.packs.modes import FLAGS
from engine.packs.param_store import PARAMS
from engine.packs.parse import parse_object, parse_reference
from engine.packs.sources import LibraryObject, PackObject
from engine.packs.store import PackStore
from tests.unit.packs.packs import CEL, pack
from tests.unit.packs.test_store import by_source, reported, rulepack, shipped, written

TARGETS = [{"apiVersion": "v1", "kind": "Secret", "verbs": ["get"]}]
IN_PARAMS = "expected it in ConfigMap rulepack-params, under the name of the pack"
SETTABLE = "expected the mode in spec.mode of its RulePack, or a flag in ConfigMap rulepack-feature-flags"


def faults(obj: dict[str, Any]) -> list[str]:
    """What is wrong with an object of kind RulePack by itself, each with its path."""
    own = PackObject.of(obj)
    with pytest.raises(InvalidText) as refused:
        parse_reference(own) if own.reference else parse_object(own, CEL)
    return [f"{fault.location.path}: {fault.text}" for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"mode": "Audit"}, "mode: unknown key 'mode'; expected it as spec.mode"),
        ({"params": {}}, "params: unknown key 'params'; expected it as spec.params"),
        ({"moed": "Audit"}, "moed: unknown key 'moed'; expected spec.mode (did you mean that?)"),
        ({"labels": {}}, "labels: unknown key 'labels'; expected it as metadata.labels"),
        ({"zzz": 1}, "zzz: unknown key 'zzz'; expected one of apiVersion, kind, metadata, spec"),
    ],
)
@pytest.mark.parametrize("spec", [written(), {"shipped": "example"}], ids=["own", "reference"])
def test_a_key_beside_spec_is_refused(beside: dict[str, Any], expected: str, spec: dict[str, Any]) -> None:
    assert faults(rulepack(spec) | beside) == [expected]


def test_a_key_beside_the_spec_of_a_library_is_refused() -> None:
    meta = {"namespace": "ops", "name": "texts"}
    spec = {"functions": {"loud": {"description": "Loud.", "expression": "'A'"}}}
    obj = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RuleLibrary", "metadata": meta, "spec": spec, "functions": {}}

    found = read_libraries([LibraryObject.of(obj)], CEL)

    assert [str(fault) for fault in found.faults] == [
        "rulelibrary/ops/texts: functions: unknown key 'functions'; expected it as spec.functions"
    ]
    assert "texts" not in found.libraries


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"when": "true"}, "spec.when: unknown key 'when'; expected it as spec.rules[].when"),
        ({"labelSelector": "a=b"}, "spec.labelSelector: unknown key 'labelSelector'; expected it as spec.watch[].labelSelector"),
        ({"name": "x"}, "spec.name: unknown key 'name'; expected it as metadata.name"),
        ({"disruptionsPerMinute": 20}, f"spec.disruptionsPerMinute: unknown key 'disruptionsPerMinute'; {IN_PARAMS}"),
        (
            {"params": {"disruptionsPerMinute": 20}},
            f"spec.params.disruptionsPerMinute: the number 20 stands here; {IN_PARAMS}: here a pack declares params of its own",
        ),
        ({"params": {"mode": "Audit"}}, "spec.params.mode: the text 'Audit' stands here; expected it as spec.mode"),
        (
            {"params": {"size": 3}},
            "spec.params.size: the number 3 stands here; expected a mapping: a JSON Schema with a default, such as {default: 3}",
        ),
    ],
)
def test_a_key_in_another_place_of_the_spec_is_refused(keys: dict[str, Any], expected: str) -> None:
    assert faults(rulepack(written() | keys)) == [expected]


def test_a_key_of_the_spec_in_a_rule_is_refused() -> None:
    spec = written()
    spec["rules"][0]["params"] = {}

    assert faults(rulepack(spec)) == ["spec.rules[0].params: unknown key 'params'; expected it as spec.params"]


def test_a_param_beside_what_a_reference_says_is_refused() -> None:
    assert faults(rulepack({"shipped": "example", "disruptionsPerMinute": 20})) == [
        "spec.disruptionsPerMinute: unknown key 'disruptionsPerMinute'; expected it as spec.params.disruptionsPerMinute"
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("example", "mode: Audit", f"/example:1:1: unknown parameter 'mode'; {SETTABLE}"),
        ("example", "Off", "; a mode belongs in spec.mode of its RulePack, or in ConfigMap rulepack-feature-flags"),
        ("example", "disruptionsPerMinute: 3", "; expected no such value: a pack without targets has no such parameter"),
    ],
)
def test_a_mode_among_values_of_params_is_refused(name: str, text: str, expected: str) -> None:
    report = by_source(PackStore(CEL).update([shipped(pack())], params={name: text}))[PARAMS]

    (fault,) = reported(report)
    assert fault.endswith(expected)


def test_a_mode_among_the_params_of_a_reference_is_refused() -> None:
    obj = rulepack({"shipped": "example", "params": {"mode": 1}})

    reports = by_source(PackStore(CEL).update([shipped(pack())], objects=[obj]))

    assert reported(reports["rulepack/ops/example"]) == [
        f"rulepack/ops/example: spec.params.mode: unknown parameter 'mode'; {SETTABLE}"
    ]


def test_a_param_under_no_pack_is_warned_of() -> None:
    report = by_source(PackStore(CEL).update([shipped(pack(targets=TARGETS))], params={"disruptionsPerMinute": "20"}))[PARAMS]

    assert [warning.text for warning in report.warnings] == [
        "there is no pack 'disruptionsPerMinute'; expected it in the text of a pack's name, or of _all"
    ]


def test_a_param_among_flags_is_warned_of() -> None:
    report = by_source(PackStore(CEL).update([shipped(pack(targets=TARGETS))], flags={"disruptionsPerMinute": "Off"}))[FLAGS]

    assert [warning.text for warning in report.warnings] == [
        "no pack has the feature flag 'disruptionsPerMinute'; expected it in ConfigMap rulepack-params: it is a parameter"
    ]


def test_the_params_of_every_pack_are_known_as_such() -> None:
    assert COMMON.keys() == PARAMETERS

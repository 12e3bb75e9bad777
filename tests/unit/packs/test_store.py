"""The last good version of every pack, feature flags and parameters, as the catalog has them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.packs.last_applied import LAST_APPLIED
from engine.packs.modes import FLAGS
from engine.packs.param_store import PARAMS
from engine.packs.sources import Text
from engine.packs.store import PackStore
from engine.packs.versions import Report
from tests.unit.packs.packs import CEL, pack, rule

SIZE = {"size": {"type": "integer", "minimum": 1, "default": 3}, "colour": {"type": "string", "default": "red"}}
SOURCE = "rules/example/pack.yaml"


def shipped(text: str, file: str = SOURCE) -> Text:
    return Text(file, text, file)


def config_map(text: str, name: str = "mine", key: str = "pack.yaml") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ops", "name": name}, "data": {key: text}}


def by_source(reports: list[Report]) -> dict[str, Report]:
    return {report.source: report for report in reports}


def reported(report: Report) -> list[str]:
    return [str(fault) for fault in report.faults]


def description(store: PackStore) -> str:
    return store.catalog.packs["example"].description


def test_a_good_pack_is_in_force() -> None:
    """The catalog holds the pack, its mode and its params; the report of its source names it."""
    store = PackStore(CEL)

    reports = store.update([shipped(pack(params=SIZE))])

    assert store.catalog.modes == {"example": Mode.ENFORCE}
    assert store.catalog.params == {"example": {"size": 3, "colour": "red"}}
    assert store.catalog.for_kind(Kind("v1", "ConfigMap")) == (store.catalog.packs["example"],)
    assert store.catalog.for_kind(Kind("v1", "Pod")) == ()
    assert reports == [Report(SOURCE, ("example",)), Report(FLAGS), Report(PARAMS)]


def test_a_broken_version_leaves_the_last_good_one_in_force() -> None:
    """The pack stays the very same object, and the report has the location of the fault."""
    store = PackStore(CEL)
    store.update([], [config_map(pack(description="good"))])
    good = store.catalog

    reports = by_source(store.update([], [config_map("kind: RulePack\nspec: [")]))

    assert store.catalog is good
    assert reports["configmap/ops/mine"].packs == ("example",)
    assert reported(reports["configmap/ops/mine"])[0].startswith("configmap/ops/mine/pack.yaml:3:1: not YAML: ")

    store.update([], [config_map(pack(description="better"))])
    assert description(store) == "better"


def test_a_broken_pack_does_not_hold_up_the_others() -> None:
    """Each text is read by itself."""
    store = PackStore(CEL)

    reports = by_source(store.update([shipped("[", "a.yaml"), shipped(pack(), "b.yaml")]))

    assert list(store.catalog.packs) == ["example"]
    assert (len(reports["a.yaml"].faults), reports["b.yaml"].faults) == (1, ())


def test_a_config_map_replaces_a_shipped_pack_while_it_is_there() -> None:
    """The ConfigMap's pack of the same name is in force; when the ConfigMap goes, the shipped one is again."""
    store = PackStore(CEL)
    texts = [shipped(pack(description="shipped"))]

    reports = by_source(store.update(texts, [config_map(pack(description="own"))]))
    assert description(store) == "own"
    assert (reports[SOURCE].packs, reports["configmap/ops/mine"].packs) == ((), ("example",))

    store.update(texts, [])
    assert description(store) == "shipped"


def test_a_config_map_that_comes_with_faults_leaves_the_shipped_pack() -> None:
    """What is in force stays so: a first version with faults replaces nothing."""
    store, texts = PackStore(CEL), [shipped(pack(description="shipped"))]
    store.update(texts)

    store.update(texts, [config_map(pack(description=3))])

    assert description(store) == "shipped"


@pytest.mark.parametrize(
    "text", [pack(description=3), pack() + "\n  wrong: [", "---\n" + pack() + "}"], ids=["spec", "open", "YAML"]
)
@pytest.mark.parametrize("references", [[], ["example"]])
def test_after_a_restart_nothing_has_the_name_of_a_refused_config_map(text: str, references: list[str]) -> None:
    """It may have been there to disable the shipped pack. Its status says so, and that of the shipped pack's RulePack."""
    store, texts = PackStore(CEL), [shipped(pack(description="shipped")), shipped(pack("other"), "other")]
    objects = [rulepack({"shipped": name}, name) for name in references]

    reports = by_source(store.update(texts, [config_map(text)], objects=objects))
    in_force = list(store.catalog.packs)
    store.update(texts, [config_map(pack(description="own"))], objects=objects)
    corrected = description(store)
    store.update(texts, [], objects=objects)

    assert in_force == ["other"]
    assert reported(reports["configmap/ops/mine"])[-1] == (
        "configmap/ops/mine/pack.yaml:1:1: no pack 'example' is in force, not even the shipped one; expected this corrected"
    )
    assert [reported(reports[f"rulepack/ops/{name}"]) for name in references] == [
        [
            "rulepack/ops/example: spec.shipped: configmap/ops/mine/pack.yaml has the name 'example', and is refused: no pack "
            "of that name is in force; expected that corrected, or deleted"
        ]
        for _ in references
    ]
    assert (corrected, description(store)) == ("own", "shipped")


def test_a_refused_config_map_leaves_a_name_to_one_that_has_it() -> None:
    store = PackStore(CEL)

    store.update([], [config_map(pack(description="a"), "a"), config_map(pack(description=3), "b")])

    assert description(store) == "a"


@pytest.mark.parametrize("restarted", [True, False])
def test_the_mode_of_a_shipped_packs_rulepack_counts_for_the_config_map_in_its_place(restarted: bool) -> None:
    """A ConfigMap that takes the name of a pack that somebody has disabled does not act; a warning says which text it is."""
    store, texts = PackStore(CEL), [shipped(pack(description="shipped"))]
    reference = rulepack({"shipped": "example", "mode": "Disabled"})
    if not restarted:
        store.update(texts, objects=[reference])

    report = by_source(store.update(texts, [config_map(pack(description="own"))], objects=[reference]))["rulepack/ops/example"]

    assert (description(store), store.catalog.modes) == ("own", {"example": Mode.OFF})
    assert (report.packs, report.faults) == (("example",), ())
    assert [str(warning) for warning in report.warnings] == [
        "rulepack/ops/example: spec.shipped: pack 'example' is that in configmap/ops/mine/pack.yaml; mode and params count for "
        "that; expected configMap: mine"
    ]


def test_a_mode_is_kept_while_its_rulepack_is_gone() -> None:
    """As where the kind is deleted: a pack that was disabled must not act for that. With a RulePack again, that one counts."""
    store, texts = PackStore(CEL), [shipped(pack(params=SIZE))]
    store.update(texts, objects=[rulepack({"shipped": "example", "mode": "Disabled", "params": {"size": 7}})])

    gone = [by_source(store.update(texts))[SOURCE] for _ in range(2)]
    kept, values = store.catalog.modes, store.catalog.params
    store.update(texts, objects=[rulepack({"shipped": "example"})])

    assert (kept, values) == ({"example": Mode.OFF}, {"example": {"size": 7, "colour": "red"}})
    assert [[str(warning) for warning in report.warnings] for report in gone] == [
        ["rulepack/ops/example:1:1: it is gone; its mode and params count until there is a RulePack 'example' again"]
    ] * 2
    assert store.catalog.modes == {"example": Mode.ENFORCE}


def test_a_shipped_pack_is_off_while_the_text_that_replaced_it_is_gone() -> None:
    store, texts = PackStore(CEL), [shipped(pack(description="shipped"))]
    store.update(texts, objects=[rulepack(written(description="own"))])

    store.update(texts)
    gone = store.catalog.modes
    store.update(texts, objects=[rulepack({"shipped": "example"})])

    assert (gone, store.catalog.modes, description(store)) == ({"example": Mode.OFF}, {"example": Mode.ENFORCE}, "shipped")


@pytest.mark.parametrize("own", [None, "Enforce"])
def test_the_mode_of_an_earlier_name_counts(own: str | None) -> None:
    """A pack that is renamed stays as strict as somebody has set it, until that is said of its new name and taken away there."""
    store, texts = PackStore(CEL), [shipped(pack("renamed", previousNames=["example"]))]
    objects = [rulepack({"shipped": "example", "mode": "Disabled"}), rulepack({"shipped": "renamed"} | _mode(own), "renamed")]

    reports = by_source(store.update(texts, objects=objects))
    modes = store.catalog.modes
    store.update(texts, objects=objects[1:])

    assert (modes, store.catalog.modes) == ({"renamed": Mode.OFF}, {"renamed": Mode.ENFORCE})
    assert [str(warning) for warning in reports["rulepack/ops/example"].warnings] == [
        "rulepack/ops/example: spec.shipped: pack 'example' is called 'renamed' now; of this RulePack only the mode counts for "
        "it; expected mode and params in RulePack renamed, and this one deleted: kubectl delete rulepack example -n ops"
    ]
    assert reports["rulepack/ops/renamed"].note == "rulepack/ops/example, which stands for an earlier name, says Disabled"


def _mode(mode: str | None) -> dict[str, Any]:
    return {"mode": mode} if mode else {}


def test_an_earlier_name_whose_rulepack_was_never_accepted_is_off() -> None:
    store, texts = PackStore(CEL), [shipped(pack("renamed", previousNames=["example"]))]

    store.update(
        texts, objects=[rulepack({"shipped": "example", "mode": "Disbaled"}), rulepack({"shipped": "renamed"}, "renamed")]
    )

    assert store.catalog.modes == {"renamed": Mode.OFF}


@pytest.mark.parametrize(
    ("keys", "in_force"),
    [({}, Mode.OFF), ({"featureFlag": "switch"}, Mode.ENFORCE)],
    ids=["named by the pack", "a flag of its own"],
)
def test_the_flag_of_an_earlier_name_counts(keys: dict[str, Any], in_force: Mode) -> None:
    store = PackStore(CEL)

    reports = by_source(
        store.update([shipped(pack("renamed", previousNames=["example"], **keys))], flags={"example": "Off", "renamed": "Audit"})
    )

    assert store.catalog.modes == {"renamed": in_force}
    warnings = [str(warning) for warning in reports[FLAGS].warnings]
    if not keys:
        assert warnings == [
            f"{FLAGS}/example:1:1: pack 'example' is called 'renamed' now; the flag counts for it; expected 'renamed'",
            f"{FLAGS}/renamed:1:1: flag example says Disabled, which is stricter",
        ]


def test_the_flag_of_an_earlier_name_is_that_of_a_pack_which_has_the_name_now() -> None:
    store = PackStore(CEL)

    store.update([shipped(pack("renamed", previousNames=["example"]), "a"), shipped(pack(), "b")], flags={"example": "Off"})

    assert store.catalog.modes == {"renamed": Mode.ENFORCE, "example": Mode.OFF}


@pytest.mark.parametrize("own", [None, "Enforce"])
def test_a_pack_whose_earlier_name_another_has_is_as_strict_as_that(own: str | None) -> None:
    """Both act otherwise; a warning says where. Once the other is gone, the pack has the mode of its own."""
    store, renamed = PackStore(CEL), rulepack(written(previousNames=["other", "example"]) | _mode(own), "renamed")
    reports = by_source(store.update([], objects=[rulepack(written(mode="Disabled")), renamed]))
    modes = store.catalog.modes
    settings = [(setting.source, setting.mode) for setting in store.settings["renamed"]][-1]

    alone = by_source(store.update([], objects=[renamed]))

    assert (modes, store.catalog.modes) == ({"example": Mode.OFF, "renamed": Mode.OFF}, {"renamed": Mode.ENFORCE})
    assert settings == ("rulepack/ops/example", Mode.OFF)
    assert [str(warning) for warning in reports["rulepack/ops/renamed"].warnings] == [
        "rulepack/ops/renamed: spec.previousNames[1]: pack 'example' is still there: what is on record counts "
        "for both; expected that pack deleted, or 'example' not among previousNames"
    ]
    assert reports["rulepack/ops/renamed"].note == "rulepack/ops/example, which has an earlier name, says Disabled"
    assert alone["rulepack/ops/renamed"].warnings == ()


@pytest.mark.parametrize(
    ("names", "rules", "said"),
    [
        (["other/kept"], ["kept"], "rule 'other/kept' is still there"),
        (["other/gone"], ["kept"], ""),
        (["other/gone", "other/second"], ["kept", "second"], "rule 'other/second' is still there"),
    ],
)
def test_a_rule_whose_earlier_name_another_has_is_warned_of(names: list[str], rules: list[str], said: str) -> None:
    """Until that rule is gone."""
    store = PackStore(CEL)
    renamed = written(rules=[rule("now", previousNames=names), rule("mark")])
    other = written(rules=[rule(name) for name in rules])

    reports = by_source(store.update([], objects=[rulepack(renamed, "renamed"), rulepack(other, "other")]))

    expected = (
        f"rulepack/ops/renamed: spec.rules[0].previousNames: {said}: what is on record counts for both; "
        "expected that rule deleted, or its name not among previousNames"
    )
    assert [str(warning) for warning in reports["rulepack/ops/renamed"].warnings] == ([expected] if said else [])
    assert reports["rulepack/ops/other"].warnings == ()


def test_a_name_of_its_own_among_the_earlier_ones_is_warned_of() -> None:
    spec = written(previousNames=["example", "old"], rules=[rule("mark", previousNames=["other", "mark"]), rule("second")])

    (report, *_) = PackStore(CEL).update([], objects=[rulepack(spec)])

    assert [str(warning) for warning in report.warnings] == [
        f"rulepack/ops/example: {path}: {name!r} is its name now, so it does nothing here; expected earlier names"
        for path, name in (("spec.previousNames", "example"), ("spec.rules[0].previousNames", "mark"))
    ]


def test_two_rules_with_one_earlier_name_are_both_warned_of() -> None:
    store = PackStore(CEL)
    specs = {name: written(rules=[rule("now", previousNames=["old/gone"])]) for name in ("one", "two")}

    reports = by_source(store.update([], objects=[rulepack(spec, name) for name, spec in specs.items()]))

    said = [warning.message for name in specs for warning in reports[f"rulepack/ops/{name}"].warnings]
    assert said == [f"rule '{name}/now' has one of these names too: what is on record counts for both" for name in ("two", "one")]


def test_an_own_pack_is_warned_of_that_has_what_a_reference_had() -> None:
    """It would be left out of an export, and be deleted with the ConfigMap."""
    obj = rulepack(written())
    obj["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "rulepack"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "mine", "uid": "1"}],
    }

    report = by_source(PackStore(CEL).update([], objects=[obj]))["rulepack/ops/example"]

    assert [str(warning).partition(": ")[2] for warning in report.warnings] == [
        "metadata.labels[app.kubernetes.io/managed-by]: it has a text of its own, and the label of those that the operator "
        "makes; expected no such label: kubectl label rp example -n ops app.kubernetes.io/managed-by-",
        "metadata.ownerReferences: it has a text of its own, and is deleted with ConfigMap mine; expected no such owner: "
        'kubectl patch rp example -n ops --type=json -p \'[{"op":"remove","path":"/metadata/ownerReferences"}]\'',
    ]


def test_of_two_config_maps_with_one_pack_the_first_has_it() -> None:
    """By namespace and name, whatever the order they come in; the other one is reported."""
    store = PackStore(CEL)
    both = [config_map(pack(description="b"), "b"), config_map(pack(description="a"), "a")]

    reports = by_source(store.update([], both))

    assert description(store) == "a"
    assert reported(reports["configmap/ops/b"]) == [
        "configmap/ops/b/pack.yaml:1:1: pack 'example' is also in configmap/ops/a/pack.yaml, which has it; expected another name"
    ]


def test_a_name_that_is_taken_is_no_fault_of_the_other_pack_in_its_text() -> None:
    """The ConfigMap has the fault; the pack of its text whose name is its own acts, and is accepted."""
    store, texts = PackStore(CEL), "\n---\n".join([pack("mine"), pack("example")])
    objects = [rulepack(written()), rulepack({"configMap": "both"}, name="mine")]

    reports = by_source(store.update([], [config_map(texts, "both")], objects=objects))

    assert "pack 'example' is also in rulepack/ops/example" in reported(reports["configmap/ops/both"])[0]
    assert (reports["rulepack/ops/mine"].packs, reports["rulepack/ops/mine"].faults) == (("mine",), ())


@pytest.mark.parametrize("second", ["\n---\n".join([pack("mine"), pack("example")]), "no: pack"], ids=["name", "fault"])
def test_what_is_wrong_with_one_text_of_a_config_map_is_no_fault_of_a_pack_in_another(second: str) -> None:
    """The first by the name of its key has a name; only the text that has the fault is not accepted."""
    store = PackStore(CEL)
    maps = [config_map(pack()) | {"data": {"a.yaml": pack(), "b.yaml": second}}]

    reports = by_source(store.update([], maps, objects=[rulepack({"configMap": "mine"})]))

    assert {fault.location.file for fault in reports["configmap/ops/mine"].faults} == {"configmap/ops/mine/b.yaml"}
    assert (reports["rulepack/ops/example"].packs, reports["rulepack/ops/example"].faults) == (("example",), ())


def test_what_has_not_changed_is_the_same_object() -> None:
    """A pack whose text is the same is not compiled again, and a catalog in which nothing differs is not replaced."""
    store = PackStore(CEL)
    texts = [shipped(pack("one"), "1"), shipped(pack("two"), "2")]
    store.update(texts)
    before = store.catalog

    store.update(texts)
    assert store.catalog is before

    store.update([texts[0], shipped(pack("two", description="new"), "2")])
    assert store.catalog is not before
    assert store.catalog.packs["one"] is before.packs["one"]


def test_a_file_that_cannot_be_read_any_more_leaves_its_packs() -> None:
    """A fault of reading counts like a fault in the text."""
    store = PackStore(CEL)
    store.update([shipped(pack())])
    (fault,) = PackStore(CEL).update([shipped("[")])[0].faults

    reports = store.update([Text(SOURCE, "", SOURCE, (fault,))])

    assert (reports[0].packs, reports[0].faults) == (("example",), (fault,))


def test_the_command_line_goes_before_the_config_map_and_that_before_the_default() -> None:
    """Modes come from --feature-flags, else from the ConfigMap, else from the pack."""
    store = PackStore(CEL, {"a": Mode.OFF})
    texts = [shipped(pack(name, defaultMode="Audit"), name) for name in ("a", "b", "c")]

    store.update(texts, flags={"a": "Enforce", "b": "true"})

    assert store.catalog.modes == {"a": Mode.OFF, "b": Mode.ENFORCE, "c": Mode.AUDIT}


def test_a_flag_that_is_no_mode_is_reported_and_the_last_one_stays() -> None:
    """A bad value changes nothing; a key that is gone does."""
    store = PackStore(CEL)
    texts = [shipped(pack())]
    store.update(texts, flags={"example": "Off"})

    reports = by_source(store.update(texts, flags={"example": "Of"}))
    assert store.catalog.modes == {"example": Mode.OFF}
    assert reported(reports[FLAGS]) == [f"{FLAGS}/example:1:1: the text 'Of' is no mode; expected Enforce, Audit or Disabled"]

    store.update(texts, flags={})
    assert store.catalog.modes == {"example": Mode.ENFORCE}


def test_a_flag_that_could_never_be_read_is_off() -> None:
    """After a restart nobody knows what the flag was: a switch that cannot be read starts nothing, until it can be."""
    store, texts = PackStore(CEL), [shipped(pack())]

    store.update(texts, flags={"example": "Disabled"})
    assert store.catalog.modes == {"example": Mode.OFF}

    store.update(texts, flags={"example": "Audit"})
    assert store.catalog.modes == {"example": Mode.AUDIT}


def test_a_pack_whose_params_could_never_be_read_is_off() -> None:
    """Its defaults may be what somebody meant to forbid; once the params can be read, it has its mode, and keeps it."""
    store, texts = PackStore(CEL), [shipped(pack(params={"limit": {"type": "integer", "default": 100}}))]

    store.update(texts, params={"example": "limit: none"})
    assert store.catalog.modes == {"example": Mode.OFF}

    store.update(texts, params={"example": "limit: 5"})
    assert (store.catalog.modes, store.catalog.params["example"]["limit"]) == ({"example": Mode.ENFORCE}, 5)

    store.update(texts, params={"example": "limit: none"})
    assert (store.catalog.modes, store.catalog.params["example"]["limit"]) == ({"example": Mode.ENFORCE}, 5)


def test_a_parameter_that_a_pack_does_not_have_switches_nothing_off() -> None:
    """It is reported, and the pack goes on with the parameters that it has."""
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(pack())], params={"example": "disruptionsPerMinute: 0"}))

    assert store.catalog.modes == {"example": Mode.ENFORCE}
    assert len(reports[PARAMS].faults) == 1


def test_a_flag_of_no_pack_is_a_warning() -> None:
    """A flag or parameters that name no pack are reported, with what was probably meant, and are no fault."""
    store = PackStore(CEL, {"exampel": Mode.OFF})

    reports = by_source(store.update([shipped(pack())], flags={"exmaple": "Off"}, params={"exampl": "{}"}))

    assert [str(warning) for warning in reports[FLAGS].warnings] == [
        f"{FLAGS}/exmaple:1:1: no pack has the feature flag 'exmaple'; expected 'example' (did you mean that?)",
        "--feature-flags:1:1: no pack has the feature flag 'exampel'; expected 'example' (did you mean that?)",
    ]
    assert [str(warning) for warning in reports[PARAMS].warnings] == [
        f"{PARAMS}/exampl:1:1: there is no pack 'exampl'; expected 'example' (did you mean that?)"
    ]
    assert not reports[FLAGS].faults and not reports[PARAMS].faults


def test_parameters_are_overridden_one_by_one() -> None:
    """A good value is in force at once; a bad one, or an unknown name, is a fault at its location and changes nothing."""
    store = PackStore(CEL)
    texts = [shipped(pack(params=SIZE))]
    store.update(texts, params={"example": "size: 5\n"})
    assert store.catalog.params["example"] == {"size": 5, "colour": "red"}

    reports = by_source(store.update(texts, params={"example": "colour: blue\nsize: 0\nsise: 1\n"}))

    assert store.catalog.params["example"] == {"size": 5, "colour": "blue"}
    assert reported(reports[PARAMS]) == [
        f"{PARAMS}/example:2:7: the number 0 is too small; expected at least 1",
        f"{PARAMS}/example:3:1: unknown parameter 'sise'; expected 'size' (did you mean that?)",
    ]


def test_a_value_for_all_packs_is_that_of_each_pack_that_has_the_parameter() -> None:
    """What a pack's own parameters say goes before it; one that does not fit every such pack is for none."""
    store = PackStore(CEL)
    texts = [shipped(pack("one", params=SIZE), "1"), shipped(pack("two", params=SIZE), "2"), shipped(pack("three"), "3")]
    reports = by_source(store.update(texts, params={"_all": "size: 5\n", "two": "size: 6\n"}))
    sizes = {name: params.get("size") for name, params in store.catalog.params.items()}
    assert (sizes, reported(reports[PARAMS]), reports[PARAMS].warnings) == ({"one": 5, "two": 6, "three": None}, [], ())

    reports = by_source(store.update(texts, params={"_all": "size: 0\nsise: 1\n"}))
    assert {name: params.get("size") for name, params in store.catalog.params.items()} == {"one": 5, "two": 5, "three": None}
    assert reported(reports[PARAMS]) == [
        f"{PARAMS}/_all:1:7: the number 0 is too small; expected at least 1",
        f"{PARAMS}/_all:2:1: unknown parameter 'sise'; expected 'size' (did you mean that?)",
    ]


def test_values_for_all_packs_that_could_never_be_read_switch_all_off() -> None:
    """The defaults may be what somebody meant to forbid; once they can be read the packs have their modes."""
    store, texts = PackStore(CEL), [shipped(pack(params=SIZE))]
    store.update(texts, params={"_all": "size: ["})
    assert store.catalog.modes == {"example": Mode.OFF}
    store.update(texts, params={"_all": "size: 5"})
    store.update(texts, params={"_all": "size: ["})
    assert (store.catalog.modes, store.catalog.params["example"]["size"]) == ({"example": Mode.ENFORCE}, 5)


def test_parameters_that_are_not_yaml_change_nothing() -> None:
    """A text that does not parse, or is no mapping, leaves the last values; one that is gone brings the defaults back."""
    store = PackStore(CEL)
    texts = [shipped(pack(params=SIZE))]
    store.update(texts, params={"example": "size: 5\n"})

    for broken in ("size: [", "- size\n", "size: 5\n---\nsize: 6\n"):
        reports = by_source(store.update(texts, params={"example": broken}))
        assert (store.catalog.params["example"]["size"], len(reports[PARAMS].faults)) == (5, 1)

    store.update(texts, params={})
    assert store.catalog.params["example"] == {"size": 3, "colour": "red"}


def test_a_rules_own_mode_only_holds_it_back() -> None:
    """The stricter of the pack's mode and the rule's own is in force."""
    store = PackStore(CEL)
    rules = [rule("plain"), rule("audited", mode="Audit"), rule("off", mode="Off")]

    def modes(flag: str) -> list[Mode]:
        store.update([shipped(pack(rules=rules))], flags={"example": flag})
        found = store.catalog.packs["example"]
        return [store.catalog.mode(found, each) for each in found.rules]

    assert modes("Enforce") == [Mode.ENFORCE, Mode.AUDIT, Mode.OFF]
    assert modes("Audit") == [Mode.AUDIT, Mode.AUDIT, Mode.OFF]
    assert modes("Off") == [Mode.OFF, Mode.OFF, Mode.OFF]


def rulepack(spec: dict[str, Any], name: str = "example", generation: int = 1) -> dict[str, Any]:
    """An object of kind RulePack."""
    meta = {"namespace": "ops", "name": name, "generation": generation}
    return {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": meta, "spec": spec}


def written(**keys: Any) -> dict[str, Any]:
    """The spec of a pack, as an object has it."""
    spec: dict[str, Any] = yaml.safe_load(pack(**keys))["spec"]
    return spec


def test_an_object_goes_before_a_configmap_and_that_before_a_shipped_pack() -> None:
    """The status of the ConfigMap that loses says which object has the name."""
    store = PackStore(CEL)
    texts, maps = [shipped(pack(description="shipped"))], [config_map(pack(description="of a ConfigMap"))]

    reports = by_source(store.update(texts, maps, objects=[rulepack(written(description="of an object"))]))

    assert description(store) == "of an object"
    assert reports["rulepack/ops/example"] == Report("rulepack/ops/example", ("example",), generation=1)
    assert reported(reports["configmap/ops/mine"]) == [
        "configmap/ops/mine/pack.yaml:1:1: pack 'example' is also in rulepack/ops/example, which has it; expected another name"
    ]


def test_a_refused_generation_leaves_the_last_good_one_in_force() -> None:
    """Each fault has its path, and the report says which generation is in force."""
    store = PackStore(CEL)
    store.update([], objects=[rulepack(written(description="good"))])
    broken = written()
    broken["rules"][0]["wehn"] = "true"

    reports = by_source(store.update([], objects=[rulepack(broken, generation=2)]))

    assert description(store) == "good"
    assert reports["rulepack/ops/example"].generation == 1
    assert reported(reports["rulepack/ops/example"]) == [
        "rulepack/ops/example: spec.rules[0].wehn: unknown key 'wehn'; expected 'when' (did you mean that?)"
    ]


def test_a_spec_that_was_never_good_is_not_in_force() -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([], objects=[rulepack({"rules": []})]))

    assert store.catalog.packs == {}
    assert reports["rulepack/ops/example"].generation is None


def test_a_rule_that_loses_its_condition_is_warned_of_until_conditions_change() -> None:
    """`kubectl edit` takes an empty `when:` away before anybody can see it."""
    store, bare = PackStore(CEL), written()
    conditional = copy.deepcopy(bare)
    conditional["rules"][0]["when"] = "true"

    def warnings(spec: dict[str, Any], generation: int) -> list[str]:
        return [str(each) for each in store.update([], objects=[rulepack(spec, generation=generation)])[0].warnings]

    first = warnings(conditional, 1)
    lost = [warnings(bare, 2), warnings(bare | {"description": "edited"}, 3)]
    again = warnings(conditional, 4)

    expected = [
        f"rulepack/ops/example: spec.rules[0]: rule {bare['rules'][0]['name']!r} had a condition, and has none now; expected a "
        "condition, if it is not meant to act on everything; `kubectl edit` takes an empty `when:` away"
    ]
    assert (first, lost, again) == ([], [expected, expected], [])


def test_a_condition_under_a_misspelt_key_is_a_fault_and_not_a_condition_that_is_lost() -> None:
    """What is refused acts on nothing; once it is accepted without a condition, the warning comes."""
    store, bare = PackStore(CEL), written()
    conditional, misspelt = copy.deepcopy(bare), copy.deepcopy(bare)
    conditional["rules"][0]["when"] = misspelt["rules"][0]["wehn"] = "true"
    store.update([], objects=[rulepack(conditional)])

    refused = store.update([], objects=[rulepack(misspelt, generation=2)])[0]
    accepted = store.update([], objects=[rulepack(bare, generation=3)])[0]

    assert [fault.location.inner for fault in refused.faults] == ["spec.rules[0].wehn"]
    assert refused.warnings == ()
    assert [warning.message for warning in accepted.warnings] == ["rule 'first' had a condition, and has none now"]


def test_a_refused_pack_is_warned_of_that_loses_its_note_of_a_null() -> None:
    """Without the annotation nobody knows of the null, and the pack comes into force as the server has it."""
    store, bare = PackStore(CEL), written()
    empty = copy.deepcopy(bare)
    empty["rules"][0]["when"] = None
    noted = rulepack(bare)
    noted["metadata"]["annotations"] = {LAST_APPLIED: json.dumps({"spec": empty})}

    refused = store.update([], objects=[noted])[0]
    report = store.update([], objects=[rulepack(bare)])[0]

    assert [fault.location.inner for fault in refused.faults] == ["spec.rules[0].when"]
    assert (refused.packs, refused.warnings) == ((), ())
    assert report.packs == ("example",)
    assert [warning.message for warning in report.warnings] == ["rule 'first' had a condition, and has none now"]


def test_a_null_of_a_params_value_stays_a_fault_where_another_tool_writes_the_params() -> None:
    """The reference is not accepted: the default may be what somebody wanted to forbid."""
    store, text = PackStore(CEL), shipped(pack(params=SIZE))
    noted = rulepack({"shipped": "example", "params": {"colour": "blue"}})
    given = {"shipped": "example", "params": {"size": None}}
    noted["metadata"]["annotations"] = {LAST_APPLIED: json.dumps({"spec": given})}

    report = by_source(store.update([text], objects=[noted]))["rulepack/ops/example"]

    assert [fault.location.inner for fault in report.faults] == ["spec.params.size"]
    assert (report.warnings, store.catalog.modes) == ((), {"example": Mode.OFF})


def test_a_reference_says_how_a_shipped_pack_is_to_run() -> None:
    """The text stays the shipped one; mode and params are the object's."""
    store = PackStore(CEL)
    reference = rulepack({"shipped": "example", "mode": "Audit", "params": {"size": 7}})

    reports = by_source(
        store.update([shipped(pack(params=SIZE))], params={"example": "{size: 5, colour: blue}"}, objects=[reference])
    )

    assert store.catalog.packs["example"].source == SOURCE
    assert store.catalog.modes == {"example": Mode.AUDIT}
    assert store.catalog.params == {"example": {"size": 7, "colour": "blue"}}
    assert reports["rulepack/ops/example"].packs == ("example",)


@pytest.mark.parametrize(
    ("mode", "flag", "in_force"),
    [
        ("Enforce", "Off", Mode.OFF),
        ("Disabled", "Enforce", Mode.OFF),
        ("Enforce", "Audit", Mode.AUDIT),
        ("Enforce", None, Mode.ENFORCE),
        (None, "Audit", Mode.AUDIT),
        (None, None, Mode.OFF),
    ],
)
def test_the_stricter_of_mode_and_flag_is_in_force(mode: str | None, flag: str | None, in_force: Mode) -> None:
    """Either of them stops a pack, whatever the other says. The pack's default counts where neither is given."""
    store = PackStore(CEL)
    spec = written(defaultMode="Disabled") | ({"mode": mode} if mode else {})

    store.update([], flags={"example": flag} if flag else {}, objects=[rulepack(spec)])

    assert store.catalog.modes == {"example": in_force}


def test_a_reference_to_nothing_is_reported() -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(pack())], objects=[rulepack({"shipped": "exmple"}, "other")]))

    assert reported(reports["rulepack/ops/other"]) == [
        "rulepack/ops/other: spec.shipped: no pack 'exmple' is shipped; expected 'example' (did you mean that?); "
        "where this operator ships it no more, delete this RulePack: kubectl delete rulepack other -n ops"
    ]


def test_a_reference_to_what_another_operator_ships_is_left_alone() -> None:
    """Where only some packs are given, others are not missing."""
    store = PackStore(CEL, some=True)

    reports = by_source(store.update([shipped(pack())], objects=[rulepack({"shipped": "theirs"}, "theirs")]))

    assert reports["rulepack/ops/theirs"] == Report("rulepack/ops/theirs")


def test_a_second_reference_does_not_take_over_while_the_first_is_refused() -> None:
    """A slip in the object on which a pack was disabled does not put it in force again."""
    store, other = PackStore(CEL), rulepack({"shipped": "example"}, "a-first")
    store.update([shipped(pack())], objects=[rulepack({"shipped": "example", "mode": "Disabled"}), other])

    reports = by_source(store.update([shipped(pack())], objects=[rulepack({"shipped": "exmaple"}, generation=2), other]))

    assert store.catalog.modes == {"example": Mode.OFF}
    assert reports["rulepack/ops/example"].generation == 1
    assert "no pack 'exmaple' is shipped" in reported(reports["rulepack/ops/example"])[0]


@pytest.mark.parametrize("others", [[], ["a-first"]])
def test_after_a_restart_a_pack_whose_reference_names_another_is_disabled(others: list[str]) -> None:
    """As with any other fault of a reference, nothing says any more what it was to do."""
    store = PackStore(CEL)
    slip = rulepack({"shipped": "exmaple", "mode": "Disabled"})

    reports = by_source(
        store.update([shipped(pack())], objects=[slip, *(rulepack({"shipped": "example"}, name) for name in others)])
    )

    assert store.catalog.modes == {"example": Mode.OFF}
    assert len(reported(reports["rulepack/ops/example"])) == 1


@pytest.mark.parametrize("mode", ["Disabled", "Enforce"])
def test_after_a_restart_nothing_else_has_the_name_of_a_refused_rulepack(mode: str) -> None:
    """Its text may have been there to disable what else has the name. Once it is corrected, it is in force itself."""
    store, texts, maps = PackStore(CEL), [shipped(pack())], [config_map(pack() + "\n---\n" + pack("other"))]
    slip = rulepack(written() | {"descripton": "own", "mode": mode})

    reports = by_source(store.update(texts, maps, objects=[slip]))
    in_force = list(store.catalog.packs)
    store.update(texts, maps, objects=[rulepack(written(description="own"), generation=2)])

    assert in_force == ["other"]
    assert (reports["rulepack/ops/example"].packs, reports["rulepack/ops/example"].generation) == ((), None)
    assert reported(reports["configmap/ops/mine"]) == [
        "configmap/ops/mine/pack.yaml:1:1: rulepack/ops/example has the name 'example', and is refused: no pack of that name is "
        "in force; expected another name, or that corrected"
    ]
    assert description(store) == "own"


def test_a_shipped_pack_stays_in_force_whose_rulepack_becomes_a_refused_text() -> None:
    """Until a restart: nothing of what is refused takes effect, and what was accepted last was the reference."""
    store, texts = PackStore(CEL), [shipped(pack())]
    store.update(texts, objects=[rulepack({"shipped": "example", "mode": "Audit"})])

    store.update(texts, objects=[rulepack(written() | {"descripton": "own"}, generation=2)])

    assert store.catalog.modes == {"example": Mode.AUDIT}


def test_after_a_restart_a_shipped_pack_does_not_replace_one_of_a_broken_config_map() -> None:
    """The RulePack says from where the pack of its name is to come."""
    store, texts, reference = PackStore(CEL), [shipped(pack(description="shipped"))], rulepack({"configMap": "mine"})

    reports = by_source(store.update(texts, [config_map("kind: RulePack\nspec: [")], objects=[reference]))
    in_force = dict(store.catalog.packs)
    store.update(texts, [config_map(pack(description="own"))], objects=[reference])

    assert in_force == {}
    assert reported(reports["rulepack/ops/example"])[0] == (
        "rulepack/ops/example: spec.configMap: no pack 'example' is in force; "
        "expected the faults in configmap/ops/mine/pack.yaml corrected"
    )
    assert description(store) == "own"


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize(
    ("name", "where", "expected"),
    [("b", "configmap/ops/b/pack.yaml", "configMap: b"), ("", SOURCE, "shipped: example")],
)
def test_a_rulepack_keeps_its_mode_where_its_pack_is_elsewhere_by_now(
    name: str, where: str, expected: str, restarted: bool
) -> None:
    """The ConfigMap that it names holds another pack; a warning says where the pack of its name is."""
    store, texts = PackStore(CEL), [] if name else [shipped(pack())]
    reference = rulepack({"configMap": "a", "mode": "Disabled"})
    others = [config_map(pack(), name)] if name else []
    if not restarted:
        store.update(texts, [config_map(pack(), "a"), *others], objects=[reference])

    report = by_source(store.update(texts, [config_map(pack("new"), "a"), *others], objects=[reference]))["rulepack/ops/example"]

    assert (store.catalog.modes["example"], report.packs, report.faults) == (Mode.OFF, ("example",), ())
    assert [str(warning) for warning in report.warnings] == [
        f"rulepack/ops/example: spec.configMap: pack 'example' is that in {where}; expected {expected}"
    ]


def test_a_rulepack_of_which_no_pack_is_left_says_what_to_do() -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([], [config_map(pack("renamed"))], objects=[rulepack({"configMap": "mine"})]))

    assert reported(reports["rulepack/ops/example"]) == [
        "rulepack/ops/example: spec.configMap: configmap/ops/mine holds no pack 'example' that is in force; "
        "expected such a pack there; where it was renamed or taken away, delete this RulePack: "
        "kubectl delete rulepack example -n ops"
    ]


def test_a_reference_to_a_shipped_pack_that_is_gone_says_what_to_type() -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(pack("renamed"))], objects=[rulepack({"shipped": "example"})]))

    assert reported(reports["rulepack/ops/example"]) == [
        "rulepack/ops/example: spec.shipped: no pack 'example' is shipped; expected 'renamed'; where this operator ships it no "
        "more, delete this RulePack: kubectl delete rulepack example -n ops"
    ]


def test_what_is_set_of_packs_that_another_operator_ships_is_left_alone() -> None:
    """An operator with other packs shares the ConfigMaps with it; a name that nobody ships is reported all the same."""
    flags = {"sync-waves": "Off", "model-freshness": "Aduit", "sync-wave": "Off"}
    params = {"sync-waves": "x: 1\n", "sync-wave": "x: 1\n", "_all": "argocdNamespace: argocd\nsise: 1\n"}
    store = PackStore(CEL, {"rollouts": Mode.OFF}, some=True)

    reports = by_source(store.update([shipped(pack(params=SIZE))], flags=flags, params=params))

    assert [str(warning) for warning in reports[FLAGS].warnings] == [
        f"{FLAGS}/sync-wave:1:1: no pack has the feature flag 'sync-wave'; expected 'example'",
        "--feature-flags:1:1: no pack has the feature flag 'rollouts'; expected 'example'",
    ]
    assert [str(warning) for warning in reports[PARAMS].warnings] == [
        f"{PARAMS}/sync-wave:1:1: there is no pack 'sync-wave'; expected 'example'"
    ]
    assert (reported(reports[FLAGS]), reported(reports[PARAMS])) == (
        [], [f"{PARAMS}/_all:2:1: unknown parameter 'sise'; expected 'size' (did you mean that?)"],
    )  # fmt: skip
    assert store.catalog.modes == {"example": Mode.ENFORCE}


@pytest.mark.parametrize("other", ["a-first", "second"])
def test_of_two_references_to_a_pack_the_one_of_its_name_counts(other: str) -> None:
    """Whatever the order of names: the object of the pack is where its mode has been set."""
    store = PackStore(CEL)
    references = [
        rulepack({"shipped": "example", "mode": "Disabled"}),
        rulepack({"shipped": "example"}, other),
    ]

    reports = by_source(store.update([shipped(pack())], objects=references))

    assert store.catalog.modes == {"example": Mode.OFF}
    assert reported(reports["rulepack/ops/example"]) == []
    assert reported(reports[f"rulepack/ops/{other}"]) == [
        f"rulepack/ops/{other}: spec.shipped: rulepack/ops/example stands for the pack 'example' already; "
        "expected one object for each pack"
    ]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"params": {"size": 0}}, "spec.params.size: the number 0 is too small; expected at least 1"),
        (
            {"params": {"size": 9, "color": "blue"}},
            "spec.params.color: unknown parameter 'color'; expected 'colour' (did you mean that?)",
        ),
        (
            {"shipped": "exmple"},
            "spec.shipped: no pack 'exmple' is shipped; expected 'example' (did you mean that?); "
            "where this operator ships it no more, delete this RulePack: kubectl delete rulepack example -n ops",
        ),
        (
            {"mode": "Enforced"},
            "spec.mode: the text 'Enforced' is not possible here; "
            "expected Enforce, Audit, Disabled or Off (did you mean 'Enforce'?)",
        ),
    ],
)
def test_nothing_of_a_refused_reference_takes_effect(keys: dict[str, Any], fault: str) -> None:
    """The spec that was accepted last stays in force as a whole, and the report says which one that is."""
    store, text = PackStore(CEL), shipped(pack(params=SIZE))
    good = {"shipped": "example", "mode": "Audit", "params": {"size": 7}}
    store.update([text], objects=[rulepack(good)])

    for generation in (2, 3):
        refused = rulepack({**good, "mode": "Enforce", **keys}, generation=generation)
        report = by_source(store.update([text], objects=[refused]))["rulepack/ops/example"]

        assert reported(report) == [f"rulepack/ops/example: {fault}"]
        assert (report.packs, report.generation) == (("example",), 1)
        assert store.catalog.modes == {"example": Mode.AUDIT}
        assert store.catalog.params == {"example": {"size": 7, "colour": "red"}}

    report = by_source(store.update([text], objects=[rulepack(good | {"mode": "Enforce"}, generation=4)]))["rulepack/ops/example"]
    assert (report.faults, report.generation, store.catalog.modes) == ((), 4, {"example": Mode.ENFORCE})


@pytest.mark.parametrize("keys", [{"params": {"size": 0}}, {"params": {"color": "blue"}}, {"mode": "Enforced"}])
def test_a_pack_whose_reference_was_never_accepted_is_off(keys: dict[str, Any]) -> None:
    """As after a restart: what it said before nobody knows, and the default may be what somebody meant to forbid."""
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(pack(params=SIZE))], objects=[rulepack({"shipped": "example", **keys})]))

    assert store.catalog.modes == {"example": Mode.OFF}
    assert len(reports["rulepack/ops/example"].faults) == 1
    assert reports["rulepack/ops/example"].generation is None


def test_params_of_a_reference_that_a_new_text_does_not_have_are_kept_as_they_were() -> None:
    """The text of a pack in a ConfigMap may change under its RulePack; its mode stays."""
    store = PackStore(CEL)
    reference = rulepack({"configMap": "mine", "mode": "Audit", "params": {"size": 7}})
    store.update([], [config_map(pack(params=SIZE))], objects=[reference])

    larger = {**SIZE, "size": {"type": "integer", "minimum": 8, "default": 9}}
    reports = by_source(store.update([], [config_map(pack(params=larger))], objects=[reference]))

    assert reported(reports["rulepack/ops/example"]) == [
        "rulepack/ops/example: spec.params.size: the number 7 is too small; expected at least 8"
    ]
    assert store.catalog.modes == {"example": Mode.AUDIT}
    assert store.catalog.params == {"example": {"size": 9, "colour": "red"}}


RATIO = {"ratio": {"type": "number", "default": 2}, "bounds": {"type": "array", "items": {"type": "number"}, "default": [0, 1]}}


@pytest.mark.parametrize("written", ["1", "1.0", "1e0"])
def test_a_number_has_its_params_type_however_it_is_written(written: str) -> None:
    """Kubectl makes 1 of 1.0: a RulePack and a ConfigMap give the same, and CEL computes with doubles, as Kubernetes' does."""
    store, texts = PackStore(CEL), [shipped(pack(params=RATIO))]
    value = yaml.safe_load(written.replace("1e0", "1.0"))

    store.update(texts, params={"example": f"ratio: {written}\nbounds: [{written}]\n"})
    of_config_map = store.catalog.params["example"]
    store.update(texts, objects=[rulepack({"shipped": "example", "params": {"ratio": value, "bounds": [value]}})])
    of_object = store.catalog.params["example"]
    store.update(texts)
    of_default = store.catalog.params["example"]

    assert of_config_map == of_object == {"ratio": 1.0, "bounds": [1.0]}
    for values in (of_config_map, of_object, of_default):
        assert {type(number) for number in (values["ratio"], *values["bounds"])} == {float}


NOTED: dict[str, Any] = {
    "apiVersion": "x",
    "kind": "RulePack",
    "metadata": {"annotations": {}, "mode": "Disabled", "name": "example"},
}


@pytest.mark.parametrize(
    ("noted", "paths"),
    [
        (json.dumps(NOTED, separators=(",", ":")), ["metadata.mode"]),
        (json.dumps({**NOTED, "metadata": {"name": "example"}, "spec": {"metadata": {"mode": 1}}}, separators=(",", ":")), []),
        ('{"metadata":[1]}', []),
        ('{"metadata":{"mode', []),
        ("no JSON", []),
    ],
    ids=["dropped", "as it should be", "a list", "cut", "no JSON"],
)
def test_what_the_api_server_drops_from_metadata_is_warned_of(noted: str, paths: list[str]) -> None:
    """A mode there does not count, so the pack acts; kubectl sends it only with --validate=false, and notes it."""
    store, given = PackStore(CEL), rulepack(written())
    given["metadata"]["annotations"] = {LAST_APPLIED: noted}

    reports = by_source(store.update([], objects=[given]))

    warnings = reports["rulepack/ops/example"].warnings
    assert [warning.location.path for warning in warnings] == paths
    assert all("where the API server drops it: it does not count; expected it below spec" in warning.text for warning in warnings)

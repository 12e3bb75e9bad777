"""What another pack that is refused says for one that has its name among its previous names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.model.flags import Mode
from engine.packs.modes import FLAGS
from engine.packs.param_store import PARAMS
from engine.packs.store import PackStore
from engine.packs.versions import Report
from tests.unit.packs.packs import CEL, pack
from tests.unit.packs.test_store import SIZE, by_source, config_map, reported, rulepack, shipped, written

BROKEN: dict[str, Any] = {"rules": [{"name": "first", "wehn": "true"}]}
ENFORCED = BROKEN | {"mode": "Enforce"}
"""Which would be Disabled for its successors without a mode."""
NEW = rulepack(written(previousNames=["example"]), "new")


@pytest.mark.parametrize(
    ("keys", "in_force"),
    [
        ({"mode": "Disabled"}, Mode.OFF),
        ({"mode": "Audit"}, Mode.AUDIT),
        ({"mode": False}, Mode.OFF),
        ({"mode": "Disbaled"}, Mode.OFF),
        ({"moed": "Audit"}, Mode.AUDIT),
        ({"mode": "Enforce"}, Mode.ENFORCE),
        ({"defaultMode": "Enforce"}, Mode.OFF),
        ({}, Mode.OFF),
    ],
    ids=str,
)
@pytest.mark.parametrize("restarted", [True, False])
def test_the_mode_of_a_refused_rulepack_counts_for_its_successor(keys: dict[str, Any], in_force: Mode, restarted: bool) -> None:
    """Whether it was refused when the process began or came so; both are warned of.

    A mode that is none is Off, and so is none at all: the last good text may have had one, which nobody knows.
    """
    store, old = PackStore(CEL), rulepack(written(**BROKEN, **keys))
    if not restarted:
        store.update([], objects=[old])

    reports = by_source(store.update([], objects=[old, NEW]))
    modes, settings = store.catalog.modes, store.settings["new"]
    store.update([], objects=[NEW])

    report = reports["rulepack/ops/new"]
    assert (modes, store.catalog.modes) == ({"new": in_force}, {"new": Mode.ENFORCE})
    assert [str(warning) for warning in report.warnings] == [
        "rulepack/ops/new: spec.previousNames[0]: pack 'example' is still there, and refused: what is on record counts for both; "
        "expected that pack deleted, or 'example' not among previousNames"
    ]
    if in_force is not Mode.ENFORCE:
        assert report.note == f"rulepack/ops/example, which has an earlier name, is refused and counts as {in_force.word}"
        assert [setting.source for setting in settings] == ["rulepack/ops/example"]


def test_a_mode_beside_the_spec_of_a_refused_rulepack_counts_for_its_successor() -> None:
    store = PackStore(CEL)

    store.update([], objects=[rulepack(written()) | {"mode": "Disabled"}, NEW])

    assert store.catalog.modes == {"new": Mode.OFF}


@pytest.mark.parametrize("keys", [{"mode": "Disabled"}, {}, {"defaultMode": "Enforce"}], ids=str)
def test_a_disabled_successor_stays_so_when_the_pack_with_its_earlier_name_breaks(keys: dict[str, Any]) -> None:
    """In the process that knows its last good text, and in the next one, also where the refused text has no mode."""
    store = PackStore(CEL)
    store.update([], objects=[rulepack(written(mode="Disabled")), NEW])
    broken = rulepack(written(**BROKEN, **keys), generation=2)

    store.update([], objects=[broken, NEW])
    broke = store.catalog.modes["new"]
    restarted = PackStore(CEL)
    restarted.update([], objects=[broken, NEW])

    assert (broke, restarted.catalog.modes) == (Mode.OFF, {"new": Mode.OFF})


@pytest.mark.parametrize("spec", [{"mode": "Disabled", "params": {"nosuch": 1}}, {"moed": "Disabled"}], ids=str)
def test_a_shipped_pack_that_is_off_since_its_rulepack_is_refused_has_its_successor_off(spec: dict[str, Any]) -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(pack())], objects=[rulepack({"shipped": "example", **spec}), NEW]))

    assert store.catalog.modes == {"example": Mode.OFF, "new": Mode.OFF}
    assert reports["rulepack/ops/new"].note.endswith("is refused and counts as Disabled")
    assert "pack 'example' is still there, and its RulePack refused" in str(reports["rulepack/ops/new"].warnings[0])


@pytest.mark.parametrize(
    "text",
    [pack(description=3, mode="Disabled"), pack(mode="Disabled") + "}", pack(moed=False)],
    ids=["fault", "no YAML", "misspelt"],
)
@pytest.mark.parametrize("restarted", [True, False])
def test_the_mode_in_a_refused_config_map_counts_for_its_successor(text: str, restarted: bool) -> None:
    store = PackStore(CEL)
    if not restarted:
        store.update([])

    reports = by_source(store.update([], [config_map(text)], objects=[NEW]))

    assert store.catalog.modes == {"new": Mode.OFF}
    assert reports["rulepack/ops/new"].note == (
        "configmap/ops/mine, which has an earlier name, is refused and counts as Disabled"
    )


def test_a_config_map_that_is_refused_is_not_said_to_be_renamed() -> None:
    """Its RulePack has the fault of the text; the mode that is set there counts for the successor all the same."""
    store, reference = PackStore(CEL), rulepack({"configMap": "mine", "mode": "Disabled"})

    reports = by_source(store.update([], [config_map(pack(wehn="true"))], objects=[reference, NEW]))

    report = reports["rulepack/ops/example"]
    assert (store.catalog.modes, report.packs, report.warnings) == ({"new": Mode.OFF}, (), ())
    corrected, fault = [fault.partition(": ")[2] for fault in reported(report)]
    assert corrected.startswith(
        "spec.configMap: no pack 'example' is in force; expected the faults in configmap/ops/mine/pack.yaml"
    )
    assert fault.startswith("unknown key 'wehn'")


def test_the_mode_of_an_earlier_name_counts_for_each_pack_that_had_it() -> None:
    store, packs = PackStore(CEL), [shipped(pack(name, previousNames=["example"]), name) for name in ("one", "two")]

    reports = by_source(store.update(packs, objects=[rulepack({"shipped": "example", "mode": "Disabled"})]))

    assert store.catalog.modes == {"one": Mode.OFF, "two": Mode.OFF}
    assert "pack 'example' is called 'one' and 'two' now" in str(reports["rulepack/ops/example"].warnings[0])


@pytest.mark.parametrize("in_config_map", [True, False])
def test_the_flag_of_a_refused_pack_is_not_unknown(in_config_map: bool) -> None:
    """Who takes it away would have the pack act once it is mended. The same goes for its params."""
    store, spec = PackStore(CEL), BROKEN | {"params": SIZE}
    maps = [config_map(pack(**spec))] if in_config_map else []
    objects = [] if in_config_map else [rulepack(written(**spec))]

    reports = by_source(store.update([], maps, {"example": "Off"}, {"example": json.dumps({"size": 3})}, objects=objects))
    mended = [rulepack(written(params=SIZE))]
    after = by_source(store.update([], [], {"example": "Off"}, objects=mended))

    assert [str(each) for each in (*reports[FLAGS].warnings, *reports[PARAMS].warnings)] == [
        f"{FLAGS}/example:1:1: pack 'example' is refused: the flag counts for it once it is in force",
        f"{PARAMS}/example:1:1: pack 'example' is refused: these count once it is in force",
    ]
    assert (store.catalog.modes, after[FLAGS].warnings) == ({"example": Mode.OFF}, ())


def test_the_flag_of_a_refused_pack_is_named_that_the_pack_gives_itself() -> None:
    store, refused = PackStore(CEL), rulepack(written(**BROKEN, featureFlag="switch"))

    reports = by_source(store.update([], [], {"switch": "Off"}, objects=[refused]))

    assert [each.message for each in reports[FLAGS].warnings] == [
        "pack 'example' is refused: the flag counts for it once it is in force"
    ]


def test_the_flag_of_a_refused_pack_counts_for_its_successors_until_then() -> None:
    """Of whom all are named; nobody is advised to rename it, since it is the flag of the pack that is refused."""
    store = PackStore(CEL)
    packs = [NEW, rulepack(written(previousNames=["example"]), "second")]

    refused = by_source(store.update([], [], {"example": "Off"}, objects=[rulepack(written(**ENFORCED)), *packs]))
    modes = store.catalog.modes
    renamed = by_source(store.update([], [], {"example": "Off"}, objects=packs))

    assert modes == {"new": Mode.OFF, "second": Mode.OFF}
    assert [each.text for each in refused[FLAGS].warnings] == [
        "pack 'example' is refused: the flag counts for it once it is in force, and for 'new' and 'second' until then"
    ]
    assert [each.text for each in renamed[FLAGS].warnings] == [
        "pack 'example' is called 'new' and 'second' now; the flag counts for each; expected 'new' and 'second'"
    ]


@pytest.mark.parametrize("keys", [{"featureFlag": "switch"}, {"featureflag": "switch"}], ids=["right", "misspelt"])
@pytest.mark.parametrize("own", [{}, {"featureFlag": "other"}, {"mode": "Enforce"}], ids=str)
def test_the_flag_that_a_refused_pack_gives_itself_counts_for_its_successor(keys: dict[str, Any], own: dict[str, Any]) -> None:
    store, new = PackStore(CEL), rulepack(written(previousNames=["example"], **own), "new")

    reports = by_source(store.update([], [], {"switch": "Off"}, objects=[rulepack(written(**ENFORCED, **keys)), new]))
    modes = store.catalog.modes
    store.update([], [], {"switch": "Off"}, objects=[new])

    assert (modes, store.catalog.modes) == ({"new": Mode.OFF}, {"new": Mode.ENFORCE})
    assert reports["rulepack/ops/new"].note == "the feature flag switch says Disabled"
    assert reports[FLAGS].warnings[0].message == (
        "pack 'example' is refused: the flag counts for it once it is in force, and for 'new' until then"
    )


@pytest.mark.parametrize(
    ("flags", "in_force"), [({}, Mode.OFF), ({"new": "Enforce"}, Mode.ENFORCE), ({"example": "Audit"}, Mode.AUDIT)], ids=str
)
def test_the_default_mode_of_a_refused_config_map_counts_where_nothing_gives_the_successor_a_mode(
    flags: dict[str, str], in_force: Mode
) -> None:
    store = PackStore(CEL)

    store.update([], [config_map(pack(**BROKEN, defaultMode="Off"))], flags, objects=[NEW])

    assert store.catalog.modes["new"] is in_force


OLDEST = {
    "in force": ([rulepack(written(mode="Disabled"), "oldest")], {}),
    "refused": ([rulepack(written(**BROKEN, mode="Disabled"), "oldest")], {}),
    "a shipped pack renamed": ([rulepack({"shipped": "oldest", "mode": "Disabled"}, "oldest")], {}),
    "its RulePack refused": ([rulepack({"shipped": "oldest", "moed": "Disabled"}, "oldest")], {}),
    "a flag": ([], {"oldest": "Off"}),
}
"""What says of the first of three names of a pack that it is Disabled."""


@pytest.mark.parametrize("oldest", OLDEST)
@pytest.mark.parametrize("between", [ENFORCED, {}], ids=["refused", "in force"])
def test_a_mode_counts_by_way_of_a_pack_between(oldest: str, between: dict[str, Any]) -> None:
    """A flag by way of a pack that is in force counts for that one alone, as the flag of its own does."""
    (objects, flags), middle = OLDEST[oldest], rulepack(written(previousNames=["oldest"], **between))
    in_force = Mode.ENFORCE if oldest == "a flag" and not between else Mode.OFF
    store = PackStore(CEL)

    reports = by_source(store.update([], [], flags, objects=[*objects, middle, NEW]))

    assert store.catalog.modes["new"] is in_force
    assert not any("kubectl delete" in str(fault) for fault in reports.get("rulepack/ops/oldest", Report("")).faults)
    assert len(reports["rulepack/ops/new"].warnings) == 1


def test_packs_that_name_each_other_as_earlier_are_as_strict_as_the_strictest() -> None:
    store = PackStore(CEL)

    store.update([], objects=[rulepack(written(previousNames=["new"], mode="Audit")), NEW])

    assert store.catalog.modes == {"example": Mode.AUDIT, "new": Mode.AUDIT}


@pytest.mark.parametrize("kind", ["RulePack", "ConfigMap", "reference", "renamed"])
def test_a_stricter_mode_that_is_refused_counts_for_the_successor_at_once(kind: str) -> None:
    """The last good text goes on as it was; the successor does not wait for a restart to be as strict as after it."""
    shipped_example = [shipped(pack())] if kind == "reference" else []
    reference = {"shipped": "example", "params": {"nosuch": 1}} if kind == "reference" else {"shipped": "example", "moed": "x"}
    good: Any = (
        config_map(pack()) if kind == "ConfigMap" else rulepack(written() if kind == "RulePack" else {"shipped": "example"})
    )
    bad: Any = {
        "ConfigMap": config_map(pack(**BROKEN, mode="Disabled")),
        "RulePack": rulepack(written(**BROKEN, mode="Disabled"), generation=2),
    }.get(kind, rulepack({**reference, "mode": "Disabled"}, generation=2))

    def modes(store: PackStore, given: Any) -> dict[str, Mode]:
        maps, objects = ([given], [NEW]) if kind == "ConfigMap" else ([], [given, NEW])
        reports = by_source(store.update(shipped_example, maps, objects=objects))
        notes.append(reports["rulepack/ops/new"].note)
        return dict(store.catalog.modes)

    notes: list[str] = []
    store, restarted = PackStore(CEL), PackStore(CEL)
    before, after, later = modes(store, good), modes(store, bad), modes(restarted, bad)

    assert (before["new"], after["new"], later["new"]) == (Mode.ENFORCE, Mode.OFF, Mode.OFF)
    assert after.get("example") is before.get("example")
    assert notes[1].endswith("which has an earlier name, is refused and counts as Disabled")


@pytest.mark.parametrize("spec", [[1], "text", None], ids=str)
def test_a_pack_whose_spec_is_no_mapping_is_refused_like_any_other(spec: Any) -> None:
    """In a ConfigMap, to which the API server does not look."""
    text = json.dumps(json.loads(pack()) | {"spec": spec})
    store = PackStore(CEL)

    reports = by_source(store.update([], [config_map(text)], objects=[NEW]))

    assert (store.catalog.modes, len(reports["configmap/ops/mine"].faults)) == ({"new": Mode.ENFORCE}, 1)

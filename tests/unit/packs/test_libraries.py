"""Libraries: how they are found, which one counts, and what becomes of the packs that use one that changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.cel import Scope
from engine.errors import InvalidText
from engine.model.flags import Mode
from engine.packs.conditions import awaiting, verdict
from engine.packs.libraries import Libraries, read_libraries, shipped_libraries
from engine.packs.lint import lint
from engine.packs.parse import parse_pack
from engine.packs.sources import Text
from engine.packs.store import PackStore
from tests.unit.packs.packs import CEL, pack, rule
from tests.unit.packs.test_store import SOURCE, by_source, config_map, reported, rulepack, shipped


def function(expression: str, *parameters: str, **fields: Any) -> dict[str, Any]:
    """A function of these parameters, with further fields."""
    names = [{"name": name} for name in parameters]
    return {"description": "What it says.", "parameters": names, "expression": expression, **fields}


def library(name: str = "texts", **functions: Any) -> str:
    """A library as JSON (which is YAML)."""
    body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RuleLibrary", "metadata": {"name": name}}
    return json.dumps({**body, "spec": {"functions": functions}})


def text(content: str, file: str = "lib.yaml") -> Text:
    return Text(file, content, file)


def calling(call: Any, name: str = "example", **fields: Any) -> str:
    """A pack with one rule that has a call as its condition."""
    return pack(name, rules=[rule(when=call)], **fields)


def value(store: PackStore, name: str = "example") -> Any:
    """What the condition of a pack's rule says of a loud object."""
    return store.catalog.packs[name].rules[0].when[0].evaluate(Scope({"object": {"text": "loud!"}}))


LOUD = library(loud=function("text.endsWith('!')", "text"))
QUIET = library(loud=function("text.endsWith('?')", "text"))
BROKEN = library(loud=function("text.endsWith(", "text"))
GONE = library(quiet=function("!text.endsWith('!')", "text"))
CALL = "texts.loud(object.text)"


def test_libraries_call_one_another_in_any_order() -> None:
    """A function is compiled after those that it calls, also those of another library."""
    first = library("a", high=function("b.low(x) + 1", "x"))
    second = library("b", low=function("x * 2", "x"))

    found = read_libraries([text(first, "a.yaml"), text(second, "b.yaml")], CEL, Libraries())

    assert found.faults == ()
    assert CEL.linked(found.functions).compile("a.high(3)", set()).evaluate(Scope({})) == 7


def test_of_two_libraries_of_one_name_the_first_counts() -> None:
    """The second is a fault that names the first."""
    found = read_libraries([text(LOUD, "a.yaml"), text(QUIET, "b.yaml")], CEL)

    assert [str(fault) for fault in found.faults] == [
        "b.yaml:1:89: library 'texts' is also in a.yaml, which has it; expected another name"
    ]
    assert found.libraries["texts"].origin.file == "a.yaml"


def test_a_library_with_a_fault_is_refused_as_a_whole() -> None:
    """A fault of what calls it says that it is refused, in other libraries and in packs; its own fault is reported once."""
    broken = library("a", high=function("1 +", "x"), low=function("x", "x"))
    using = library("b", both=function("a.low(x)", "x"))

    found = read_libraries([text(broken, "a.yaml"), text(using, "b.yaml")], CEL)
    faults = [fault.text for fault in found.faults]

    assert [each for each in faults if "unknown" not in each] == faults[:1]
    assert faults[1:] == ["unknown function 'a.low'; expected library 'a' without faults: it is refused as it is"]
    with pytest.raises(InvalidText, match=r"unknown function 'a\.low'; expected library 'a' without faults"):
        parse_pack(calling("a.low(true)"), "pack.yaml", CEL, libraries=found)


def test_a_circle_through_two_libraries_is_named_and_refuses_both() -> None:
    """Of a function that only calls into the circle the fault says that what it calls is refused."""
    first = library("a", f=function("b.g(x)", "x"))
    second = library("b", g=function("a.f(x)", "x"))
    third = library("c", h=function("b.g(x)", "x"))

    found = read_libraries([text(first, "a.yaml"), text(second, "b.yaml"), text(third, "c.yaml")], CEL)

    assert [fault.text for fault in found.faults] == [
        "functions go round in a circle: a.f -> b.g -> a.f; expected one that does not call itself",
        "unknown function 'b.g'; expected library 'b' without faults: it is refused as it is",
    ]


def test_shipped_libraries_serve_every_pack() -> None:
    """Whoever reads a pack, and from wherever."""
    assert shipped_libraries().faults == ()
    assert "argocd.consents" in shipped_libraries().functions.defined
    assert parse_pack(calling("argocd.deploysHere(object)"), "pack.yaml", CEL)


def test_a_library_in_the_text_of_a_pack_serves_it() -> None:
    """As in what kustomize writes."""
    (parsed,) = parse_pack(f"{LOUD}\n---\n{calling(CALL)}", "pack.yaml", CEL)

    assert parsed.rules[0].when[0].evaluate(Scope({"object": {"text": "loud!"}})) is True


def test_lint_finds_libraries_in_manifests_of_config_maps() -> None:
    """A function is used where a pack of another manifest calls it."""
    labels = {"rules.mlops.dev/rule-pack": "true"}
    maps = [{**config_map(content, name), "metadata": {"name": name, "labels": labels}}
            for name, content in (("library", LOUD), ("pack", calling("texts.loud(object.metadata.name)")))]  # fmt: skip

    number, faults = lint([text("\n---\n".join(map(json.dumps, maps)))], CEL)

    assert (number, faults) == (1, [])


def test_lint_says_no_function_is_unused_where_a_pack_has_faults() -> None:
    """That pack may be what uses it."""
    _, faults = lint([text(LOUD), text(calling("texts.loudd(object.text)"), "pack.yaml")], CEL)

    assert [fault.code for fault in faults] == ["expression"]


@pytest.mark.parametrize("changed", [QUIET, library(loud=function("texts.no()", "text"), no=function("false"))])
def test_packs_that_use_a_library_that_changes_are_compiled_again(changed: str) -> None:
    """The others stay the same objects."""
    store = PackStore(CEL)
    packs = [config_map(calling(CALL)), config_map(pack("other"), "other")]
    store.update([], [*packs, config_map(LOUD, "library")])
    before, first = store.catalog, value(store)

    reports = store.update([], [*packs, config_map(changed, "library")])

    assert (first, value(store)) == (True, False)
    assert store.catalog.packs["other"] is before.packs["other"]
    assert [reported(report) for report in reports] == [[]] * len(reports)


def test_a_library_that_is_refused_leaves_the_last_good_one() -> None:
    """The fault is reported of its ConfigMap; packs that come later use the last good one too."""
    store = PackStore(CEL)
    store.update([], [config_map(calling(CALL)), config_map(LOUD, "library")])
    before = store.catalog

    again = config_map(calling(CALL, "again"), "again")
    reports = by_source(store.update([], [config_map(calling(CALL)), again, config_map(BROKEN, "library")]))

    assert store.catalog.packs["example"] is before.packs["example"]
    assert value(store, "again") is True
    assert [fault.code for fault in reports["configmap/ops/library"].faults] == ["expression"]
    assert reported(reports["configmap/ops/mine"]) == reported(reports["configmap/ops/again"]) == []


def test_after_a_restart_a_refused_library_refuses_its_packs() -> None:
    """They say why, and come into force once it is corrected, though nobody touches them."""
    store = PackStore(CEL)
    packs = config_map(calling(CALL))

    refused = by_source(store.update([], [packs, config_map(BROKEN, "library")]))["configmap/ops/mine"]
    corrected = by_source(store.update([], [packs, config_map(LOUD, "library")]))["configmap/ops/mine"]

    assert [fault.text for fault in refused.faults] == [
        "unknown function 'texts.loud'; expected library 'texts' without faults: it is refused as it is"
    ]
    assert (corrected.packs, corrected.faults) == (("example",), ())


def test_a_pack_whose_library_is_missing_is_refused_and_says_so() -> None:
    """It comes into force as soon as the library is there."""
    store = PackStore(CEL)

    missing = by_source(store.update([], [config_map(calling(CALL))]))["configmap/ops/mine"]
    store.update([], [config_map(calling(CALL)), config_map(LOUD, "library")])

    assert [fault.text for fault in missing.faults] == [
        "unknown function 'texts.loud'; expected a library 'texts' (kind: RuleLibrary), which is not here"
    ]
    assert value(store) is True


@pytest.mark.parametrize("maps", [[], [config_map(GONE, "library")]], ids=["deleted", "without the function"])
def test_a_pack_stays_as_it_was_where_its_function_goes(maps: list[Any]) -> None:
    """It is reported, and the last good version is in force, as with any fault of a pack."""
    store = PackStore(CEL)
    store.update([], [config_map(calling(CALL)), config_map(LOUD, "library")])

    report = by_source(store.update([], [config_map(calling(CALL)), *maps]))["configmap/ops/mine"]

    assert value(store) is True
    assert [fault.message for fault in report.faults] == ["unknown function 'texts.loud'"]


def test_an_own_library_goes_before_a_shipped_one() -> None:
    """With a fault it refuses what would use it after a restart: the shipped one might allow more than it."""
    shipped_texts = [shipped(LOUD, "rules/lib/texts.yaml"), shipped(calling(CALL))]
    store, restarted = PackStore(CEL), PackStore(CEL)
    store.update(shipped_texts)
    first = value(store)
    store.update(shipped_texts, [config_map(QUIET, "library")])

    report = by_source(restarted.update(shipped_texts, [config_map(BROKEN, "library")]))[SOURCE]

    assert (first, value(store)) == (True, False)
    assert restarted.catalog.packs == {}
    assert "library 'texts' without faults" in reported(report)[0]


@pytest.mark.parametrize(
    ("own", "reason", "said"),
    [
        (BROKEN, "LibraryRefused", "expected library 'texts' without faults"),
        (GONE, "Invalid", "'texts' here is rulelibrary/ops/texts, which hides the shipped one (which has loud)"),
    ],
    ids=["refused", "without the function"],
)
@pytest.mark.parametrize("some", [False, True])
def test_after_a_restart_the_rulepack_of_a_shipped_pack_says_which_library_breaks_it(
    own: str, reason: str, said: str, some: bool
) -> None:
    """Its mode counts again once that library is gone; meanwhile the library names the pack."""
    store, reference = PackStore(CEL, some=some), rulepack({"shipped": "example", "mode": "Audit"})
    given = [shipped(LOUD, "rules/lib/texts.yaml"), shipped(calling(CALL))]

    report = by_source(store.update(given, objects=[kind(own), reference]))["rulepack/ops/example"]
    packs, callers = dict(store.catalog.packs), store.callers("texts")
    after = by_source(store.update(given, objects=[reference]))["rulepack/ops/example"]

    first, second = (fault.text for fault in report.faults)
    assert first == "the shipped text of pack 'example' is refused: no pack of that name is in force"
    assert said in second
    assert (verdict(report.faults), report.generation, packs, callers) == (reason, None, {}, ["example"])
    assert (after.faults, after.packs, store.catalog.modes) == ((), ("example",), {"example": Mode.AUDIT})


def kind(text: str, generation: int = 1, uid: str = "1") -> dict[str, Any]:
    """An object of kind RuleLibrary with the functions of a library."""
    written = json.loads(text)
    name = written["metadata"]["name"]
    return {**written, "metadata": {"namespace": "ops", "name": name, "uid": uid, "generation": generation}}


def test_an_object_goes_before_a_config_map_and_that_before_a_shipped_library() -> None:
    """The ConfigMap says who has the name; each comes into force when the one before it goes."""
    third = library(loud=function("'third'", "text"))
    shipped_texts = [shipped(third, "rules/lib/texts.yaml"), shipped(calling(f"{CALL} == 'third'"))]
    store, maps = PackStore(CEL), [config_map(QUIET, "library")]

    reports = by_source(store.update(shipped_texts, maps, objects=[kind(LOUD)]))
    values = [store.libraries.functions.defined["texts.loud"].body.source]
    for own in (maps, []):
        store.update(shipped_texts, own)
        values.append(store.libraries.functions.defined["texts.loud"].body.source)

    assert values == ["text.endsWith('!')", "text.endsWith('?')", "'third'"]
    assert reported(reports["rulelibrary/ops/texts"]) == []
    assert [fault.text for fault in reports["configmap/ops/library"].faults] == [
        "library 'texts' is also in rulelibrary/ops/texts, which has it; expected another name"
    ]


@pytest.mark.parametrize("broken", [BROKEN, library(loud={"expresion": "1"})], ids=["expression", "schema"])
def test_nothing_takes_the_name_of_an_object_that_is_refused(broken: str) -> None:
    """It may have been there to allow less: neither the ConfigMap's library nor a shipped one is in force after a restart."""
    store = PackStore(CEL)
    given = [shipped(LOUD, "rules/lib/texts.yaml"), shipped(calling(CALL))]

    reports = by_source(store.update(given, [config_map(LOUD, "library")], objects=[kind(broken)]))

    assert store.catalog.packs == {}
    assert "library 'texts' without faults" in reported(reports[SOURCE])[0]
    assert "is also in rulelibrary/ops/texts, which has it" in reported(reports["configmap/ops/library"])[0]


def test_a_config_map_with_a_fault_takes_no_name_from_an_object() -> None:
    """The first of a name counts, whatever is wrong with another one."""
    store = PackStore(CEL)

    store.update([shipped(calling(CALL))], [config_map(library(loud={}), "library")], objects=[kind(LOUD)])

    assert value(store) is True


def test_an_object_that_breaks_keeps_its_last_good_generation() -> None:
    """The fault has its path, and the report says which generation is in force."""
    store = PackStore(CEL)
    store.update([shipped(calling(CALL))], objects=[kind(LOUD)])

    broken = kind(library(loud=function("text.endsWith('?')", "text", retruns="bool")), generation=2)
    report = by_source(store.update([shipped(calling(CALL))], objects=[broken]))["rulelibrary/ops/texts"]

    assert value(store) is True
    assert report.generation == 1
    assert reported(report) == [
        "rulelibrary/ops/texts: spec.functions.loud.retruns: unknown key 'retruns'; expected 'returns' (did you mean that?)"
    ]


def test_an_object_that_is_made_anew_has_no_last_good_version() -> None:
    """Its uid is another one: what had the name before says nothing of it. Packs keep what they have."""
    store = PackStore(CEL)
    store.update([shipped(calling(CALL))], objects=[kind(LOUD)])

    reports = by_source(store.update([shipped(calling(CALL))], objects=[kind(BROKEN, uid="2")]))

    assert value(store) is True
    assert reports["rulelibrary/ops/texts"].generation is None
    assert "library 'texts' without faults" in reported(reports[SOURCE])[0]


def test_a_pack_knows_the_libraries_that_it_calls() -> None:
    """Also the one that a function of another one calls."""
    loud = library("a", loud=function("texts.loud(x)", "x"))
    store = PackStore(CEL)

    store.update([shipped(calling("a.loud(object.text)"))], objects=[kind(LOUD), kind(loud)])

    assert store.catalog.packs["example"].libraries == {"a", "texts"}


def test_a_rulepack_of_a_library_that_changes_is_compiled_again() -> None:
    """As a pack in a ConfigMap is."""
    store = PackStore(CEL)
    spec = json.loads(calling(CALL))["spec"]
    meta = {"namespace": "ops", "name": "example", "uid": "1", "generation": 1}
    objects = [{"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": meta, "spec": spec}]
    store.update([], [config_map(LOUD, "library")], objects=objects)
    first = value(store)

    store.update([], [config_map(QUIET, "library")], objects=objects)

    assert (first, value(store)) == (True, False)


@pytest.mark.parametrize(
    ("maps", "word", "says"),
    [
        ([], "LibraryMissing", "it waits for library 'texts', which is not there: it is in force as soon as that is"),
        (
            [config_map(BROKEN, "library")], "LibraryRefused",
            "it waits for library 'texts', which is refused: it is in force as soon as that is",
        ),
    ],
    ids=["missing", "refused"],
)  # fmt: skip
def test_a_pack_with_no_fault_but_that_of_its_library_waits(maps: list[Any], word: str, says: str) -> None:
    report = by_source(PackStore(CEL).update([], [config_map(calling(CALL)), *maps]))["configmap/ops/mine"]

    assert (verdict(report.faults), awaiting(report.faults)) == (word, says)


@pytest.mark.parametrize(
    "call",
    [[CALL, "nothing"], "object.text.loud()", "base64.loud(object.text)", "object.loud(1)", "results.loud(1)", "loud(1)"],
    ids=["a second fault", "a method", "a namespace of CEL", "a variable", "a variable of other rules", "no library"],
)
def test_a_fault_that_no_library_takes_away_is_waited_for_in_vain(call: Any) -> None:
    report = by_source(PackStore(CEL).update([], [config_map(calling(call))]))["configmap/ops/mine"]

    assert (verdict(report.faults), awaiting(report.faults)) == ("Invalid", "")


def test_a_template_waits_for_its_library_too() -> None:
    """An expression within a text is one."""
    text = pack(rules=[rule(actions=[{"annotate": {"annotations": {"example.com/a": "so ${texts.loud('a')}"}}}])])

    report = by_source(PackStore(CEL).update([], [config_map(text)]))["configmap/ops/mine"]

    assert verdict(report.faults) == "LibraryMissing"


def test_a_library_waits_for_the_one_that_it_calls() -> None:
    store = PackStore(CEL)
    louder = config_map(library("a", loud=function("texts.loud(x)", "x")), "louder")

    missing = by_source(store.update([], [louder]))["configmap/ops/louder"]
    there = by_source(store.update([], [louder, config_map(LOUD, "library")]))["configmap/ops/louder"]

    assert (verdict(missing.faults), verdict(there.faults)) == ("LibraryMissing", "")


def test_a_pack_of_a_refused_library_says_that_a_restart_ends_it() -> None:
    """Also where a function of another library calls it; not once it is corrected."""
    store = PackStore(CEL)
    by_another = config_map(library("a", loud=function("texts.loud(x)", "x")), "a")
    maps = [config_map(calling(CALL)), config_map(calling("a.loud(object.text)", "second"), "second"), by_another]
    store.update([shipped(pack("other"))], [*maps, config_map(LOUD, "library")])

    refused = by_source(store.update([shipped(pack("other"))], [*maps, config_map(BROKEN, "library")]))
    corrected = by_source(store.update([shipped(pack("other"))], [*maps, config_map(QUIET, "library")]))

    said = (
        "after a restart this pack is not in force, since library 'texts' is refused, and the last good text counts now; "
        "expected the library corrected"
    )
    assert {name: [fault.text for fault in each.warnings] for name, each in refused.items() if each.warnings} == {
        "configmap/ops/mine": [said], "configmap/ops/second": [said],
    }  # fmt: skip
    assert not any(each.warnings for each in corrected.values())


def test_a_pack_of_a_refused_library_is_not_in_force_after_a_restart() -> None:
    """What the warning says of one that is called by way of another library."""
    by_another = config_map(library("a", loud=function("texts.loud(x)", "x")), "a")
    store = PackStore(CEL)

    store.update([], [config_map(calling("a.loud(object.text)")), by_another, config_map(BROKEN, "library")])

    assert store.catalog.packs == {}
    assert (store.callers("texts"), store.callers("a")) == ([], ["example"])


@pytest.mark.parametrize(
    ("given", "packs"), [([kind(LOUD)], ["example"]), ([kind(BROKEN)], ["example"]), ([], ["example"])],
    ids=["in force", "refused", "missing"],
)  # fmt: skip
def test_the_packs_of_a_library_are_known_whether_it_is_in_force_or_not(given: list[Any], packs: list[str]) -> None:
    store = PackStore(CEL)

    store.update([], [config_map(calling(CALL)), config_map(pack("other"), "other")], objects=given)

    assert store.callers("texts") == packs


def test_a_library_that_hides_a_shipped_one_is_named_and_warned() -> None:
    """In the fault of the shipped pack that calls what it lacks, and on its own status."""
    store = PackStore(CEL)
    given = [shipped(LOUD, "rules/lib/texts.yaml"), shipped(calling(CALL))]

    reports = by_source(store.update(given, objects=[kind(GONE)]))

    assert [fault.text for fault in reports[SOURCE].faults] == [
        "unknown function 'texts.loud'; expected one of texts.quiet; 'texts' here is rulelibrary/ops/texts, which hides "
        "the shipped one (which has loud)"
    ]
    assert verdict(reports[SOURCE].faults) == "Invalid"
    assert [str(fault) for fault in reports["rulelibrary/ops/texts"].warnings] == [
        "rulelibrary/ops/texts: metadata.name: it hides the shipped library 'texts', also from shipped packs, and has no "
        "texts.loud; expected another name, unless it is to replace that"
    ]


def test_a_library_that_says_what_the_shipped_one_says_hides_nothing() -> None:
    store = PackStore(CEL)

    reports = by_source(store.update([shipped(LOUD, "rules/lib/texts.yaml"), shipped(calling(CALL))], objects=[kind(LOUD)]))

    assert not any(each.warnings for each in reports.values())


@pytest.mark.parametrize(
    ("own", "call", "message"),
    [
        (BROKEN, CALL, "library 'texts' without faults: it is refused as it is"),
        (LOUD, "texts.lod(object.text)", "'texts.loud' (did you mean that?)"),
        (LOUD, "texts.loud()", "texts.loud(text)"),
        (library(loud=function("text", parameters=[{"name": "text", "type": "string"}])), "texts.loud(1)", "string"),
    ],
    ids=["refused", "misspelt", "number of arguments", "type of an argument"],
)
def test_each_fault_of_a_call_says_which_library_of_the_name_counts(own: str, call: str, message: str) -> None:
    given = [shipped(library(loud=function("true", "text", "more")), "rules/lib/texts.yaml"), shipped(calling(call))]

    (fault,) = by_source(PackStore(CEL).update(given, objects=[kind(own)]))[SOURCE].faults

    assert fault.expected.startswith(f"{message}; 'texts' here is rulelibrary/ops/texts, which hides the shipped one")


def test_a_fault_says_which_of_two_config_maps_has_the_function() -> None:
    """The pack calls what only the library that does not count declares."""
    store, maps = PackStore(CEL), [config_map(LOUD, "first"), config_map(GONE, "second")]

    reports = by_source(store.update([], [config_map(calling("texts.quiet(object.text)")), *maps]))
    alone = by_source(store.update([], [config_map(calling("texts.quiet(object.text)")), maps[1]]))

    assert [fault.text for fault in reports["configmap/ops/mine"].faults] == [
        "unknown function 'texts.quiet'; expected one of texts.loud; 'texts' here is configmap/ops/first/pack.yaml, which hides "
        "configmap/ops/second/pack.yaml (which has quiet)"
    ]
    assert [fault.text for fault in reports["configmap/ops/second"].faults] == [
        "library 'texts' is also in configmap/ops/first/pack.yaml, which has it; expected another name"
    ]
    assert alone["configmap/ops/mine"].faults == ()

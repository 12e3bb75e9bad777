"""What users put into their objects becomes values, never structure, and no more than an API server takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.model.objects import Kind, annotations_of, metadata
from engine.packs.parse import parse_pack
from tests.world import EVENT, POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PACK: Any = {
    "apiVersion": "rules.mlops.dev/v1alpha1",
    "kind": "RulePack",
    "metadata": {"name": "p"},
    "spec": {
        "watch": {"apiVersion": "v1", "kind": "ConfigMap"},
        "targets": [
            {"apiVersion": "v1", "kind": "Pod", "verbs": ["get", "list", "delete", "patch"]},
            {"apiVersion": "v1", "kind": "Secret", "verbs": ["get", "create", "patch"]},
        ],
        "metrics": {"seen_total": {"type": "counter", "help": "Seen.", "labels": ["word"]}},
    },
}
EVIL = [
    "x\nadmin: true",
    'x", "admin": "true',
    "x'}\n---\nkind: Secret",
    "{admin: true}",
    "[1, 2]",
    "true",
    "null",
    "1e3",
    "*alias &anchor !!python/object:os.system",
    "${object.metadata.uid}",
    "$${object}",
    "{{ .Values }}",
    "\u202e\u0000\x7f",
]
NAMES = ["../secrets", "a/../../nodes/b", "UPPER", "x" * 300, "a b", "a\nb", "a%2fb", "a?dryRun=All", "-a", "a,b=c", "ä", "."]


async def acted(action: Any, word: str, *objects: Any, **more: Any) -> World:
    """A world in which a rule with one action has met an object that holds a word, an hour ago."""
    rule = {"name": "r", "when": "has(object.data.word)", "oncePer": "object.metadata.uid", "actions": [action], **more}
    (pack,) = parse_pack(yaml.safe_dump({**PACK, "spec": {**PACK["spec"], "rules": [rule]}}), "pack.yaml", backend())
    world = World(pack)
    await world.create(*objects, named(CONFIG, "c", data={"word": word}))
    await world.settle(seconds=3600, step=60)
    return world


async def reported(world: World) -> list[tuple[str, str]]:
    return [(event["reason"], event["message"]) for event in await world.all(EVENT)]


@pytest.mark.parametrize("word", EVIL)
async def test_a_value_brings_no_structure_of_its_own(word: str) -> None:
    """As an annotation, in a merge patch, a JSON patch and an applied object it is that one text, and nothing else changes."""
    pod_c: Any = {"apiVersion": "v1", "kind": "Pod", "name": "web"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"word": "${object.data.word}"}}
    word_of = "${object.data.word}"
    own = await acted({"annotate": {"annotations": {"word": word_of}}}, word)
    merge = await acted({"patch": {"target": pod_c, "patch": {"metadata": {"annotations": {"word": word_of}}}}}, word, pod("web"))
    add = [{"op": "add", "path": "/metadata/annotations", "value": {"word": word_of}}]
    json_patch = await acted({"patch": {"target": pod_c, "type": "json", "guard": "true", "patch": add}}, word, pod("web"))
    applied = await acted({"apply": {"manifest": secret}}, word)

    assert annotations_of(await own.get(CONFIG, "c"))["word"] == word
    for world in (merge, json_patch):
        assert annotations_of(await world.get(POD, "web")) == {"word": word}
        assert (await world.get(POD, "web"))["spec"] == pod("web")["spec"]
    assert (await applied.get(Kind("v1", "Secret"), "s"))["stringData"] == {"word": word}
    for world in (own, merge, json_patch, applied):
        assert await reported(world) == []


@pytest.mark.parametrize(
    ("field", "word"),
    [
        (field, word)
        for field in ("name", "namespace", "kind", "apiVersion", "label")
        for word in NAMES
        if (field, word) not in (("kind", "UPPER"), ("label", "UPPER"))  # these are ones
    ],
)
async def test_a_name_that_is_none_is_refused_once_and_asked_for_nowhere(field: str, word: str) -> None:
    """One Event says which name, and what names are; no request ever has it, and nothing is tried again."""
    target: Any = {"apiVersion": "v1", "kind": "Pod", "name": "web"}
    if field == "label":
        target = {"apiVersion": "v1", "kind": "Pod", "labelSelector": {"app": "${object.data.word}"}}
    else:
        target[field] = "${object.data.word}"
    world = await acted({"delete": {"target": target}}, word, pod("web"))

    ((reason, message),) = await reported(world)
    assert reason == "RuleFailed"
    assert "target " in message
    assert len(message) <= 1024
    assert len(await world.all(POD)) == 1
    asked = [call for call in world.engine.calls if call.ref.kind not in (CONFIG, EVENT)]
    assert asked == []
    assert len(world.writes) == 2  # the Event and the record


async def test_an_annotation_that_is_too_long_is_refused_once() -> None:
    """Of what no object can carry nothing is written; one Event says how long it would have been."""
    world = await acted({"annotate": {"annotations": {"word": "${object.data.word + object.data.word}"}}}, "x" * 200_000)

    ((reason, message),) = await reported(world)
    assert reason == "RuleFailed"
    assert "annotation word would have 400000 bytes; at most 262144" in message
    assert [write.split()[0] for write in world.writes] == ["create", "patch"]


@pytest.mark.parametrize("word", ["x" * 64, "two words", "-a", "a/b", "ä"])
async def test_a_label_that_is_none_is_refused_once(word: str) -> None:
    """On the watched object, on another one, on an Event and in a merge patch: reported once, and not tried again."""
    labels = {"labels": {"team": "${object.data.word}"}}
    pod_c = {"apiVersion": "v1", "kind": "Pod", "name": "web"}
    actions: list[Any] = [
        {"label": labels},
        {"label": {"target": pod_c, **labels}},
        {"emitEvent": {"type": "Normal", "reason": "Seen", "message": "seen", **labels}},
        {"patch": {"target": pod_c, "patch": {"metadata": labels}}},
    ]
    for action in actions:
        world = await acted(action, word, pod("web"))

        ((reason, message),) = await reported(world)
        assert reason == "RuleFailed"
        assert "team" in message or "metadata.labels" in message
        assert "team" not in metadata(await world.get(POD, "web"))["labels"]
        asked = [call for call in world.engine.calls if call.verb in ("create", "patch")]
        assert len(asked) <= 3, [str(call) for call in asked]


async def test_a_long_message_of_an_event_keeps_its_beginning_and_its_end() -> None:
    """The API server takes 1,024 characters, and the last line of a traceback says why."""
    say = {"emitEvent": {"type": "Normal", "reason": "Seen", "message": "saw ${object.data.word}"}}
    world = await acted(say, "x" * 250_000 + "\nValueError: no such cell")

    ((_, message),) = await reported(world)
    assert len(message) == 1024
    assert message.startswith("saw xxx")
    assert "x…x" in message
    assert message.endswith("\nValueError: no such cell")


async def test_a_message_of_an_event_has_nothing_that_a_terminal_obeys() -> None:
    """`kubectl describe` prints it as it is: colours, links, cursor moves and marks of direction are left out."""
    say = {"emitEvent": {"type": "Normal", "reason": "Seen", "message": "saw ${object.data.word}"}}
    world = await acted(say, "a\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07\r\x07\x9b2J \u202eevil\u2066\ttab\nline")

    ((_, message),) = await reported(world)
    assert message == "saw ared link evil\ttab\nline"


async def test_a_failure_with_a_long_text_is_reported_in_a_short_one() -> None:
    """The Event about a text of 250,000 characters that is no name shows the beginning of it."""
    world = await acted({"delete": {"target": {"apiVersion": "v1", "kind": "Pod", "name": "${object.data.word}"}}}, "X" * 250_000)

    ((_, message),) = await reported(world)
    assert "X…" in message
    assert len(message) < 500


async def test_a_long_label_of_a_metric_is_cut_with_a_mark() -> None:
    """A text of 250,000 characters does not stand in every answer of /metrics."""
    world = await acted({"metric": {"name": "seen_total", "labels": {"word": "${object.data.word}"}}}, "x" * 250_000)

    ((_, labels, _),) = world.seen.measurements
    assert labels == {"word": "x" * 133 + "…" + "x" * 66}


async def test_a_firing_key_of_any_length_finds_room_on_record() -> None:
    """A long one is cut, with a digest of all of it: it fires once for each value, and a restart repeats nothing."""
    say = {"emitEvent": {"type": "Normal", "reason": "Seen", "message": "seen"}}
    world = await acted(say, "x" * 250_000, oncePer="object.data.word")
    assert len(await reported(world)) == 1

    world.restart()
    await world.settle(60)
    assert len(await reported(world)) == 1

    await world.patch(CONFIG, "c", {"data": {"word": "x" * 250_000 + "y"}})
    await world.settle(60)
    assert len(await reported(world)) == 2
    (text,) = (value for key, value in annotations_of(await world.get(CONFIG, "c")).items() if key.startswith("fired."))
    assert len(text) < 1000
    assert json.loads(text)["key"].startswith("xxx")


@pytest.mark.parametrize("pattern", ["(?=x)", r"(a)\1", "(", "a{1001}", "(?<n>a)(?P=n)"])
async def test_a_pattern_of_the_object_is_one_of_re2_or_no_answer(pattern: str) -> None:
    """Nothing but RE2 ever matches: neither look-around nor back references, wherever the pattern comes from."""
    world = await acted({"annotate": {"annotations": {"a": "b"}}}, pattern, when="'aa'.matches(object.data.word)")

    assert [(result.value, "RE2" in reason) for _, result, reason in world.seen.evaluations][:1] == [("unknown", True)]
    assert await reported(world) == []
    assert world.writes == []

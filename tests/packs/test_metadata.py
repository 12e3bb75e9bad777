"""What the shipped packs write into metadata: no two of them the same."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from engine.actions import ACTIONS
from tests.world import RULES

#: Quoted keys of a domain's annotations in an expression that gives a whole mapping.
QUOTED = re.compile(r"""['"]([a-z0-9.-]+\.[a-z]+/[A-Za-z-]+)['"]""")
#: Annotations in the path of a field.
ANNOTATED = re.compile(r"""annotations\["([^"]+)"\]""")
ANY = "any kind"


def packs() -> dict[str, dict[str, Any]]:
    """The spec of each pack of rules/, by name."""
    files = (yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*/pack.yaml")))
    return {file["metadata"]["name"]: file["spec"] for file in files}


def watched(spec: Mapping[str, Any], rule: Mapping[str, Any]) -> list[str]:
    """The kinds of what a rule acts on where an action names no target."""
    if target := rule.get("aggregate", {}).get("target"):
        return [target["kind"]]
    watch = spec["watch"]
    return [each["kind"] for each in (watch if isinstance(watch, list) else [watch])]


def keys(part: str, entries: Any) -> Iterator[str]:
    """The keys of annotations or labels that are written, also by an expression that gives all of them."""
    if part == "annotations" and isinstance(entries, str):
        yield from QUOTED.findall(entries)
    elif isinstance(entries, Mapping):
        yield from entries


def writes(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each kind and key that a pack's rules write, as `annotations KEY` or `labels KEY`."""
    for rule in spec["rules"]:
        for entry in [*rule.get("actions", ()), *rule.get("rescue", ())]:  # of one that extends another, its own
            (name,) = entry.keys() & ACTIONS.keys()
            body = entry[name]
            kinds = [body["target"]["kind"]] if "target" in body else watched(spec, rule)
            kinds = [ANY if "${" in kind else kind for kind in kinds]
            own = body.get("patch", {}) if name == "patch" else body if name in ("annotate", "label") else {}
            metadata = own if name != "patch" else own.get("metadata", {}) if isinstance(own, Mapping) else {}
            for part in ("annotations", "labels"):
                yield from ((kind, f"{part} {key}") for kind in kinds for key in keys(part, metadata.get(part)))
            if isinstance(own, str):  # nest(vars.field, …)
                fields = f"{spec.get('vars', {}).get('fields', '')} {rule.get('vars', {}).get('field', '')}"
                yield from ((kind, f"annotations {key}") for kind in kinds for key in ANNOTATED.findall(fields))


def writers(packs: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], set[str]]:
    """The packs that write each key of a kind, those that write it on any kind included."""
    found = defaultdict[tuple[str, str], set[str]](set)
    for name, spec in packs.items():
        for kind, key in writes(spec):
            found[kind, key].add(name)
    return {(kind, key): names | found.get((ANY, key), set()) for (kind, key), names in list(found.items())}


def test_no_two_packs_write_one_annotation_or_label() -> None:
    """Of a kind, or of any kind: who writes a key takes what another one has written there."""
    found = writers(packs())
    assert {
        ("NotebookValidationJob", "annotations mlops.dev/wave-complete"), ("Application", "annotations mlops.dev/failure-id"),
        ("InferenceService", "labels mlops.dev/model-freshness"), (ANY, "annotations mlops.dev/synced-for"),
        (ANY, "annotations mlops.dev/restarted-at"),
    } <= found.keys()  # fmt: skip
    assert {what: names for what, names in found.items() if len(names) > 1} == {}


def test_a_key_that_another_pack_writes_on_any_kind_is_found() -> None:
    """The check above sees both a key that stands there and one that is part of an expression."""
    other = {"watch": {"kind": "Pod"}, "rules": [{"actions": [
        {"annotate": {"annotations": {"mlops.dev/restarted-at": "x", "mlops.dev/synced-for": "y"}}},
    ]}]}  # fmt: skip
    shared = [key for (kind, key), names in writers({**packs(), "other": other}).items() if len(names) > 1 and kind == "Pod"]
    assert shared == ["annotations mlops.dev/restarted-at", "annotations mlops.dev/synced-for"]

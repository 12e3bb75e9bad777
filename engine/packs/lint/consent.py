"""The check of consent: what a pack reaches in another namespace, and whether that can be allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Path
from engine.errors import Fault
from engine.model.names import dns_label
from engine.model.objects import Kind, Resource
from engine.model.plurals import guessed_resource
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.strings import mappings


class MissingConsent(Check):
    """A rule reaches an object in another namespace than the watched one's, and `targets` does not say how that is allowed.

    By default the API server is asked whether the service account `default` of the watched object's namespace may do it, which
    it may not in most clusters; an object without a namespace has no service account, so that everything is refused. Say
    under `targets` what allows it: `consent:` with a condition over `target` and `object`, `consent: 'true'` where the pack may
    always do so, or `consent: SubjectAccessReview` where service accounts are meant to be granted the right.
    """

    name = "missing-consent"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each target whose namespace is certainly another one, where its entry has no `consent`."""
        for parsed in subject.packs:
            spec = parsed.document.value["spec"]
            said = {(each.get("apiVersion"), each.get("kind")) for each in spec.get("targets", ()) if "consent" in each}
            declared = {(each.get("apiVersion"), each.get("kind")) for each in spec.get("targets", ())}
            for path, target in _reached(spec["rules"]):
                kind = target["apiVersion"], target["kind"]
                kinds = parsed.pack.kinds(parsed.pack.rules[int(path[2])])
                reasons = [_elsewhere(guessed_resource(watched), Kind(*kind), target) for watched in kinds]
                why = reasons[0] if all(reasons) and reasons else ""
                if why and kind in declared and kind not in said:
                    message = f"{target['kind']} {why}, and its entry under targets has no consent"
                    expected = "consent there: 'true', a condition over target and object, or SubjectAccessReview"
                    yield self.fault(parsed.document.locate(path), message, expected)


def _reached(rules: list[Mapping[str, Any]]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield what rules look up and act on, with its path."""
    for index, rule in enumerate(rules):
        for name, lookup in (rule.get("lookup") or {}).items():
            yield from _named(lookup, ("spec", "rules", index, "lookup", name))
        for part in ("actions", "rescue"):
            for number, entry in enumerate(rule.get(part, ())):
                for action, body in entry.items():
                    for path, found in mappings(body, ("spec", "rules", index, part, number, action)):
                        if path[6:] in (("target",), ("manifest",)) or path[6:7] == ("targets",):
                            yield from _named(found, path)


def _named(found: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if isinstance(found, Mapping) and isinstance(found.get("apiVersion"), str) and isinstance(found.get("kind"), str):
        yield path, found


def _elsewhere(watched: Resource, kind: Kind, target: Mapping[str, Any]) -> str:
    """Return how a target is certainly elsewhere than a watched object, '' where it may be in the same namespace."""
    namespace = target.get("namespace", (target.get("metadata") or {}).get("namespace"))
    if not guessed_resource(kind).namespaced:
        return "lies in no namespace" if watched.namespaced else ""
    if not watched.namespaced:
        return f"lies in a namespace, which a {watched.kind.kind} does not"
    return f"is in the namespace {namespace}" if isinstance(namespace, str) and dns_label(namespace) else ""

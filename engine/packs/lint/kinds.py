"""The check of kinds: names that no kind has, and kinds of Kubernetes under an apiVersion that does not have them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel.types import DYN
from engine.errors import Fault
from engine.model.objects import Kind
from engine.model.plurals import guessed_resource
from engine.model.text import suggestion
from engine.packs.kinds import served
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.lint.strings import mappings

_SUBRESOURCES = frozenset(["Eviction", "Scale", "TokenRequest"])
"""Kinds of what is sent to a subresource only."""


class UnknownKind(Check):
    """No cluster serves this kind: a plural or small letters stand in its place, or another apiVersion has it.

    Such as `kind: pods` for `Pod`, `apps/v1 Pod` for `v1`, or an Ingress of `extensions/v1beta1`. A pack that watches such a
    kind waits for it for ever. Kinds of CustomResourceDefinitions are not known here, except with `--crds` or `--kubeconfig`;
    but every kind begins with a capital letter, and their groups have a dot.
    """

    name = "unknown-kind"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each apiVersion and kind that a pack names together, and that cannot be."""
        for parsed in subject.packs:
            spec = parsed.document.value["spec"]
            for path, found in mappings({key: spec[key] for key in ("watch", "targets", "rules") if key in spec}, ("spec",)):
                version, name = found.get("apiVersion"), found.get("kind")
                if not (isinstance(version, str) and isinstance(name, str)) or "${" in version + name or "*" in (version, name):
                    continue
                expected = "" if subject.kinds(Kind(version, name)) is not DYN else instead_of(Kind(version, name))
                if expected:
                    location = parsed.document.locate((*path, "kind"))
                    yield self.fault(location, f"there is no kind {name} in {version}", expected)


def instead_of(kind: Kind) -> str:
    """Return what was expected in place of a kind, '' where it may well be one."""
    known = served()
    same, word = known.get(kind.api_version), kind.kind.lower()
    meant = {
        version: name
        for version, names in known.items()
        for name in names
        if word in (name.lower(), guessed_resource(Kind(version, name)).plural)
    }
    if same is not None:
        if kind.kind in same or kind.kind in _SUBRESOURCES or kind.kind.endswith("List"):
            return ""
        if kind.api_version in meant:
            return meant[kind.api_version]
        return _elsewhere(meant) or suggestion(kind.kind, same)
    groups = {version.rpartition("/")[0] for version in known}
    if kind.group in groups or "." not in kind.group:
        here = {version: name for version, name in meant.items() if Kind(version, name).group == kind.group}
        if expected := _elsewhere(here or meant):
            return expected
        if kind.group not in groups:
            return "a group that has a dot, as those of CustomResourceDefinitions do"
    return "" if kind.kind[:1].isupper() else "a kind, which begins with a capital letter"


def _elsewhere(meant: dict[str, str]) -> str:
    """Return the kind with the best apiVersion that has it: a stable one before others."""
    stable = sorted(meant, key=lambda version: ("alpha" in version or "beta" in version, version))
    return f"{stable[0]} {meant[stable[0]]}" if stable else ""

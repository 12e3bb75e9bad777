"""The check of kinds: names that no kind has, and kinds of Kubernetes under an apiVersion that does not have them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel.types import DYN
from engine.errors import Fault
from engine.model.objects import Kind
from engine.packs.kinds import instead_of, no_kind
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.strings import mappings


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
                kind = Kind(version, name)
                expected = "" if subject.kinds(kind) is not DYN else instead_of(kind)
                if expected:
                    yield self.fault(parsed.document.locate((*path, "kind")), no_kind(kind), expected)

"""The action `apply`: server-side apply of a manifest, as field manager `rulepack`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Cause, MetadataWrite, Need
from engine.actions.target import Target, TargetSpec
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import Type
from engine.model.plan import Answers, Patch, Plan, Read
from engine.model.spec import Spec


class ApplySpec(Spec):
    """Create an object, or bring the fields it names to what it says; fields of other managers stay.

    It is sent each time that the rule fires, since only the API server knows whether it changes anything: let `when` say so.
    """

    manifest: dict[str, Any]
    """The object; every string may hold `${…}`."""
    force: bool = False
    """Take a field over from another manager instead of failing with a conflict."""


@dataclass(frozen=True, slots=True)
class ApplyAction:
    """`apply`."""

    target: Target
    manifest: Template
    force: bool

    name: ClassVar[str] = "apply"
    Schema: ClassVar[type[Spec]] = ApplySpec
    written: ClassVar[frozenset[str]] = frozenset({"manifest"})
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        here = (*path, "manifest")
        meta = spec.manifest.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        fields = {"apiVersion": spec.manifest.get("apiVersion"), "kind": spec.manifest.get("kind"), "name": meta.get("name")}
        for key, value in fields.items():
            if not isinstance(value, str):
                compiler.fault(here, f"the manifest has no {key}", "apiVersion, kind and metadata.name, each a string")
        texts = {key: value if isinstance(value, str) else "missing" for key, value in fields.items()}
        if isinstance(meta.get("namespace"), str):
            texts["namespace"] = meta["namespace"]
        target = Target.compile(TargetSpec.model_validate(texts), compiler, here)
        return cls(target, compiler.template(spec.manifest, here), spec.force)

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: the API server itself reports who owns a field of a manifest."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """get, create and patch: server-side apply of an object that is not there creates it."""
        return self.target.needs("create", "patch")

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it changes objects."""
        return f"changes objects by {self.name}"

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """The object as it is, for the diff that Audit reports."""
        return (self.target.read(scope),)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """One apply; the API server itself writes nothing where nothing differs."""
        read = self.target.read(scope)
        found = live[read]
        body = dict(self.manifest.render(scope))
        body["metadata"] = {**body["metadata"], "namespace": read.ref.namespace} if read.ref.namespace else body["metadata"]
        return Plan([Patch(read.ref, body, "apply", force=self.force, before=found[0] if found else None)], targets=1)

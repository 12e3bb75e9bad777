"""The action `apply`: server-side apply of a manifest, as field manager `rulepack`, and what `prune` removes again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.generated import Generates
from engine.actions.target import Target, TargetSpec
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import Type
from engine.model.generated import FROM, PACK, Origin, described, is_generated, left_by, up_to_date, was_generated
from engine.model.objects import Object, ObjectKey, Ref, metadata
from engine.model.outcome import Refused
from engine.model.plan import Answers, Patch, Plan, Read
from engine.model.spec import Spec
from engine.model.text import plain


class ApplySpec(Spec):
    """Create an object, or bring the fields it names to what it says; fields of other managers stay.

    It is sent each time that the rule fires, since only the API server knows whether it changes anything: let `when` say so.
    """

    manifest: dict[str, Any]
    """The object; every string may hold `${…}`."""
    force: bool = False
    """Take a field over from another manager instead of failing with a conflict."""
    prune: bool = False
    """Keep what the rule generates in step: put back what somebody changes or deletes, and remove it when its reason is gone.

    That is when the loop has no such item any more, when the rule's conditions are false, and when the watched object is
    deleted or has lost the labels it is watched by. Nothing is removed while anything is unknown.
    """
    adopt: bool = False
    """With `prune`, take over an object that is there already, instead of refusing it; it is then removed like any other.

    Not one that was generated and of which somebody has taken the label `rules.mlops.dev/generated-by` off.
    """


@dataclass(frozen=True, slots=True)
class ApplyAction:
    """`apply`."""

    target: Target
    manifest: Template
    force: bool
    generates: Generates | None = None
    adopt: bool = False

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
        manifest = compiler.template(spec.manifest, here)
        if spec.adopt and not spec.prune:
            compiler.fault((*path, "adopt"), "adopt without prune", "prune: true beside it")
        if not spec.prune:
            return cls(target, manifest, spec.force)
        if target.kind is None:
            compiler.fault(here, "prune needs to know the kind", "apiVersion and kind without ${…}")
        if any("results" in program.variables for program in target.fields.programs):
            compiler.fault(here, "prune needs to know the names before any action runs", "name and namespace without results")
        return cls(target, manifest, spec.force, Generates.of_target(target), spec.adopt)

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: the API server itself reports who owns a field of a manifest."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield the manifest."""
        manifest = spec.get("manifest")
        if isinstance(manifest, Mapping):
            yield Body(manifest, ("manifest",), manifest)

    def needs(self) -> Sequence[Need]:
        """get, create and patch, as applying an object that is not there creates it; what `prune` needs to see and to remove."""
        return self.target.needs("create", "patch", *(("delete", "list", "watch") if self.generates else ()))

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it changes objects, unless it writes only where something differs."""
        return "" if self.generates else f"changes objects by {self.name}"

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """The object as it is, for the diff that Audit reports; what is generated already as its informer has it."""
        if self.generates is not None:
            yield (seen := self.generates.read(scope))
            if live[seen] and is_generated(live[seen][0]):
                return
        yield self.target.read(scope)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """One apply; of what is generated none where nothing differs, and none on what somebody else has made."""
        read = self.target.read(scope)
        body = dict(self.manifest.render(scope))
        if self.generates is None:
            found = live[read]
            return Plan([Patch(read.ref, body, "apply", force=self.force, before=found[0] if found else None)], targets=1)
        origin = Origin(cause.pack, cause.rule, ObjectKey(*cause.ref[:3]))
        there = next(iter(live.get(read) or live[self.generates.read(scope)]), None)
        own = there is not None and any(Origin(*each, origin.source).made(there) for each in cause.earlier)
        if there is not None and not own and (refused := self._refused(cause, read.ref, there)):
            return Plan(outcome=Refused(plain(refused.reason)))  # it names what is there, as each write does
        marked = origin.marked(body, read.ref, cause.ref.uid)
        if there is None:
            return Plan([Patch(read.ref, marked, "apply")], targets=1)  # no force: somebody may be faster
        if up_to_date(marked, there):
            return Plan(targets=1)
        marked["metadata"]["uid"] = metadata(there)["uid"]  # another object under this name is another answer
        return Plan([Patch(read.ref, marked, "apply", force=True, before=there)], targets=1)

    def _refused(self, cause: Cause, ref: Ref, there: Object) -> Refused | None:
        """Why an object that is there is left alone: others have made it; None where it is the rule's own, or is adopted."""
        origin = Origin(cause.pack, cause.rule, ObjectKey(*cause.ref[:3]))
        if origin.source == ObjectKey(*ref[:3]):
            return Refused(f"{ref} is the watched object itself, which prune would delete; annotate or patch writes on that")
        if origin.made(there):
            return None
        if is_generated(there):
            return Refused(f"{ref} is generated by {described(there)}; {_instead(cause, origin, there)}")
        if was_generated(there):
            again = f"; with label {FROM} off too, adopt takes it over" if self.adopt else ""
            why = f"{ref} was generated, and label {PACK} has been taken off it, so it is neither changed nor removed"
            return Refused(f"{why}. Delete it, and this rule makes it again{again}")
        if self.adopt:
            return None
        return Refused(f"{ref} is there already, and rule {cause.rule} has not made it; adopt: true in the rule takes it over")


def _instead(cause: Cause, origin: Origin, there: Object) -> str:
    """What keeps a rule from an object that another one, or the same one for another object, has generated, and what to do."""
    for pack, rule in cause.claimed:
        if Origin(pack, rule, origin.source).made(there):
            gone = f"rule {rule} of pack {pack}" if pack == cause.pack else f"pack {pack}"
            return f"that name is among previousNames here, and still in use: delete {gone}, then this rule goes on with it"
    kept = f"nothing else takes it over while it has label {PACK}"
    left = f". If that rule is gone or renamed, delete what it has left, and this one is made: {left_by(there)}"
    return kept if origin.same_rule(there) else kept + left

"""What an action is: a schema, the verbs it needs, the reads it needs, and a pure plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from engine.cel import Compiler, Path, Scope
from engine.model.objects import Kind, Object, Ref
from engine.model.plan import Decision, Read
from engine.model.spec import Spec


class Cause(NamedTuple):
    """Why an action runs: effects are named by it, never by the wall clock.

    `ref` names the object; `key` is the firing key: what `oncePer` gave, or '' for a rule without it; `item` is the loop item's.
    """

    pack: str
    rule: str
    object: Object
    ref: Ref
    key: str
    item: str = ""


class Need(NamedTuple):
    """A right that an action needs: a verb on a kind; `kind` is None where only the running rule knows it."""

    kind: Kind | None
    verb: str


class Action(Protocol):
    """One compiled action of a rule. Implementations are listed in `engine.actions.ACTIONS`."""

    name: ClassVar[str]
    Schema: ClassVar[type[Spec]]

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile a parsed spec; what does not compile becomes a fault of the compiler at its place under `path`."""
        ...

    def needs(self) -> Sequence[Need]:
        """The rights it may use, for `targets`, `rulepack rbac` and lint."""
        ...

    def reads(self, scope: Scope) -> Sequence[Read]:
        """What must be read live before `plan`. Raises Unanswered where an expression has no answer."""
        ...

    def plan(self, cause: Cause, scope: Scope, live: Mapping[Read, Sequence[Object]], memory: dict[str, Any]) -> Decision:
        """Decide. `live` answers each read (an empty sequence: not found). `memory` lives as long as the firing does.

        Raises Unanswered where an expression has no answer.
        """
        ...

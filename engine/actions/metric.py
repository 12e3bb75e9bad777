"""The action `metric`: count or observe in a metric that the pack declares."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import Field

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import Type
from engine.errors import EvaluationError
from engine.model.plan import Answers, Measure, Plan, Read
from engine.model.spec import Spec
from engine.model.text import cut

LABEL_LIMIT = 200


class MeasureSpec(Spec):
    """Add to a counter, set a gauge or observe in a histogram; the metric is declared under the pack's `metrics`."""

    name: str
    """Name of the metric, as declared."""
    labels: dict[str, str] = Field(default_factory=dict)
    """A value for each label that the metric declares; may hold `${…}`; cut at 200 characters."""
    value: int | float | str = 1
    """What to add, set or observe: a number or a `${…}` that gives one."""


@dataclass(frozen=True, slots=True)
class MetricAction:
    """`metric`."""

    metric: str
    labels: Template
    value: Template
    label_names: tuple[str, ...]

    name: ClassVar[str] = "metric"
    Schema: ClassVar[type[Spec]] = MeasureSpec
    written: ClassVar[frozenset[str]] = frozenset()
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        labels = compiler.template(spec.labels, (*path, "labels"))
        return cls(spec.name, labels, compiler.template(spec.value, (*path, "value")), tuple(spec.labels))

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: it writes no object."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it writes no object that stands in the pack."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """Nothing of the cluster."""
        return ()

    def writes_own(self) -> bool:
        """Return False: it writes no object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it adds to its metric where that adds up; setting a gauge again changes nothing."""
        return f"adds to {self.metric}" if self.metric in counters else ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """Nothing."""
        return ()

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """One measurement."""
        value = self.value.render(scope)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EvaluationError(f"metric {self.metric} needs a number; got {value!r}")
        labels = {
            name: cut(text, LABEL_LIMIT) if isinstance(text, str) else text for name, text in self.labels.render(scope).items()
        }
        return Plan([Measure(self.metric, labels, float(value))])

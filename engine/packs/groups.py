"""Binding what a rule says about groups: what objects contribute, named expressions over a group, and what is urgent of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.actions import Need
from engine.actions.target import Target
from engine.cel import Compiler, Path, Program
from engine.cel.uses import refuse_circles, uses_of_vars, with_vars
from engine.packs.aggregate import Aggregate, AggregateList, AggregateSpec, Urgent, UrgentSpec
from engine.packs.declarations import GROUP_VARIABLES, DeclaredNames
from engine.packs.diagnostics import Diagnostics


class GroupBinder:
    """Binds the `aggregate` of the rule at a path; `names` are those that the rule's expressions over objects may use."""

    def __init__(self, spec: AggregateSpec, names: DeclaredNames, diagnostics: Diagnostics, path: Path) -> None:
        self._spec, self._names, self._diagnostics, self._path = spec, names, diagnostics, path
        self.names = names.having(group=_names(spec), vars=spec.vars)
        """The names that expressions over a group may use."""
        self.variables = GROUP_VARIABLES if spec.target else GROUP_VARIABLES - {"object", "target"}
        """The variables that they may name."""

    def compiler(self) -> Compiler:
        """Return a compiler of expressions over a group."""
        return self._diagnostics.compiler(self.names, self.variables)

    def bind(
        self, vars: Mapping[str, Program], decide: Callable[..., Program], check: Callable[[Sequence[Need], Path], None]
    ) -> Aggregate:
        """Return the aggregate of a rule that has these `vars`.

        `decide` compiles what is evaluated for an object, `check` adds a fault for missing verbs.
        """
        spec, path = self._spec, (*self._path, "aggregate")
        target = None
        if spec.target is not None:
            placing = self._diagnostics.compiler(self._names, GROUP_VARIABLES - {"group", "object", "target", "vars", "lookup"})
            target = Target.compile(spec.target, placing, (*path, "target"))
            check([*target.needs("patch"), *target.listing()], (*path, "target"))
        lists = {
            name: AggregateList(
                decide(each.value, "aggregate", "lists", name, "value"),
                decide(each.where, "aggregate", "lists", name, "where") if each.where else None,
                each.limit,
                each.keep_for,
            )
            for name, each in spec.lists.items()
        }
        by = decide(spec.by, "aggregate", "by")
        parts = {"counts": spec.counts, "sum": spec.sum_, "min": spec.min_, "max": spec.max_}
        found = {
            part: {name: decide(text, "aggregate", part, name) for name, text in texts.items()} for part, texts in parts.items()
        }
        listed = [program for each in lists.values() for program in (each.value, each.where) if program is not None]
        contributed = with_vars([by, *listed, *(program for each in found.values() for program in each.values())], vars)
        reads_now = any("now" in program.variables for program in contributed)
        return Aggregate(
            by, target, found["counts"], lists, found["sum"], found["min"], found["max"], self._vars((*path, "vars")), reads_now
        )

    def urgent(self, spec: UrgentSpec) -> Urgent:
        """Return what does not wait for the rule's throttle."""
        return Urgent(self.compiler().program(spec.when, (*self._path, "throttle", "urgent", "when")), spec.every)

    def _vars(self, path: Path) -> dict[str, Program]:
        compiler = self.compiler()
        bound = {name: compiler.program(text, (*path, name)) for name, text in self._spec.vars.items()}
        refuse_circles("vars", uses_of_vars(bound), bound, compiler, path)
        return bound


def _names(spec: AggregateSpec) -> tuple[str, ...]:
    """Return what expressions may read below `group`."""
    return (*spec.counts, *spec.lists, *(f"{name}LeftOut" for name in spec.lists), *spec.sum_, *spec.min_, *spec.max_)

"""A compiled expression, and the values it is evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.cel.asks import Ask, Field
from engine.cel.budget import MAX_RESULT, Budget, LimitReached, weigh
from engine.cel.inline import Functions
from engine.cel.syntax import Expression, Variable
from engine.errors import EvaluationError
from engine.model.mappings import is_mapping

#: What most values are that have no size.
_SCALARS = frozenset([bool, str, int, float, type(None)])
_UNKNOWN = Expression("", Variable(0, 0, ""), 0)
"""What stands for an expression that does not compile: nothing is known of its value."""


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression.

    `variables` are the scope's variables that it names; `reads` the fields below them that it can see, such as
    `('object', 'status', 'phase')`; `('object',)` where it uses the whole, `[]` for the elements of a list, and `?` where it
    sees no more than whether something is there. `answer` is the backend's evaluation. It is false where one of `asks` is not
    met, and the value of `field` where that is given. `tree` is what is evaluated, with the functions of libraries inlined.
    """

    source: str
    variables: frozenset[str]
    reads: frozenset[tuple[str, ...]]
    answer: Callable[[Scope], Any]
    asks: tuple[Ask, ...] = ()
    field: Field | None = None
    tree: Expression = _UNKNOWN

    def evaluate(self, scope: Scope) -> Any:
        """The value, as plain Python: None, bool, int, float, str, list, dict, datetime (UTC) or timedelta.

        Values of the scope come back as they are, not copied. Raises EvaluationError.
        """
        try:
            if scope.budget.open:
                value = self.answer(scope)
            else:
                with scope.budget:
                    value = self.answer(scope)
            sized = type(value) not in _SCALARS and (type(value) is list or is_mapping(value))
            if sized and weigh(value, MAX_RESULT) > MAX_RESULT:
                raise LimitReached(f"{_short(self.source)}: the result is too large, more than {MAX_RESULT} values")
            return value
        except RecursionError:
            raise EvaluationError(f"{_short(self.source)}: its vars depend on one another too deeply") from None
        except EvaluationError:
            raise
        except Exception as fault:  # whatever a library makes of a value that nobody thought of: there is no answer
            raise EvaluationError(f"{_short(self.source)}: {type(fault).__name__}: {_short(str(fault))}") from fault

    def condition(self, scope: Scope) -> bool:
        """Whether it holds. Raises EvaluationError, also where its value is not a bool."""
        value = self.evaluate(scope)
        if value is True or value is False:
            return value
        raise EvaluationError(f"{_short(self.source)} is not a condition: its value is {_short(repr(value))}, not true or false")


def asked(conditions: Iterable[Program], vars: Mapping[str, Program]) -> Iterator[Ask]:
    """Yield what conditions ask for, all of which have to hold; instead of a var what is asked of other fields by that."""
    return _through((ask for condition in conditions for ask in condition.asks), vars)


def _through(asks: Iterable[Ask], vars: Mapping[str, Program]) -> Iterator[Ask]:
    for ask in asks:
        match ask.field.path:
            case ("vars", name) if name in vars:
                others = {other: program for other, program in vars.items() if other != name}  # one may name itself
                yield from _through(_asks_of_var(ask, vars[name]), others)
            case _:
                yield ask


def _asks_of_var(ask: Ask, var: Program) -> Sequence[Ask]:
    """Return what is asked of other fields by what is asked of a var."""
    if ask.true:
        return var.asks
    if var.field is None or (ask.texts is None and var.field.otherwise != ""):  # without it, there may be no answer
        return ()
    return (Ask(var.field, ask.texts),)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


class Cel(Protocol):
    """What compiles expressions."""

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """Compile an expression that may name these variables. Raises ExpressionError."""
        ...


class Backend(Cel, Protocol):
    """What compiles expressions, and can be given functions that they may call."""

    def linked(self, functions: Functions) -> Backend:
        """What compiles expressions that may call these functions too."""
        ...


class Scope:
    """Values by variable name, which nobody changes any more, and named expressions (`vars`), evaluated once when first needed.

    `now` is the time of the evaluation in seconds of the monotonic clock, which `retry_at` counts in and no expression sees.
    A child adds values. It shares what its parent's vars gave, except for vars that depend on a value it adds.
    """

    __slots__ = ("_added", "_answers", "_parent", "_vars", "budget", "now", "values")

    def __init__(self, values: Mapping[str, Any], vars: Mapping[str, Program] | None = None, now: float = 0.0) -> None:
        self.values = values
        self.now = now
        self._vars: Mapping[str, Program] = vars or {}
        self._answers: dict[str, Any] = {}
        self._parent: Scope | None = None
        self._added: frozenset[str] = frozenset()
        self.budget = Budget()

    def child(self, **values: Any) -> Scope:
        """A scope with these values added, or in the place of values of the same name."""
        scope = Scope({**self.values, **values}, self._vars, self.now)
        scope._parent, scope._added, scope.budget = self, frozenset(values), self.budget
        return scope

    def having(self, vars: Mapping[str, Program]) -> Scope:
        """A scope with other vars; what it has in common with this one, program for program, is evaluated once for both."""
        scope = Scope(self.values, vars, self.now)
        scope._parent = self
        return scope

    def value(self, name: str) -> Any:
        """The value of a variable. Raises EvaluationError where it has none."""
        try:
            return self.values[name]
        except KeyError:
            raise EvaluationError(f"{name} has no value here") from None

    def var(self, name: str) -> Any:
        """The value of `vars.<name>`. Raises EvaluationError where the expression has no answer, or names itself."""
        parent = self._parent
        if parent is not None and parent._vars.get(name) is self._vars.get(name) and not self._changes(name):
            return parent.var(name)
        if name not in self._answers:
            program = self._vars.get(name)
            if program is None:
                raise EvaluationError(f"vars has no field '{name}'")
            self._answers[name] = EvaluationError(f"vars.{name} depends on itself")
            try:
                self._answers[name] = program.evaluate(self)
            except EvaluationError as fault:
                self._answers[name] = type(fault)(f"vars.{name}: {fault}")
        answer = self._answers[name]
        if isinstance(answer, EvaluationError):
            raise type(answer)(*answer.args)
        return answer

    def _changes(self, name: str) -> bool:
        """Whether a var may have another value here than in the parent, because of what this scope adds."""
        return bool(self._added) and bool(self._added & self._depends(name, set()))

    def _depends(self, name: str, seen: set[str]) -> set[str]:
        """The variables that a var depends on, through other vars as well."""
        program = self._vars.get(name)
        if program is None or name in seen:
            return set()
        seen.add(name)
        found = set(program.variables)
        for path in program.reads:
            if path[0] == "vars" and len(path) > 1:
                found |= self._depends(path[1], seen)
        return found

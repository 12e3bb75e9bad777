"""Compiles the expressions and templates of one document and collects every fault in it at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from engine.cel.program import Cel, Program, Scope
from engine.cel.syntax import place
from engine.cel.template import Template, split, text_of, value_of
from engine.errors import EvaluationError, ExpressionError, Fault, Location

#: A place in a YAML document: the keys and indexes that lead to it.
Path = tuple[str | int, ...]
CODE = "expression"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled expression and where it stands: in the scalar at a path, from a line and column (from 1) of its text on."""

    program: Program
    path: Path
    line: int = 1
    column: int = 1


class Compiler:
    """Compiles expressions that may name `variables`; what does not compile becomes one of `faults`.

    `locate(path, line, column)` gives the document's Location of a place inside the scalar at `path`; `vars` are the programs
    of those that the expressions may name.
    """

    def __init__(
        self, cel: Cel, variables: Collection[str], locate: Callable[[Path, int, int], Location],
        vars: Mapping[str, Program] | None = None,
    ) -> None:  # fmt: skip
        self.vars = vars or {}
        self.faults: list[Fault] = []
        self.compiled: list[Compiled] = []
        self._cel = cel
        self._variables = frozenset(variables)
        self._locate = locate

    def fault(self, path: Path, message: str, expected: str = "", code: str = "declaration") -> None:
        """Note a fault of the value at a path."""
        self.faults.append(Fault(self._locate(path, 1, 1), message, expected, code))

    def program(self, text: str, path: Path, extra: Collection[str] = ()) -> Program:
        """The compiled expression at a path, which may name the `extra` variables too; a placeholder where it has a fault."""
        try:
            program = self._cel.compile(text, self._variables | frozenset(extra))
        except ExpressionError as fault:
            self._note(path, fault)
            return _placeholder(text)
        self.compiled.append(Compiled(program, path))
        return program

    def template(self, value: Any, path: Path, extra: Collection[str] = ()) -> Template:
        """The compiled template of the YAML value at a path."""
        programs: list[Program] = []
        write = self._value(value, path, extra, programs)
        return Template(tuple(programs), write)

    def _value(self, value: Any, path: Path, extra: Collection[str], programs: list[Program]) -> Callable[[Scope], Any]:
        match value:
            case str():
                return self._text(value, path, extra, programs)
            case Mapping():
                entries = [
                    (self._text(str(key), (*path, key), extra, programs), self._value(item, (*path, key), extra, programs))
                    for key, item in value.items()
                ]
                return lambda scope: _mapping(entries, scope)
            case list() | tuple():
                items = [self._value(item, (*path, index), extra, programs) for index, item in enumerate(value)]
                return lambda scope: [item(scope) for item in items]
        return lambda scope: value

    def _text(self, text: str, path: Path, extra: Collection[str], programs: list[Program]) -> Callable[[Scope], Any]:
        try:
            parts = split(text)
        except ExpressionError as fault:
            self._note(path, fault)
            return lambda scope: text
        compiled: list[str | Program] = []
        for part in parts:
            compiled.append(self._embedded(text, part.text, part.offset, path, extra) if part.expression else part.text)
        found = [part for part in compiled if isinstance(part, Program)]
        programs.extend(found)
        if not found:
            literal = "".join(part.text for part in parts)
            return lambda scope: literal
        return value_of(found[0]) if len(compiled) == 1 else text_of(compiled)

    def _embedded(self, template: str, text: str, offset: int, path: Path, extra: Collection[str]) -> Program:
        line, column = place(template, offset)
        try:
            program = self._cel.compile(text, self._variables | frozenset(extra))
        except ExpressionError as fault:
            column = fault.column + (column - 1 if fault.line == 1 else 0)
            self._note(path, ExpressionError(fault.message, line + fault.line - 1, column, fault.expected, fault.awaits))
            return _placeholder(text)
        self.compiled.append(Compiled(program, path, line, column))
        return program

    def _note(self, path: Path, fault: ExpressionError) -> None:
        location = self._locate(path, fault.line, fault.column)
        self.faults.append(Fault(location, fault.message, fault.expected, CODE, fault.awaits))


def _mapping(entries: list[tuple[Callable[[Scope], Any], Callable[[Scope], Any]]], scope: Scope) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for write_key, write_value in entries:
        key = write_key(scope)
        if not isinstance(key, str):
            raise EvaluationError(f"a key is {key!r:.80}, not a string")
        if key in result:
            raise EvaluationError(f"the key {key!r:.80} stands twice")
        result[key] = write_value(scope)
    return result


def _placeholder(text: str) -> Program:
    def answer(scope: Scope) -> Any:
        raise EvaluationError("the expression does not compile")

    return Program(text, frozenset(), frozenset(), answer)

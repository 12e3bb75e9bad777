"""Libraries: functions in CEL that rule packs share (`kind: RuleLibrary`), from their texts to what expressions may call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from engine.cel import Backend, Defined, Functions, Path, backend
from engine.cel.checker import Checker
from engine.cel.checker.matching import named
from engine.cel.inline import called
from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS
from engine.cel.parser import parse
from engine.cel.syntax import Expression, place
from engine.cel.types import DYN, SHORT, TYPE_NAMES, Named, short, term
from engine.cel.uses import Uses, circles, in_order
from engine.errors import ExpressionError, Fault, UsageError
from engine.model.text import suggestion
from engine.packs.diagnostics import Diagnostics
from engine.packs.document import Document
from engine.packs.library import TAKEN, FunctionSpec
from engine.packs.library_texts import Library, read
from engine.packs.sources import LibraryObject, Text, load_folder, shipped_rules

CIRCLE, CLASH = "function-circle", "function-clash"
_WORDS = frozenset(["true", "false", "null", "in", "vars", *TYPE_NAMES])
"""What a parameter cannot be called: words that CEL reads as something else, and `vars`, which is no value."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries in force by name, their functions, and every fault of those that were given.

    `given` names those that were in the texts; the others are the shipped ones. Of those `kept`, the last good version is in
    force, since the newest is refused. `warnings` say of those given what may not be meant.
    """

    libraries: Mapping[str, Library] = field(default_factory=dict)
    functions: Functions = field(default_factory=Functions)
    faults: tuple[Fault, ...] = ()
    given: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    warnings: tuple[Fault, ...] = ()

    def changed(self, before: Libraries) -> frozenset[str]:
        """Return the names of libraries of which a function is another one than before, or what is refused or hidden."""
        new, old = self.functions, before.functions
        names = {name for name in new.defined.keys() | old.defined.keys() if new.defined.get(name) != old.defined.get(name)}
        hidden = {name for name in new.hidden.keys() | old.hidden.keys() if new.hidden.get(name) != old.hidden.get(name)}
        return frozenset(name.rpartition(".")[0] for name in names) | hidden | (new.refused ^ old.refused)

    def kept_for(self, library: str) -> Sequence[str]:
        """Return which libraries that are `kept` a library needs: itself, or one that a function of it calls."""
        own = [each for name, each in self.functions.defined.items() if name.startswith(f"{library}.")]
        needed = {library} | {name.rpartition(".")[0] for each in own for name in each.body.functions}
        return sorted(needed & self.kept)


@cache
def shipped_libraries() -> Libraries:
    """Return the libraries that come with the engine, in rules/lib."""
    folder = shipped_rules() / "lib"
    return read_libraries(load_folder([folder]), backend(), Libraries()) if folder.is_dir() else Libraries()


def read_libraries(
    written: Iterable[Text | LibraryObject],
    cel: Backend,
    below: Libraries | None = None,
    last: Mapping[str, Library] | None = None,
) -> Libraries:
    """Return the libraries that are written there, together with those `below` them (the shipped ones) that have no such name.

    Of several of one name the first counts, also where it has faults. In the place of one that has faults there is its `last`
    good version, or none: another one of that name may allow more.
    """
    faults: list[Fault] = []
    below = shipped_libraries() if below is None else below
    found = read(written, faults)
    hidden = {name: each for name, each in below.functions.hidden.items() if name not in found.origins}
    hidden |= found.hidden(below.libraries)
    libraries = {**below.libraries, **found.given}
    good = {name: each for name, each in (last or {}).items() if _same(each.origin, found.origins.get(name))}
    wrong = found.origins.keys() - found.given.keys()
    refused, kept = set(below.functions.refused) - found.given.keys(), set[str]()
    while True:
        for name in wrong:
            libraries.pop(name, None)
            kept.discard(name)
            if name in good:
                libraries[name] = good.pop(name)
                kept.add(name)
            else:
                refused.add(name)
        functions, wrong = _defined(libraries, cel, Functions({}, frozenset(refused), hidden), faults)
        if not wrong:
            names, warnings = frozenset(found.given) | refused, tuple(found.replacing(below.libraries))
            return Libraries(libraries, functions, tuple(dict.fromkeys(faults)), names, frozenset(kept), warnings)


def _same(one: Text | LibraryObject, other: Text | LibraryObject | None) -> bool:
    """Return whether both are versions of the same text or object, which is another one where it was deleted in between."""
    return other is not None and (one.file, getattr(one, "uid", "")) == (other.file, getattr(other, "uid", ""))


def _defined(libraries: Mapping[str, Library], cel: Backend, known: Functions, faults: list[Fault]) -> tuple[Functions, set[str]]:
    """Return the functions of libraries, and the names of those libraries that have faults, which are added.

    `known` has what is known of libraries that are refused or hidden.
    """
    owners = {name: library for library in libraries.values() for name in library.functions}
    uses = {name: [used for used in _uses(library.functions[name]) if used in owners] for name, library in owners.items()}
    wrong = {library.name for library in libraries.values() if _clashes(library, faults)}
    endless = _in_circles(uses, owners, faults)
    wrong |= {owners[name].name for name in endless}
    defined: dict[str, Defined] = {}
    for name in in_order(uses):
        library = owners[name]
        if name in endless or any(used not in defined for used in uses[name]):
            continue  # reported where the fault is, or once the library that it needs is refused
        function, own = _function(name, library, cel.linked(replace(known, defined=defined)))
        faults += own
        if function is not None:
            defined[name] = function
        else:
            wrong.add(library.name)
    return replace(known, defined=defined), wrong


def _uses(spec: FunctionSpec) -> list[str]:
    """Return the whole names of the functions that a function calls, whether there are such or not."""
    try:
        tree = parse(spec.expression)
    except ExpressionError:  # reported where it is compiled
        return []
    parameters = [each.name for each in spec.parameters]
    return sorted({name for node in tree.root.walk() if (name := called(node, parameters))})


def _in_circles(uses: Uses, owners: Mapping[str, Library], faults: list[Fault]) -> set[str]:
    """Add a fault for each circle; return the functions in circles."""
    found = set[str]()
    for circle in circles(uses):
        library = owners[circle[0]]
        location = library.document.locate((*_path(circle[0]), "expression"))
        message = f"functions go round in a circle: {' -> '.join(circle)}"
        faults.append(Fault(location, message, "one that does not call itself", CIRCLE))
        found.update(circle)
    return found


def _clashes(library: Library, faults: list[Fault]) -> bool:
    """Add a fault for each name that means something else already; return whether there is one."""
    found = []
    if library.name in TAKEN:
        message = f"{library.name!r} is a name of CEL, or a variable of rules"
        found.append(Fault(library.document.locate(("metadata", "name")), message, "another name", CLASH))
    for name in library.spec.spec.functions:
        if name in FUNCTIONS or name in MACROS:
            message = f"{name}() is a function of rule expressions already"
            location = library.document.locate_key(("spec", "functions", name))
            found.append(Fault(location, message, "another name, so that nobody takes one for the other", CLASH))
    faults += found
    return bool(found)


def _function(name: str, library: Library, cel: Backend) -> tuple[Defined | None, list[Fault]]:
    """Return a function, None where it has faults, and these."""
    spec, path, diagnostics = library.functions[name], _path(name), Diagnostics(library.document)
    parameters = [each.name for each in spec.parameters]
    diagnostics.unique(parameters, "parameter", (*path, "parameters"), ("name",))
    for index, each in enumerate(parameters):
        if each in _WORDS:
            message = f"{each!r} is a word of the language itself"
            diagnostics.fault((*path, "parameters", index, "name"), message, "another name")
    types = [_type(each.type, diagnostics, (*path, "parameters", index, "type")) for index, each in enumerate(spec.parameters)]
    result = _type(spec.returns, diagnostics, (*path, "returns"))
    program = diagnostics.compiler(cel, parameters).program(spec.expression, (*path, "expression"))
    faults = diagnostics.faults
    if not faults:
        faults = _type_faults(program.tree, dict(zip(parameters, types, strict=True)), result, library.document, path)
    declared = tuple(zip(parameters, types, strict=True))
    return None if faults else Defined(name, declared, program.tree, result), faults


def _type(text: str, diagnostics: Diagnostics, path: Path) -> Named:
    try:
        return term(text)
    except UsageError:
        diagnostics.fault(path, f"{text!r} is no type of CEL", suggestion(text, SHORT))
        return DYN


def _type_faults(tree: Expression, types: Mapping[str, Named], result: Named, document: Document, path: Path) -> list[Fault]:
    """Return what does not fit the declared types in an expression, and its value where that is of another type."""
    checker = Checker(tree, types)
    kind = named(checker.type_of(tree.root))
    here = (*path, "expression")
    faults = [
        Fault(document.locate(here, *place(tree.source, each.offset)), each.message, each.expected, "wrong-type")
        for each in checker.faults
    ]
    if not faults and kind is not None and DYN not in (kind, result) and kind.name != result.name:
        message = f"its value is of type {short(kind)}"
        faults.append(Fault(document.locate((*path, "returns")), message, f"returns: {short(kind)}", "wrong-type"))
    return faults


def _path(name: str) -> tuple[Any, ...]:
    """Return where a function stands in its library, by its whole name."""
    return ("spec", "functions", name.rpartition(".")[2])

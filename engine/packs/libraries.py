"""Libraries: functions in CEL that rule packs share (`kind: RuleLibrary`), from their texts to what expressions may call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from pydantic import ValidationError

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
from engine.errors import ExpressionError, Fault, InvalidText, Location, UsageError
from engine.model.objects import dig
from engine.model.text import suggestion
from engine.packs.configmaps import documents_within
from engine.packs.diagnostics import Diagnostics, spec_faults
from engine.packs.document import Document, ObjectDocument
from engine.packs.fields import RESERVED
from engine.packs.library import KIND, FunctionSpec, RuleLibrarySpec
from engine.packs.manifests import objects_in
from engine.packs.schema import API_VERSION
from engine.packs.sources import LibraryObject, Text, load_folder, shipped_rules
from engine.packs.yamltext import read_yaml

CIRCLE, CLASH = "function-circle", "function-clash"
_NAMESPACES = frozenset(name.rpartition(".")[0] for name in (*FUNCTIONS, *MACROS) if name[0].isalpha() and "." in name)
_WORDS = frozenset(["true", "false", "null", "in", "vars", *TYPE_NAMES])
"""What a parameter cannot be called: words that CEL reads as something else, and `vars`, which is no value."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library as it was written, and where. `origin` is the text or the object that holds it."""

    spec: RuleLibrarySpec
    document: Document
    origin: Text | LibraryObject

    @property
    def name(self) -> str:
        """Its name, which stands before each of its functions."""
        return self.spec.metadata.name

    @property
    def functions(self) -> Mapping[str, FunctionSpec]:
        """Its functions by their whole names."""
        return {f"{self.name}.{name}": spec for name, spec in self.spec.spec.functions.items()}


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries in force by name, their functions, and every fault of those that were given.

    `given` names those that were in the texts; the others are the shipped ones.
    """

    libraries: Mapping[str, Library] = field(default_factory=dict)
    functions: Functions = field(default_factory=Functions)
    faults: tuple[Fault, ...] = ()
    given: frozenset[str] = frozenset()

    def changed(self, before: Libraries) -> frozenset[str]:
        """Return the names of libraries of which a function is another one than before, or that are refused now, or were."""
        new, old = self.functions, before.functions
        names = {name for name in new.defined.keys() | old.defined.keys() if new.defined.get(name) != old.defined.get(name)}
        return frozenset(name.rpartition(".")[0] for name in names) | (new.refused ^ old.refused)


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
    given, origins = _read(written, faults)
    libraries = {**below.libraries, **given}
    good = {name: each for name, each in (last or {}).items() if name in origins and _same(each.origin, origins[name])}
    wrong = origins.keys() - given.keys()
    refused = set(below.functions.refused) - given.keys()
    while True:
        for name in wrong:
            libraries.pop(name, None)
            if name in good:
                libraries[name] = good.pop(name)
            else:
                refused.add(name)
        defined, wrong = _defined(libraries, cel, frozenset(refused), faults)
        if not wrong:
            names = frozenset(given) | refused
            return Libraries(libraries, Functions(defined, frozenset(refused)), tuple(dict.fromkeys(faults)), names)


def _same(one: Text | LibraryObject, other: Text | LibraryObject) -> bool:
    """Return whether both are versions of the same text or object, which is another one where it was deleted in between."""
    return (one.file, getattr(one, "uid", "")) == (other.file, getattr(other, "uid", ""))


def _read(
    written: Iterable[Text | LibraryObject], faults: list[Fault]
) -> tuple[dict[str, Library], dict[str, Text | LibraryObject]]:
    """Return by name the libraries that are as the schema has it, and what holds each library, with faults or without."""
    found: dict[str, Library] = {}
    origins: dict[str, Text | LibraryObject] = {}
    for origin in written:
        for document in _documents(origin, faults):
            name = str(dig(document.value, ("metadata", "name"), ""))
            first = origins.get(name)
            origins.setdefault(name, origin)
            try:
                spec = RuleLibrarySpec.model_validate(document.value)
            except ValidationError as error:
                faults += spec_faults(error, RuleLibrarySpec, document.value, document)
                continue
            if first is None:
                found[name] = Library(spec, document, origin)
            else:
                message = f"library {name!r} is also in {first.file}, which has it"
                faults.append(Fault(document.locate(("metadata", "name")), message, "another name"))
    return found, origins


def _documents(origin: Text | LibraryObject, faults: list[Fault]) -> Iterator[Document]:
    """Yield the libraries in a text, or the one that an object is; what is wrong with YAML is reported once."""
    if isinstance(origin, LibraryObject):
        written = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": origin.name}, "spec": dict(origin.spec)}
        yield ObjectDocument({**origin.beside, **written}, origin.file)
        return
    if KIND not in origin.text:
        return
    try:
        documents = read_yaml(origin.text, partial(Location, origin.file))
        if origin.source == origin.file:  # a file, which may hold what kubectl writes; the data of a ConfigMap never does
            documents = [document for each in documents for document in objects_in(each)]
        for document in documents:
            inside: Iterable[Document] = [document]
            if isinstance(document.value, dict) and document.value.get("kind") == "ConfigMap":
                inside = documents_within(document, document.value, [])
            yield from (each for each in inside if isinstance(each.value, dict) and each.value.get("kind") == KIND)
    except InvalidText as invalid:
        faults += invalid.faults


def _defined(
    libraries: Mapping[str, Library], cel: Backend, refused: frozenset[str], faults: list[Fault]
) -> tuple[dict[str, Defined], set[str]]:
    """Return the functions of libraries, and the names of those libraries that have faults, which are added."""
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
        function, own = _function(name, library, cel.linked(Functions(defined, refused)))
        faults += own
        if function is not None:
            defined[name] = function
        else:
            wrong.add(library.name)
    return defined, wrong


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
    if library.name in _NAMESPACES or library.name in RESERVED or library.name in TYPE_NAMES:
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

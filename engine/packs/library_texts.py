"""Libraries as they are written in texts and in objects of kind RuleLibrary, and which of several of one name counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from pydantic import ValidationError

from engine.cel.inline import Hiding
from engine.errors import Fault, InvalidText, Location
from engine.model.objects import dig
from engine.packs.configmaps import documents_within
from engine.packs.diagnostics import spec_faults
from engine.packs.document import Document, ObjectDocument
from engine.packs.library import KIND, FunctionSpec, RuleLibrarySpec
from engine.packs.manifests import objects_in, same
from engine.packs.schema import API_VERSION
from engine.packs.sources import LibraryObject, Text
from engine.packs.yamltext import read_yaml


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
class Written:
    """The libraries that are written somewhere, by name.

    `given` are those that count and are as the schema has it, `origins` say where each is that counts, with faults or without.
    `losers` have where the others are, and the names of their functions.
    """

    given: dict[str, Library] = field(default_factory=dict)
    origins: dict[str, Text | LibraryObject] = field(default_factory=dict)
    losers: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)

    def hidden(self, below: Mapping[str, Library]) -> Iterator[tuple[str, Hiding]]:
        """Yield by name what the library that counts keeps from being called: another one written there, or one `below`."""
        for name, origin in self.origins.items():
            others = dict(self.losers.get(name, {}))
            shipped = below.get(name)
            if shipped is not None and (name not in self.given or self.given[name].functions != shipped.functions):
                others["the shipped one"] = frozenset(shipped.spec.spec.functions)
            if others:
                yield name, Hiding(origin.file, others)

    def replacing(self, below: Mapping[str, Library]) -> Iterator[Fault]:
        """Yield a warning for each library that is another one than that of its name `below`."""
        for name, library in self.given.items():
            shipped = below.get(name)
            if shipped is not None and library.functions != shipped.functions:
                lacking = sorted(shipped.functions.keys() - library.functions.keys())
                message = f"it hides the shipped library {name!r}, also from shipped packs"
                message += f", and has no {', '.join(lacking)}" if lacking else ""
                yield Fault(library.document.locate(("metadata", "name")), message, "another name, unless it is to replace that")


def read(written: Iterable[Text | LibraryObject], faults: list[Fault]) -> Written:
    """Return the libraries that are written there; of several of one name the first counts. Add what is wrong with them."""
    found, namespaces = Written(), dict[str, str]()
    for origin in written:
        for document in _documents(origin, faults):
            name = str(dig(document.value, ("metadata", "name"), ""))
            namespace = getattr(document, "namespace", "")
            first = found.origins.get(name)
            elsewhere = first is not None and not same(namespaces[name], namespace)
            namespaces.setdefault(name, namespace)
            found.origins.setdefault(name, origin)
            try:
                spec = RuleLibrarySpec.model_validate(document.value)
            except ValidationError as error:
                faults += spec_faults(error, RuleLibrarySpec, document.value, document)
                continue
            if first is None:
                found.given[name] = Library(spec, document, origin)
            elif not elsewhere:
                message = f"library {name!r} is also in {first.file}, which has it"
                faults.append(Fault(document.locate(("metadata", "name")), message, "another name"))
                if origin is not first:
                    found.losers.setdefault(name, {})[origin.file] = frozenset(spec.spec.functions)
    return found


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

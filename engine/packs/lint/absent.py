"""The check of labels and annotations that an object may lack, of which conditions have no answer then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.actions import ACTIONS
from engine.cel import Compiled, Path
from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, Has, Literal, Local, Node, Select, Variable, after_not, field_path
from engine.errors import ExpressionError, Fault
from engine.model.labels import PARTS
from engine.model.objects import Kind
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.lint.constants import answer_of
from engine.packs.lint.scope import is_condition
from engine.packs.parse import ParsedPack

_ASKING = frozenset(["get", "label", "annotation", "_?._", "_[?_]"])
"""Functions and operators that have an answer where there is nothing."""
_CHOOSING = frozenset(["_?_:_", "_&&_", "_||_", "_in_"])
"""Operators by which an expression may keep off what has no answer."""
_LABELLED = frozenset(["Namespace", "Node"])
"""Kinds of which each object has labels: kube-apiserver gives a Namespace one, and a kubelet its Node."""


_Key = tuple[str, str, str]
"""Of which object, which of both, and the text of the key; '' for the mapping itself."""


class AbsentLabel(Check):
    """A condition that is meant to be true of objects without a label or an annotation has no answer, or a written text has none.

    Such as `object.metadata.labels['tier'] != 'db'` or `!('keep' in object.metadata.labels)`: of an object without that label, or
    without any, both are Unknown, and the rule does not fire. Write `label(object, 'tier') != 'db'`, which takes `''` for an
    absent label, or `!('keep' in get(object, 'metadata.labels', {}))`; of watched objects `labelSelector: '!keep'` says the
    same. What asks first is left alone, such as `has(object.metadata.labels) &&` or `?.`, and so is what would be false without
    the label anyway. A text such as `${object.metadata.labels['team']}` has no answer without the label, and the action fails.
    """

    name = "absent-label"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each comparison of each condition that has no answer where it would hold."""
        for parsed in subject.packs:
            defaults = {name: param.default for name, param in parsed.pack.params.items() if param.default is not None}
            for expression in parsed.expressions:
                if not is_condition(expression):
                    yield from self._written(parsed, expression)
                    continue
                tree = parse(expression.program.source)
                known = _known(parsed, expression, defaults)
                for part, reads in _Walk(tree, defaults, known).found(tree.root, True, {}):
                    location = location_of(parsed, expression, part.start)
                    what = "annotation" if reads[0].part == "annotations" else "label"
                    message = f"{tree.text(part)} has no answer for an object without the {what}"
                    expected = replaced(tree, part, {read.node: read.asking for read in reads})
                    expected = after_not(tree.source, part.start, expected) if isinstance(part, Has) else expected
                    yield self.fault(location, message, expected)

    def _written(self, parsed: ParsedPack, expression: Compiled) -> Iterator[Fault]:
        """Yield a fault for each label or annotation in what is written; an expression that asks for anything is left alone."""
        if not is_written(expression.path):
            return
        tree = parse(expression.program.source)
        if any(isinstance(node, Has | Comprehension) or getattr(node, "name", "") in _CHOOSING for node in tree.root.walk()):
            return
        reads = list(_reads(tree, tree.root, {}))
        known = _known(parsed, expression, {}) if reads else _Known()
        for read in reads:
            if read.key and not known.covers(read):
                what = read.part.removesuffix("s")
                message = f"{tree.text(read.node)} has no answer for an object without the {what}, and the action fails"
                yield self.fault(location_of(parsed, expression, read.node.start), message, read.asking)


def is_written(path: Path) -> bool:
    """Return whether an expression at a path becomes part of what an action writes."""
    match path:
        case ("spec", "rules", _, "actions" | "rescue", _, str(action), str(part), *_) if action in ACTIONS:
            return part in ACTIONS[action].written
    return False


class _Read(NamedTuple):
    """What reads labels or annotations of an object: which object, which of both, the text of the key; '' for all of them."""

    node: Node
    object: str
    text: str
    part: str
    key: str

    @property
    def empty(self) -> str:
        """What it is where there is nothing."""
        return "false" if isinstance(self.node, Has) else "''" if self.key else "{}"

    @property
    def asking(self) -> str:
        """What to write instead."""
        every = f"get({self.text}, 'metadata.{self.part}', {{}})"
        if isinstance(self.node, Has):
            return f"{self.key} in {every}"
        return f"{self.part.removesuffix('s')}({self.text}, {self.key})" if self.key else every


@dataclass(slots=True)
class _Known:
    """What is `there` whenever a condition matters, and of which object which of both is `asked` for."""

    there: set[_Key] = field(default_factory=set)
    asked: set[_Key] = field(default_factory=set)

    def covers(self, read: _Read) -> bool:
        """Return whether a read always has an answer, or something else sees to it that it is not needed."""
        asked = any(root in (read.object, read.text) and part == read.part and (key in ("", read.key) or not read.key)
                    for root, part, key in self.asked)  # fmt: skip
        return asked or (read.object, read.part, read.key) in self.there


@dataclass(frozen=True, slots=True)
class _Walk:
    """Finds parts of a condition by whether they are meant where they are true, where they are false, or (None) always."""

    tree: Expression
    defaults: Mapping[str, Any]
    known: _Known

    def found(self, node: Node, sense: bool | None, bound: Mapping[int, str]) -> Iterator[tuple[Node, list[_Read]]]:
        """Yield each part that has no answer where it is meant, with what it reads; `bound` has the objects of variables."""
        match node:
            case Call(name="_&&_" | "_||_", arguments=parts):
                for part in parts:
                    yield from self.found(part, sense, bound)
            case Call(name="!_", arguments=(part,)):
                yield from self.found(part, None if sense is None else not sense, bound)
            case Comprehension(domain=domain, body=body, macro=macro):
                yield from self.found(domain, None, bound)
                path = field_path(domain)
                item = node.slot if node.second is None else node.second
                inner = {**bound, item: ".".join((*path, "[]"))} if path[:1] == ("lookup",) else bound
                yield from self.found(body, sense if macro in ("all", "exists") else None, inner)
            case _:
                yield from self._part(node, sense, bound)

    def _part(self, node: Node, sense: bool | None, bound: Mapping[int, str]) -> Iterator[tuple[Node, list[_Read]]]:
        if any(isinstance(each, Literal) and each.value is None for each in node.children):
            return  # a label is never null, which is a fault of its own
        for child in node.children:
            if any(isinstance(each, Comprehension) for each in child.walk()):
                yield from self.found(child, None, bound)
        reads = [read for read in _reads(self.tree, node, bound) if not self.known.covers(read)]
        if sense is None:  # of a list, one item without an answer is enough for none of the whole
            reads = [read for read in reads if read.object.endswith("[]")]
            if reads:
                yield node, reads
        elif reads and self.without(node, reads) is sense:
            yield node, reads

    def without(self, node: Node, reads: list[_Read]) -> Any:
        """Return what a part comes to where there is nothing of what it reads; None where that depends on something else."""
        return answer_of(replaced(self.tree, node, {read.node: read.empty for read in reads}), self.defaults)


def _reads(tree: Expression, node: Node, bound: Mapping[int, str]) -> Iterator[_Read]:
    """Yield what a node reads of labels and annotations directly, but for what asks whether there is something."""
    match node:
        case Call(name=name) if name in _ASKING:
            return
        case Has(operand=operand, field=key) | Select(operand=operand, field=key) if found := _mapping(tree, operand, bound):
            yield _Read(node, *found, f"'{key}'")
        case Call(name="_[_]", arguments=(operand, key)) if found := _mapping(tree, operand, bound):
            yield _Read(node, *found, tree.text(key))
        case Comprehension():
            return
        case _:
            if found := _mapping(tree, node, bound):
                yield _Read(node, *found, "")
            for child in () if found else node.children:
                yield from _reads(tree, child, bound)


def _mapping(tree: Expression, node: Node, bound: Mapping[int, str]) -> tuple[str, str, str] | None:
    """Return of which object a node is the labels or annotations, that object's text, and which of both; None for others."""
    match node:
        case Select(operand=Select(operand=owner, field="metadata"), field="labels" | "annotations" as part):
            name = bound.get(owner.slot, "") if isinstance(owner, Local) else ".".join(field_path(owner))
            if name in ("object", "target") or name.startswith("lookup."):
                return name, tree.text(owner), part
    return None


def replaced(tree: Expression, node: Node, texts: Mapping[Node, str]) -> str:
    """Return the source of a node with other texts for some nodes in it."""
    source, end = tree.source, node.end
    for each in sorted(texts, key=lambda each: -each.start):
        source = source[: each.start] + texts[each] + source[each.end :]
        end += len(texts[each]) - (each.end - each.start)
    return " ".join(source[node.start : end].split())


def _known(parsed: ParsedPack, expression: Compiled, defaults: Mapping[str, Any]) -> _Known:
    """Return what the selectors and the conditions of a rule see to."""
    known, path = _Known(), expression.path
    if path[:2] != ("spec", "rules"):
        return known
    rule, raw = parsed.pack.rules[int(path[2])], raw_rules(parsed)[int(path[2])]
    known.there |= selected_labels(parsed, int(path[2]))
    entry = raw[path[3]][int(path[4])].get("when") if path[3] in ("actions", "rescue") else None
    conditions = [*(clause.source for clause in rule.when), entry, expression.program.source]
    for tree in filter(None, map(_parsed, conditions)):
        walk = _Walk(tree, defaults, _Known())
        for node in tree.root.walk():
            known.asked |= set(_asked(tree, node))
        for part in _conjuncts(tree.root):
            reads = list(_reads(tree, part, {}))
            if reads and walk.without(part, reads) is False:
                known.there |= {(read.object, read.part, key) for read in reads for key in ("", read.key, _key_in(part))}
    return known


def selected_labels(parsed: ParsedPack, index: int) -> set[_Key]:
    """Return which labels the watched objects of a rule have, and those that it looks up."""
    rule, raw = parsed.pack.rules[index], raw_rules(parsed)[index]
    watches = [parsed.pack.watches[kind] for kind in parsed.pack.kinds(rule)]
    selected = [set(_selected("object", watch.selection.labels, watch.kind)) for watch in watches]
    found = set.intersection(*selected) if selected else set()
    for name, lookup in rule.lookups.items():
        selector = raw["lookup"][name].get("labelSelector")
        for root in (f"lookup.{name}", f"lookup.{name}.[]"):
            found |= set(_selected(root, selector, lookup.kind))
    return found


def _selected(root: str, selector: Any, kind: Kind | None) -> Iterator[_Key]:
    """Yield which labels objects of a kind have that a selector selects."""
    keys = list(_selected_keys(selector))
    if keys or (kind is not None and kind.kind in _LABELLED):
        yield root, "labels", ""
    yield from ((root, "labels", f"'{key}'") for key in keys)


def _selected_keys(selector: Any) -> Iterator[str]:
    """Yield the labels that a selector of any form asks for; of what it selects away, nothing."""
    if isinstance(selector, str):
        for part in re.sub(r"\([^()]*\)", "()", selector).split(","):
            if match := re.match(r"\s*([\w./-]+)\s*(?:==?[^=]|in\b|$)", part):
                yield match[1]
    elif isinstance(selector, Mapping) and selector.keys() <= PARTS:
        yield from selector.get("matchLabels") or ()
        yield from (each["key"] for each in selector.get("matchExpressions") or () if each["operator"] in ("In", "Exists"))
    elif isinstance(selector, Mapping):
        yield from selector


def _asked(tree: Expression, node: Node) -> Iterator[_Key]:
    """Yield of which object a node asks whether it has labels or annotations, and for which key."""
    match node:
        case Has(operand=Select(operand=owner, field="metadata"), field="labels" | "annotations" as part):
            yield tree.text(owner), part, ""
        case Call(name="label" | "annotation" as name, arguments=(owner, key)):
            yield tree.text(owner), f"{name}s", f"'{key.value}'" if isinstance(key, Literal) else ""
        case Call(name=name, arguments=(owner, *rest)) if name in _ASKING:
            text = tree.text(node)
            root = next((each.name for each in owner.walk() if isinstance(each, Variable)), "")
            yield from ((root, part, "") for part in ("labels", "annotations") if part in text and rest)


def _conjuncts(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.name == "_&&_":
        for part in node.arguments:
            yield from _conjuncts(part)
    else:
        yield node


def _key_in(node: Node) -> str:
    """Return the key that `'key' in labels` asks for."""
    match node:
        case Call(name="_in_", arguments=(Literal(value=str()) as key, _)):
            return f"'{key.value}'"
    return ""


def _parsed(source: Any) -> Expression | None:
    try:
        return parse(source) if isinstance(source, str) else None
    except ExpressionError:  # a fault of its own
        return None

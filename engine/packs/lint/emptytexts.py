"""The check of names and the like that are made of a label or an annotation, and are none where the object lacks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.actions.event import REASON
from engine.cel import Path
from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, Has, Literal, Node, Select, field_path
from engine.cel.template import split
from engine.errors import EvaluationError, ExpressionError, Fault
from engine.model.names import bad_label, subdomain
from engine.packs.lint.absent import replaced, selected_labels
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.lint.constants import answer_of
from engine.packs.parse import ParsedPack
from engine.packs.strings import texts

_ASKS = {"label": "labels", "annotation": "annotations"}
_CONVERTING = frozenset(["int", "uint", "double", "duration", "timestamp", "quantity", "semver", "bool", "ip", "url", "cidr"])
_CHOOSING = frozenset(["_?_:_", "_&&_", "_||_", "_in_"])
_OBJECTS = frozenset(["target", "regarding", "metadata"])
_NAMED = re.compile(r"\b(vars|lookup)\.(\w+)")
_SOME = "a"
_SOME_REASON = "A"
"""What stands for a value that is there."""


class EmptyText(Check):
    """A name, a reason or the value of a label is made of a label or an annotation that an object may lack, and then is none.

    `label` and `annotation` give `''` where there is nothing. In a message or an annotation that is fine, but no target has the
    name `''`, no label the value `web-`, and `int('')` has no answer: the action fails for each such object, also where a var
    stands for the label or the annotation. Give the rule or the action a condition, such as
    `when: annotation(object, 'example.com/target') != ''`.
    """

    name = "empty-text"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such text of an action; where a condition or a selector asks for the key, none."""
        for parsed in subject.packs:
            for index, raw in enumerate(raw_rules(parsed)):
                for part in ("actions", "rescue"):
                    for number, entry in enumerate(raw.get(part) or ()):
                        asked = _Asked(parsed, index, entry)
                        for path, text in texts(entry, ("spec", "rules", index, part, number)):
                            if path[5:6] != ("when",) and (call := _failing(path, text, asked)):
                                message = f"{text} is no {_place(path)} for an object where {call} is ''"
                                yield self.fault(
                                    parsed.document.locate(path), message, f"a condition of the action, when: {call} != ''"
                                )


class _Asked:
    """What the conditions of an action, of its rule and of its pack ask for: a label or annotation that they name is known."""

    def __init__(self, parsed: ParsedPack, index: int, entry: Mapping[str, Any]) -> None:
        rule, raw = parsed.pack.rules[index], raw_rules(parsed)[index]
        self.vars = {name: program.source for name, program in {**parsed.pack.vars, **rule.vars}.items()}
        self._labels = selected_labels(parsed, index)
        when = entry.get("when")
        self._sources = [program.source for program in (*rule.when, *([rule.loop] if rule.loop else []))]
        self._sources += [when] if isinstance(when, str) else []
        named = {("vars", name): source for name, source in self.vars.items()}
        named |= {("lookup", name): json.dumps(lookup) for name, lookup in (raw.get("lookup") or {}).items()}
        for source in self._sources:  # grows: what a condition asks for by way of vars, and of lookups
            for found in _NAMED.findall(source):
                if found in named:
                    self._sources.append(named.pop(found))

    def __contains__(self, call: tuple[str, str, str]) -> bool:
        function, root, key = call
        return any(key in source for source in self._sources) or (
            function == "label" and (root, "labels", f"'{key}'") in self._labels
        )


def _failing(path: Path, text: str, asked: _Asked) -> str:
    """Return the call that makes a text fail where there is nothing, as it is written; '' where none does."""
    try:
        parts = [(part.text, _with_vars(part.text, asked.vars) if part.expression else None) for part in split(text)]
    except ExpressionError:  # a fault of its own
        return ""
    calls = [(tree, node) for _, tree in parts if tree is not None for node in _calls(tree)]
    call = next((tree.text(node) for tree, node in calls if _key(node) not in asked), "")
    if not call:
        return ""
    if any(tree is not None and _converted(tree) for _, tree in parts):
        return call
    place = _place(path)
    some, valid = _SOME_REASON if place == "reason" else _SOME, _VALID.get(place)
    given, lacking = ("".join(_written(tree, text, some, value) for text, tree in parts) for value in (some, ""))
    return call if valid and valid(given) and not valid(lacking) else ""


def _with_vars(text: str, vars: Mapping[str, str]) -> Expression:
    """Parse an expression with labels and annotations in place of the vars that stand for them."""
    tree = parse(text)
    named = [node for node in tree.root.walk() if isinstance(node, Select) and field_path(node) == ("vars", node.field)]
    calls: dict[Node, str] = {node: vars[node.field] for node in named if _is_call(parse(vars.get(node.field, "''")).root)}
    return parse(replaced(tree, tree.root, calls)) if calls else tree


def _written(tree: Expression | None, text: str, some: str, value: str) -> str:
    """Return a part of a text where labels and annotations have a value, and other expressions some."""
    if tree is None:
        return text
    return value if _is_call(tree.root) else some


def _calls(tree: Expression) -> Iterator[Call]:
    """Yield each label or annotation that an expression reads, unless it may choose another value where there is none."""
    nodes = list(tree.root.walk())
    if not any(isinstance(node, Has | Comprehension) or getattr(node, "name", "") in _CHOOSING for node in nodes):
        yield from (node for node in nodes if isinstance(node, Call) and _is_call(node))


def _is_call(node: Node) -> bool:
    match node:
        case Call(name=name, arguments=(_, Literal(value=str()))):
            return name in _ASKS and not node.method
    return False


def _key(node: Call) -> tuple[str, str, str]:
    key = node.arguments[1]
    return node.name, getattr(node.arguments[0], "name", ""), str(key.value) if isinstance(key, Literal) else ""


def _converted(tree: Expression) -> bool:
    """Return whether an expression has no answer where a label or an annotation is ''."""
    for node in tree.root.walk():
        match node:
            case Call(name=name, arguments=(Call() as inner,)) if name in _CONVERTING and _is_call(inner):
                return isinstance(answer_of(replaced(tree, node, {inner: "''"}), {}), EvaluationError)
    return False


def _place(path: Path) -> str:
    """Return what a text of an action is: a name, a reason, the value of a label; else a value."""
    above: Sequence[Any] = path[5:-1]
    if path[-1:] == ("name",) and above and above[-1] in _OBJECTS and path[5:7] != ("patch", "patch"):
        return "name"
    if path[5:] == ("emitEvent", "reason"):
        return "reason"
    labels = above[-1:] == ("labels",) and (len(above) <= 2 or above[-2:-1] == ("metadata",))
    return "value of a label" if labels else "value"


_VALID: Mapping[str, Callable[[str], Any]] = {
    "name": subdomain, "reason": REASON.match, "value of a label": lambda text: not bad_label("a", text),
}  # fmt: skip

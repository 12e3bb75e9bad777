"""From a YAML text to its documents.

Composing works on the parser's events rather than on its nodes, so that depth, size and aliases are bounded while the text
is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from engine.errors import Fault, InvalidText
from engine.model.text import cut, found, shown
from engine.packs.document import Locate, Node, Positions, YamlDocument
from engine.packs.quotes import corrected, in_quotes, with_quotes
from engine.packs.scalars import plain_value
from engine.packs.yaml_words import SYNTAX

MAX_FAULTS = 100
CODE = "yaml"

#: libyaml's parser where PyYAML was built with it: the same marks, twenty times as fast as the pure one.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufeff\uff00-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2, 5.1
_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_TAG_OF_TYPE = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null", dict: "map", list: "seq"}

_CONFLICT = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
#: What ends a line: those that libyaml counts.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_OTHER_QUOTES = {"'": "double", '"': "single"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a text may hold: bytes, values, levels and aliases, which written out must not need more than `size` characters."""

    size: int = 1024 * 1024
    nodes: int = 25_000
    depth: int = 64
    aliases: int = 500


PACK_BOUNDS = Bounds()


def read_yaml(text: str, locate: Locate, bounds: Bounds = PACK_BOUNDS) -> list[YamlDocument]:
    """Return the documents of a text, empty ones left out; `locate` gives the Location of a line and column of the text.

    Raise InvalidText with every fault at once (of the syntax, the first one; of a text with very many, the first hundred).
    """
    text = text.removeprefix("\ufeff")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > bounds.size:
        raise InvalidText([Fault(locate(1, 1), f"the text has {size} bytes", f"at most {bounds.size}", CODE)])
    positions = Positions(text, locate)
    if bad := _NOT_YAML.search(text):
        where = positions.of_offset(bad.start())
        raise InvalidText([Fault(where, f"the character U+{ord(bad[0]):04X} cannot stand in YAML", "text in UTF-8", CODE)])
    return _Composer(text, positions, bounds).compose()


class _Stop(Exception):
    """Nothing further of the text is read."""


class _Composer:
    """Build documents from parser events, and collect the faults on the way."""

    def __init__(self, text: str, positions: Positions, bounds: Bounds) -> None:
        self._text, self._positions, self._bounds = text, positions, bounds
        self._faults: list[Fault] = []
        self._open: list[tuple[Node, str | None]] = []
        self._key: list[Node | None] = []
        self._anchors: dict[str, Node | None] = {}
        self._documents: list[YamlDocument] = []
        self._nodes = self._aliases = self._expanded = 0
        self._quoted: Any = None

    def compose(self) -> list[YamlDocument]:
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                self._take(event)
        except _Stop:
            pass
        except yaml.MarkedYAMLError as fault:
            self._not_yaml(fault)
        except (yaml.YAMLError, ValueError, RecursionError) as fault:
            self._faults.append(Fault(self._positions.at(1, 1), f"not YAML: {str(fault).splitlines()[0]}", code=CODE))
        if self._faults:
            raise InvalidText(self._faults)
        return self._documents

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> None:
        """Add what is wrong with the syntax, and the line as it would be right."""
        if conflict := _CONFLICT.search(self._text):
            where = self._positions.of_offset(conflict.start())
            self._faults.append(Fault(where, "not YAML: git has left a conflict here", "one of both sides", CODE))
            return
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem, mended = str(error.problem or error.context), corrected(self._line(line))
        where, (message, expected) = self._positions.at(line, column), SYNTAX.get(problem, (problem, ""))
        if follows := self._after_quote():
            where, (message, expected) = self._positions.of_offset(follows[0]), follows[1:]
            expected = f"{expected}: {mended}" if mended else expected
        elif self._line(line)[column - 1 : column] == "\t":
            message, expected = "a tab stands here, with which YAML does not indent", "spaces"
        elif mended:
            expected = with_quotes(mended)
        elif "'-'" in problem:
            expected = self._of_item(line, column) or expected
        if mended:  # what else was found in this line has the same cause
            self._faults = [fault for fault in self._faults if fault.location.line != where.line]
        self._faults.append(Fault(where, f"not YAML: {message}", expected, CODE))

    def _after_quote(self) -> tuple[int, str, str] | None:
        """Return where text follows the quote that ends the last text in the same line, what is wrong, and what is expected."""
        if self._quoted is None:
            return None
        style, end = self._quoted.style, self._quoted.end_mark.index
        after = re.compile(r"[ \t]*(?=[^\s,:\]}#])").match(self._text, end)
        if after is None:
            return None
        return (
            after.end(),
            f"the text ends with the quote before this: {style}",
            f"{_OTHER_QUOTES[style]} quotes around all of it",
        )

    def _line(self, line: int) -> str:
        return "".join(_BREAK.split(self._text)[line - 1 : line])

    def _of_item(self, line: int, column: int) -> str:
        """Return how to indent a key that stands left of the keys of the list's last item, '' where none does."""
        key = re.match(r"[\w.-]+(?=:(?:\s|$))", self._line(line)[column - 1 :])
        node = self._open[-1][0] if self._open else None
        item = node.children.get(len(node.value) - 1) if node and isinstance(node.value, list) else None
        first = next(iter(item.keys.items()), None) if item else None
        if key is None or first is None or first[1].column <= column:
            return ""
        above = self._positions.at(first[1].line, first[1].column).line
        return f"{key[0]!r} indented as {first[0]!r} (line {above}), or '- ' as the items before it"

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.ScalarEvent():
                self._quoted = event if event.style in _OTHER_QUOTES else None
                self._close(self._scalar(event), event.anchor)
            case yaml.AliasEvent():
                self._close(self._alias(event), None)
            case yaml.CollectionStartEvent():
                self._begin(event)
            case yaml.CollectionEndEvent():
                node, anchor = self._open.pop()
                self._key.pop()
                if node.merged:
                    node.take_merged()
                self._close(node, anchor)

    def _node(self, event: Any) -> Node:
        self._nodes += 1
        node = Node(event.start_mark.line + 1, event.start_mark.column + 1)
        if self._nodes > self._bounds.nodes:
            self._fault(node, f"the text has more than {self._bounds.nodes} values", "a smaller one")
            raise _Stop
        return node

    def _begin(self, event: Any) -> None:
        node = self._node(event)
        if len(self._open) >= self._bounds.depth:
            self._fault(node, f"nested more than {self._bounds.depth} levels deep", "fewer levels")
            raise _Stop
        mapping = isinstance(event, yaml.MappingStartEvent)
        node.value = {} if mapping else []
        self._check_tag(event.tag, node, "map" if mapping else "seq")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append((node, event.anchor))
        self._key.append(None)

    def _scalar(self, event: Any) -> Node:
        node = self._node(event)
        node.text, node.style = event.value, event.style or ""
        node.decorated = event.anchor is not None or event.tag is not None
        node.end = (event.end_mark.line + 1, event.end_mark.column + 1)
        node.weight = len(event.value) + 1
        node.value = self._plain(event.value, node) if event.implicit[0] else event.value
        if event.tag in (None, "!") or event.implicit[0]:
            return node
        if event.tag.startswith("!"):
            raw = in_quotes(cut(f"{event.tag} {event.value}".rstrip(), 60))
            line = corrected(self._line(node.line))
            expected = with_quotes(line) if line else f"quotes around a text that begins with it: {raw}"
            self._fault(node, "'!' begins a tag of YAML here", expected)
            return node
        name = self._check_tag(event.tag, node, None)
        if name and name != "str":
            node.value = self._plain(event.value, node)
            self._check_tag(event.tag, node, _TAG_OF_TYPE[type(node.value)])
        return node

    def _plain(self, text: str, node: Node) -> Any:
        try:
            return plain_value(text)
        except ValueError as fault:
            self._fault(node, *fault.args)
            return None

    def _alias(self, event: Any) -> Node:
        node = self._node(event)
        self._aliases += 1
        target = self._anchors.get(event.anchor)
        if target is None:
            inside = event.anchor in self._anchors
            self._fault(node, f"*{event.anchor} stands inside what it names" if inside else f"*{event.anchor} names nothing",
                        "a value without itself" if inside else f"&{event.anchor} at a value above")  # fmt: skip
            return node
        self._expanded += target.weight
        if self._aliases > self._bounds.aliases or self._expanded > self._bounds.size:
            most = f"at most {self._bounds.aliases} aliases, and {self._bounds.size} characters with them written out"
            self._fault(node, "too much is repeated by aliases", most)
            raise _Stop
        if len(self._open) + target.height > self._bounds.depth:
            self._fault(node, f"with its aliases written out, nested more than {self._bounds.depth} levels deep", "fewer levels")
            raise _Stop
        return target

    def _close(self, node: Node, anchor: str | None) -> None:
        """Name a value that is complete, and put it into the collection that is open."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            if node.value is not None:
                self._documents.append(YamlDocument(node.value, node, self._positions))
            return
        parent, _ = self._open[-1]
        parent.weight += node.weight
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.value, list):
            parent.children[len(parent.value)] = node
            parent.value.append(node.value)
        elif self._key[-1] is None:
            self._key[-1] = node
        else:
            self._entry(parent, self._key[-1], node)
            self._key[-1] = None

    def _entry(self, parent: Node, key: Node, node: Node) -> None:
        if isinstance(key.value, dict) and (key.line, key.column) == (parent.line, parent.column + 1):
            inside = next((name for name in key.value if len(key.value) == 1), "…")
            expected = f"'${{{inside}}}', if an expression is meant: in quotes, without {{{{ and }}}}"
            self._fault(parent, "'{{' begins no text", expected)
        elif not isinstance(key.value, str):
            self._fault(key, f"{found(key.value)} stands here as a key", "a text; quotes make it one")
        elif key.value == "<<" and not key.style:
            self._merge(parent, node)
        elif key.value in parent.value:
            first = parent.keys[key.value]
            line = self._positions.at(first.line, first.column).line
            self._fault(key, f"the key {shown(key.value)} stands twice (first in line {line})", "each key once")
        else:
            parent.value[key.value] = node.value
            parent.children[key.value], parent.keys[key.value] = node, key

    def _merge(self, parent: Node, node: Node) -> None:
        """Take in `<<` as Kubernetes' own YAML does: keys of one mapping or several that the parent does not have itself."""
        sources = list(node.children.values()) if isinstance(node.value, list) else [node]
        if not sources or not all(isinstance(source.value, dict) for source in sources):
            self._fault(node, f"{found(node.value)} is merged by '<<'", "a mapping, or a list of mappings")
        else:
            parent.merged.extend(sources)

    def _check_tag(self, tag: str | None, node: Node, actual: str | None) -> str:
        """Return the short name of a tag; add a fault where it is none of JSON's types, or not `actual` (None: not known)."""
        name = _TAGS.get(tag, "") if tag else ""
        if tag and tag != "!" and (not name or actual not in (None, name)):
            self._fault(node, f"the tag {shown(tag)} does not fit here", "no tag, or that of the value's own type")
        return name

    def _fault(self, node: Node, message: str, expected: str) -> None:
        self._faults.append(Fault(self._positions.at(node.line, node.column), message, expected, CODE))
        if len(self._faults) >= MAX_FAULTS:
            raise _Stop

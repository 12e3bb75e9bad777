"""What to write instead of what another language has in its expressions: Python, JavaScript, Jinja, SQL, shells."""

from __future__ import annotations

import re

from engine.cel.hints import instead_of, of_duration
from engine.cel.jsonpath import of_filter

_NOTHING = ("", 0, "")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_NOT = re.compile(r"\bnot\s+(?=[\w!(])")
_IS = re.compile(r"(?P<value>[\w.]{0,99})\s{0,9}\b(?P<word>is)\s{1,9}(?P<not>not\s+)?(?P<null>(?:None|null|nil)\b)?")
#: A test of Ansible and Jinja -> what to write.
_TESTS = {
    "defined": "has({})", "undefined": "!has({})", "match": "{}.matches(pattern)", "search": "{}.matches(pattern)",
    "regex": "{}.matches(pattern)", "version": "semver({}, true).isLessThan(semver('1.2.0'))", "string": "(type({}) == string)",
    "number": "(type({}) == int)", "sequence": "(type({}) == list)", "mapping": "(type({}) == map)", "empty": "(size({}) == 0)",
    "true": "{}", "false": "!{}",
}  # fmt: skip
_NOT_IN = re.compile(r"(?P<item>[\w.]{0,99})\s{0,9}\b(?P<word>not)\s{1,9}in\b")
_TUPLE = re.compile(r"\bin\s*(?P<tuple>\((?P<items>[^()]*),(?P<last>[^(),]*)\))")
_FILTER = re.compile(
    r"(?P<value>[\w.]{0,99}(?:\[[^]\s]{0,99}\])?)\s{0,9}(?<!\|)(?P<word>\|)(?!\|)\s{0,9}(?P<name>\w{1,30})(?:\((?P<given>[^()]*)\))?"
)
_FIELD = re.compile(r"(?P<root>object|oldObject|target|item|lookup\.\w+)\.(?P<path>.+)")
_DURATION = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:ms|[smhdw])\b")
_ARROW = re.compile(r"\w\(\s*\(?\s*(?:\w+\s*,\s*)?(?P<name>\w+)\s*\)?\s*=>")
_OPERATOR = re.compile(r"===|!==|=>|=~|!~|<>|~=|(?<!\.)\.\.(?!\.)")
_RANGE = re.compile(
    r"(?P<value>[\w.()]{1,99})\s{1,9}in\s{1,9}[\[(]?\s{0,9}(?P<low>\d{1,18})\s{0,9}(?P<dots>\.\.)\.?\s{0,9}(?P<high>\d{1,18})"
)
_OPERATORS = {
    "===": "'=='", "!==": "'!='", "=>": "'>='", "<>": "'!='", "=~": "text.matches(pattern)",
    "~=": "'!=', which Lua writes so, or text.matches(pattern)", "..": "'+' between two texts",
    "!~": "!text.matches(pattern)",
}  # fmt: skip
_INFIX = re.compile(
    r"(?P<value>[\w.\]]{1,99})\s{1,9}(?P<word>contains|matches|startsWith|endsWith|like)\s{1,9}(?=['\"\w])", re.IGNORECASE
)
_METHODS = {
    "contains": "contains(text)", "matches": "matches(pattern)", "startswith": "startsWith(text)", "endswith": "endsWith(text)",
    "like": "contains(text), or startsWith, endsWith or matches(pattern)",
}  # fmt: skip
_REGEX = re.compile(
    r"(?<![\w)\]'\"/.])\s*(?P<regex>/(?![/*\s])(?P<pattern>[^/\n]+)/[gimsuy]*)(?:\.(?:test|exec)\((?P<text>[\w.]+)\))?"
)
_FOR = re.compile(
    r"(?:(?P<name>any|all|len|sum)\s*)?[(\[]\s*\[?\s*(?P<value>[^()\[\]]+?)\s+(?P<for>for)\s+(?P<item>\w+)\s+in\s+(?P<list>[\w.]+)(?:\s+if\s+(?P<test>[^\])]+))?"
)
_CURLY = "\u2018\u2019\u201c\u201d"
_PREFIX = re.compile(r"\s*\(?(?P<word>eq|ne|gt|lt|ge|le|and|or)\s+(?P<left>[^\s()]+)\s+(?P<right>[^\s()]+)\)?\s*\Z")
_PREFIXES = {"eq": "==", "ne": "!=", "gt": ">", "lt": "<", "ge": ">=", "le": "<=", "and": "&&", "or": "||"}
_WORD = re.compile(r"\b(?P<word>new|typeof|instanceof|let|const|var|return|function|lambda|def)\s+\w")
_WORDS = {
    "new": "a value without it: now, timestamp(text), duration('1h')", "typeof": "type(value) == string",
    "instanceof": "type(value) == list", "let": "vars, a key of the rule", "const": "vars, a key of the rule",
    "var": "vars, a key of the rule", "return": "the value alone", "function": "a macro, such as list.exists(x, condition)",
    "lambda": "a macro, such as list.exists(x, condition)", "def": "a function of a library (kind: RuleLibrary)",
}  # fmt: skip
_BRACES = re.compile(r"(?<![\w$])\{\s*(?P<path>[A-Za-z_][\w.]*(?:\['[^']*'\])?)\s*\}")
_COALESCE = re.compile(r"(?P<value>[\w.\]'\[]{1,99})\s*(?P<operator>\?\?|\?:)\s*(?P<default>[\w.]+)")
_QUESTION = re.compile(r"(?P<value>\w)(?P<operator>\?\.)(?=[A-Za-z_])")
_IF_ELSE = re.compile(r"^\s*(?P<yes>.+?)\s+if\s+(?P<test>.+?)\s+else\s+(?P<no>.+?)\s*$", re.DOTALL)


def of_syntax(source: str) -> tuple[str, int, str]:
    """Return what is of another language in a text that is no CEL: what it is, its offset, and what to write; ('', 0, '')."""
    code = _STRING.sub(lambda text: f"'{'_' * (len(text[0]) - 2)}'", source)
    if (fault := of_filter(source)) != _NOTHING and code[fault[1]] == "[":  # not within a text, such as that of jmespath()
        return fault
    if (at := code.find("{{")) >= 0:
        return "'{{' begins no expression", at, "CEL without {{ and }}, which are of Jinja, Helm and Kyverno"
    if (found := _IF_ELSE.match(code)) is not None and " for " not in code:
        yes, test, no = (source[found.start(name) : found.end(name)] for name in ("yes", "test", "no"))
        return "'if' is no operator", found.end("yes") + 1, f"{test} ? {yes} : {no}"
    for foreign in (_comprehension, _identity, _not_in, _tuple, _filter, _duration, _operator, _expression):
        if (fault := foreign(source, code)) != _NOTHING:
            return fault
    if (found := _NOT.search(code)) is not None:
        return "'not' is no operator", found.start(), "!, such as !(a == b)"
    return _NOTHING


def _identity(source: str, code: str) -> tuple[str, int, str]:
    """Return Python's `is`, which compares with nothing most of the time."""
    if (found := _IS.search(code)) is None:
        return _NOTHING
    operator, value = "!=" if found["not"] else "==", found["value"]
    test = re.match(r"\w*", code[found.end() :])
    if test and not value and test[0].lower() in ("defined", "undefined"):  # of a call
        sign = "==" if (test[0].lower() == "undefined") is not bool(found["not"]) else "!="
        return "'is' is no operator", found.start("word"), f"{sign} '', or what else the call gives where there is nothing"
    if test and (form := _TESTS.get(test[0].lower())):
        positive = form.format(value)
        return "'is' is no operator", found.start("word"), f"!{positive}" if found["not"] else positive
    if found["null"] and _FIELD.fullmatch(value):
        expected = f"{'' if found['not'] else '!'}has({value}), or {operator} null for a field that is there and null"
    else:
        expected = f"{value} {operator} null".lstrip() if found["null"] else f"'{operator}'"
    return "'is' is no operator", found.start("word"), expected


def _not_in(source: str, code: str) -> tuple[str, int, str]:
    """Return Python's `not in`."""
    if (found := _NOT_IN.search(code)) is None:
        return _NOTHING
    return "'not in' is no operator", found.start("word"), f"!({found['item'] or 'a'} in …)"


def _tuple(source: str, code: str) -> tuple[str, int, str]:
    """Return Python's tuple after `in`."""
    if (found := _TUPLE.search(code)) is None:
        return _NOTHING
    end = found.end("last") if found["last"].strip() else found.end("items")
    return "CEL has no tuples", found.start("tuple"), f"a list: [{source[found.start('items') : end].strip()}]"


def _filter(source: str, code: str) -> tuple[str, int, str]:
    """Return a filter of Jinja or Helm."""
    found = _FILTER.search(code)
    if found is None or not (instead := instead_of(found["name"])):
        return _NOTHING
    value = source[found.start("value") : found.end("value")]
    if value:
        instead = re.sub(r"\b(?:value|text|list|map)\b", lambda _: value, instead, count=1)
    if found["name"] == "default" and (field := _FIELD.fullmatch(value)) is not None:
        path = f'"{field["path"]}"' if "'" in field["path"] else f"'{field['path']}'"
        given = source[found.start("given") : found.end("given")] if found["given"] else "''"
        instead = f"get({field['root']}, {path}, {given})"
    return f"'|' is no operator: CEL has no filters, such as {found['name']}", found.start("word"), instead


def _operator(source: str, code: str) -> tuple[str, int, str]:
    """Return an operator of JavaScript, SQL, Ruby or JSONPath."""
    if (found := _ARROW.search(code)) is not None:
        return "CEL has no arrows", found.start("name"), f"a macro, such as list.exists({found['name']}, condition)"
    if (found := _RANGE.search(code)) is not None:
        value, low, high = found["value"], found["low"], found["high"]
        return "'..' is no operator", found.start("dots"), f"{value} >= {low} && {value} <= {high}"
    if (found := _OPERATOR.search(code)) is not None:
        return f"{found[0]!r} is no operator", found.start(), _OPERATORS[found[0]]
    if (found := _INFIX.search(code)) is not None:
        method = _METHODS[found["word"].lower()]
        return f"{found['word']!r} is no operator", found.start("word"), f"{found['value']}.{method}"
    return _NOTHING


def _comprehension(source: str, code: str) -> tuple[str, int, str]:
    """Return a comprehension of Python."""
    if (found := _FOR.search(code)) is None:
        return _NOTHING
    value, item, test = (source[found.start(name) : found.end(name)].strip() for name in ("value", "item", "test"))
    macro = {"any": "exists", "all": "all"}.get(found["name"] or "")
    if macro:
        instead = f"{found['list']}.{macro}({item}, {value})"
    else:
        filtered = f"{found['list']}.filter({item}, {test})" if test else found["list"]
        mapped = filtered if value == item else f"{filtered}.map({item}, {value})"
        instead = {"len": f"size({mapped})", "sum": f"{mapped}.sum()"}.get(found["name"] or "", mapped)
    return "CEL has no 'for'", found.start("for"), instead


def _expression(source: str, code: str) -> tuple[str, int, str]:
    """Return a value that is written as in JavaScript, Python or a shell."""
    if (found := _PREFIX.match(code)) is not None:
        left, right = (source[found.start(name) : found.end(name)] for name in ("left", "right"))
        return f"{found['word']!r} stands before its values", found.start("word"), f"{left} {_PREFIXES[found['word']]} {right}"
    if (at := next((at for at, character in enumerate(source) if character in _CURLY), -1)) >= 0:
        return f"{source[at]!r} is no quote of CEL", at, "straight quotes, ' or \""
    if (found := _REGEX.search(code)) is not None:
        pattern = f"'{source[found.start('pattern') : found.end('pattern')]}'"
        instead = (
            f"{found['text']}.matches({pattern})"
            if found["text"]
            else f"a text in quotes: {pattern}, as in text.matches({pattern})"
        )
        return "a regular expression stands in no slashes", found.start("regex"), instead
    if (found := _WORD.search(code)) is not None:
        return f"{found['word']!r} is no word of CEL", found.start("word"), _WORDS[found["word"]]
    if (found := _BRACES.search(code)) is not None:
        return "'{…}' begins a map", found.start(), f"{source[found.start('path') : found.end('path')]}, without {{ and }}"
    if (found := _COALESCE.search(code)) is not None:
        return (
            f"{found['operator']!r} is no operator",
            found.start("operator"),
            "get(object, 'path', default), or a.?b.orValue(default)",
        )
    if (found := _QUESTION.search(code)) is not None:
        return "'?.' is no operator", found.start("operator"), "'.?', as in object.?spec.?replicas.orValue(0)"
    if (at := code.find("`")) >= 0:
        return "'`' begins no value", at, "'…' around a text, or nothing around an expression"
    return _NOTHING


def _duration(source: str, code: str) -> tuple[str, int, str]:
    """Return a duration as `for` and `resync` have it."""
    if (found := _DURATION.search(code)) is None:
        return _NOTHING
    text = found[0]
    return f"{text} is no value of CEL", found.start(), f"duration({of_duration(text) or repr(text)})"

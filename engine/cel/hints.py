"""What to write instead of a function that is not CEL: those of JMESPath, Kyverno, Helm and Python, as users know them."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

_NO_REQUEST = "a condition on the object: no request of a user is evaluated here"
#: The name of a function, in small letters -> what to write in its place.
_INSTEAD: dict[str, str] = {
    # JMESPath, and what Kyverno adds to it
    "length": "size(value)", "len": "size(value)", "count": "size(list.filter(x, condition))",
    "starts_with": "text.startsWith(prefix)", "ends_with": "text.endsWith(suffix)", "to_string": "string(value)",
    "to_number": "int(text) or double(text)", "not_null": "get(object, 'path', default)", "regex_match": "text.matches(pattern)",
    "time_now": "now", "time_now_utc": "now", "time_since": "now - timestamp(text)", "time_diff": "timestamp(a) - timestamp(b)",
    "parse_json": "parseJson(text)", "parse_yaml": "parseYaml(text)", "to_upper": "text.upperAscii()",
    "to_lower": "text.lowerAscii()", "base64_decode": "base64.decode(text)", "base64_encode": "base64.encode(bytes)",
    "any": "list.exists(x, condition)", "keys": "map.map(key, key)", "values": "map.transformList(key, value, value)",
    "sort_by": "list.sortBy(x, key)", "max_by": "list.sortBy(x, key), its last item",
    "semver_compare": "semver(a).compareTo(semver(b))",
    "split_lines": "text.split('\\n')", "max_of": "math.greatest(a, b)", "min_of": "math.least(a, b)",
    "abs": "math.abs(number)", "ceil": "math.ceil(number)", "floor": "math.floor(number)", "round": "math.round(number)",
    "avg": "list.sum() / size(list)", "min_by": "list.sortBy(x, key)[0]", "to_array": "[value]",
    "items": "map.transformList(key, value, result)",
    "equal_fold": "a.lowerAscii() == b.lowerAscii()", "pattern_match": "text.matches(pattern)",
    "trim_prefix": "text.substring(size(prefix))", "truncate": "text.substring(0, length)", "to_boolean": "bool(text)",
    "replace_all": "text.replace(old, new)", "time_add": "timestamp(text) + duration(text)", "time_parse": "timestamp(text)",
    "divide": "a / b", "multiply": "a * b", "subtract": "a - b", "modulo": "a % b",
    # Jinja, Helm and Python
    "default": "get(object, 'path', default)", "tojson": "toJson(value)", "fromjson": "parseJson(text)",
    "from_json": "parseJson(text)", "to_json": "toJson(value)", "from_yaml": "parseYaml(text)", "fromyaml": "parseYaml(text)",
    "upper": "text.upperAscii()", "toupper": "text.upperAscii()", "lower": "text.lowerAscii()", "tolower": "text.lowerAscii()",
    "tolowercase": "text.lowerAscii()", "touppercase": "text.upperAscii()", "casefold": "text.lowerAscii()",
    "strip": "text.trim()", "trimspace": "text.trim()", "str": "string(value)", "float": "double(value)", "number": "int(text)",
    "hasprefix": "text.startsWith(prefix)", "hassuffix": "text.endsWith(suffix)", "hasattr": "has(object.field)",
    "has": "'key' in map, or has(object.field)",
    "haskey": "'key' in map",
    "append": "list + [item]", "sha256": "hash(text)", "sha256sum": "hash(text)", "isnull": "!has(object.field)",
    "date": "timestamp(text)", "datetime": "timestamp(text)", "todate": "timestamp(text)", "isdefined": "has(object.field)",
    "not": "!(condition)", "defined": "has(object.field)", "some": "list.exists(x, condition)", "every": "list.all(x, condition)",
    "find_all": "text.findAll(pattern)",
    "reduce": "list.sum(), or list.map(x, value)", "concat": "a + b", "coalesce": "object.?field.orValue(default)",
    # CEL elsewhere: what Kyverno adds to it, and cel-go's extensions of other products
    "resource.get": "lookup.<name>, a lookup of the rule", "resource.list": "lookup.<name>, a lookup of the rule",
    "globalcontext.get": "lookup.<name>, a lookup of the rule", "http.get": "the action http", "http.post": "the action http",
    **dict.fromkeys((f"authorizer.{name}" for name in ("group", "path", "serviceaccount", "requestresource")), _NO_REQUEST),
    "image": "text.split('/') or text.find(pattern)", "parseimagereference": "text.split('/') or text.find(pattern)",
    "ternary": "condition ? a : b", "json.unmarshal": "parseJson(text)", "yaml.parse": "parseYaml(text)",
    "sha256.hash": "hash(text)", "time.now": "now", "parse_timestamp": "timestamp(text)",
}  # fmt: skip
_LIKE = 0.75


def of_function(name: str, known: Collection[str]) -> str:
    """Return what to write instead of an unknown function: its equivalent, else the name that is nearly the same."""
    if name == "now":
        return "now, which is a variable"
    if instead := _INSTEAD.get(name.lower()) or _INSTEAD.get(name.rpartition(".")[2].lower()):
        return instead
    namespace, dot, last = name.rpartition(".")
    if dot and (same := [each for each in known if each.startswith(f"{namespace}.")]):
        close = get_close_matches(name, same, n=1, cutoff=0)
        return f"'{close[0]}' (did you mean that?)" if close else ", ".join(sorted(same))
    small = {each.lower(): each for each in known}
    close = get_close_matches((last or name).lower(), small, n=1, cutoff=_LIKE)
    if close:
        return f"'{small[close[0]]}' (did you mean that?)"
    if dot:
        return f"a library {namespace!r} (kind: RuleLibrary), which is not here"
    return "a function of docs/reference/expressions.md"


#: The name of a variable -> what to write in its place: of Kyverno, of Kubernetes' own policies, of Python and JavaScript.
_VARIABLES = {
    "request": "object, which Kyverno and Kubernetes' policies call request.object", "self": "object", "this": "object",
    "resource": "object", "variables": "vars", "oldobject": "oldObject", "element": "item, in a rule with a loop",
    "namespaceobject": "lookup.<name>, a lookup of the Namespace", "images": "object.spec.containers.map(c, c.image)",
    "none": "null, or has(object.field)", "nil": "null, or has(object.field)",
    "undefined": "null, or has(object.field)", "true": "true", "false": "false",
    "metadata": "object.metadata", "spec": "object.spec", "status": "object.status", "data": "object.data",
    "not": "! in place of not", "schedule": "schedule.time, in a rule with a schedule",
}  # fmt: skip


def of_variable(name: str) -> str:
    """Return what to write instead of an unknown variable, '' where that is not known."""
    return _VARIABLES.get(name.lower(), "")


_NOTHING = ("", 0, "")
_STRING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_NOT = re.compile(r"\bnot\s+(?=[\w!(])")
_IS = re.compile(r"(?P<value>[\w.]{0,99})\s{0,9}\b(?P<word>is)\s{1,9}(?P<not>not\s+)?(?P<null>(?:None|null|nil)\b)?")
_NOT_IN = re.compile(r"(?P<item>[\w.]{0,99})\s{0,9}\b(?P<word>not)\s{1,9}in\b")
_TUPLE = re.compile(r"\bin\s*(?P<tuple>\((?P<items>[^()]*),(?P<last>[^(),]*)\))")
_FILTER = re.compile(
    r"(?P<value>[\w.]{0,99}(?:\[[^]\s]{0,99}\])?)\s{0,9}(?<!\|)(?P<word>\|)(?!\|)\s{0,9}(?P<name>\w{1,30})(?:\((?P<given>[^()]*)\))?"
)
_FIELD = re.compile(r"(?P<root>object|oldObject|target|item|lookup\.\w+)\.(?P<path>.+)")
_DURATION = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:ms|[smhdw])\b")
_ARROW = re.compile(r"\w\(\s*\(?\s*(?:\w+\s*,\s*)?(?P<name>\w+)\s*\)?\s*=>")
_OPERATOR = re.compile(r"===|!==|=>|=~|!~|<>|~=")
_OPERATORS = {
    "===": "'=='", "!==": "'!='", "=>": "'>='", "<>": "'!='", "=~": "text.matches(pattern)", "~=": "text.matches(pattern)",
    "!~": "!text.matches(pattern)",
}  # fmt: skip
_INFIX = re.compile(
    r"(?P<value>[\w.\]]{1,99})\s{1,9}(?P<word>contains|matches|startsWith|endsWith|like)\s{1,9}(?=['\"\w])", re.IGNORECASE
)
_METHODS = {
    "contains": "contains(text)", "matches": "matches(pattern)", "startswith": "startsWith(text)", "endswith": "endsWith(text)",
    "like": "contains(text), or startsWith, endsWith or matches(pattern)",
}  # fmt: skip
_PATH_FILTER = re.compile(r"\[\?\(?\s*@")
_IF_ELSE = re.compile(r"^\s*(?P<yes>.+?)\s+if\s+(?P<test>.+?)\s+else\s+(?P<no>.+?)\s*$", re.DOTALL)


def of_syntax(source: str) -> tuple[str, int, str]:
    """Return what is of another language in a text that is no CEL: what it is, its offset, and what to write; ('', 0, '')."""
    code = _STRING.sub(lambda text: f"'{'_' * (len(text[0]) - 2)}'", source)
    if (at := code.find("{{")) >= 0:
        return "'{{' begins no expression", at, "CEL without {{ and }}, which are of Jinja, Helm and Kyverno"
    if (found := _IF_ELSE.match(code)) is not None:
        yes, test, no = (source[found.start(name) : found.end(name)] for name in ("yes", "test", "no"))
        return "'if' is no operator", found.end("yes") + 1, f"{test} ? {yes} : {no}"
    for foreign in (_identity, _not_in, _tuple, _filter, _duration, _operator):
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
    if found is None or (instead := _INSTEAD.get(found["name"].lower())) is None:
        return _NOTHING
    value = source[found.start("value") : found.end("value")]
    if found["name"] == "default" and (field := _FIELD.fullmatch(value)) is not None:
        path = f'"{field["path"]}"' if "'" in field["path"] else f"'{field['path']}'"
        given = source[found.start("given") : found.end("given")] if found["given"] else "''"
        instead = f"get({field['root']}, {path}, {given})"
    return f"'|' is no operator: CEL has no filters, such as {found['name']}", found.start("word"), instead


def _operator(source: str, code: str) -> tuple[str, int, str]:
    """Return an operator of JavaScript, SQL, Ruby or JSONPath."""
    if (found := _ARROW.search(code)) is not None:
        return "CEL has no arrows", found.start("name"), f"a macro, such as list.exists({found['name']}, condition)"
    if (found := _PATH_FILTER.search(code)) is not None:
        return "'[?' filters nothing", found.start(), "list.exists(x, x.type == 'Ready'), or list.filter(x, condition)[0]"
    if (found := _OPERATOR.search(code)) is not None:
        return f"{found[0]!r} is no operator", found.start(), _OPERATORS[found[0]]
    if (found := _INFIX.search(code)) is not None:
        method = _METHODS[found["word"].lower()]
        return f"{found['word']!r} is no operator", found.start("word"), f"{found['value']}.{method}"
    return _NOTHING


def _duration(source: str, code: str) -> tuple[str, int, str]:
    """Return a duration as `for` and `resync` have it."""
    if (found := _DURATION.search(code)) is None:
        return _NOTHING
    text = found[0]
    return f"{text} is no value of CEL", found.start(), f"duration({of_duration(text) or repr(text)})"


def of_duration(text: str) -> str:
    """Return what to write instead of a duration with days or weeks, which CEL does not have: `24h` for `1d`; '' for others."""
    number, unit = text[:-1], text[-1:]
    hours = {"d": 24, "w": 7 * 24}.get(unit)
    return f"'{int(number) * hours}h'" if hours and number.isdecimal() and len(number) < 8 else ""


def of_literal(function: str, text: str) -> str:
    """Return what to write instead of a literal that a function does not take, '' where that is not known."""
    if function == "duration":
        return of_duration(text)
    if function == "timestamp" and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"'{text}T00:00:00Z'"
    return (
        "'.*' in place of '*', which is of file names" if function in ("matches", "find", "findAll") and text[:1] == "*" else ""
    )

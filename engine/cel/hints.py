"""What to write instead of a function that is not CEL: those of JMESPath, Kyverno, Helm and Python, as users know them."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from engine.cel.jsonpath import of_filter

_READY = "object.status.conditions.hasItem({'type': 'Ready', 'status': 'True'})"
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
    # JavaScript, Go and what Helm takes of Sprig
    "object.keys": "map.map(key, key)", "object.values": "map.transformList(key, value, value)",
    "all": "list.all(x, condition)", "object.entries": "map.transformList(key, value, result)", "json.parse": "parseJson(text)",
    "json.stringify": "toJson(value)", "json.loads": "parseJson(text)", "json.dumps": "toJson(value)",
    "yaml.safe_load": "parseYaml(text)", "date.now": "now", "datetime.now": "now", "math.max": "math.greatest(a, b)",
    "math.min": "math.least(a, b)", "math.pow": "a * a", "array.isarray": "type(value) == list",
    "isinstance": "type(value) == string", "push": "list + [item]", "add": "a + b, or list + [item]", "extend": "list + other",
    "foreach": "loop, a key of the rule", "find": "list.filter(x, x.name == 'a')[0]",
    "findindex": "list.map(x, x.name).indexOf('a')", "substr": "text.substring(start, end)", "tostring": "string(value)",
    "isempty": "size(value) == 0", "empty": "size(value) == 0", "first": "list[0]", "last": "list[size(list) - 1]",
    "isnan": "math.isNaN(number)", "parseint": "int(text)", "parsefloat": "double(text)", "parsebool": "bool(text)",
    "trimend": "text.trim()", "rstrip": "text.trim()", "lstrip": "text.trim()", "test": "text.matches(pattern)",
    "match": "text.matches(pattern)", "search": "text.matches(pattern)", "re.match": "text.matches(pattern)",
    "re.search": "text.matches(pattern)", "regexmatch": "text.matches(pattern)", "match_any": "list.exists(x, condition)",
    "toyaml": "toJson(value)", "b64dec": "base64.decode(text)", "b64enc": "base64.encode(bytes(text))",
    "semvercompare": "semver(a).compareTo(semver(b)) >= 0", "printf": "'%s'.format([value])", "sprintf": "'%s'.format([value])",
    "dict": "{'key': value}", "list": "[a, b]", "eq": "a == b", "ne": "a != b", "gt": "a > b", "ge": "a >= b", "lt": "a < b",
    "le": "a <= b", "and": "a && b", "or": "a || b", "quote": "strings.quote(text)",
    "lookup": "lookup.<name>, a lookup of the rule", "exists": "has(object.field), or list.exists(x, condition)",
    "unique": "list.distinct()", "uniq": "list.distinct()", "sorted": "list.sort()", "reversed": "list.reverse()",
    "range": "lists.range(number)", "unmarshal": "parseJson(text)", "if": "condition ? a : b", "iif": "condition ? a : b",
    "contains_key": "'key' in map", "hasown": "'key' in map", "hasownproperty": "'key' in map", "containskey": "'key' in map",
    "intersect": "sets.intersects(a, b)", "intersection": "sets.intersects(a, b)", "issubset": "sets.contains(all, some)",
    "subset": "sets.contains(all, some)", "days": "duration('24h')", "hours": "duration('1h')", "minutes": "duration('1m')",
    "seconds": "duration('1s')", "timedelta": "duration('24h')", "age": "now - object.metadata.creationTimestamp",
    "gettime": "timestamp(text)", "strptime": "timestamp(text)", "total_seconds": "duration.getSeconds()",
    "getdays": "duration.getHours() / 24", "getyear": "time.getFullYear()", "md5": "hash(text)", "sha1": "hash(text)",
    "uuid": "object.metadata.uid",
    **dict.fromkeys(("condition", "conditions", "isready", "ready", "hascondition", "getcondition", "iscondition",
                     "isconditiontrue", "isstatusconditiontrue", "hasready"), _READY),
    "sha256.hash": "hash(text)", "previous": "oldObject", "haschanged": "oncePer with the value, a key of the rule",
    "changed": "oncePer with the value, a key of the rule", "time.now": "now", "parse_timestamp": "timestamp(text)",
}  # fmt: skip
_LIKE = 0.75


def of_function(name: str, known: Collection[str]) -> str:
    """Return what to write instead of an unknown function: its equivalent, else the name that is nearly the same."""
    if name == "now":
        return "now, which is a variable"
    if instead := _INSTEAD.get(name.lower()):
        return instead
    namespace, dot, last = name.rpartition(".")
    instead = _INSTEAD.get(last.lower(), "")
    if dot and (same := [each for each in known if each.startswith(f"{namespace}.")]):
        close = get_close_matches(name, same, n=1, cutoff=0)
        return instead or (f"'{close[0]}' (did you mean that?)" if close else ", ".join(sorted(same)))
    small = {each.lower(): each for each in known}
    close = get_close_matches((last or name).lower(), small, n=1, cutoff=_LIKE)
    if close and not instead:
        return f"'{small[close[0]]}' (did you mean that?)"
    if dot:
        return f"{instead}{', or ' if instead else ''}a library {namespace!r} (kind: RuleLibrary), which is not here"
    return "a function of docs/reference/expressions.md"


#: The name of a variable -> what to write in its place: of Kyverno, of Kubernetes' own policies, of Python and JavaScript.
_VARIABLES = {
    "request": "object, which Kyverno and Kubernetes' policies call request.object", "self": "object", "this": "object",
    **dict.fromkeys(("env", "values", "config", "settings"), "params.NAME, and a param of the pack"),
    "request.operation": "event: Change or Delete, a key of the rule", "request.oldobject": "oldObject",
    "request.userinfo": _NO_REQUEST, "request.namespace": "object.metadata.namespace", "request.name": "object.metadata.name",
    "container": "item, in a rule with a loop",
    "userinfo": "a condition on the object: no request of a user is evaluated here", "error": "error, in rescue only",
    "hostvars": "lookup.<name>, a lookup of the rule", "ansible_facts": "lookup.<name>, a lookup of the rule",
    "release": "object.metadata, or a param of the pack",
    "index": "a macro with two variables, such as list.all(index, item, condition)",
    "resource": "object", "variables": "vars", "oldobject": "oldObject", "element": "item, in a rule with a loop",
    "namespaceobject": "lookup.<name>, a lookup of the Namespace", "images": "object.spec.containers.map(c, c.image)",
    "always": "'true'", "uid": "object.metadata.uid",
    "none": "null, or has(object.field)", "nil": "null, or has(object.field)",
    "undefined": "null, or has(object.field)", "true": "true", "false": "false",
    "metadata": "object.metadata", "spec": "object.spec", "status": "object.status", "data": "object.data",
    "not": "! in place of not", "schedule": "schedule.time, in a rule with a schedule",
}  # fmt: skip


#: A method that CEL has for other arguments -> what to write, where it is called as elsewhere.
_METHODS = {
    "find": "list.filter(x, condition)[0], or text.find(pattern)",
    "get": "get(object, 'path', default), or map[?key].orValue(default)",
    "max": "[a, b].max(), or math.greatest(a, b)", "min": "[a, b].min(), or math.least(a, b)",
}  # fmt: skip


def of_method(name: str) -> str:
    """Return what to write instead of a method that is there, and called as other languages have it; '' for most."""
    return _METHODS.get(name, "")


def is_foreign(name: str) -> bool:
    """Return whether a whole name, such as `Math.max`, is that of a function of another language."""
    return "." in name and name.lower() in _INSTEAD


def instead_of(name: str) -> str:
    """Return what to write instead of a function or a filter of another language, '' where that is not known."""
    return _INSTEAD.get(name.lower(), "")


#: What others call the object, by the name of a kind or otherwise.
_OBJECTS = frozenset([
    "app", "application", "body", "obj", "cr", "pod", "deployment", "job", "node", "workflow", "payload", "input", "manifest",
])  # fmt: skip


def of_object(name: str) -> str:
    """Return `object` for a variable that is called so elsewhere, '' for others."""
    return "object" if name in _OBJECTS else ""


def of_variable(name: str) -> str:
    """Return what to write instead of an unknown variable, '' where that is not known."""
    return _VARIABLES.get(name.lower(), "")


def of_duration(text: str) -> str:
    """Return what to write instead of a duration with days or weeks, which CEL does not have: `24h` for `1d`; '' for others."""
    number, unit = text[:-1], text[-1:]
    hours = {"d": 24, "w": 7 * 24}.get(unit)
    return f"'{int(number) * hours}h'" if hours and number.isdecimal() and len(number) < 8 else ""


def of_literal(function: str, text: str, first: str) -> str:
    """Return what to write instead of a literal that a function does not take, '' where that is not known.

    `first` is the text of the function's first argument.
    """
    if function == "get" and (found := of_filter(f"{first}.{text}"))[0]:
        return found[2]
    if function == "get" and re.search(r"\[\d+\]", text):
        return f"jmespath({first}, '{text}'), which gives null where there is nothing"
    if function == "duration":
        return of_duration(text)
    if function == "timestamp" and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"'{text}T00:00:00Z'"
    return (
        "'.*' in place of '*', which is of file names" if function in ("matches", "find", "findAll") and text[:1] == "*" else ""
    )

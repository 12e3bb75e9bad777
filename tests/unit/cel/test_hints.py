"""What is suggested in place of what is not CEL: functions of other languages and libraries, days, braces."""

from __future__ import annotations

import pytest

from engine.cel import Cel
from engine.errors import ExpressionError

HINTS = {
    "math.greatst(1, 2) == 2": "'math.greatest' (did you mean that?)",
    "sets.contain([1], [1])": "'sets.contains' (did you mean that?)",
    "length(object.items) > 1": "size(value)",
    "len(object.items) > 1": "size(value)",
    "starts_with(object.name, 'a')": "text.startsWith(prefix)",
    "object.name.StartsWith('a')": "'startsWith' (did you mean that?)",
    "object.name.starts_with('a')": "text.startsWith(prefix)",
    "regex_match('a', object.name)": "text.matches(pattern)",
    "time_since('', object.a, '') > '1h'": "now - timestamp(text)",
    "now() > timestamp(object.a)": "now, which is a variable",
    "to_number(object.a) > 1": "int(text) or double(text)",
    "object.items.count() > 1": "size(list.filter(x, condition))",
    "object.items.any(i, i == 1)": "list.exists(x, condition)",
    "object.a.default('b') == 'b'": "get(object, 'path', default)",
    "default('b', object.a) == 'b'": "get(object, 'path', default)",
    "object.a.toUpper() == 'B'": "text.upperAscii()",
    "hasPrefix(object.a, 'b')": "text.startsWith(prefix)",
    "contains_ip(object.a)": "a function of docs/reference/expressions.md",
    "object.labels.has('a')": "'key' in map",
    "str(object.a) == 'b'": "string(value)",
    "abs(object.a) == 1": "math.abs(number)",
    "equal_fold(object.a, 'b')": "a.lowerAscii() == b.lowerAscii()",
    "resource.Get('v1', 'configmaps', 'a', 'b').data.c == 'd'": "a lookup of the rule",
    "http.Get('https://example.com').a == 'b'": "the action http",
    "image(object.a).registry() == 'b'": "text.split('/')",
    "images.containers.all(i, i != '')": "object.spec.containers.map(c, c.image)",
    "namespaceObject.metadata.labels.a == 'b'": "a lookup of the Namespace",
    "authorizer.group('').resource('pods').check('get').allowed()": "no request of a user is evaluated here",
    "variables.a == 'b'": "vars",
    "request.object.a == 'b'": "object",
    "label(object, app) == 'b'": "'app', in quotes",
    "annotation(object, a.b) == 'b'": "'a.b', in quotes",
    "jmespath(object, spec.a) == 'b'": "'spec.a', in quotes",
    "object.a in [1..3]": "object.a >= 1 && object.a <= 3",
    "annotation(object, 'x') is undefined": "== '', or what else the call gives where there is nothing",
    "annotation(object, 'x') is not undefined": "!= '', or what else the call gives where there is nothing",
    "uid": "object.metadata.uid",
    "Always": "'true'",
    "parse_json(object.a).b == 1": "parseJson(text)",
    "object.a.startWith('x')": "'startsWith' (did you mean that?)",
    "grate(1, 2) == 2": "a function of docs/reference/expressions.md",
    "now - timestamp(object.a) > duration('1d')": "'24h'",
    "now - timestamp(object.a) > duration('2w')": "'336h'",
    "object.a => 3": "'>='",
    "object.items.filter(x => x.a)": "a macro, such as list.exists(x, condition)",
    "object.items.filter((k, v) => v.a)": "a macro, such as list.exists(v, condition)",
    "object.a === 3": "'=='",
    "object.a !== 3": "'!='",
    "object.a <> 3": "'!='",
    "object.a =~ 'x.*'": "text.matches(pattern)",
    "object.a contains 'x'": "object.a.contains(text)",
    "object.a startswith 'x'": "object.a.startsWith(text)",
    "object.a like '%x%'": "object.a.contains(text), or startsWith, endsWith or matches(pattern)",
    "object.items[?(@.type == 'Ready')].a == 'b'": "object.items.hasItem({'type': 'Ready', 'a': 'b'})",
    "object.items[?type=='Ready'].a == 'b'": "object.items.hasItem({'type': 'Ready', 'a': 'b'})",
    "object.items[?type=='Ready'].a != 'b'": "object.items.exists(x, x.type == 'Ready' && x.a != 'b')",
    "object.items[?kind=='Ready'].a": "object.items.filter(x, x.kind == 'Ready')[0].a",
    "object.items[type='Ready'].a == 'b'": "object.items.hasItem({'type': 'Ready', 'a': 'b'})",
    "object.items[?(@.type == `Ready`)]": "object.items.hasItem({'type': 'Ready'})",
    "object.items[?(@.type == 'a' && @.status == 'b')]": "object.items.filter(x, condition)[0]",
    "object.items[*].type == 'a'": "object.items.exists(x, x.type == value)",
    "get(object, 'items[?type==`Ready`].status', '') == 'a'": "object.items.filter(x, x.type == 'Ready')[0].status",
    "get(object, 'items[0].a', '') == 'a'": "jmespath(object, 'items[0].a')",
    "isReady(object)": "object.status.conditions.hasItem({'type': 'Ready', 'status': 'True'})",
    "object.items.find(i, i.a == 1).b == 2": "list.filter(x, condition)[0]",
    "object.labels.get('a', '') == 'b'": "map[?key].orValue(default)",
    "object.labels.keys().size() > 1": "map.map(key, key)",
    "Object.keys(object.labels).size() > 1": "map.map(key, key)",
    "JSON.parse(object.a).b == 1": "parseJson(text)",
    "Math.max(object.a, 1) > 1": "math.greatest(a, b)",
    "Date.now() > timestamp(object.a)": "now",
    "object.items.push('a') == []": "list + [item]",
    "shop.isEmpty(object)": "a library 'shop' (kind: RuleLibrary)",
    "object.name.matches(/a.c/)": "'a.c'",
    "/a.c/i.test(object.name)": "object.name.matches('a.c')",
    "any(i.a == 1 for i in object.items)": "object.items.exists(i, i.a == 1)",
    "all(i.a == 1 for i in object.items)": "object.items.all(i, i.a == 1)",
    "len([i for i in object.items if i.a == 1]) > 0": "size(object.items.filter(i, i.a == 1))",
    "[i.a for i in object.items] == []": "object.items.map(i, i.a)",
    "new Date() > now": "now",
    "typeof object.a == 'string'": "type(value) == string",
    "object.a ?? 1 > 0": "get(object, 'path', default)",
    "object?.a == 1": "'.?'",
    "{object.a} > 1": "object.a, without { and }",
    "`object.a` > 1": "nothing around an expression",
    "{{ object.name }} == 'a'": "CEL without {{ and }}",
    "{{object.name == 'a'}}": "CEL without {{ and }}",
}


@pytest.mark.parametrize("text", HINTS)
def test_what_is_meant_is_suggested(text: str, cel: Cel) -> None:
    """The fault says what to write, and nothing that merely looks alike."""
    with pytest.raises(ExpressionError) as refused:
        cel.compile(text, ("object", "now"))

    assert HINTS[text] in refused.value.expected
    assert "getDate" not in refused.value.expected

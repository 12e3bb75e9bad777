"""One table of expressions: what each gives, or why it has no answer."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.cel import Cel, Scope
from engine.errors import EvaluationError

OBJECT: dict[str, Any] = {
    "kind": "Job",
    "metadata": {
        "name": "nightly",
        "namespace": "team-a",
        "annotations": {"example.com/list": "- {name: a}\n- {name: b}", "example.com/json": '{"n": [1, 2.5]}', "plain": "x"},
        "labels": {"app": "web", "tier": "gold"},
    },
    "spec": {"replicas": 3, "ratio": 0.5, "suspend": False, "note": None},
    "status": {
        "phase": "Succeeded",
        "startTime": "2026-01-24T22:29:19Z",
        "completionTime": "2026-01-24T22:30:00.250Z",
        "results": [
            {"index": 0, "status": "Success", "seconds": "1.5"},
            {"index": 1, "status": "Failure", "seconds": "0.5", "message": "boom", "tags": {"z": "1", "a": "2"}},
            {"index": 2, "status": "Skipped"},
        ],
    },
}
NOW = datetime(2026, 1, 24, 23, 0, tzinfo=UTC)
SCOPE = Scope({"object": OBJECT, "now": NOW, "params": {"names": ["web", "db"], "limit": 2}})

ANSWERS: list[tuple[str, Any]] = [
    # fields
    ("object.status.phase", "Succeeded"),
    ("object.status.phase == 'Succeeded'", True),
    ("object['kind'] == 'Job'", True),
    ("object.metadata.annotations['plain']", "x"),
    ("object.metadata.namespace", "team-a"),
    ("object.spec", OBJECT["spec"]),
    ("object.status.results[1].message", "boom"),
    ("object.status.results[1.0].index", 1),
    ("has(object.status)", True),
    ("has(object.status.reason)", False),
    ("has(object.status) && has(object.status.phase)", True),
    ("has(object.spec.note)", True),
    ("has(object.spec.note.deeper)", False),
    ("has(object.kind.deeper) || object.?kind.?deeper.hasValue() || object.spec[?'note'][?'deeper'].hasValue()", False),
    ("object.kind.includes('Job') && object.status.results.map(r, r.index).includes(2)", True),
    ("optional.of(1).orValue(1 / 0) + optional.of(2).or(optional.of(1 / 0)).value()", 3),
    ("object.spec.note == null", True),
    ("object.status.phase != null", True),
    # equality and order
    ("1 == 1.0", True),
    ("1 != 2", True),
    ("object.spec.suspend == 0", False),
    ("true == 1 || false", False),
    ("null == 1", False),
    ("object.spec.replicas == 3.0", True),
    ("object.spec.replicas == '3'", False),
    ("[1, 2.0] == [1.0, 2]", True),
    ("[true] == [1]", False),
    ("{'a': 1, 'b': [null]} == {'b': [null], 'a': 1.0}", True),
    ("object.metadata.labels == {'tier': 'gold', 'app': 'web'}", True),
    ("1 < 1.5", True),
    ("object.spec.ratio < object.spec.replicas", True),
    ("'a' < 'b' && 'Z' < 'a'", True),
    ("false < true", True),
    ("9223372036854775807 == 9223372036854775807.0", True),
    # arithmetic
    ("1-1", 0),
    ("object.spec.replicas-1", 2),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("1.0 / 4.0", 0.25),
    ("1.0 / 0.0", math.inf),
    ("-1.0 / 0.0", -math.inf),
    ("2 * 3 + 4", 10),
    ("2 * (3 + 4)", 14),
    ("10 - 3 - 2", 5),
    ("10 - (3 - 2)", 9),
    ("-(-9223372036854775807)", 9223372036854775807),
    ("-9223372036854775808", -(2**63)),
    ("0x1F + -0x0F", 16),
    ("'a' + 'b' + object.kind", "abJob"),
    ("[1] + [2] + params.names", [1, 2, "web", "db"]),
    # logic absorbs what has no answer
    ("object.nope == 1 || true", True),
    ("true || object.nope == 1", True),
    ("object.nope == 1 && false", False),
    ("object.spec.note.deep == 1 || object.kind == 'Job'", True),
    ("1 / 0 == 1 || true", True),
    ("object.spec.replicas || true", True),
    ("!(object.kind == 'Pod')", True),
    ("!!true", True),
    ("true ? 1 : object.nope", 1),
    ("object.kind == 'Job' ? 'yes' : 'no'", "yes"),
    ("false ? 1 : true ? 2 : 3", 2),
    # lists and maps
    ("'web' in params.names", True),
    ("'a' in ['b'] && true", False),
    ("'web' in ['web'] && object.kind in ['Job', 'Pod']", True),
    ("1 in [1.0]", True),
    ("'app' in object.metadata.labels", True),
    ("1 in object.metadata.labels", False),
    ("[1, 'a', null, [2]]", [1, "a", None, [2]]),
    ("{'a': object.kind, 'b': {'c': 1}}", {"a": "Job", "b": {"c": 1}}),
    ("[[1, 2], [3]][0][1]", 2),
    ("{'a': {'b': 7}}.a.b", 7),
    ("[]", []),
    ("{}", {}),
    # comprehensions
    ("object.status.results.exists(r, r.status == 'Failure')", True),
    ("object.status.results.all(r, r.index >= 0)", True),
    ("object.status.results.exists_one(r, r.status == 'Success')", True),
    ("object.status.results.filter(r, r.index > 0).map(r, r.status)", ["Failure", "Skipped"]),
    ("object.status.results.map(r, r.index > 0, r.index * 10)", [10, 20]),
    ("object.status.results.filter(r, has(r.message)).size()", 1),
    ("object.status.results.exists(r, r.message == 'boom')", True),
    ("object.status.results.all(r, r.message == 'other')", False),
    ("[0, 1].exists(x, 1 / x == 1)", True),
    ("[0, 1].all(x, 1 / x == 5)", False),
    ("[1].map(x, x / 0) == [1] || true", True),
    ("object.metadata.labels.map(k, k + '=' + object.metadata.labels[k])", ["app=web", "tier=gold"]),
    ("object.status.results[1].tags.map(k, k)", ["a", "z"]),
    ("object.status.results.filter(r, has(r.tags)).map(r, r.tags.map(k, r.tags[k]))", [["2", "1"]]),
    ("{'z': 1, 'a': 2}.map(k, k)", ["a", "z"]),
    ("object.metadata.labels.exists(k, k == 'tier')", True),
    ("[[1, 2], [3]].map(x, x.map(y, y + 1))", [[2, 3], [4]]),
    ("[1, 2].map(x, [10].map(x, x))", [[10], [10]]),
    ("[].all(x, x)", True),
    ("[].exists(x, x)", False),
    ("params.names.map(namespace, namespace)", ["web", "db"]),
    ("[1, 2, 3].filter(x, x > params.limit)", [3]),
    # strings
    ("size('é') + 'ab'.size() + size([1]) + size({'a': 1})", 5),
    ("object.kind.startsWith('J') && object.kind.endsWith('b') && object.kind.contains('o')", True),
    ("object.kind.matches('^J.b$')", True),
    ("matches(object.kind, 'ob')", True),
    ("'a\\nb'.matches('a.b')", False),
    ("'a,b,c'.split(',')", ["a", "b", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("'a,b,c'.split(',', 0)", []),
    ("'abc'.split('')", ["a", "b", "c"]),
    ("'abc'.split('', 2)", ["a", "bc"]),
    ("''.split(',')", [""]),
    ("''.split('')", []),
    ("params.names.join('-') + params.names.join()", "web-dbwebdb"),
    ("'aXbX'.replace('X', 'y') + 'aXbX'.replace('X', 'y', 1)", "aybyaybX"),
    ("'ab'.replace('', '-')", "-a-b-"),
    ("'\\u00a0 a\\t\\u3000'.trim()", "a"),
    ("'\\x1ca'.trim().size()", 2),
    ("'AÉb'.lowerAscii() + 'aéB'.upperAscii()", "aÉbAéB"),
    ("'hello'.substring(1) + 'hello'.substring(1, 3) + 'hello'.substring(5)", "elloel"),
    ("'hello'.indexOf('l') * 100 + 'hello'.lastIndexOf('l') * 10 + 'hello'.indexOf('l', 3)", 233),
    ("'hello'.indexOf('z')", -1),
    (r"'\x41\101\u00e9\U0001F600' + r'\d' + '\\' + '\''", "AAé😀\\d\\'"),
    ("'''a\nb''' + \"c'd\"", "a\nbc'd"),
    ("'a // not a comment' // a comment", "a // not a comment"),
    # conversions
    ("int('12') + int('-3') + int(1.9) + int(-1.9) + int(true)", 10),
    ("int('9223372036854775807')", 9223372036854775807),
    ("double('1.5') + double(1) + double('1e3')", 1002.5),
    ("string(1) + string(1.0) + string(1.5) + string(true) + string('x')", "111.5truex"),
    (
        "string(1e6) + ' ' + string(123456.5) + ' ' + string(0.00001) + ' ' + string(0.1 + 0.2)",
        "1e+06 123456.5 1e-05 0.30000000000000004",
    ),
    ("bool('true') && !bool('0')", True),
    ("int(object.status.results[1].index) + int(double(object.status.results[0].seconds))", 2),
    # time
    ("timestamp(object.status.startTime) < timestamp(object.status.completionTime)", True),
    ("timestamp(object.status.completionTime) < now", True),
    ("now - timestamp(object.status.completionTime) > duration('29m')", True),
    ("timestamp(object.status.completionTime) - timestamp(object.status.startTime)", timedelta(seconds=41, milliseconds=250)),
    ("timestamp('2026-01-24T22:30:00.123456Z')", datetime(2026, 1, 24, 22, 30, 0, 123456, UTC)),
    ("timestamp('2026-01-24T23:30:00+01:00') == timestamp('2026-01-24T22:30:00Z')", True),
    ("timestamp(0) + duration('1h30m')", datetime(1970, 1, 1, 1, 30, tzinfo=UTC)),
    ("string(timestamp('2026-01-24T22:30:00+01:00'))", "2026-01-24T21:30:00Z"),
    ("string(timestamp(object.status.completionTime))", "2026-01-24T22:30:00.25Z"),
    ("string(now)", "2026-01-24T23:00:00Z"),
    ("string(duration('1h1.5s')) + string(duration('-90s'))", "3601.5s-90s"),
    ("duration('60m') == duration('1h')", True),
    ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
    ("timestamp(object.status.completionTime).getFullYear()", 2026),
    ("timestamp(object.status.completionTime).getMonth()", 0),
    ("timestamp(object.status.completionTime).getDate()", 24),
    ("timestamp(object.status.completionTime).getDayOfWeek()", 6),
    ("timestamp(object.status.completionTime).getMilliseconds()", 250),
    ("duration('1h5m').getMinutes()", 65),
    ("[now, now].map(t, t - duration('1h'))[0]", datetime(2026, 1, 24, 22, 0, tzinfo=UTC)),
    # the engine's own functions
    ("get(object, 'status.phase', 'none')", "Succeeded"),
    ("get(object, 'status.message', 'none')", "none"),
    ("get(object, 'spec.note', 'none')", "none"),
    ("get(object, 'kind.deeper', 1 + 1)", 2),
    ("get(object, 'status.phase', object.nope)", "Succeeded"),
    ("""get(object, 'metadata.annotations["plain"]', '')""", "x"),
    ("object.status.results.map(r, get(r, 'message', 'r' + string(r.index)))", ["r0", "boom", "r2"]),
    ("annotation(object, 'plain') + annotation(object, 'none')", "x"),
    ("annotation(object.spec, 'plain')", ""),
    ("label(object, 'app')", "web"),
    ("jmespath(object, 'status.results[?status==`Failure`].message | [0]')", "boom"),
    ("jmespath(object.status, 'none.at.all') == null", True),
    ("object.status.results.map(r, jmespath(r, 'tags.a'))", [None, "2", None]),
    ("parseYaml(annotation(object, 'example.com/list')).map(t, t.name)", ["a", "b"]),
    ("parseYaml('when: 2026-01-24T22:30:00Z').when", "2026-01-24T22:30:00Z"),
    ("parseJson(object.metadata.annotations['example.com/json']).n[1]", 2.5),
    ("toJson({'b': [1, 1.5, null, true], 'a': 'é'})", '{"a":"é","b":[1,1.5,null,true]}'),
    ("toJson(object.spec)", '{"note":null,"ratio":0.5,"replicas":3,"suspend":false}'),
    ("toJson(now)", '"2026-01-24T23:00:00Z"'),
    ("object.status.results.filter(r, has(r.tags)).map(r, toJson(r.tags))", ['{"a":"2","z":"1"}']),
    ("humanDuration(41)", "41 seconds"),
    ("humanDuration(duration('65s'))", "1 minute 5 seconds"),
    ("humanDuration(duration('2h3m4s'))", "2 hours 3 minutes"),
    ("humanDuration(timestamp(object.status.completionTime) - timestamp(object.status.startTime))", "41 seconds"),
    ("humanDuration(0) + ', ' + humanDuration(90061) + ', ' + humanDuration(3600.9)", "0 seconds, 1 day 1 hour, 1 hour"),
    ("hash('a')", "ca978112ca1bbdca"),
    ("params.names.map(n, hash(n)).size()", 2),
    ("params.names.map(n, n.replace('b', '')).join(',')", "we,d"),
]

UNANSWERED: list[tuple[str, str]] = [
    ("object.status.reason", "object.status has no field 'reason'"),
    ("object.status.reason == 'x'", "object.status has no field 'reason'"),
    ("object.nope.deeper == 1", "object has no field 'nope'"),
    ("object.spec.note.deeper", "object.spec.note is null, so it has no field 'deeper'"),
    ("object.kind.deeper == 1", "object.kind is of type string, so it has no field 'deeper'"),
    ("has(object.status.results.deeper)", "object.status.results is"),
    ("has(object.nope.deeper)", "object has no field 'nope'"),
    ("object.metadata.annotations['none']", "object.metadata.annotations has no field 'none'"),
    ("object.status.results[9].status", "object.status.results: there is no index 9 in a list of 3"),
    ("object.status.results[object.kind]", "a list has no index of type string"),
    ("object.status.results.map(r, r.message)", "r has no field 'message'"),
    ("object.status.results.all(r, r.message == 'boom')", "r has no field 'message'"),
    ("object.status.results.filter(r, r.index)", "r.index is of type int, not true or false"),
    ("object.status.results.exists(r, r.nope == 1)", "r has no field 'nope'"),
    ("object.kind.map(x, x)", "there is nothing to go through in a value of type string"),
    ("object.spec.note.exists(x, x)", "nothing to go through in a value of type null"),
    ("object.kind + 1", "object.kind + 1: '+' does not work on string and int"),
    ("object.spec.replicas + 1.0", "'+' does not work on int and double"),
    ("object.spec.replicas < 'a'", "'<' does not work on int and string"),
    ("object.spec.note < 1", "'<' does not work on null and int"),
    ("object.kind in object.kind", "'in' does not work on string and string"),
    ("object.spec && true", "object.spec is of type map, not true or false"),
    ("object.nope == 1 || false", "object has no field 'nope'"),
    ("object.nope == 1 && true", "object has no field 'nope'"),
    ("object.kind ? 1 : 2", "object.kind is of type string"),
    ("!object.kind", "'!' does not work on string"),
    ("-object.kind", "'-' does not work on string"),
    ("1 / (object.spec.replicas - 3)", "division by zero"),
    ("object.spec.replicas % 0", "division by zero"),
    ("9223372036854775807 + object.spec.replicas", "does not fit an integer of 64 bits"),
    ("int(object.kind)", "int(object.kind): 'Job' is not a whole number"),
    ("double(object.kind)", "'Job' is not a number"),
    ("int(object.spec)", "int() does not work on map"),
    ("size(object.spec.replicas)", "size() does not work on int"),
    ("object.spec.replicas.startsWith('x')", "startsWith() works on a string, not on int"),
    ("object.kind.startsWith(object.spec.replicas)", "startsWith() does not take (int)"),
    ("object.kind.matches('(' + object.kind)", "is not a regular expression of RE2"),
    ("object.kind.substring(9)", "substring() is out of range"),
    ("[object.spec.replicas].join(',')", "join() works on a list of strings"),
    ("timestamp(object.kind) < now", "'Job' is not a time such as 2026-01-24T22:30:00Z"),
    ("timestamp(object.status.phase)", "timestamp(object.status.phase): 'Succeeded' is not a time"),
    ("duration(object.kind) > duration('1s')", "'Job' is not a duration such as 1h30m or 90s"),
    ("parseYaml(object.kind + ': [')", "the text is not YAML: line 2, column 1"),
    ("parseYaml('a: &x [1]\\nb: *x')", "uses an alias"),
    ("parseYaml('{1: 2}')", "a key that is not a string"),
    ("parseYaml(object.spec)", "parseYaml() does not work on map"),
    ("parseJson(object.kind)", "the text is not JSON: line 1, column 1"),
    (r"""parseJson('"\\ud800"')""", "half a surrogate pair"),
    ("parseJson('[NaN]')", "NaN is not a JSON number"),
    ("humanDuration(0 - object.spec.replicas)", "takes no negative duration"),
    ("jmespath(object, 'length(kind.x)')", "jmespath() found no answer"),
    ("{object.kind: 1, 'Job': 2}.size() == 2", "stands twice"),
    ("[1.5, 2.5].map(x, {x: 1}).size() == 2", "a key of a map is a string, an int, a uint or a bool, not double"),
    ("oldObject.status", "oldObject has no value here"),
    ("oldObject == null", "oldObject has no value here"),
]


@pytest.mark.parametrize(("text", "expected"), ANSWERS, ids=[text for text, _ in ANSWERS])
def test_answers(cel: Cel, text: str, expected: Any) -> None:
    """An expression gives the same value, of the same type."""
    value = cel.compile(text, ("object", "now", "params")).evaluate(SCOPE)

    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(("text", "reason"), UNANSWERED, ids=[text for text, _ in UNANSWERED])
def test_unanswered(cel: Cel, text: str, reason: str) -> None:
    """What has no answer says, in the words of the expression, what it met."""
    program = cel.compile(text, ("object", "oldObject", "now", "params"))

    with pytest.raises(EvaluationError) as fault:
        program.evaluate(SCOPE)

    assert reason in str(fault.value)


def test_not_a_number_is_unequal_to_itself(cel: Cel) -> None:
    """NaN is what 0.0 / 0.0 gives, and equals nothing."""
    assert math.isnan(cel.compile("0.0 / 0.0", ()).evaluate(SCOPE))
    assert cel.compile("0.0 / 0.0 == 0.0 / 0.0", ()).evaluate(SCOPE) is False


def test_a_condition_is_a_bool(cel: Cel) -> None:
    """A condition that gives another value than true or false has no answer."""
    assert cel.compile("object.kind == 'Job'", ("object",)).condition(SCOPE) is True
    with pytest.raises(EvaluationError, match=r"object\.kind is not a condition: its value is 'Job', not true or false"):
        cel.compile("object.kind", ("object",)).condition(SCOPE)


def test_values_that_json_hardly_has(cel: Cel) -> None:
    """Integers of more than 64 bits, and times inside lists, are values like others."""
    scope = Scope({"object": {"big": 2**70, "times": [NOW]}})

    assert (
        cel.compile("object.big == object.big && object.times.all(t, t == object.times[0])", ("object",)).evaluate(scope) is True
    )

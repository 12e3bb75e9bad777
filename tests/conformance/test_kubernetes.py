"""What expressions give in the engine and in a real kube-apiserver 1.34."""

from __future__ import annotations

import pytest

from engine.cel import Cel, Scope, backend
from engine.cel.declarations import ENGINE, GO_BINDINGS, GO_ENCODERS, GO_LISTS, GO_MATH
from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS
from engine.errors import EvaluationError, ExpressionError
from tests.conformance.calls import CALLS, KUBERNETES
from tests.conformance.kubernetes import OBJECT, answers
from tests.controlplane.plane import ControlPlane

pytestmark = pytest.mark.cluster

#: Libraries that Kubernetes does not have, and functions of libraries that it has in an older version.
_ELSEWHERE = {ENGINE, GO_BINDINGS, GO_ENCODERS, GO_LISTS, GO_MATH}
#: Examples of what 1.34 has in no version of its libraries, or refuses because its types are checked.
_NEWER = {"1 == 1.0", "'abc'.reverse() == 'cba'", "optional.unwrap([optional.of(1), optional.none()]) == [1]",
          "[optional.of(1), optional.none()].unwrapOpt() == [1]"}  # fmt: skip
#: What the engine gives and what Kubernetes does, where they differ. In the first six the engine is as the official tests.
KNOWN: dict[str, tuple[bool | None, bool | None]] = {
    "'abc'.indexOf('a', 30) == -1": (None, True),
    "'abc'.lastIndexOf('a', 30) == -1": (None, True),
    "duration('1.5s').getMilliseconds() == 500": (True, False),
    "'%s'.format([['a', 1.5]]) == '[a, 1.5]'": (True, False),
    "'%e'.format([1000.0]) == '1.000000e+03'": (True, False),
    "string(timestamp('2026-01-24T22:30:00+01:00')) == '2026-01-24T21:30:00Z'": (True, False),
    "int(true) == 1": (True, None),
    "self.time == '2026-01-24T22:30:00Z'": (True, None),
    "self.time + 'x' == '2026-01-24T22:30:00Zx'": (True, None),
    "type(self.time) == google.protobuf.Timestamp": (False, True),
    "int(self.time) > 0": (None, True),
}

EDGES = """
int(' 5') == 5
int('5') == 5
int('+5') == 5
int('0x10') == 16
double('1e400') > 0.0
double(' 1') == 1.0
double('1e3') == 1000.0
double('Infinity') > 1.0
double('0x1p4') == 16.0
uint('5') == 5u
uint('-5') == 5u
bool('TRUE') && bool('t') && !bool('0')
bool('yes')
timestamp('2026-01-24T22:30:60Z') == timestamp('2026-01-24T22:31:00Z')
timestamp('2026-01-24T22:30:00+0000') == timestamp('2026-01-24T22:30:00Z')
timestamp('2026-01-24t22:30:00Z') == timestamp('2026-01-24T22:30:00Z')
timestamp('2026-01-24T22:30:00z') == timestamp('2026-01-24T22:30:00Z')
timestamp('2026-01-24T22:30:00.123456789Z') > timestamp('2026-01-24T22:30:00.123456Z')
timestamp('2026-01-24T24:00:00Z') > timestamp('2026-01-24T22:30:00Z')
timestamp('2026-01-24T22:30:00,5Z') == timestamp('2026-01-24T22:30:00.5Z')
timestamp('2026-01-24 22:30:00Z') > timestamp(0)
timestamp('9999-12-31T23:59:59Z') + duration('1s') > timestamp(0)
timestamp('0001-01-01T00:00:00Z') - duration('1ns') < timestamp(0)
timestamp('2026-01-01T00:00:00Z') - timestamp('1700-01-01T00:00:00Z') > duration('0s')
timestamp('2026-01-01T00:00:00Z') - timestamp('1800-01-01T00:00:00Z') > duration('0s')
duration('2562048h') > duration('0')
duration('2562047h') > duration('0')
duration('2562047h') + duration('2562047h') > duration('0')
duration('1d') > duration('0')
duration('1.5h') == duration('90m')
duration('-1.5h') == duration('-90m')
duration('1us') > duration('999ns')
string(duration('1.5s')) == '1.5s'
string(duration('1h')) == '3600s'
string(timestamp('2026-01-24T22:30:00.250Z')) == '2026-01-24T22:30:00.25Z'
string(1e6) == '1e+06'
string(123456.5) == '123456.5'
string(1.0) == '1'
string(0.00001) == '1e-05'
string(1.0 / 0.0) == '+Inf'
string(b'abc') == 'abc'
string(b'\\xff') == 'x'
int(1.9) == 1 && int(-1.9) == -1
int(9.3e18) > 0
int(timestamp('1969-12-31T23:59:59.5Z')) == -1
9223372036854775807 + 1 > 0
-9223372036854775808 / -1 > 0
1 / 0 == 1
1.0 / 0.0 > 1.0
7 % -3 == 1 && -7 % 3 == -1
0.0 / 0.0 == 0.0 / 0.0
dyn(1) == dyn(1.0)
dyn(1) == dyn('1')
dyn(true) == dyn(1)
1 / 0 == 1 || true
1 / 0 == 1 && false
self.time - timestamp('2026-01-24T21:30:00Z') == duration('1h') && timestamp('2026-01-24T23:30:00Z') - self.time > duration('0s')
self.time == timestamp('2026-01-24T22:30:00Z') && timestamp('2026-01-24T22:30:00Z') == self.time
self.time < timestamp('2026-01-25T00:00:00Z') && self.time >= self.time
self.time + duration('1h') > self.time && self.time - duration('1h') < self.time
self.time.getHours() == 22 && self.time.getHours('Europe/Berlin') == 23 && self.time.getDayOfYear() == 23
timestamp(self.time) == self.time && string(self.time) == '2026-01-24T22:30:00Z'
self.time in [timestamp('2026-01-24T22:30:00Z')] && [self.time] == [timestamp('2026-01-24T22:30:00Z')]
has(self.time) && self.?time.orValue(timestamp(0)) > timestamp(0)
self.absent == 'a'
self.absent == 'a' || true
has(self.absent)
!has(self.absent)
self.?absent.orValue('none') == 'none'
self.?absent.hasValue()
self.?text.optMap(t, t + 'x').value() == '10.0.0.1x'
self.labels[?'app'].orValue('') == 'web'
self.labels['none'] == 'x'
self.numbers[?5].hasValue()
self.numbers[5] == 1
'app' in self.labels && 3 in self.numbers
self.labels.all(k, k == 'app') && self.labels.exists(k, v, v == 'web')
self.labels.transformMap(k, v, v + 'x') == {'app': 'webx'}
self.labels.transformList(k, v, k + v) == ['appweb']
self.labels.transformMapEntry(k, v, {v: k}) == {'web': 'app'}
self.numbers.all(i, n, i < 3 && n > 0)
self.numbers.sum() == 6 && self.numbers.min() == 1 && self.numbers.max() == 3
self.numbers.isSorted()
self.numbers.indexOf(1) == 1 && self.numbers.lastIndexOf(9) == -1
[].min() == 1
[1.0, 2.0].sum() == 3.0
quantity(self.memory).isLessThan(quantity('1Gi'))
quantity('1.5') == quantity('1500m')
quantity('200K') == quantity('200k')
quantity('1e3') == quantity('1k') && quantity('1E3') == quantity('1k')
quantity('1E') == quantity('1000P')
quantity('.5') == quantity('500m') && quantity('5.') == quantity('5')
quantity('+1') == quantity('1') && sign(quantity('-1')) == -1
quantity('0.0000000001') == quantity('1n')
quantity('') == quantity('0')
quantity('1 Gi') == quantity('1Gi')
quantity('50k').add(quantity('20k')).sub(20).asInteger() == 69980
quantity('1.5').isInteger()
quantity('1.5').asInteger() == 1
quantity('9223372036854775808').isInteger()
quantity('100m').asApproximateFloat() == 0.1
quantity('10000000Ei') == quantity('8Ei')
isQuantity('1,3G') || isQuantity('Three') || isQuantity('Mi') || isQuantity('1e')
ip(self.text).family() == 4
ip('::ffff:1.2.3.4').family() == 6
isIP('fe80::1%eth0')
isIP('010.0.0.1')
ip('2001:DB8::1') == ip('2001:db8:0::1')
ip.isCanonical('2001:DB8::ABCD')
ip('ff02::1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()
ip('255.255.255.255').isGlobalUnicast()
ip('10.0.0.1').isGlobalUnicast() && !ip('127.0.0.1').isGlobalUnicast()
cidr('192.168.0.1/16').masked() == cidr('192.168.0.0/16')
cidr('192.168.0.1/16') == cidr('192.168.0.0/16')
cidr('10.0.0.0/8').containsIP(self.text) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')
cidr('10.0.0.0/8').containsCIDR(cidr('10.0.0.0/7'))
cidr('10.0.0.0/8').containsIP('x')
isCIDR('10.0.0.0/33') || isCIDR('10.0.0.0') || isCIDR('::ffff:1.2.3.4/24') || isCIDR('10.0.0.0/08')
string(cidr('10.1.2.3/8')) == '10.1.2.3/8' && string(cidr('10.1.2.3/8').ip()) == '10.1.2.3'
cidr('::1/128').prefixLength() == 128
url('https://user@example.com:80/a b?k=1&k=2#f').getHost() == 'example.com:80'
url('https://[::1]:80/').getHostname() == '::1' && url('https://[::1]:80/').getPort() == '80'
url('https://example.com/a b').getEscapedPath() == '/a%20b'
url('https://example.com/a%2fb').getEscapedPath() == '/a%2fb'
url('https://example.com/ü').getEscapedPath() == '/%C3%BC'
url('https://example.com/?k=1&k=2&x').getQuery() == {'k': ['1', '2'], 'x': ['']}
url('HTTPS://example.com').getScheme() == 'https'
url('/path').getScheme() == '' && url('/path').getHost() == ''
isURL('example.com') || isURL('../up') || isURL('') || isURL('https://a b/') || isURL('https://a:b/')
isURL('https://example.com/%zz')
isURL('mailto:a@b.c')
isURL('//example.com/a')
isURL('https://')
semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) && semver('1.0.0+a') == semver('1.0.0+b')
semver('v1.2', true).minor() == 2
semver('01.01.01', true) == semver('1.1.1')
isSemver('v1.0.0') || isSemver('1.0') || isSemver('1.0.0-01')
semver('1.2.3').compareTo(semver('1.2.3')) == 0
format.named('dns1123Label').hasValue() && !format.named('x').hasValue()
format.dns1123Label().validate('a-b') == optional.none()
format.dns1123Label().validate('A').hasValue() && format.dns1123Label().validate('').hasValue()
format.dns1123LabelPrefix().validate('a-').hasValue()
format.dns1123Subdomain().validate('a.b-c.d').hasValue() || format.dns1035Label().validate('a1').hasValue()
format.dns1035Label().validate('1a').hasValue()
format.qualifiedName().validate('example.com/a_b').hasValue()
format.qualifiedName().validate('/a').hasValue() && format.qualifiedName().validate('a/b/c').hasValue()
format.labelValue().validate('').hasValue() || format.labelValue().validate('a.B_c').hasValue()
format.labelValue().validate('-').hasValue()
format.uri().validate('https://example.com').hasValue()
format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()
format.uuid().validate('123').hasValue() && format.byte().validate('%').hasValue()
format.byte().validate('aGVsbG8=').hasValue() || format.date().validate('2026-01-24').hasValue()
format.date().validate('2026-02-30').hasValue() && format.date().validate('26-1-1').hasValue()
format.datetime().validate('2026-01-24T22:30:00Z').hasValue()
format.datetime().validate('2026-01-24').hasValue()
'%s %d %.2f %b %o %x %X %%'.format(['a', 1, 1.5, 5, 8, 255, 'hi']) == 'a 1 1.50 101 10 ff 6869 %'
isQuantity('Mi')
isQuantity('m')
isQuantity('')
isQuantity('+')
isQuantity('-k')
isQuantity('.')
isQuantity('.Mi')
isQuantity('e3')
'%s %s'.format(['a']) == 'a'
'%d'.format(['a']) == 'a'
'%z'.format([1]) == '1'
strings.quote('a"b\\n') == '"a\\\\"b\\\\n"'
'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == ''
'hello'.charAt(6) == ''
'hello'.lastIndexOf('l', 2) == 2 && 'hello'.indexOf('', 2) == 2 && 'hello'.lastIndexOf('') == 5
'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'a'.split(',', 0) == [] && 'abc'.split('') == ['a', 'b', 'c']
'abc'.substring(1, 4) == 'bc'
['a', 'b'].join('-') == 'a-b' && 'aXbX'.replace('X', 'y', 1) == 'aybX' && ' a '.trim() == 'a'
'abc 123 x 45'.find('[0-9]+') == '123' && 'abc 123 x 45'.findAll('[0-9]+') == ['123', '45']
'123 abc 456'.findAll('[0-9]*').size() == 6
'abc'.findAll('x*', 1) == [''] && 'abc'.findAll('x') == []
'abc'.matches('(')
sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])
timestamp('2026-01-24T22:30:00Z').getHours('Europe/Berlin') == 23 && timestamp('2026-01-24T22:30:00Z').getHours('+01:30') == 0
timestamp('2026-01-24T22:30:00Z').getHours('-03:00') == 19 && timestamp('2026-01-24T22:30:00Z').getDayOfYear() == 23
timestamp('2026-01-24T22:30:00Z').getHours('Nowhere/City') == 1
duration('90m').getHours() == 1 && duration('-90s').getMinutes() == -1
type(1) == int && type('a') == string && type(null) == null_type && type([1]) == list && type({}) == map && type(type(1)) == type
type(1u) == uint && type(b'') == bytes && type(duration('1s')) == google.protobuf.Duration
type(optional.none()) == optional_type
{'a': 1, ?'b': optional.none()} == {'a': 1} && [1, ?optional.none()] == [1]
[1, 2, 3].exists_one(x, x > 2) && [1, 2].existsOne(i, x, x == 2)
optional.ofNonZeroValue(0).hasValue() || optional.ofNonZeroValue({}).hasValue()
optional.of(1).or(optional.of(2)).value() == 1 && optional.none().orValue(3) == 3
optional.of({'a': 1}).a.value() == 1 && has(optional.of({'a': 1}).a)
optional.none().value() == 1
b'\\x41' + b'B' == b'AB' && bytes('é').size() == 2 && size('é') == 1
'\\u00e9' == 'é' && r'\\d' == '\\\\d'
'ab' < 'b' && 'Z' < 'a' && b'a' < b'b' && false < true
""".strip().splitlines()


def _engine(cel: Cel, expression: str) -> bool | None:
    try:
        return cel.compile(expression, ("self",)).condition(Scope({"self": OBJECT}))
    except (ExpressionError, EvaluationError):
        return None


def _examples() -> list[str]:
    found = [(one.origin, one.example) for name in FUNCTIONS for one in FUNCTIONS[name]]
    found += [(macro.origin, macro.example) for macro in MACROS.values()]
    return [example for origin, example in found if origin not in _ELSEWHERE and example not in _NEWER]


def _differing(plane: ControlPlane, name: str, expressions: list[str]) -> dict[str, tuple[bool | None, bool | None]]:
    """What the engine and kube-apiserver give to each expression that they do not agree on."""
    cel, theirs = backend(), answers(plane, name, expressions)
    ours = {each: _engine(cel, each) for each in theirs}
    return {each: (ours[each], theirs[each]) for each in theirs if ours[each] != theirs[each]}


def test_edges_are_as_in_kubernetes(control_plane: ControlPlane) -> None:
    """Conditions at the edges of the language and its libraries give the same, or have no answer, in both."""
    assert _differing(control_plane, "edge", EDGES) == {}


def test_every_example_is_true_in_kubernetes(control_plane: ControlPlane) -> None:
    """The examples of all functions that Kubernetes has."""
    assert _differing(control_plane, "example", _examples()) == {}


def test_typical_calls_are_true_in_both(control_plane: ControlPlane) -> None:
    """All 74 in the engine, and in a kube-apiserver of 1.34 all of the libraries that it has."""
    cel = backend()

    assert len(CALLS) == 74
    assert [each for each in CALLS if _engine(cel, each) is not True] == []
    assert [each for each, theirs in answers(control_plane, "call", KUBERNETES).items() if theirs is not True] == []


def test_known_differences(control_plane: ControlPlane) -> None:
    """What the engine does otherwise than Kubernetes on purpose; docs/reference/cel-conformance.md says why."""
    assert _differing(control_plane, "known", list(KNOWN)) == KNOWN

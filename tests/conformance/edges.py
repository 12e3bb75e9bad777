"""Conditions at the edges of the language and of its libraries, for which implementations of CEL differ."""

EDGES = r"""
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
string(b'\xff') == 'x'
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
strings.quote('a"b\n') == '"a\\"b\\n"'
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
b'\x41' + b'B' == b'AB' && bytes('é').size() == 2 && size('é') == 1
'\u00e9' == 'é' && r'\d' == '\\d'
'ab' < 'b' && 'Z' < 'a' && b'a' < b'b' && false < true
bool('T') && !bool('F')
''.split('') == []
''.split(',') == ['']
'a,b'.split(',', 1) == ['a,b'] && 'a,b'.split(',', -1) == ['a', 'b']
'abc'.split('', 2) == ['a', 'bc']
''.split('', 2) == []
'abc'.replace('', '-') == '-a-b-c-'
'abc'.replace('', '-', 2) == '-a-bc' && 'abc'.replace('b', 'x', 0) == 'abc'
'hello'.lastIndexOf('o', 4) == 4 && 'hello'.lastIndexOf('lo', 4) == 3
'hello'.lastIndexOf('hello!', 2) == -1
'hello'.lastIndexOf('o', 5) == -1 && 'hello'.lastIndexOf('', 5) == 5
'hello'.indexOf('o', 5) == -1 && 'hello'.indexOf('', 5) == 5
'abc'.lastIndexOf('', 1) == 1
'abc'.substring(3) == ''
'abc'.substring(2, 1) == ''
' a\u00a0\u2003'.trim() == 'a' && '\u200ba'.trim() == '\u200ba'
'ÀB'.lowerAscii() == 'Àb' && 'àb'.upperAscii() == 'àB'
['a'].join() == 'a' && ['a', ''].join('-') == 'a-'
strings.quote('é\x01') == '"é\x01"'
strings.quote("\t\\'") == '"\\t\\\\\'"'
'%d %s %s'.format([1u, 2.5, true]) == '1 2.5 true'
'%s'.format([null]) == 'null' && '%s'.format([duration('90s')]) == '90s' && '%s'.format([b'abc']) == 'abc'
'%s'.format([timestamp('2026-01-24T22:30:00Z')]) == '2026-01-24T22:30:00Z'
'%s'.format([type(1)]) == 'int'
'%x'.format([-1]) == '-1' && '%b'.format([true]) == '1' && '%X'.format([b'hi']) == '6869'
'%.2f'.format([1.005]) == '1.00' && '%.0f'.format([2.5]) == '2'
'%s'.format([0.1 + 0.2]) == '0.30000000000000004'
int('-0') == 0 && int('00012') == 12
int('9223372036854775808') == 0
int('-9223372036854775808') < 0
int('') == 0
int('1_000') == 1000
uint('+5') == 5u
uint(5.9) == 5u
uint(-1) == 1u
double('1_000') == 1000.0 && double('1_0.5_0e1_0') == 1.05e11
double('_1') == 1.0
double('1__0') == 10.0
double('.5') == 0.5 && double('5.') == 5.0 && double('-inf') < 0.0
double('nan') == double('nan')
double('') == 0.0
int(1e18) == 1000000000000000000 && int(9223372036854774784.0) > 0
int(9223372036854775807.0) > 0
string(1e21) == '1e+21' && string(-0.0) == '-0' && string(100000.0) == '100000' && string(1234567.0) == '1.234567e+06'
string(0.1 + 0.2) == '0.30000000000000004' && string(1u) == '1' && string(true) == 'true'
string(timestamp('0001-01-01T00:00:00Z')) == '0001-01-01T00:00:00Z'
timestamp('2026-01-24T2:30:00Z') == timestamp('2026-01-24T02:30:00Z')
timestamp('2026-1-24T02:30:00Z') > timestamp(0)
timestamp('2026-01-24T22:30:00.Z') > timestamp(0)
timestamp('2026-01-24T22:30:00-00:00') == timestamp('2026-01-24T22:30:00Z')
timestamp('2026-01-24T22:30:00+24:00') == timestamp('2026-01-23T22:30:00Z')
timestamp('2026-01-24T22:30:00+5:00') > timestamp(0)
timestamp('2026-01-24T22:30:00+05:60') > timestamp(0)
timestamp('2026-02-29T00:00:00Z') > timestamp(0)
timestamp('0000-12-31T23:59:59Z') < timestamp(0)
timestamp('2026-01-24T22:30:00.1234567891Z') == timestamp('2026-01-24T22:30:00.123456789Z')
timestamp(253402300800) > timestamp(0)
timestamp(-62135596801) < timestamp(0)
timestamp(253402300799) == timestamp('9999-12-31T23:59:59Z')
duration('') == duration('0s')
duration('1') == duration('1s')
duration('-0') == duration('0') && duration('+5s') == duration('5s') && duration('1h1h') == duration('2h')
duration('.5s') == duration('500ms') && duration('1.s') == duration('1s') && duration('0.3ns') == duration('0')
duration('.s') == duration('0')
duration('1h-5m') == duration('55m')
duration('1h 5m') == duration('65m')
duration('9223372036854775807ns') + duration('1ns') > duration('0')
duration('-9223372036854775808ns') < duration('0')
duration('-1500ms').getSeconds() == -1 && duration('-1s') < duration('0')
string(duration('0')) == '0s' && string(duration('-90m')) == '-5400s' && string(duration('1ns')) == '0.000000001s'
self.time.getHours('UTC') == 22 && self.time.getHours('') == 22
self.time.getHours('+1:30') == 0
self.time.getHours('1:30') == 0
self.time.getHours('europe/berlin') == 23
self.time.getHours('CET') == 23 && self.time.getHours('US/Central') == 16
self.time.getHours('0530') == 4
self.time.getDayOfWeek() == 6 && self.time.getDayOfMonth() == 23 && self.time.getDate() == 24 && self.time.getMonth() == 0
isIP('1.2.3') || isIP('1.2.3.4 ') || isIP('1.2.3.4/32') || isIP('1.2.3.256') || isIP('') || isIP('::1::')
isIP('::1.2.3.4') && ip('::1.2.3.4') == ip('::102:304')
string(ip('2001:db8:0:0:1:0:0:1')) == '2001:db8::1:0:0:1' && string(ip('1:0:0:2:0:0:0:3')) == '1:0:0:2::3'
ip('fc00::1').isGlobalUnicast() && !ip('fe80::1').isGlobalUnicast() && !ip('::').isGlobalUnicast()
ip.isCanonical('x')
isIP('٣.1.1.1')
cidr('0.0.0.0/0').containsIP('255.255.255.255') && !cidr('::/0').containsIP('10.0.0.1')
cidr('10.0.0.0/8').containsCIDR('::/0') || cidr('10.0.0.0/8').containsCIDR('0.0.0.0/0')
cidr('10.1.2.3/8').containsCIDR('10.0.0.0/8') && cidr('10.1.2.3/8').containsCIDR('10.9.9.9/16')
isCIDR('10.0.0.0/+8') || isCIDR('fe80::1%eth0/64') || isCIDR('10.0.0.0/') || isCIDR('/8')
string(cidr('2001:DB8::/32')) == '2001:db8::/32' && cidr('2001:db8::/32') == cidr('2001:DB8::/32')
cidr('10.0.0.0/8').containsCIDR('10.0.0.0')
url('/a%2Fb?x=1').getEscapedPath() == '/a%2Fb' && url('https://a').getEscapedPath() == ''
url('https://example.com/a#b').getEscapedPath() == '/a'
url('https://example.com/?k=1#f').getQuery() == {'k': ['1']}
isURL('https://example.com/a#%zz')
isURL('https://example.com#f')
isURL('https://example.com?k=1')
url('https://example.com?k=1').getHost() == 'example.com'
isURL('*')
url('//example.com/a').getHost() == 'example.com' && url('//example.com/a').getEscapedPath() == '/a'
url('///a').getHost() == '' && url('///a').getEscapedPath() == '///a'
isURL('//a b/c') && !format.uri().validate('//a b/c').hasValue()
url('//a b/c').getHost() == ''
url('https://a/x (1)').getEscapedPath() == '/x%20%281%29'
url('https://a/b c%2f').getEscapedPath() == '/b%20c/'
url("https://a/x'(1)!*[]").getEscapedPath() == "/x'(1)!*[]"
url('https://a/b%20c').getEscapedPath() == '/b%20c'
url('https://a/b"<>^`{|}').getEscapedPath() == '/b%22%3C%3E%5E%60%7B%7C%7D'
isURL('https://us er@example.com/')
isURL('https://a:b@example.com/') && url('https://a:b@example.com/').getHostname() == 'example.com'
isURL('1https://a/') || isURL(':a') || isURL('ht tp://a')
isURL('https:/a') && url('https:/a').getHost() == '' && url('https:/a').getEscapedPath() == '/a'
isURL('https:a')
url('https://example.com:/').getPort() == '' && url('https://example.com:/').getHost() == 'example.com:'
url('https://EXAMPLE.com/').getHost() == 'EXAMPLE.com'
url('https://ex%C3%A4mple.com/').getHost() == 'exämple.com'
isURL('https://ex%41mple.com/')
isURL('https://exa mple.com/')
isURL('https://[fe80::1%25en0]:80/')
url('https://[fe80::1%25en0]:80/').getHostname() == 'fe80::1%en0'
isURL('https://[::1') || isURL('https://[::1]x/')
url('https://a/?k=%41&%42=c&d=e+f').getQuery() == {'k': ['A'], 'B': ['c'], 'd': ['e f']}
url('https://a/?k;l=1').getQuery() == {}
url('https://a/?k=%zz&b=1').getQuery() == {'b': ['1']}
url('https://a/?=1&&').getQuery() == {'': ['1']}
url('https://a/?').getQuery() == {} && url('https://a/').getQuery() == {}
isURL('https://a/\t')
quantity('1000m').isInteger()
quantity('1.0').isInteger()
quantity('1.0Gi').isInteger()
quantity('1.Gi').isInteger()
quantity('100Ti').isInteger()
quantity('1Ti').isInteger() && quantity('1Ti').asInteger() == 1099511627776
quantity('1Pi').isInteger()
quantity('1e3').isInteger() && quantity('1E3').asInteger() == 1000
quantity('1e-3').isInteger()
quantity('1e19').isInteger()
quantity('0').isInteger() && quantity('00').isInteger() && quantity('0k').isInteger() && quantity('0Gi').isInteger()
quantity('0.0').isInteger()
quantity('0m').isInteger()
quantity('1.5k').isInteger()
quantity('1.50k').asInteger() == 1500
quantity('00001').isInteger() && quantity('0000000000000000000001').isInteger()
quantity('1234567890123456789').isInteger()
quantity('123456789012345678').isInteger()
quantity('9223372036854775807').asInteger() > 0
quantity('500m').add(quantity('500m')).isInteger()
quantity('1').sub(quantity('1000m')).isInteger()
quantity('1.5').add(quantity('0.5')).asInteger() == 2
quantity('0').add(quantity('1Pi')).isInteger()
quantity('1k').add(quantity('1')).isInteger() && quantity('1k').sub(quantity('1M')).asInteger() == -999000
quantity('500m').add(1).isInteger()
quantity('0').add(5).isInteger() && quantity('0.0').add(5).isInteger()
quantity('5').add(quantity('0.0')).isInteger()
quantity('0.1').sub(quantity('0.1')).isInteger()
quantity('100000000000000000').add(quantity('9223372036854775807')).isInteger()
quantity('1.5Gi').asApproximateFloat() == 1610612736.0
quantity('0.3').asApproximateFloat() == 0.3
quantity('1.1').asApproximateFloat() == 1.1
quantity('1234567m').asApproximateFloat() == 1234.567
quantity('1n').asApproximateFloat() == 1e-09
quantity('1Gi').asApproximateFloat() == 1073741824.0 && quantity('1k').asApproximateFloat() == 1000.0
quantity('7e22').asApproximateFloat() == 7e22
quantity('1e400').asApproximateFloat() > 1e308
quantity('1e-10') == quantity('1n') && quantity('-1e-10') == quantity('-1n')
quantity('1.5') == quantity('-1.5')
quantity('12Ei').isLessThan(quantity('9Ei')) || quantity('12Ei').compareTo(quantity('9Ei')) == 0
quantity('12E').isGreaterThan(quantity('9E'))
isQuantity('1i') || isQuantity('1K i') || isQuantity('1e1.5') || isQuantity('1ee3') || isQuantity('0x1') || isQuantity('1Kii')
isQuantity('1e') || isQuantity('1.2.3') || isQuantity('--1') || isQuantity('1 ') || isQuantity('1e+')
isQuantity('1E') && isQuantity('1e+3') && isQuantity('1E-3') && isQuantity('1K')
semver('1.0.0-alpha.1').isLessThan(semver('1.0.0-alpha.beta')) && semver('1.0.0-2').isLessThan(semver('1.0.0-10'))
isSemver('1.2.3-') || isSemver('1.2.3+') || isSemver('1.2.3-a..b') || isSemver('1.2') || isSemver('') || isSemver('a.b.c')
isSemver('1.2.3+01') && isSemver('1.2.3-a-b.c+d.e-f')
isSemver('1.2.3-0a')
isSemver('18446744073709551615.0.0')
isSemver('18446744073709551616.0.0')
isSemver('1.0.0-a.18446744073709551616')
semver('9223372036854775807.0.0').major() == 9223372036854775807
isSemver('v1', true) && isSemver('1.2.3', true) && isSemver('v01.02.03', true)
isSemver('1.2-rc', true)
isSemver('vv1', true) || isSemver('1.2.3.4', true) || isSemver('', true) || isSemver(' 1.2.3', true)
semver('1.2.3-rc.1').patch() == 3 && semver('1.2.3-rc.1') != semver('1.2.3')
format.byte().validate('').hasValue()
format.byte().validate('aGVsbG8').hasValue()
format.byte().validate('aGVsbG8=').hasValue()
format.byte().validate('_-8=').hasValue()
format.datetime().validate('2026-01-24t22:30:00z').hasValue()
format.datetime().validate('2026-01-24T22:30:00').hasValue()
format.datetime().validate('2026-01-24 22:30:00Z').hasValue()
format.datetime().validate('2026-01-24T23:59:60Z').hasValue()
format.datetime().validate('2026-01-24T22:30:00+99:99').hasValue()
format.datetime().validate('2026-01-24T22:30:00,5Z').hasValue()
format.datetime().validate('2026-01-24T24:00:00Z').hasValue()
format.datetime().validate('2026-02-30T22:30:00Z').hasValue()
format.date().validate('2026-02-29').hasValue()
format.uuid().validate('123E4567E89B12D3A456426614174000').hasValue()
format.uuid().validate('{123e4567-e89b-12d3-a456-426614174000}').hasValue()
format.uri().validate('').hasValue() && format.uri().validate('a b').hasValue() && !format.uri().validate('/a b').hasValue()
format.labelValue().validate('a123456789012345678901234567890123456789012345678901234567890123').hasValue()
format.qualifiedName().validate('a/b.c').hasValue() || !format.qualifiedName().validate('A_b/c').hasValue()
format.qualifiedName().validate('').hasValue() && format.qualifiedName().validate('a/').hasValue()
format.dns1123SubdomainPrefix().validate('a.-').hasValue()
format.dns1123SubdomainPrefix().validate('a-').hasValue() || format.dns1035LabelPrefix().validate('a-').hasValue()
format.dns1123LabelPrefix().validate('-').hasValue()
format.dns1035LabelPrefix().validate('1-').hasValue()
format.dns1123Subdomain().validate('a..b').hasValue() && format.dns1123Subdomain().validate('.a').hasValue()
format.named('uri').value().validate('/a').hasValue()
'abc'.find('') == '' && 'aaa'.findAll('a*') == ['aaa'] && 'é'.find('.') == 'é'
'ab'.findAll('', 2) == ['', ''] && 'abc'.findAll('b', 0) == [] && 'abc'.findAll('b', -1) == ['b']
'baac'.findAll('a*') == ['', 'aa', '']
'a\nb'.matches('a.b')
'AB'.matches('(?i)ab') && 'x'.matches('(?P<n>x)') && 'é'.matches('\\pL') && 'a.b'.matches('\\Qa.b\\E')
'x'.matches('(?<n>x)')
'a'.matches('a{1001}')
'ab'.matches('b') && !'ab'.matches('^b') && matches('ab', 'a')
['b', 'a'].min() == 'a' && [true, false].max() && [b'b', b'a'].min() == b'a' && [1u].sum() == 1u
[duration('1s'), duration('2s')].sum() == duration('3s') && [timestamp(0), timestamp(1)].max() == timestamp(1)
[[1]].indexOf([1]) == 0 && [1].lastIndexOf(2) == -1 && [2.5, 1.5].sum() == 4.0
[1.5, 1.5].isSorted() && [duration('1s'), duration('1s')].isSorted()
[9223372036854775807, 1].sum() > 0
sets.contains([1], [1]) && !sets.intersects([1], [2]) && sets.equivalent([1, 1, 2], [2, 1])
sets.contains([dyn(1)], [dyn(1.0)]) && sets.intersects([dyn('1')], [dyn('1')])
{1: 'a'}[dyn(1.0)] == 'a' && [1][dyn(0.0)] == 1
[1][dyn(0.5)] == 1
dyn([1]) == dyn([1.0]) && dyn({'a': 1}) == dyn({'a': 1.0})
dyn(1u) == dyn(1) && dyn(2.0) > dyn(1) && dyn(1) in [dyn(1.0)]
dyn(9007199254740993) == dyn(9007199254740992.0)
dyn(9223372036854775807) < dyn(9223372036854775808.0)
dyn(9223372036854775807) == dyn(9223372036854775808.0)
dyn(-1) < dyn(0u) && dyn(18446744073709551615u) > dyn(1)
1u - 2u == 0u
18446744073709551615u + 1u == 0u
-9223372036854775808 == -9223372036854775807 - 1 && 5 / -2 == -2 && -5 % 3 == -2
-(-9223372036854775808) > 0
9223372036854775807 * 2 > 0
-9223372036854775808 % -1 == 0
5u / 2u == 2u && 5u % 2u == 1u
5u / 0u == 1u
5 % 0 == 1
dyn('a') < dyn(1)
dyn(null) == dyn(0)
dyn(null) == null && dyn([null]) == dyn([null])
{'a': dyn(null)}.?a.hasValue()
{'a': dyn(null)}.?a.?b.hasValue()
{'a': dyn('x')}.?a.?b.hasValue()
{'a': dyn(1)}.?a[?'b'].hasValue()
{'a': dyn(1)}.?a[?0].hasValue()
{'a': dyn([1])}.?a.?b.hasValue()
{'a': dyn([1])}.?a[?0].value() == 1
{'a': dyn([1])}.?a[?1].hasValue()
{'a': dyn([1])}.?a[1].hasValue()
{'a': dyn({'b': dyn(null)})}.?a.?b.?c.?d.hasValue()
has({'a': dyn(null)}.a.b)
has({'a': dyn('x')}.a.b)
has({'a': dyn(1)}.a.b)
has({'a': dyn(1)}.a.b.c)
has({'a': dyn([1])}.a.b)
has({'a': dyn(timestamp(0))}.a.b)
has({'a': 1}.?a)
has(self.?labels.app)
has(self.?labels.x)
optional.of(dyn(null)).hasValue() && optional.of(1) == optional.of(1) && optional.none() == optional.none()
optional.of(1) != optional.none() && optional.of(optional.none()).hasValue()
optional.of(dyn(1)) == optional.of(dyn(1.0))
optional.none().or(optional.none()).hasValue()
optional.of(1).orValue(1 / 0) == 1
optional.none().orValue(1 / 0) == 1
optional.of(1).or(optional.of(1 / 0)).hasValue()
[optional.none()].size() == 1 && optional.of('x').optMap(y, y + 'z').value() == 'xz'
[?self.?absent, ?self.?text].size() == 1 && {?'a': self.?absent}.size() == 0
[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]
[0, 1].exists(x, 1 / x == 1)
[0, 1].all(x, 1 / x == 2)
[0, 1].all(x, 1 / x == 1)
[0, 1].exists(x, 1 / x == 2)
[0, 1].exists_one(x, 1 / x == 1)
[0].filter(x, 1 / x == 1).size() == 0
[1].map(x, x / 0).size() == 1
(1 / 0 == 1 ? true : true)
true ? true : 1 / 0 == 1
1 / 0 == 1 || 1 / 0 == 2 || true
dyn('a') && false
dyn('a') || true
false && dyn('a')
{}.all(k, false) && [].all(x, false) && ![].exists(x, true)
{1: 'a', 1u: 'b'}.size() == 2
{true: 1}[true] == 1 && {1u: 2}[1u] == 2
'a' in {'a': 1} && !('b' in {'a': 1}) && 'a' in ['a']
b'a' + b'b' == b'ab' && size(b'é') == 2 && string(bytes('é')) == 'é'
'\101' == 'A' && '\U0001F600'.size() == 1 && '\x41' == 'A' && '\?' == '?' && '\`' == '`'
r'a\b'.size() == 3 && '''a'b''' == "a'b"
0xFF == 255 && 0xFFu == 255u && 1e3 == 1000.0 && .5 == 0.5 && 0Xff == 255
007 == 7
1 == 1 // a comment
size('😀') == 1 && '😀a'.charAt(1) == 'a' && '😀a'.substring(1) == 'a' && '😀a'.indexOf('a') == 1
'a' < 'b' && 'a' < 'aa' && 'é' > 'z' && '😀' > '�'
duration('1s') < duration('2s') && timestamp(1) > timestamp(0) && false < true
timestamp(0) + duration('24h') == timestamp('1970-01-02T00:00:00Z') && timestamp(86400) - timestamp(0) == duration('24h')
duration('1h').getMinutes() == 60 && duration('1h').getSeconds() == 3600 && duration('90m').getHours() == 1
self.numbers.map(n, n * 2).filter(n, n > 2).all(n, n in [6, 4]) && self.numbers.exists(n, self.numbers.all(m, m <= n))
type(self.number) == int && type(self.numbers) == list && type(self.labels) == map && type(self.flag) == bool
self.text in self.numbers.map(n, string(n))
self.flag ? self.number > 1 : self.number > 5
self.labels.exists_one(k, self.labels[k] == 'web') && self.labels.filter(k, k == 'x') == []
""".strip().splitlines()

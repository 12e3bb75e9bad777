"""Typical calls of the libraries that Kubernetes' users know: 74 conditions, each of which is true."""

#: Those that a kube-apiserver of 1.34 evaluates too.
KUBERNETES = """
{'a': 1}.?a.orValue(2) == 1
self.?absent.orValue('none') == 'none'
self.labels[?'app'].orValue('') == 'web'
self.?absent.hasValue() == false
{?'a': optional.of(1), ?'b': optional.none()} == {'a': 1}
optional.of(1).or(optional.of(2)).value() == 1
optional.ofNonZeroValue('').hasValue() == false
self.?text.optMap(t, t + '/8').orValue('') == '10.0.0.1/8'
self.?text.optFlatMap(t, optional.of(t)).value() == '10.0.0.1'
[1, 2, 3].isSorted()
self.numbers.sum() == 6
self.numbers.min() == 1
self.numbers.max() == 3
self.numbers.indexOf(1) == 1
[1, 2, 1].lastIndexOf(1) == 2
'abc 123'.find('[0-9]+') == '123'
'1 a 2'.findAll('[0-9]') == ['1', '2']
'1 a 2'.findAll('[0-9]', 1) == ['1']
url('https://example.com:80/a?b=c').getHost() == 'example.com:80'
url('https://example.com:80/').getHostname() == 'example.com'
url('https://example.com:80/').getPort() == '80'
url('https://example.com/a b').getEscapedPath() == '/a%20b'
url('https://example.com/?k=v').getQuery()['k'] == ['v']
url('https://example.com/').getScheme() == 'https'
isURL('https://example.com/') && !isURL('../up')
ip('10.0.0.1').family() == 4
isIP('fe80::1') && !isIP('10.0.0')
ip('127.0.0.1').isLoopback()
ip('0.0.0.0').isUnspecified()
ip.isCanonical('10.0.0.1')
ip('8.8.8.8').isGlobalUnicast()
ip('169.254.1.1').isLinkLocalUnicast()
ip('224.0.0.1').isLinkLocalMulticast()
string(ip('2001:DB8::1')) == '2001:db8::1'
cidr('10.0.0.0/8').containsIP('10.1.2.3')
cidr('10.0.0.0/8').containsIP(ip('10.1.2.3'))
cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')
cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')
cidr('10.0.0.0/8').prefixLength() == 8
cidr('10.0.0.0/8').ip() == ip('10.0.0.0')
isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0')
quantity(self.memory).isLessThan(quantity('1Gi'))
quantity('1Gi').isGreaterThan(quantity('500Mi'))
quantity('1000m').compareTo(quantity('1')) == 0
quantity('1k').add(quantity('1')).asInteger() == 1001
quantity('1k').sub(1).asInteger() == 999
quantity('1500m').asApproximateFloat() == 1.5
quantity('50k').isInteger() && sign(quantity('-1')) == -1
isQuantity('1.3Gi') && !isQuantity('1,3G')
semver('1.2.3').isLessThan(semver('1.10.0'))
semver('1.2.3').major() == 1 && semver('v1.2', true).minor() == 2
isSemver('1.2.3') && !isSemver('1.2')
format.named('dns1123Label').hasValue()
!format.dns1123Subdomain().validate('a.b').hasValue()
format.qualifiedName().validate('/a').hasValue()
'%s has %d'.format(['a', 3]) == 'a has 3'
'hello'.charAt(1) == 'e'
strings.quote('a"b') == '"a\\\\"b"'
'hello'.lastIndexOf('l', 2) == 2
[1, 2].all(i, v, i < v)
self.labels.exists(k, v, k == 'app' && v == 'web')
[1, 2].existsOne(i, v, v == 2)
[1, 2].transformList(i, v, v * 2) == [2, 4]
self.labels.transformMap(k, v, v + 'x') == {'app': 'webx'}
sets.contains([1, 2], [2]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])
type(1) == int && type('a') == string
timestamp('2026-01-24T22:30:00Z').getHours('Europe/Berlin') == 23
self.time + duration('1h') > timestamp('2026-01-24T23:00:00Z')
""".strip().splitlines()
#: Libraries of cel-go that Kubernetes takes up later than 1.34, or not.
CEL_GO = """
[3, 1, 2].sort() == [1, 2, 3] && [1, 1].distinct() == [1] && [[1], [2]].flatten() == [1, 2]
['ab', 'c'].sortBy(x, size(x)) == ['c', 'ab'] && [1, 2].slice(0, 1) == [1] && lists.range(2) == [0, 1]
'abc'.reverse() == 'cba' && [1, 2].reverse() == [2, 1]
math.greatest(1, 2) == 2 && math.least(1, 2) == 1 && math.abs(-1) == 1 && math.ceil(1.2) == 2.0
base64.encode(b'hello') == 'aGVsbG8=' && base64.decode('aGVsbG8=') == b'hello'
cel.bind(x, 2, x * x) == 4
""".strip().splitlines()
CALLS = (*KUBERNETES, *CEL_GO)

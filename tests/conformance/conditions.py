"""Conditions as policies have them: security of pods, images, labels, resources, networks; and objects that they are about."""
# ruff: noqa: E501 (a condition is one line)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PODS = r"""
object.spec.containers.all(c, has(c.securityContext) && has(c.securityContext.allowPrivilegeEscalation) && c.securityContext.allowPrivilegeEscalation == false)
object.spec.containers.all(c, c.?securityContext.?privileged.orValue(false) == false)
!has(object.spec.hostNetwork) || !object.spec.hostNetwork
[object.spec.?hostPID, object.spec.?hostIPC, object.spec.?hostNetwork].all(h, !h.orValue(false))
object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))
object.spec.containers.all(c, c.image.startsWith('registry.example.com/') || c.image.matches('^docker\\.io/library/.+@sha256:[a-f0-9]{64}$'))
object.spec.containers.all(c, c.image.contains(':') && !c.image.endsWith(':latest'))
object.spec.containers.all(c, c.image.split('/').size() > 1 ? c.image.split('/')[0].contains('.') : false)
object.spec.containers.all(c, has(c.resources.limits) && 'memory' in c.resources.limits)
object.spec.containers.all(c, quantity(c.resources.?limits.?memory.orValue('0')).isLessThan(quantity('2Gi')))
object.spec.containers.map(c, quantity(c.resources.?requests.?cpu.orValue('0'))).all(q, q.compareTo(quantity('2')) < 1)
object.spec.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0))
object.spec.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) in [0, 8080]))
(object.spec.containers + object.spec.?initContainers.orValue([])).all(c, c.?securityContext.?capabilities.?drop.orValue([]).exists(d, d == 'ALL'))
object.spec.containers.all(c, sets.contains(['NET_BIND_SERVICE', 'CHOWN'], c.?securityContext.?capabilities.?add.orValue([])))
object.spec.?securityContext.?runAsNonRoot.orValue(false) || object.spec.containers.all(c, c.?securityContext.?runAsNonRoot.orValue(false))
has(object.spec.securityContext.runAsUser) ? object.spec.securityContext.runAsUser >= 1000 : false
object.spec.?securityContext.?seccompProfile.?type.orValue('Unconfined') in ['RuntimeDefault', 'Localhost']
object.spec.?securityContext.?sysctls.orValue([]).all(s, s.name in ['net.ipv4.ip_unprivileged_port_start', 'kernel.shm_rmid_forced'])
!object.metadata.?annotations.orValue({}).exists(k, k.endsWith('/profile') && object.metadata.annotations[k] == 'unconfined')
object.metadata.?labels[?'app.kubernetes.io/name'].orValue('') != ''
has(object.metadata.labels) && 'team' in object.metadata.labels && object.metadata.labels['team'].matches('^[a-z]+$')
object.metadata.labels.team == 'ml'
has(object.metadata.labels) && has(object.metadata.labels.team)
object.metadata.labels.all(k, v, format.labelValue().validate(v) == optional.none())
object.metadata.name.size() <= 20 && !format.dns1123Label().validate(object.metadata.name).hasValue()
object.spec.containers.exists_one(c, c.name == 'main')
object.spec.containers.map(c, c.name).isSorted()
object.spec.containers.filter(c, has(c.livenessProbe)).size() == object.spec.containers.size()
object.spec.containers.all(c, c.?env.orValue([]).all(e, !has(e.valueFrom) || !has(e.valueFrom.secretKeyRef)))
object.spec.containers.map(c, c.?env.orValue([]).map(e, e.name)).all(n, n.size() < 3)
object.spec.?tolerations.orValue([]).all(t, t.?key.orValue('') != 'node-role.kubernetes.io/control-plane')
object.spec.?nodeSelector.orValue({}) == {'pool': 'gpu'}
object.spec.?nodeName.hasValue()
object.spec.?serviceAccountName.orValue('default') != 'default'
object.spec.containers.all(c, object.spec.containers.filter(d, d.name == c.name).size() == 1)
object.spec.terminationGracePeriodSeconds <= 60
object.spec.containers.map(c, int(c.?resources.?limits[?'nvidia.com/gpu'].orValue('0'))).sum() <= 4
object.spec.containers.all(c, c.?resources.?limits.orValue({}).all(k, k in ['cpu', 'memory', 'nvidia.com/gpu']))
timestamp(object.metadata.creationTimestamp) > timestamp('2020-01-01T00:00:00Z')
semver(object.spec.containers[0].image.find('[0-9]+\\.[0-9]+\\.[0-9]+')).isGreaterThan(semver('1.0.0'))
isSemver(object.spec.containers[0].image.split(':')[1], true)
object.spec.containers.transformList(i, c, i == 0 ? c.name : string(i) + c.name) == ['main', '1side']
object.spec.containers.existsOne(i, c, i == 0 && c.name == 'main')
object.spec.?dnsConfig.?nameservers.orValue([]).all(n, isIP(n) && ip(n).family() == 4)
object.spec.?dnsConfig.?nameservers.orValue([]).all(n, cidr('10.0.0.0/8').containsIP(n))
object.spec.?hostAliases.orValue([]).all(h, h.hostnames.all(n, !format.dns1123Subdomain().validate(n).hasValue()))
object.spec.containers.all(c, c.?command.orValue([]).join(' ').lowerAscii().contains('sh') ? has(c.securityContext) : true)
object.spec.containers.map(c, c.?args.orValue([])).map(a, a.size()).max() < 3
'%s/%s'.format([object.metadata.namespace, object.metadata.name]).size() < 63
object.metadata.?annotations[?'example.com/ttl'].optMap(t, duration(t) < duration('24h')).orValue(true)
object.metadata.?annotations[?'example.com/until'].optMap(t, timestamp(t) > timestamp(1769299200)).orValue(false)
object.metadata.?annotations[?'example.com/url'].optMap(u, isURL(u) && url(u).getScheme() == 'https' && url(u).getHostname().endsWith('.example.com')).orValue(true)
object.metadata.?annotations[?'example.com/count'].optMap(n, int(n) > 0 && int(n) < 10).orValue(true)
object.metadata.?annotations[?'example.com/list'].orValue('').split(',').all(p, p.trim() != '')
object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'ReplicaSet' && o.?controller.orValue(false))
object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.exists(t, t.matchExpressions.exists(e, e.key == 'zone'))
object.spec.topologySpreadConstraints.all(t, t.maxSkew <= 1)
oldObject == null || oldObject.spec.containers.size() == object.spec.containers.size()
object.kind == 'Pod' && object.apiVersion == 'v1'
object.spec.priority > 1000
object.spec.containers.all(c, type(c.name) == string && type(c.?ports.orValue([])) == list)
object.spec.containers.all(c, c.?livenessProbe.?httpGet.?port.optMap(p, type(p) == int ? p > 1024 : p != 'admin').orValue(true))
object.spec.containers.all(c, c.livenessProbe.httpGet.port == 8080)
dyn(object.spec.containers[0].livenessProbe.httpGet.port) == '8080'
object.spec.volumes.filter(v, has(v.configMap)).map(v, v.configMap.name).exists(n, n == 'app')
sets.equivalent(object.spec.containers.map(c, c.name), ['main', 'side'])
object.spec.containers.all(c, c.name.charAt(0) != '-' && c.name.substring(0, 1).matches('[a-z]'))
object.spec.containers[-1].name == 'side'
object.spec.containers[?1].name.orValue('') == 'side'
object.spec.containers[0].name + object.spec.containers[0] == 'x'
object.spec.hostname in object.spec.containers.map(c, c.name)
has(object.spec.schedulerName.foo)
object.spec.?schedulerName.?foo.hasValue()
has(object.metadata.labels.team.x)
object.spec.containers.all(c, c.image.indexOf('/') > 0 && c.image.lastIndexOf(':') > c.image.indexOf('/'))
object.metadata.labels.map(k, k).indexOf('team') >= 0
object.metadata.labels.transformMap(k, v, k.size() + v.size()).all(k, n, n < 40)
object.spec.containers.map(c, c.name).exists(n, n in ['main', 'side']) && !(object.metadata.name in ['bad'])
object.spec.activeDeadlineSeconds > 1.5
object.spec.terminationGracePeriodSeconds == 30.0 && object.spec.terminationGracePeriodSeconds in [30, 60]
object.spec.terminationGracePeriodSeconds / 7 * 7 + object.spec.terminationGracePeriodSeconds % 7 == object.spec.terminationGracePeriodSeconds
object.spec.terminationGracePeriodSeconds * 0.5 > 1.0
object.spec.terminationGracePeriodSeconds > '3'
object.spec.terminationGracePeriodSeconds == '30'
duration(string(object.spec.terminationGracePeriodSeconds) + 's') <= duration('1m')
object.metadata.?finalizers.orValue([]).all(f, !format.qualifiedName().validate(f).hasValue())
object.spec.containers.all(c, c.image.matches(object.metadata.?annotations[?'example.com/images'].orValue('.*')))
object.metadata.annotations.exists(k, v, k == 'example.com/ttl' && v == '1h')
object.metadata.annotations['example.com/ttl'] != '1h' || object.metadata.annotations['example.com/absent'] == 'x'
object.metadata.annotations['example.com/absent'] == 'x' && false
object.spec.containers.exists(c, c.livenessProbe.httpGet.port == 8080 || c.name == 'main')
object.spec.containers.all(c, c.livenessProbe.httpGet.port == 8080 && c.name == 'none')
object.spec.containers.filter(c, c.livenessProbe.initialDelaySeconds > 1).size() == 1
!(object.spec.restartPolicy in ['Never']) && object.spec.restartPolicy < 'B'
object.spec == object.spec && object.spec != object.metadata
size(object.spec.containers) > 0 && size(object.metadata.name) > 0 && size(object.metadata.labels) > 0
string(object.spec.containers.size()) + 'x' == '2x'
""".strip().splitlines()

_CONTAINER: Mapping[str, Any] = {"name": "main", "image": "registry.example.com/team/app:1.2.3"}
POD_OBJECTS: Sequence[Mapping[str, Any]] = (
    {"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}},
    {
        "metadata": {
            "name": "good", "labels": {"team": "ml", "app.kubernetes.io/name": "app"}, "finalizers": ["example.com/keep"],
            "annotations": {
                "example.com/ttl": "1h", "example.com/until": "2026-06-01T00:00:00Z", "example.com/count": "3",
                "example.com/url": "https://a.example.com/x", "example.com/list": "a, b", "example.com/images": "^registry",
            },
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}],
        },
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "nodeSelector": {"pool": "gpu"}, "hostname": "main", "terminationGracePeriodSeconds": 20, "activeDeadlineSeconds": 2,
            "dnsConfig": {"nameservers": ["10.0.0.10", "10.1.0.1"]},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b", "c"]}],
            "volumes": [{"name": "a", "configMap": {"name": "app"}}, {"name": "b", "emptyDir": {}}],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}},
            "containers": [
                {
                    **_CONTAINER, "ports": [{"containerPort": 8080}], "command": ["/bin/SH"], "args": ["-c", "x"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
                    "resources": {
                        "limits": {"memory": "1Gi", "cpu": "1500m", "nvidia.com/gpu": "2"}, "requests": {"cpu": "500m"}},
                    "livenessProbe": {"httpGet": {"port": 8080}, "initialDelaySeconds": 5},
                    "env": [{"name": "A", "value": "1"}],
                },
                {
                    "name": "side", "image": "docker.io/library/redis@sha256:" + "0" * 64,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {"limits": {"memory": "200M", "nvidia.com/gpu": "1"}},
                    "livenessProbe": {"httpGet": {"port": "admin"}},
                },
            ],
        },
    },
    {
        "metadata": {
            "name": "bad", "labels": {"team": "ML-1"},
            "annotations": {
                "example.com/ttl": "1d", "example.com/until": "soon", "example.com/count": "x", "example.com/list": "a,,b",
                "example.com/url": "http://example.com", "example.com/profile": "unconfined", "example.com/images": "(",
            },
        },
        "spec": {
            "hostNetwork": True, "hostPID": True, "nodeName": "one", "restartPolicy": "Never",
            "securityContext": {"runAsUser": 0, "sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
            "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
            "dnsConfig": {"nameservers": ["192.168.0.1", "fd00::1"]}, "volumes": [{"name": "a", "hostPath": {"path": "/"}}],
            "initContainers": [{"name": "init", "image": "busybox:latest"}],
            "containers": [
                {
                    "name": "side", "image": "example.com/app:latest", "ports": [{"containerPort": 80, "hostPort": 80}],
                    "securityContext": {"privileged": False, "capabilities": {"add": ["SYS_ADMIN"]}},
                    "resources": {"limits": {"memory": "4Gi", "ephemeral-storage": "1Gi"}, "requests": {"cpu": "2500m"}},
                    "env": [{"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, {"name": "C"}, {"name": "D"}],
                },
                {"name": "main", "image": "app:v1.0", "command": ["bash"], "args": ["a", "b", "c", "d"]},
            ],
        },
    },
)  # fmt: skip

#: About an object with fields of every kind, null among them.
WIDGETS = r"""
has(object.spec.none)
object.spec.none == null
has(object.spec.none.x)
has(object.spec.none.x.y)
object.spec.none.x == 1
object.spec.?none.hasValue()
object.spec.?none.?x.hasValue()
object.spec.?none.orValue('x') == null
object.spec.?none[?'x'].hasValue()
object.spec.none == 'x'
object.spec.none in [null]
has(object.spec.text.x)
object.spec.?text.?x.hasValue()
object.spec.text[?0].hasValue()
object.spec.number[?0].hasValue()
has(object.spec.number.x)
has(object.spec.yes.x)
has(object.spec.list.x)
object.spec.?list.?x.hasValue()
object.spec.list[?'x'].hasValue()
object.spec.list[?9].hasValue()
object.spec.list[1.0] == 2 && object.spec.list[0u] == 1
object.spec.list[1.5] == 2
object.spec.list[true] == 2
object.spec.map['k'] == 'v' && object.spec.map.k == 'v'
object.spec.map[1] == 'v'
object.spec.map[?1].hasValue()
object.spec.map.?k.?x.hasValue()
1 in object.spec.map
'k' in object.spec.map && !('x' in object.spec.map)
'a' in object.spec.text
object.spec.list.sum() == 6 && object.spec.list.max() == 3
object.spec.mixed.sum() == 6
object.spec.mixed.exists(x, x == 1)
object.spec.mixed.exists(x, x > 1)
object.spec.mixed.all(x, x > 1)
object.spec.mixed.all(x, x < 5)
object.spec.mixed.exists_one(x, x > 0)
object.spec.mixed.indexOf('a') == 1
object.spec.mixed.filter(x, type(x) == int) == [1]
object.spec.ratio > 1 && object.spec.ratio == 1.5 && object.spec.ratio < object.spec.number
object.spec.ratio + 1 == 2.5
object.spec.ratio + 1.0 == 2.5
int(object.spec.ratio) == 1 && double(object.spec.number) == 3.0
object.spec.big == 9007199254740993
object.spec.big == 9007199254740992.0
object.spec.big * 1024 > 0
object.spec.big * object.spec.big > 0
object.spec.text && true
object.spec.text && false
object.spec.number || true
!object.spec.text
object.spec.text ? true : false
object.spec.yes == 'true'
string(object.spec.yes) == 'true' && bool(string(object.spec.yes))
object.spec.text > 'a' && object.spec.text < 'b'
object.spec.text > 1
object.spec.text == object.spec.number
object.spec.time < '2027'
timestamp(object.spec.time) < timestamp('2027-01-01T00:00:00Z')
object.spec.time.startsWith('2026-01')
object.spec.list == [1, 2, 3] && object.spec.list != [1, 2, 4]
object.spec.list == [1.0, 2.0, 3.0]
object.spec.map == {'k': 'v'} && object.spec.nested == {'a': {'b': [{'c': 1}]}}
object.spec.nested.a.b[0].c == 1 && object.spec.nested.a.b.all(x, x.c == 1)
object.spec.nested.a.b.map(x, x.d).size() == 1
object.spec.nested.?a.?b[?0].?c.orValue(0) == 1
object.spec.nested.?a.b[0].c.orValue(0) == 1
object.spec.nested.?x.b[0].c.orValue(0) == 1
object.spec.nested.?a.b[7].c.orValue(0) == 1
object.spec.nested.a.exists(k, k == 'b')
object.spec.text.exists(c, c == 'a')
object.spec.none.exists(c, c == 'a')
object.spec.none.size() == 0
size(object.spec.none) == 0
object.spec.empty.size() == 0 && object.spec.empty == '' && object.spec.nothing == {} && object.spec.void == []
object.spec.void.all(x, x > 1) && !object.spec.void.exists(x, x > 1)
object.spec.void.sum() == 0
object.spec.void.max() == 0
optional.ofNonZeroValue(object.spec.empty).hasValue() || optional.ofNonZeroValue(object.spec.none).hasValue()
object.spec['dotted.name'] == 'd' && 'dotted.name' in object.spec
object.spec.namespace == 'n' && object.spec.in_ == 'i'
[object.spec.number, object.spec.text].size() == 2
{object.spec.text: object.spec.number}['abc'] == 3
object.spec.list.map(x, [x, x]).exists(p, p[0] + p[1] == 6)
object.spec.list.all(i, x, x == i + 1) && object.spec.list.transformMap(i, x, x > 1, x) == {1: 2, 2: 3}
duration(object.spec.text) > duration('1s')
int(object.spec.text) == 1
quantity(object.spec.text).isInteger()
object.spec.memory == '1Gi' && quantity(object.spec.memory) == quantity('1024Mi')
quantity(object.spec.number).isInteger()
object.spec.text.matches('^[a-c]+$') && !object.spec.text.matches('^b')
object.spec.text.matches(object.spec.number)
object.spec.text.replace('b', 'x').upperAscii() == 'AXC'
object.spec.unicode.size() == 2 && object.spec.unicode.charAt(1) == 'é' && object.spec.unicode.upperAscii() == 'Ñé'
""".strip().splitlines()
WIDGET: Mapping[str, Any] = {
    "apiVersion": "policies.example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {
        "none": None, "text": "abc", "number": 3, "yes": True, "list": [1, 2, 3], "map": {"k": "v"}, "mixed": [1, "a"],
        "ratio": 1.5, "big": 9007199254740993, "time": "2026-01-24T22:30:00Z", "nested": {"a": {"b": [{"c": 1}]}},
        "empty": "", "nothing": {}, "void": [], "dotted.name": "d", "namespace": "n", "in_": "i", "memory": "1Gi",
        "unicode": "ñé",
    },
}  # fmt: skip
DEFINITION: Mapping[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.policies.example.com"},
    "spec": {
        "group": "policies.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}],
    },
}  # fmt: skip

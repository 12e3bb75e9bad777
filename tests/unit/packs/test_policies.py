"""Policies as users of Kyverno, Gatekeeper and ValidatingAdmissionPolicy write them: lint has nothing to say of them."""

from __future__ import annotations

import pytest

from tests.unit.packs.test_types import said

#: The kind, and a condition on its objects.
POLICIES = [
    ('v1 Pod', "object.spec.containers.all(c, !c.image.endsWith(':latest') && c.image.contains(':'))"),
    (
        'v1 Pod',
        "object.spec.containers.all(c, has(c.resources) && has(c.resources.limits) && 'memory' in c.resources.limits)",
    ),
    (
        'v1 Pod',
        'object.spec.containers.all(container, has(container.securityContext) && has(container.securityContext.allowPri'
        'vilegeEscalation) && container.securityContext.allowPrivilegeEscalation == false)',
    ),
    ('v1 Pod', '!has(object.spec.hostNetwork) || !object.spec.hostNetwork'),
    ('v1 Pod', 'object.spec.?hostPID.orValue(false) == false && object.spec.?hostIPC.orValue(false) == false'),
    ('v1 Pod', 'object.spec.?securityContext.?runAsNonRoot.orValue(false)'),
    (
        'v1 Pod',
        '(object.spec.containers + object.spec.?initContainers.orValue([]) + object.spec.?ephemeralContainers.orValue(['
        "])).all(c, c.?securityContext.?capabilities.?drop.orValue([]).exists(x, x == 'ALL'))",
    ),
    ('v1 Pod', 'object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))'),
    ('v1 Pod', 'object.spec.containers.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))'),
    ('v1 Pod', "object.spec.containers.all(c, c.image.matches('^(registry\\\\.example\\\\.com|ghcr\\\\.io)/.+$'))"),
    ('v1 Pod', "object.metadata.?labels['app.kubernetes.io/name'].hasValue()"),
    (
        'v1 Pod',
        "has(object.metadata.labels) && 'env' in object.metadata.labels && object.metadata.labels['env'] in ['prod', 'd"
        "ev']",
    ),
    ('v1 Pod', "object.metadata.?annotations[?'seccomp.security.alpha.kubernetes.io/pod'].orValue('') == 'runtime/default'"),
    ('v1 Pod', "object.spec.containers.all(c, quantity(c.resources.limits.memory).compareTo(quantity('2Gi')) <= 0)"),
    (
        'v1 Pod',
        "object.spec.containers.map(c, quantity(c.?resources.?requests[?'cpu'].orValue('0'))).filter(q, q.isGreaterThan"
        "(quantity('1'))).size() == 0",
    ),
    ('v1 Pod', "object.spec.?securityContext.?sysctls.orValue([]).all(s, s.name in ['kernel.shm_rmid_forced'])"),
    ('v1 Pod', "object.spec.tolerations.exists(t, t.key == 'x' && t.operator == 'Exists')"),
    ('v1 Pod', "object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')"),
    (
        'v1 Pod',
        "object.status.containerStatuses.exists(s, has(s.state.waiting) && s.state.waiting.reason in ['CrashLoopBackOff"
        "', 'ImagePullBackOff'])",
    ),
    ('v1 Pod', 'object.status.?containerStatuses.orValue([]).map(s, s.restartCount).sum() > 5'),
    (
        'v1 Pod',
        "now - timestamp(object.metadata.creationTimestamp) > duration('24h') && object.status.phase in ['Failed', 'Suc"
        "ceeded']",
    ),
    ('v1 Pod', "object.metadata.ownerReferences.exists(o, o.kind == 'Job' && o.?controller.orValue(false))"),
    ('v1 Pod', "object.spec.containers.all(c, !has(c.env) || c.env.all(e, !e.name.lowerAscii().contains('password')))"),
    ('v1 Pod', '[object.spec.containers, object.spec.?initContainers.orValue([])].flatten().size() < 10'),
    (
        'v1 Pod',
        'cel.bind(all, object.spec.containers + object.spec.?initContainers.orValue([]), all.all(c, c.?imagePullPolicy.'
        "orValue('') == 'Always'))",
    ),
    ('v1 Pod', "object.spec.containers.map(c, c.image.split('/')[0]).all(r, r == 'ghcr.io' || r.find('^[a-z]+') != '')"),
    ('apps/v1 Deployment', 'object.spec.replicas <= 5'),
    ('apps/v1 Deployment', 'object.spec.template.spec.containers.all(c, has(c.livenessProbe) && has(c.readinessProbe))'),
    ('apps/v1 Deployment', 'object.spec.template.spec.containers.exists(c, c.readinessProbe == c.livenessProbe)'),
    ('apps/v1 Deployment', "!(has(object.spec.strategy.type) && object.spec.strategy.type == 'Recreate')"),
    (
        'apps/v1 Deployment',
        'object.spec.selector.matchLabels.all(k, k in object.spec.template.metadata.labels && object.spec.template.meta'
        'data.labels[k] == object.spec.selector.matchLabels[k])',
    ),
    ('apps/v1 Deployment', 'object.spec.template.spec.?topologySpreadConstraints.orValue([]).size() > 0'),
    ('apps/v1 Deployment', 'oldObject == null || object.spec.selector == oldObject.spec.selector'),
    ('apps/v1 Deployment', 'object.status.?availableReplicas.orValue(0) < object.spec.replicas'),
    (
        'apps/v1 Deployment',
        "object.spec.template.metadata.?annotations.orValue({}).exists(k, k.startsWith('sidecar.istio.io/'))",
    ),
    ('apps/v1 Deployment', 'object.spec.template.spec.containers.all(i, c, i < 5 && c.name.size() < 30)'),
    (
        'apps/v1 Deployment',
        'object.metadata.labels.transformMap(k, v, v.lowerAscii()).all(k, v, v == object.metadata.labels[k])',
    ),
    (
        'v1 Service',
        "object.spec.type != 'LoadBalancer' || object.metadata.?annotations[?'service.beta.kubernetes.io/aws-load-balan"
        "cer-internal'].orValue('') == 'true'",
    ),
    ('v1 Service', "object.spec.type != 'NodePort'"),
    ('v1 Service', "!has(object.spec.externalIPs) || object.spec.externalIPs.all(i, cidr('10.0.0.0/8').containsIP(i))"),
    ('v1 Service', "object.spec.ports.all(p, p.port in [80, 443] && (type(p.targetPort) == int || p.targetPort == 'http'))"),
    (
        'v1 Namespace',
        "object.metadata.name.startsWith('team-') && !format.dns1123Label().validate(object.metadata.name).hasValue()",
    ),
    (
        'v1 Namespace',
        "object.metadata.labels[?'pod-security.kubernetes.io/enforce'].orValue('privileged') in ['baseline', 'restricte"
        "d']",
    ),
    ('v1 ConfigMap', "object.data.exists(k, k.endsWith('.yaml')) && size(object.data) > 0"),
    ('v1 ConfigMap', "object.data.all(k, v, size(v) < 1024) && !('password' in object.data)"),
    ('v1 Secret', "object.type == 'kubernetes.io/tls' && base64.decode(object.data['tls.crt']).size() > 0"),
    (
        'v1 PersistentVolumeClaim',
        "quantity(object.spec.resources.requests.storage).isLessThan(quantity('100Gi')) && object.spec.accessModes.all("
        "m, m == 'ReadWriteOnce')",
    ),
    ('v1 PersistentVolumeClaim', "object.status.phase == 'Bound' && object.spec.storageClassName in ['fast', 'slow']"),
    (
        'networking.k8s.io/v1 Ingress',
        "object.spec.rules.all(r, has(r.host) && r.host.endsWith('.example.com') && !r.host.startsWith('*'))",
    ),
    (
        'networking.k8s.io/v1 Ingress',
        'object.spec.?tls.orValue([]).map(t, t.hosts).flatten().distinct().size() >= object.spec.rules.map(r, r.host).d'
        'istinct().size()',
    ),
    (
        'networking.k8s.io/v1 NetworkPolicy',
        "object.spec.egress.all(e, e.to.all(t, !has(t.ipBlock) || t.ipBlock.cidr != '0.0.0.0/0'))",
    ),
    ('batch/v1 CronJob', "object.spec.schedule.split(' ').size() == 5 && object.spec.concurrencyPolicy == 'Forbid'"),
    (
        'batch/v1 Job',
        "object.status.completionTime - object.status.startTime > duration('1h') || object.status.?failed.orValue(0) > "
        '3',
    ),
    (
        'batch/v1 Job',
        "string(object.status.startTime) != '' && object.status.startTime.getDayOfWeek('Europe/Berlin') in [0, 6]",
    ),
    (
        'rbac.authorization.k8s.io/v1 ClusterRole',
        "object.rules.all(r, !('*' in r.verbs) && !sets.intersects(r.resources, ['secrets', 'pods/exec']))",
    ),
    (
        'rbac.authorization.k8s.io/v1 ClusterRoleBinding',
        "object.subjects.all(s, s.name != 'system:anonymous') && object.roleRef.name != 'cluster-admin'",
    ),
    (
        'policy/v1 PodDisruptionBudget',
        '!has(object.spec.maxUnavailable) || (type(object.spec.maxUnavailable) == int ? object.spec.maxUnavailable > 0 '
        ": object.spec.maxUnavailable != '0%')",
    ),
    (
        'autoscaling/v2 HorizontalPodAutoscaler',
        "object.spec.minReplicas < object.spec.maxReplicas && object.spec.metrics.exists(m, m.type == 'Resource' && m.r"
        'esource.target.?averageUtilization.orValue(0) < 80)',
    ),
    (
        'v1 Node',
        "object.status.conditions.exists(c, c.type == 'Ready' && c.status != 'True') && quantity(object.status.allocata"
        "ble['memory']).isGreaterThan(quantity('1Gi'))",
    ),
    (
        'v1 Node',
        "object.spec.?taints.orValue([]).exists(t, t.effect == 'NoSchedule') && semver(object.status.nodeInfo.kubeletVe"
        "rsion.substring(1)).isLessThan(semver('1.34.0'))",
    ),
    ('v1 Event', "object.type == 'Warning' && object.count > 10 && object.involvedObject.kind == 'Pod'"),
    (
        'coordination.k8s.io/v1 Lease',
        "now - object.spec.renewTime > duration(string(object.spec.leaseDurationSeconds) + 's')",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "condition"), POLICIES)
def test_a_real_policy_has_no_fault(kind: str, condition: str) -> None:
    """By the schemas of Kubernetes' own kinds."""
    api_version, name = kind.split()

    assert [fault for fault in said(condition, name, api_version) if fault[0] != "now-without-resync"] == []

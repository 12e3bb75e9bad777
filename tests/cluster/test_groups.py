"""Groups on a real kube-apiserver, whose writes take as long as they do."""

from __future__ import annotations

from engine.model.objects import Object
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: groups}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: team}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, create, patch], consent: 'true'}
  metrics:
    team_members: {type: gauge, help: Members., labels: [team]}
  rules:
    - name: report
      aggregate:
        by: label(object, 'team')
        counts: {total: 'true'}
      actions:
        - metric: {name: team_members, labels: {team: '${groupKey}'}, value: '${group.total}'}
"""
REPORT = """\
        - apply:
            manifest:
              apiVersion: v1
              kind: ConfigMap
              metadata: {name: 'report-NUMBER-${groupKey}', namespace: NAMESPACE}
              data: {total: '${string(group.total)}'}
"""
REPORTS = 10
"""So many that the second member goes while they are being written for the first one."""


def config(name: str, namespace: str, labels: dict[str, str], **data: str) -> Object:
    """A ConfigMap."""
    found = named(CONFIG_MAP, name, namespace, data=data)
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


def test_a_group_whose_members_go_one_after_the_other_is_empty_at_the_end(control_plane: ControlPlane, namespace: str) -> None:
    """As quickly as they can be deleted, while reports of the first one are on their way; of seven teams."""
    cluster = Cluster(control_plane, namespace)
    with Engine(control_plane, namespace) as engine:
        verbs = ["get", "list", "watch", "create", "patch"]
        engine.bind("ClusterRole", f"{engine.own}-groups", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}])
        reports = [REPORT.replace("NUMBER", str(number)) for number in range(REPORTS)]
        text = "".join([PACK, *reports]).replace("NAMESPACE", namespace)
        cluster.create(config("groups", engine.own, {"rules.mlops.dev/rule-pack": "true"}, **{"pack.yaml": text}))
        engine.start()
        engine.ready()
        teams = [f"team-{number}" for number in range(7)]

        def totals() -> list[tuple[str, float]]:
            reports = (cluster.find(CONFIG_MAP, f"report-{REPORTS - 1}-{team}") or {"data": {"total": ""}} for team in teams)
            gauges = (engine.metric("team_members", team=team) for team in teams)
            return [(report["data"]["total"], gauge) for report, gauge in zip(reports, gauges, strict=True)]

        for team in teams:
            cluster.create(*(config(f"{team}-{member}", namespace, {"team": team}) for member in ("a", "b")))
        eventually(lambda: totals() == [("2", 2.0)] * 7, "reports of two members each")
        for team in teams:
            for member in ("a", "b"):
                cluster.delete(CONFIG_MAP, f"{team}-{member}")
        eventually(lambda: totals() == [("0", 0.0)] * 7, "reports of empty groups")

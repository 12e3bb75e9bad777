"""The engine as a process of its own, with the rights of a service account and no others."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from engine.model.objects import Kind
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import CONFIG_MAP, PLURALS, Cluster, eventually
from tests.world import RULES, shipped

PATIENCE = 60.0
SERVICE_ACCOUNT = "rulepack"
LEASE = Kind("coordination.k8s.io/v1", "Lease")
#: What `targets` call by one word and RBAC by a verb on a subresource.
SUBRESOURCES = {"evict": ("create", "/eviction"), "patch/status": ("patch", "/status")}
Rule = dict[str, list[str]]


class Engine:
    """`rulepack run` for one watched namespace, with a namespace of its own for its Lease and its ConfigMaps."""

    def __init__(self, plane: ControlPlane, watched: str) -> None:
        self._plane, self._watched = plane, watched
        self.own = f"{watched}-rulepack"
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-engine-"))
        self._processes = Processes(self._folder)
        self._kubeconfig = plane.kubeconfig_for(self.own, SERVICE_ACCOUNT)
        self._cluster = Cluster(plane, self.own)
        self._port = 0
        self.user = f"system:serviceaccount:{self.own}:{SERVICE_ACCOUNT}"
        self._grant()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, kubeconfig: Path | None = None) -> None:
        """Start it without waiting, and without the Lease of one that was killed: it would wait 15 s for that to expire."""
        if self._cluster.find(LEASE, "rulepack"):
            self._cluster.delete(LEASE, "rulepack")
        (self._port,) = free_ports(1)
        command = [
            sys.executable, "-m", "engine.cli", "run", f"--kubeconfig={kubeconfig or self._kubeconfig}",
            f"--namespace={self._watched}", f"--operator-namespace={self.own}", f"--rules={RULES}",
            "--address=127.0.0.1", f"--port={self._port}",
        ]  # fmt: skip
        self._processes.start("rulepack", command, {**os.environ, "PYTHONPATH": str(RULES.parent)})

    def kill(self) -> None:
        """End it by SIGKILL, wherever it is."""
        self._processes.kill("rulepack")

    def ready(self) -> None:
        """Wait until it knows the cluster."""

        def answers() -> bool:
            assert not self._processes.ended(), f"the engine ended: {self._processes.end_of_log('rulepack')}"
            return self._http("/readyz") == "ok\n"

        eventually(answers, "engine that is ready", PATIENCE)

    def kubeconfig_through(self, url: str) -> Path:
        """A kubeconfig with the same rights that reaches the API server by another address."""
        path = self._folder / "kubeconfig"
        path.write_text(self._kubeconfig.read_text().replace(self._plane.url, url))
        return path

    def flags(self, modes: Mapping[str, str]) -> None:
        """Set feature flags, as an administrator does."""
        self._config_map("rulepack-feature-flags", modes)

    def params(self, texts: Mapping[str, str]) -> None:
        """Set parameters, one YAML text per pack."""
        self._config_map("rulepack-params", texts)

    def writes(self) -> list[str]:
        """Every write that it has asked for, refused ones included, but for those of its own Lease."""
        return [write for write in self._plane.writes(user=self.user) if "/leases" not in write]

    def metric(self, name: str, **labels: str) -> float:
        """The value of a series of /metrics, 0 where it is not there."""
        series = name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"
        found = re.search(rf"^{re.escape(series)} (\S+)$", self._http("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def packs(self) -> dict[str, Any]:
        """What /packs tells of each pack, by name."""
        return {pack["name"]: pack for pack in json.loads(self._http("/packs"))["packs"]}

    def idle(self) -> bool:
        """Whether it has nothing in its queue."""
        return "\nrulepack_queue_depth 0.0\n" in self._http("/metrics")

    def judged(self) -> int:
        """How many objects the pack sync-waves has judged."""
        found = re.findall(
            r'^rulepack_evaluations_total\{.*rule="check-block-wave".*\} (\S+)$', self._http("/metrics"), re.MULTILINE
        )
        return int(sum(map(float, found)))

    def grant(self, group: str, resource: str) -> None:
        """Let it watch and patch one more kind, as an administrator does for a pack of their own."""
        name = f"{self.own}-{resource}"
        rule = {"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch", "patch"]}
        self._bind("ClusterRole", "/apis/rbac.authorization.k8s.io/v1", name, [rule])

    def log(self) -> str:
        """All that it has printed."""
        return self._processes.log("rulepack").read_text(errors="replace")

    def logs(self) -> dict[str, str]:
        """The end of its log."""
        return {"rulepack": self._processes.end_of_log("rulepack")}

    def _http(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def _config_map(self, name: str, data: Mapping[str, str]) -> None:
        body = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": {"name": name}, "data": dict(data)}
        if self._cluster.find(CONFIG_MAP, name):
            self._cluster.patch(CONFIG_MAP, name, {"data": dict(data)})
        else:
            self._cluster.create(body)

    def _grant(self) -> None:
        """Give its service account what the shipped packs declare and what the engine itself needs: nothing else."""
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        own: list[Rule] = [
            _rule(LEASE, "leases", "get", "create", "update"),
            _rule(CONFIG_MAP, "configmaps", "get", "list", "watch", "patch"),
        ]
        everywhere = _rights_of_packs()
        self._bind("ClusterRole", rbac, self.own, everywhere)
        self._bind("Role", f"{rbac}/namespaces/{self.own}", self.own, own)

    def _bind(self, kind: str, prefix: str, name: str, rules: list[Rule]) -> None:
        subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": self.own}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        self._plane.ensure(f"{prefix}/{kind.lower()}s", {"metadata": {"name": name}, "rules": rules})
        binding: dict[str, Any] = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        self._plane.ensure(f"{prefix}/{kind.lower()}bindings", binding)


def _rights_of_packs() -> list[Rule]:
    """What the shipped packs watch, write on what they watch, and declare under `targets`, but for those of any kind."""
    review = Kind("authorization.k8s.io/v1", "SubjectAccessReview")
    rules = [_rule(Kind("v1", "Event"), "events", "create"), _rule(review, "subjectaccessreviews", "create")]
    for folder in sorted(path.parent.name for path in RULES.glob("*/pack.yaml")):
        pack = shipped(folder)
        rules.append(_rule(pack.watch.kind, PLURALS[pack.watch.kind], "get", "list", "watch", "patch"))
        for target in pack.targets:
            if target.kind.kind != "*":
                rules += _rules_of_target(target.kind, target.verbs)
    return rules


def _rules_of_target(kind: Kind, verbs: Iterable[str]) -> list[Rule]:
    """One rule per resource and subresource."""
    wanted: dict[str, list[str]] = {}
    for name in sorted(verbs):
        verb, subresource = SUBRESOURCES.get(name, (name, ""))
        wanted.setdefault(PLURALS[kind] + subresource, []).append(verb)
    return [_rule(kind, resource, *granted) for resource, granted in wanted.items()]


def _rule(kind: Kind, resource: str, *verbs: str) -> Rule:
    return {"apiGroups": [kind.group], "resources": [resource], "verbs": [*verbs]}

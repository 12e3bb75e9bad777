"""The engine as a process of its own, with the rights of config/rbac and no others."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Self

import yaml

from engine.cli.main import run_command
from engine.model.objects import Kind, Object, metadata
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.served import Served
from tests.world import RULES

PATIENCE = 60.0
SERVICE_ACCOUNT = "rulepack"
LEASE = Kind("coordination.k8s.io/v1", "Lease")
RBAC = RULES.parent / "config/rbac"
Rule = Mapping[str, Sequence[str]]


class Engine:
    """`rulepack run` for one watched namespace ('' for all), with a namespace of its own for its Lease and its ConfigMaps."""

    def __init__(self, plane: ControlPlane, watched: str, own: str = "") -> None:
        self._plane, self._watched = plane, watched
        self.own = own or f"{watched}-rulepack"
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-engine-"))
        self.processes = Processes(self._folder)
        self._kubeconfig = plane.kubeconfig_for(self.own, SERVICE_ACCOUNT)
        self._cluster = Cluster(plane, self.own)
        self._served = Served.anywhere()
        self.user = f"system:serviceaccount:{self.own}:{SERVICE_ACCOUNT}"
        self._grant()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, kubeconfig: Path | None = None, *options: str) -> None:
        """Start it without waiting, and without the Lease of one that was killed: it would wait 15 s for that to expire."""
        if self._cluster.find(LEASE, "rulepack"):
            self._cluster.delete(LEASE, "rulepack")
        self._served = self.launch("rulepack", kubeconfig, *options)

    def launch(self, name: str, kubeconfig: Path | None = None, *options: str) -> Served:
        """Start one process of it, under a name, with what Leases there are; gives where it answers."""
        served = Served.anywhere()
        command = [*self.command(served, kubeconfig), *options]
        self.processes.start(name, command, {**os.environ, "PYTHONPATH": str(RULES.parent)})
        return served

    def command(self, served: Served, kubeconfig: Path | None = None) -> list[str]:
        """What starts one process of it."""
        return [
            sys.executable, "-m", "engine.cli", "run", f"--kubeconfig={kubeconfig or self._kubeconfig}",
            *([f"--namespace={self._watched}"] if self._watched else []), f"--operator-namespace={self.own}", f"--rules={RULES}",
            *served.options,
        ]  # fmt: skip

    def kill(self) -> None:
        """End it by SIGKILL, wherever it is."""
        self.processes.kill("rulepack")

    @property
    def probes(self) -> str:
        """Where its probes answer."""
        return f"http://127.0.0.1:{self._served.probes}"

    @property
    def metrics(self) -> str:
        """The address and port that serve its metrics."""
        return f"{self._served.host}:{self._served.metrics}"

    def stop(self) -> int:
        """End it by SIGTERM; its exit status. Fails where it is still there after the grace period that a pod has by default."""
        return self.processes.terminate("rulepack", 30.0)

    def lease(self) -> dict[str, Any]:
        """The spec of its Lease; empty where there is none."""
        found = self._cluster.find(LEASE, "rulepack")
        return dict(found["spec"]) if found else {}

    def in_force(self) -> bool:
        """Whether it has written since when its packs are in force."""
        return self._cluster.find(LEASE, "rulepack-state") is not None

    def ready(self) -> None:
        """Wait until it knows the cluster."""

        def answers() -> bool:
            assert not self.processes.ended(), f"the engine ended: {self.processes.end_of_log('rulepack')}"
            return self._http("/readyz") == "ok\n"

        eventually(answers, "engine that is ready", PATIENCE)

    def kubeconfig_through(self, url: str) -> Path:
        """A kubeconfig with the same rights that reaches the API server by another address."""
        path = self._folder / "kubeconfig"
        path.write_text(self._kubeconfig.read_text().replace(self._plane.url, url))
        return path

    def token(self) -> str:
        """The token in its kubeconfig."""
        return str(yaml.safe_load(self._kubeconfig.read_text())["users"][0]["user"]["token"])

    def renew_token(self) -> None:
        """Put a new token into its kubeconfig, and into the one that leads through another address."""
        old, new = self.token(), self._plane.token_for(self.own, SERVICE_ACCOUNT)
        for path in (self._kubeconfig, self._folder / "kubeconfig"):
            if path.exists():
                path.write_text(path.read_text().replace(old, new))

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
        written = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        series = f"{name}{{{written}}}" if labels else name
        found = re.search(rf"^{re.escape(series)} (\S+)$", self._http("/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def packs(self) -> dict[str, Any]:
        """What /packs says of each pack, by name."""
        return {pack["name"]: pack for pack in self.overview()["packs"]}

    def overview(self) -> dict[str, Any]:
        """All that /packs says."""
        return dict(json.loads(self._http("/packs")))

    def idle(self) -> bool:
        """Whether it has nothing in its queue."""
        return "\nrulepack_workqueue_depth 0.0\n" in self._http("/metrics")

    def evaluated(self) -> int:
        """How many evaluations of jobs that have succeeded and are of a wave."""
        found = re.findall(
            r'^rulepack_evaluations_total\{.*rule="wave-complete".*\} (\S+)$', self._http("/metrics"), re.MULTILINE
        )
        return int(sum(map(float, found)))

    def grant(self, group: str, resource: str) -> None:
        """Let it watch and patch one more kind, as an administrator does for a pack of their own."""
        name = f"{self.own}-{resource}"
        rule = {"apiGroups": [group], "resources": [resource], "verbs": ["get", "list", "watch", "patch"]}
        self.bind("ClusterRole", name, [rule])

    def grant_packs(self, *names: str) -> None:
        """Give it what `rulepack rbac` writes for shipped packs that are off by default."""
        with redirect_stdout(StringIO()) as written:
            packs = [str(RULES / name) for name in names]
            assert run_command(["rbac", *packs, "--off", "--operator-namespace", self.own]) == 0
        for role in yaml.safe_load_all(written.getvalue()):
            if role["kind"] == "ClusterRole":  # bound under a name of its own: other engines have the same packs
                self.bind("ClusterRole", f"{self.own}-{metadata(role)['name']}", role["rules"])

    def log(self) -> str:
        """All that it has printed."""
        return self.processes.log("rulepack").read_text(errors="replace")

    def whole_log(self) -> str:
        """All that its processes have printed, one after the other, each line after the name of its process."""
        logs = {path.stem: path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log"))}
        return "\n".join(f"{name}: {line}" for name, log in logs.items() for line in log.splitlines())

    def logs(self) -> dict[str, str]:
        """The end of its log."""
        return {"rulepack": self.processes.end_of_log("rulepack")}

    def _http(self, path: str) -> str:
        return self._served.ask(path)

    def _config_map(self, name: str, data: Mapping[str, str]) -> None:
        body = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": {"name": name}, "data": dict(data)}
        if self._cluster.find(CONFIG_MAP, name):
            self._cluster.patch(CONFIG_MAP, name, {"data": dict(data)})
        else:
            self._cluster.create(body)

    def _grant(self) -> None:
        """Give its service account the roles of config/rbac and nothing else; the Role is for its own namespace."""
        for role in roles():
            self.bind(role["kind"], self.own, role["rules"])

    def bind(self, kind: str, name: str, rules: Sequence[Rule]) -> None:
        prefix = "/apis/rbac.authorization.k8s.io/v1" + (f"/namespaces/{self.own}" if kind == "Role" else "")
        subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": self.own}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        self._plane.ensure(f"{prefix}/{kind.lower()}s", {"metadata": {"name": name}, "rules": rules})
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        self._plane.ensure(f"{prefix}/{kind.lower()}bindings", binding)


def roles() -> list[Object]:
    """The operator's own ClusterRole and Role."""
    documents = [document for file in sorted(RBAC.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())]
    roles = [one for one in documents if one["kind"] in ("ClusterRole", "Role") and metadata(one)["name"] == "rulepack"]
    assert {role["kind"] for role in roles} == {"ClusterRole", "Role"}, f"{RBAC} does not hold the operator's roles"
    return roles

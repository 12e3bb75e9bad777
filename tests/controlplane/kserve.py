"""KServe for the tests: its controller as a process, in Standard and in Knative mode, with its CustomResourceDefinitions.

Its webhooks do not run: nothing fills in defaults, and no pod gets the storage initializer, so a predictor names its containers.
Knative's controllers do not run either: see tests/simulators/knative.py.

`python -m tests.controlplane.kserve` gets the program ready and says where it is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from tests.controlplane.gobuild import GoModule, MissingProgram, Say, source
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports

FOLDER = Path(__file__).parent / "kserve"
KSERVE, KNATIVE = "github.com/kserve/kserve", "knative.dev/serving"
PACKAGES = {"manager": f"{KSERVE}/cmd/manager"}
NAMESPACE = "kserve"
#: What is not as in KServe's own ConfigMap: the mode, and no ingress, which would need somebody to carry it out.
SETTINGS: dict[str, dict[str, Any]] = {
    "deploy": {"defaultDeploymentMode": "Standard"},
    "ingress": {"disableIstioVirtualHost": True, "disableIngressCreation": True},
}
#: Seconds that the start may take; it takes about three.
PATIENCE = 60.0
WITHOUT_GO = """\
`make e2e` runs the real controller of KServe, which is built from a Go module, and this machine has no Go.
Install Go 1.24 or newer (https://go.dev/dl): the tests then build it once, in about 4 minutes.
`make test` runs the tests that need no KServe."""


def program(say: Say = print) -> Path:
    """The path of KServe's controller, built where the cache has none. Raises MissingProgram."""
    return GoModule("kserve", FOLDER, PACKAGES, {}, 4, WITHOUT_GO).programs(say)["manager"]


def definitions() -> Iterator[dict[str, Any]]:
    """KServe's CustomResourceDefinitions, and that of Knative's Service. Raises MissingProgram."""
    own = source(FOLDER, KSERVE, WITHOUT_GO) / "config/crd/full"
    knative = source(FOLDER, KNATIVE, WITHOUT_GO) / "config/core/300-resources/service.yaml"
    for file in (*sorted(own.glob("*.yaml")), knative):
        for found in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            if found["kind"] == "CustomResourceDefinition":
                yield found


def settings() -> dict[str, str]:
    """The data of KServe's own ConfigMap with SETTINGS on top. Raises MissingProgram."""
    text = (source(FOLDER, KSERVE, WITHOUT_GO) / "config/configmap/inferenceservice.yaml").read_text()
    data: dict[str, str] = yaml.safe_load(text)["data"]
    return {**data, **{key: json.dumps(json.loads(data[key]) | values) for key, values in SETTINGS.items()}}


class KServe:
    """KServe's controller of one control plane, in Standard mode where an InferenceService does not ask for another."""

    def __init__(self, plane: ControlPlane, path: Path) -> None:
        self._plane, self._path = plane, path
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-kserve-"))
        self._processes = Processes(self._folder)
        self._metrics, self._probes, self._webhooks = free_ports(3)

    def __enter__(self) -> Self:
        try:
            self._install()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and return when it is ready. Raises MissingProgram, with the log, where it never is.

        Its server of webhooks, which no option turns off, is not asked for anything, and listens on every address.
        """
        self._processes.start("kserve", [
            self._path, f"--metrics-addr=127.0.0.1:{self._metrics}", f"--health-probe-addr=127.0.0.1:{self._probes}",
            f"--webhook-port={self._webhooks}",
        ], {**os.environ, "KUBECONFIG": str(self._plane.kubeconfig), "TMPDIR": str(self._folder)})  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            ended = bool(self._processes.ended())
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"was not ready after {PATIENCE:.0f} s"
                raise MissingProgram(f"KServe {what}; the end of its log:\n{self._processes.end_of_log('kserve')}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, as if its pod had gone."""
        self._processes.kill("kserve")

    @contextmanager
    def configured(self, key: str, value: Mapping[str, Any]) -> Iterator[None]:
        """Have another value for a key of its ConfigMap meanwhile; KServe reads it whenever it reconciles a service."""
        config_map = f"/api/v1/namespaces/{NAMESPACE}/configmaps/inferenceservice-config"
        before = self._plane.request("GET", config_map)["data"].get(key)
        self._plane.request("PATCH", config_map, {"data": {key: json.dumps(value)}})
        try:
            yield
        finally:
            self._plane.request("PATCH", config_map, {"data": {key: before}})

    def logs(self) -> dict[str, str]:
        """The end of its log."""
        return {"kserve": self._processes.end_of_log("kserve")}

    def _install(self) -> None:
        """Put its kinds, its settings and those of Knative that it reads on the cluster, and a certificate in its folder."""
        self._plane.define(*definitions())
        for namespace, name, data in (
            (NAMESPACE, "inferenceservice-config", settings()),
            ("knative-serving", "config-autoscaler", {}),
        ):
            self._plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
            self._plane.ensure(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": name}, "data": data})
        certificates = self._folder / "k8s-webhook-server/serving-certs"  # where controller-runtime looks by default
        certificates.mkdir(parents=True)
        shutil.copy(self._plane.certificate, certificates / "tls.crt")
        shutil.copy(self._plane.private_key, certificates / "tls.key")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._probes}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))

"""Argo CD's operator for the tests, which that of OpenShift GitOps is made of: it writes `argocd-cm` from the kind ArgoCD.

That of OpenShift GitOps itself is not to be had as a Go module. `python -m tests.controlplane.gitops` gets the program ready and
says where it is.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import yaml

from tests.controlplane.gobuild import GoModule, MissingProgram, Say, source
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports

FOLDER = Path(__file__).parent / "gitops"
OPERATOR = "github.com/argoproj-labs/argocd-operator"
PACKAGES = {"operator": f"{OPERATOR}/cmd"}
#: Seconds that the start may take; it takes about three.
PATIENCE = 60.0
WITHOUT_GO = """\
`make nightly` runs the real operator of Argo CD, which is built from a Go module, and this machine has no Go.
Install Go 1.25 or newer (https://go.dev/dl): the tests then build it once, in about 2 minutes."""


def program(say: Say = print) -> Path:
    """The path of the operator, built where the cache has none. Raises MissingProgram."""
    return GoModule("gitops", FOLDER, PACKAGES, {}, 2, WITHOUT_GO).programs(say)["operator"]


def definitions() -> Iterator[dict[str, Any]]:
    """Its CustomResourceDefinitions. Raises MissingProgram."""
    for file in sorted((source(FOLDER, OPERATOR, WITHOUT_GO) / "config/crd/bases").glob("*.yaml")):
        yield from yaml.load_all(file.read_text(), yaml.CSafeLoader)


class GitOps:
    """The operator of one control plane, for the Argo CDs of all namespaces; `namespace` is one that may be for the cluster."""

    def __init__(self, plane: ControlPlane, path: Path, namespace: str) -> None:
        self._plane, self._path, self._namespace = plane, path, namespace
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-gitops-"))
        self._processes = Processes(self._folder)

    def __enter__(self) -> Self:
        try:
            self._plane.define(*definitions())
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def logs(self) -> dict[str, str]:
        """The end of its log."""
        return {"gitops": self._processes.end_of_log("gitops")}

    def _start(self) -> None:
        metrics, probes = free_ports(2)
        settings = {"KUBECONFIG": str(self._plane.kubeconfig), "WATCH_NAMESPACE": "",
                    "ARGOCD_CLUSTER_CONFIG_NAMESPACES": self._namespace}  # fmt: skip
        self._processes.start("gitops", [
            self._path, f"--metrics-bind-address=127.0.0.1:{metrics}", f"--health-probe-bind-address=127.0.0.1:{probes}",
        ], {**os.environ, **settings})  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not _ready(probes):
            ended = bool(self._processes.ended())
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"was not ready after {PATIENCE:.0f} s"
                raise MissingProgram(f"Argo CD's operator {what}; the end of its log:\n{self._processes.end_of_log('gitops')}")
            time.sleep(0.05)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))

"""The real OLM on a control plane: its two operators, and `opm` serving a catalog. No kubelet: tests play what pods would say."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import yaml

from tests.bundle.catalog import write_catalog
from tests.controlplane.gobuild import Programs
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import eventually

T = TypeVar("T")
#: The name of the catalog of OperatorHub, of which the test's takes the part.
CATALOG = "operatorhubio-catalog"
OPERATORS = "/apis/operators.coreos.com/v1alpha1"


class Olm:
    """OLM in its namespace `olm`, with one catalog of versions of the operator."""

    def __init__(self, plane: ControlPlane, programs: Programs, definitions: Path) -> None:
        self._plane, self._programs, self._definitions = plane, programs, definitions
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-olm-"))
        self._processes = Processes(self._folder)
        self._commands: dict[str, list[str | Path]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, *versions: str) -> None:
        """Install OLM's kinds, serve a catalog of these versions, and start both operators."""
        for path in sorted(self._definitions.glob("*.yaml")):
            self._plane.define(*yaml.safe_load_all(path.read_text()))
        self._plane.ensure("/api/v1/namespaces", {"metadata": {"name": "olm"}})
        port, profiling = free_ports(2)
        catalog = write_catalog(self._folder, self._programs, *versions)
        self._commands = {
            "opm": [self._programs["opm"], "serve", catalog, "-p", str(port), "--pprof-addr", f"localhost:{profiling}",
                    "-t", self._folder / "term.log"],
            "olm": [self._programs["olm"], "--namespace", "olm", "--writeStatusName", "", "--interval", "10s"],
            "catalog": [self._programs["catalog"], "--kubeconfig", self._plane.kubeconfig, "--namespace", "olm",
                        "--writeStatusName", "", "--interval", "10s"],
        }  # fmt: skip
        for name in self._commands:
            self._run(name)
        spec = {"sourceType": "grpc", "address": f"127.0.0.1:{port}", "displayName": "test", "publisher": "test"}
        self._plane.ensure(f"{OPERATORS}/namespaces/olm/catalogsources", {
            "apiVersion": "operators.coreos.com/v1alpha1", "kind": "CatalogSource", "metadata": {"name": CATALOG}, "spec": spec,
        })  # fmt: skip

    def eventually(self, found: Callable[[], T | None], what: str) -> T:
        """As of the cluster; starts again what has ended, since OLM ends by itself where it comes before its kinds."""

        def checked() -> T | None:
            for name in self._processes.ended():
                assert name != "opm", f"opm ended: {self._processes.end_of_log(name)}"
                self._run(name)
            return found()

        return eventually(checked, what, 180)

    def logs(self) -> dict[str, str]:
        """The end of each log."""
        return {name: self._processes.end_of_log(name) for name in self._commands}

    def _run(self, name: str) -> None:
        env = {key: value for key, value in os.environ.items() if key != "CI"}  # with it both operators panic
        self._processes.start(name, self._commands[name], {**env, "KUBECONFIG": str(self._plane.kubeconfig)})

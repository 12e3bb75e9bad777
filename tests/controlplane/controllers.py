"""kube-controller-manager for the tests: what turns Deployments into pods, counts disruptions and quotas, and deletes dependents.

`python -m tests.controlplane.controllers` gets the program ready and says where it is.
"""

from __future__ import annotations

import shutil
import ssl
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Self

from tests.controlplane.binaries import module
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports

PROGRAM = "kube-controller-manager"
PACKAGES = {PROGRAM: f"k8s.io/kubernetes/cmd/{PROGRAM}"}
#: The controllers that run. No other does, least of all the one that taints nodes whose kubelet sends no heartbeat.
CONTROLLERS = (
    "deployment", "replicaset", "statefulset", "daemonset", "disruption", "garbage-collector", "resourcequota", "namespace",
)  # fmt: skip
#: Seconds that the start may take; it takes about one.
PATIENCE = 60.0
WITHOUT_GO = """\
the tests on a control plane with controllers need kube-controller-manager, which is built from a Go module, and this machine \
has no Go. Install Go 1.24 or newer (https://go.dev/dl): the tests then build it once, in about 2 minutes.
`make test-unit` runs the tests that need none of this."""


def program(say: Say = print) -> Path:
    """The path of kube-controller-manager, built where the cache has none. Raises MissingProgram."""
    return module(PACKAGES, WITHOUT_GO).programs(say)[PROGRAM]


class ControllerManager:
    """kube-controller-manager beside one control plane.

    The garbage collector learns of kinds that are added later within 30 seconds (kubernetes: garbagecollector.go, Sync).
    """

    def __init__(self, plane: ControlPlane, path: Path) -> None:
        self._plane, self._path = plane, path
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-controllers-"))
        self._processes = Processes(self._folder)
        (self._port,) = free_ports(1)

    def __enter__(self) -> Self:
        try:
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
        return {PROGRAM: self._processes.end_of_log(PROGRAM)}

    def _start(self) -> None:
        self._processes.start(PROGRAM, [
            self._path, f"--kubeconfig={self._plane.kubeconfig}", "--leader-elect=false",
            f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
            "--bind-address=127.0.0.1", f"--secure-port={self._port}", f"--cert-dir={self._folder}",
        ])  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._healthy():
            ended = bool(self._processes.ended())
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"was not ready after {PATIENCE:.0f} s"
                raise MissingProgram(f"{PROGRAM} {what}; the end of its log:\n{self._processes.end_of_log(PROGRAM)}")
            time.sleep(0.05)

    def _healthy(self) -> bool:
        try:
            trusted = ssl.create_default_context(cafile=self._folder / f"{PROGRAM}.crt")
            trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as in plane.py
            with urllib.request.urlopen(f"https://127.0.0.1:{self._port}/healthz", timeout=5, context=trusted) as answer:
                return bool(answer.read() == b"ok")
        except OSError:  # no certificate yet, or nobody listening yet
            return False


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))

"""Release 0.1.0 as it was, from the history of this repository."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from engine.model.objects import Object
from scripts.bundle import ROOT
from tests.controlplane.plane import ControlPlane
from tests.e2e.pod import Pod
from tests.served import Served

VERSION = "0.1.0"
#: The last commit of that release.
COMMIT = "09619d617a69ae7db9203bf989d6611c4f5db1b1"


class OnePort(Served):
    """Where that release answers: probes and metrics on one port, without TLS."""

    @property
    def options(self) -> list[str]:
        """What its `rulepack run` is given."""
        return ["--address=127.0.0.1", f"--port={self.metrics}"]

    @classmethod
    def anywhere(cls, token: str = "") -> OnePort:
        """Return a port of 127.0.0.1 that nobody listens on at this moment; it asks for no token."""
        port = super().anywhere().metrics
        return cls(port, port)


def unpack(folder: Path) -> Path:
    """Write its files into a new folder, which is returned. Fails where the history of this checkout begins later."""
    command = ["git", "-C", str(ROOT), "archive", COMMIT]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stderr.decode()}the tests need the commits since {VERSION}: run `git fetch --unshallow`"
    into = folder / f"release-{VERSION}"
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(into, filter="data")
    return into


def pod(plane: ControlPlane, deployment: Object, folder: Path, release: Path) -> Pod:
    """Return a pod of that release's Deployment, which runs that release's code."""
    return Pod(plane, deployment, folder, release, OnePort.anywhere())

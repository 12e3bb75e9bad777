"""A real kubectl for the tests, built once from the Go module of Kubernetes.

`python -m tests.controlplane.kubectl` gets the program ready and says where it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.controlplane.binaries import module
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane

PROGRAM = "kubectl"
PACKAGES = {PROGRAM: f"k8s.io/kubernetes/cmd/{PROGRAM}"}
WITHOUT_GO = """\
the tests of the kind RulePack run a real kubectl, which is built from a Go module, and this machine has no Go. \
Install Go 1.24 or newer (https://go.dev/dl): the tests then build it once, in about 2 minutes.
`make test-unit` runs the tests that need none of this."""


def program(say: Say = print) -> Path:
    """The path of kubectl, built where the cache has none. Raises MissingProgram."""
    return module(PACKAGES, WITHOUT_GO).programs(say)[PROGRAM]


class Kubectl:
    """kubectl as an administrator of one control plane, in one namespace. `home` is an own folder, for what it caches."""

    def __init__(self, path: Path, plane: ControlPlane, namespace: str, home: Path) -> None:
        self.path, self.namespace = path, namespace
        self.environment = {
            "PATH": f"{path.parent}:{os.environ['PATH']}", "HOME": str(home), "KUBECONFIG": str(plane.kubeconfig),
        }  # fmt: skip

    def __call__(self, *arguments: str, given: str = "") -> str:
        """What it prints; `given` is its standard input. Fails where it fails."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def plain(self, *arguments: str) -> str:
        """What it prints without a namespace: kubectl looks for the name of a plugin in its first arguments. Fails likewise."""
        done = self.run(*arguments, plain=True)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, *arguments: str, given: str = "", plain: bool = False) -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        command: list[str | Path] = [self.path, *(() if plain else (f"--namespace={self.namespace}",)), *arguments]
        return subprocess.run(
            command, env=self.environment, input=given, capture_output=True, text=True, check=False, timeout=120
        )


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))

"""Argo CD for the tests: the program that holds all its roles, kubectl, and the folder of its sources with its manifests.

`ARGOCD_VERSION` chooses a version (see `versions`). `python -m tests.controlplane.argocd` gets it ready and says where it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.controlplane import gobuild
from tests.controlplane.gobuild import GoModule, MissingProgram, Programs, Say, required_version
from tests.controlplane.versions import ARGOCD

SOURCE = "github.com/argoproj/argo-cd/v3"
PACKAGES = {"argocd": f"{SOURCE}/cmd", "kubectl": "k8s.io/kubernetes/cmd/kubectl"}
WITHOUT_GO = """\
`make e2e` runs a real Argo CD and kubectl, which are built from Go modules, and this machine has no Go.
Install Go 1.26 or newer (https://go.dev/dl): the tests then build both once, in about 5 minutes.
`make test` runs the tests that need no Argo CD."""


def programs(say: Say = print) -> Programs:
    """The paths of `argocd`, whose role the environment variable ARGOCD_BINARY_NAME chooses, and `kubectl`.

    Raises MissingProgram.
    """
    folder = ARGOCD.folder()
    stamps = {f"{SOURCE}/common.version": required_version(folder, SOURCE).lstrip("v")}
    return GoModule("argocd", folder, PACKAGES, stamps, 5, WITHOUT_GO).programs(say)


def source() -> Path:
    """The folder of Argo CD's sources in the Go module cache, fetched where it is not there. Raises MissingProgram."""
    return gobuild.source(ARGOCD.folder(), SOURCE, WITHOUT_GO)


if __name__ == "__main__":
    try:
        for path in programs().values():
            print(path)
    except MissingProgram as missing:
        sys.exit(str(missing))

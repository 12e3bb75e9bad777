"""The versions of other projects that the tests run, each built from a Go module of its own.

One row of a table is one minor version; the go.mod in its folder pins the rest. An environment variable chooses a row, so that
the same tests run on each: `ARGOCD_VERSION=3.2 make e2e`. `make nightly` runs what is not the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.gobuild import MissingProgram

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one project."""

    variable: str
    """The environment variable that chooses one."""
    default: str
    folders: Mapping[str, Path]
    """The folder of the Go module of each minor version, oldest first."""

    def folder(self) -> Path:
        """The folder of the version that is chosen, else of the default. Raises MissingProgram where there is none of it."""
        version = self.asked or self.default
        if version not in self.folders:
            raise MissingProgram(f"{self.variable}={version} is none of {', '.join(self.folders)}; set one of these, or unset it")
        return self.folders[version]

    @property
    def asked(self) -> str:
        """The version that the environment names, '' where it names none."""
        return os.environ.get(self.variable, "")


def _table(project: str, *versions: str) -> Mapping[str, Path]:
    return {version: _HERE / project / f"v{version}" for version in versions}


#: The newest that Go 1.26 builds, and 3.2, which many clusters still run.
ARGOCD = Versions("ARGOCD_VERSION", "3.5", _table("argocd", "3.2", "3.5"))
#: The oldest that its project still supports, and the newest.
KUBERNETES = Versions("KUBERNETES_VERSION", "1.34", _table("kubernetes", "1.34", "1.37"))

"""Where the tests get etcd and kube-apiserver from: found on the machine, else built once from Go modules.

The order: `KUBEBUILDER_ASSETS`, PATH, the folders of setup-envtest, then what was built here before (see `gobuild`).
`KUBERNETES_VERSION` chooses a version, which is then always what is built here (see `versions`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.controlplane.gobuild import GoModule, MissingProgram, Programs, Say, in_folder, required_version
from tests.controlplane.versions import KUBERNETES

PACKAGES = {"etcd": "./cmd/etcd", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}
WITHOUT_GO = f"""\
the tests on a real control plane need {" and ".join(PACKAGES)}, and this machine has neither them nor Go. \
Three ways to have them:
  1. install Go 1.24 or newer (https://go.dev/dl): the tests then build both once, in about 5 minutes;
  2. run `setup-envtest use 1.34`, or set KUBEBUILDER_ASSETS to a folder that holds both;
  3. put both on PATH.
`make test-unit` runs the tests that need none of this."""


def programs(say: Say = print) -> Programs:
    """The path of each program, built with Go where the machine has none; `say` gets one line per step.

    Raises MissingProgram where there is no way to have them.
    """
    found = None if KUBERNETES.asked else _found()
    return found or module(PACKAGES, WITHOUT_GO).programs(say)


def _found() -> Programs | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if assets:
        inside = in_folder(Path(assets).expanduser(), PACKAGES)
        if inside is None:
            raise MissingProgram(
                f"KUBEBUILDER_ASSETS={assets} does not hold {' and '.join(PACKAGES)}; correct it, or unset it to look elsewhere"
            )
        return inside
    on_path = {name: Path(path) for name in PACKAGES if (path := shutil.which(name))}
    if len(on_path) == len(PACKAGES):
        return on_path
    return next((inside for folder in _envtest_folders() if (inside := in_folder(folder, PACKAGES))), None)


def _envtest_folders() -> list[Path]:
    """Newest first; the places are those of setup-envtest (controller-runtime: tools/setup-envtest/store/helpers.go)."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    stores = (data / "kubebuilder-envtest/k8s", Path.home() / "Library/Application Support/io.kubebuilder.envtest/k8s")
    versions = [folder for store in stores for folder in store.glob("*.*.*-*-*")]
    versions.sort(key=lambda folder: [int(number) for number in re.findall(r"\d+", folder.name)[:3]], reverse=True)
    return [*versions, Path("/usr/local/kubebuilder/bin")]


def module(packages: Mapping[str, str], without_go: str) -> GoModule:
    """The Go module of Kubernetes and etcd, and these programs of it. Raises MissingProgram."""
    folder = KUBERNETES.folder()
    version = required_version(folder, "k8s.io/kubernetes")
    major, minor = version.lstrip("v").split(".")[:2]
    # A server that is not stamped calls itself v0.0.0, and clients then take it for one too old to talk to.
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return GoModule(
        name="controlplane",
        folder=folder,
        packages=packages,
        stamps={f"k8s.io/component-base/version.{name}": value for name, value in stamps.items()},
        minutes=5,
        without_go=without_go,
    )

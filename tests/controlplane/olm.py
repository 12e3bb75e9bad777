"""OLM and the tools around it: the two operators of OLM, `opm`, operator-framework's validators, kustomize and operator-sdk.

`python -m tests.controlplane.olm` gets the tools ready and says where they are; with `--all` the two operators and the
scorecard's tests too, with `--sdk` operator-sdk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.controlplane.gobuild import GoModule, MissingProgram, Programs, Say, source

FOLDER = Path(__file__).parent / "olm"
FRAMEWORK = "github.com/operator-framework"
OLM = f"{FRAMEWORK}/operator-lifecycle-manager"
#: Whose CustomResourceDefinitions are read.
DEFINITIONS = Path(__file__).parent / "definitions"
#: What checks a bundle and renders config/: part of `make test`.
TOOLS = {
    "validate": "./cmd/validate",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
    "opm": f"{FRAMEWORK}/operator-registry/cmd/opm",
}
#: What installs a bundle: part of `make e2e`.
OPERATORS = {"olm": f"{OLM}/cmd/olm", "catalog": f"{OLM}/cmd/catalog"}
#: The image of operator-framework's scorecard, and operator-sdk itself, which takes long to build: a module of their own.
SDK_FOLDER = Path(__file__).parent / "sdk"
SDK = f"{FRAMEWORK}/operator-sdk"
SCORECARD_TEST = {"scorecard-test": f"{SDK}/images/scorecard-test"}
OPERATOR_SDK = {"operator-sdk": f"{SDK}/cmd/operator-sdk"}
# The second is what lets opm be built without the C library of GnuPG (operator-registry: Makefile).
TAGS = "json1,containers_image_openpgp"
WITHOUT_GO = """\
the tests of the OLM bundle run opm, kustomize and operator-framework's validators, and `make e2e` the real OLM, which are \
built from Go modules; this machine has no Go. Install Go 1.26 or newer (https://go.dev/dl): the tests then build them once.
`make test-unit` runs the tests that need none of this."""


def tools(say: Say = print) -> Programs:
    """The paths of `validate`, `kustomize` and `opm`. Raises MissingProgram."""
    return _built("bundle-tools", TOOLS, say)


def operators(say: Say = print) -> Programs:
    """The paths of `olm` and `catalog`. Raises MissingProgram."""
    return _built("olm", OPERATORS, say)


def definitions() -> Path:
    """The folder with OLM's CustomResourceDefinitions in the Go module cache, fetched where it is not there.

    Raises MissingProgram.
    """
    return source(FOLDER, f"{FRAMEWORK}/api", WITHOUT_GO) / "crds"


def scorecard_test(say: Say = print) -> Path:
    """The path of `scorecard-test`, which is linked statically, so it runs where there is nothing else. Raises MissingProgram."""
    return _built("scorecard", SCORECARD_TEST, say, SDK_FOLDER, 4)["scorecard-test"]


def operator_sdk(say: Say = print) -> Path:
    """The path of `operator-sdk`. Raises MissingProgram."""
    return _built("operator-sdk", OPERATOR_SDK, say, SDK_FOLDER, 15)["operator-sdk"]


def v1_definition() -> Path:
    """The file with the CustomResourceDefinition of OLM v1's ClusterExtension in the Go module cache. Raises MissingProgram."""
    controller = source(DEFINITIONS, f"{FRAMEWORK}/operator-controller", WITHOUT_GO)
    return controller / "config/base/operator-controller/crd/bases/olm.operatorframework.io_clusterextensions.yaml"


def monitoring_definitions() -> list[Path]:
    """The files with those of the Prometheus Operator that config/monitoring needs. Raises MissingProgram."""
    folder = (
        source(DEFINITIONS, "github.com/prometheus-operator/prometheus-operator", WITHOUT_GO) / "example/prometheus-operator-crd"
    )
    return [folder / f"monitoring.coreos.com_{name}.yaml" for name in ("servicemonitors", "prometheusrules")]


def _built(name: str, packages: Mapping[str, str], say: Say, folder: Path = FOLDER, minutes: int = 3) -> Programs:
    tags = " ".join(filter(None, (os.environ.get("GOFLAGS"), f"-tags={TAGS}")))
    static = {"CGO_ENABLED": "0"} if folder == SDK_FOLDER else {}
    return GoModule(name, folder, packages, {}, minutes, WITHOUT_GO, {"GOFLAGS": tags, **static}).programs(say)


if __name__ == "__main__":
    try:
        paths = [*tools().values()]
        paths += [*operators().values(), scorecard_test()] if "--all" in sys.argv else []
        paths += [operator_sdk()] if "--sdk" in sys.argv else []
        print(*paths, sep="\n")
    except MissingProgram as missing:
        sys.exit(str(missing))

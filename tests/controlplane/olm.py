"""OLM and the tools around it: the two operators of OLM, `opm`, operator-framework's validators and kustomize.

`python -m tests.controlplane.olm` gets the tools ready and says where they are; with `--all` the two operators too.
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
#: What checks a bundle and renders config/: part of `make test`.
TOOLS = {
    "validate": "./cmd/validate",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
    "opm": f"{FRAMEWORK}/operator-registry/cmd/opm",
}
#: What installs a bundle: part of `make e2e`.
OPERATORS = {"olm": f"{OLM}/cmd/olm", "catalog": f"{OLM}/cmd/catalog"}
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


def _built(name: str, packages: Mapping[str, str], say: Say) -> Programs:
    before = os.environ.get("GOFLAGS")
    os.environ["GOFLAGS"] = " ".join(filter(None, (before, f"-tags={TAGS}")))
    try:
        return GoModule(name, FOLDER, packages, {}, 3, WITHOUT_GO).programs(say)
    finally:
        if before is None:
            del os.environ["GOFLAGS"]
        else:
            os.environ["GOFLAGS"] = before


if __name__ == "__main__":
    try:
        for path in (*tools().values(), *(operators().values() if "--all" in sys.argv else ())):
            print(path)
    except MissingProgram as missing:
        sys.exit(str(missing))

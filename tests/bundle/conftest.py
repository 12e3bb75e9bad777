"""The programs that check bundles and render manifests."""

from __future__ import annotations

import pytest

from tests.controlplane import olm
from tests.controlplane.gobuild import MissingProgram, Programs, Say


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `cluster`, as what `make test` gets by itself, whatever runs the programs."""
    for item in items:
        if "tools" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def tools(say: Say) -> Programs:
    """The paths of `validate`, `kustomize` and `opm`. Where there is no way to have them the whole run ends with an error."""
    try:
        return olm.tools(say)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)

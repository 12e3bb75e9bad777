"""The tables of versions agree with the Go modules, and say what they hold."""

from __future__ import annotations

import pytest

from tests.controlplane.argocd import SOURCE
from tests.controlplane.gobuild import MissingProgram, required_version
from tests.controlplane.versions import ARGOCD, KUBERNETES, Versions


@pytest.mark.parametrize(("table", "module"), [(ARGOCD, SOURCE), (KUBERNETES, "k8s.io/kubernetes")])
def test_each_row_is_a_module_of_its_version(table: Versions, module: str) -> None:
    """The go.mod of a row requires a release of that minor version, and the default is a row."""
    for version, folder in table.folders.items():
        assert required_version(folder, module).startswith(f"v{version}.")
    assert table.default in table.folders


@pytest.mark.parametrize("table", [ARGOCD, KUBERNETES])
def test_an_environment_variable_chooses_a_row(table: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the default is meant, and a version that no row has is refused with those that there are."""
    monkeypatch.delenv(table.variable, raising=False)
    default = table.folder()
    oldest, folder = next(iter(table.folders.items()))
    monkeypatch.setenv(table.variable, oldest)
    chosen = table.folder()
    monkeypatch.setenv(table.variable, "0.1")

    assert (default, chosen) == (table.folders[table.default], folder)
    with pytest.raises(MissingProgram, match=f"{table.variable}=0.1 is none of {oldest}"):
        table.folder()


@pytest.mark.parametrize("table", [ARGOCD, KUBERNETES])
def test_each_row_has_the_programs_of_the_default(table: Versions) -> None:
    """Its tools.go imports the same, so that go.mod and go.sum have what each program needs, whichever version is chosen."""
    wanted = (table.folders[table.default] / "tools.go").read_text()
    assert {version: (folder / "tools.go").read_text() for version, folder in table.folders.items()} == dict.fromkeys(
        table.folders, wanted
    )

"""How programs are built once and kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.controlplane.gobuild import GoModule, MissingProgram

pytestmark = pytest.mark.cluster


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go module with two programs and one that does not compile, and a cache of its own for what is built."""
    cache = subprocess.run(["go", "env", "GOCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("GOCACHE", cache)  # Go's own stays: its standard library takes long to compile
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module = tmp_path / "module"
    for name, body in (("one", 'println("one")'), ("two", 'println("two")'), ("broken", "nonsense")):
        (module / name).mkdir(parents=True)
        (module / name / "main.go").write_text(f"package main\n\nfunc main() {{ {body} }}\n")
    (module / "go.mod").write_text("module example.com/programs\n\ngo 1.24\n")
    (module / "go.sum").write_text("")
    return module


def programs(folder: Path, *names: str) -> tuple[dict[str, Path], list[str]]:
    """The paths of programs, and what was said of building them."""
    said: list[str] = []
    module = GoModule("programs", folder, {name: f"./{name}" for name in names}, {}, 1, "no Go")
    return dict(module.programs(said.append)), said


def test_each_program_is_built_when_it_is_first_needed(folder: Path) -> None:
    """A second one of the same module is built beside the first, which is kept as it is."""
    one, first = programs(folder, "one")
    made = one["one"].stat().st_mtime_ns
    both, second = programs(folder, "one", "two")
    again, third = programs(folder, "one", "two")

    assert first[0].startswith("programs: building one with Go")
    assert second[0].startswith("programs: building two with Go")
    assert third == []
    assert again == both
    assert both["one"] == one["one"] and one["one"].stat().st_mtime_ns == made
    assert subprocess.run([both["two"]], check=True, capture_output=True, text=True).stderr == "two\n"


def test_another_version_is_built_anew(folder: Path) -> None:
    """A module that has changed has a folder of its own in the cache."""
    before, _ = programs(folder, "one")
    (folder / "go.mod").write_text("module example.com/programs\n\ngo 1.23\n")
    after, _ = programs(folder, "one")

    assert before["one"] != after["one"]
    assert before["one"].exists() and after["one"].exists()


def test_a_build_that_fails_says_why(folder: Path) -> None:
    """What was built before it is kept; of the program that failed there is nothing."""
    with pytest.raises(MissingProgram, match=r"go build ./broken[\s\S]*undefined: nonsense"):
        programs(folder, "one", "broken")

    assert {path.name for path in (folder.parent / "cache").rglob("*") if path.is_file()} == {"lock", "one"}

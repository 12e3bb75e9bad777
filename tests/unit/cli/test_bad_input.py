"""Whatever a command is given, it ends with a clear message and status 1 or 2, never with a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.main import run_command


def bomb() -> str:
    """YAML whose aliases written out would have 9^10 items."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines)


def empty_folder(path: Path) -> Path:
    """A folder with nothing in it."""
    path.mkdir()
    return path


def folder_of_others(path: Path) -> Path:
    """A folder with a manifest of something else."""
    path.mkdir()
    (path / "service.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    return path


def link_to_itself(path: Path) -> Path:
    """A symbolic link that leads to itself."""
    path.symlink_to(path)
    return path


def folder_in_itself(path: Path) -> Path:
    """A folder that holds a link to itself."""
    path.mkdir()
    (path / "again").symlink_to(path)
    return path


def file_of(content: bytes | str) -> Callable[[Path], Path]:
    """Writes a file."""

    def write(path: Path) -> Path:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


INPUTS: dict[str, Callable[[Path], Path]] = {
    "a missing file": lambda path: path,
    "an empty folder": empty_folder,
    "a folder of other manifests": folder_of_others,
    "binary garbage": file_of(random.Random(1).randbytes(100_000)),
    "10 MB of one text": file_of("a: " + "x" * 10_000_000),
    "10 MB of list items": file_of("- a: 1\n" * 1_400_000),
    "an alias bomb": file_of(bomb()),
    "10,000 nested brackets": file_of("[" * 10_000 + "]" * 10_000),
    "a byte that is not UTF-8": file_of(b"kind: RulePackTest # caf\xe9\n"),
    "a link to itself": link_to_itself,
    "a folder in itself": folder_in_itself,
    "not a mapping": file_of("- kind: RulePackTest\n"),
    "an unfinished test": file_of("apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePackTest\nmetadata: {name: x}\nspec: 3\n"),
}
COMMANDS = (["replay"], ["lint"], ["test"], ["rbac"], ["explain"], ["lint", "--crds"], ["explain", "x.yaml", "--rules"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS.keys())
def test_bad_input(command: list[str], make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 or 2, and a message that names the input; where it is a text, with line and column."""
    path = make(tmp_path / "input.yaml")
    good = Path(__file__).parents[3] / "rules" / "sync-waves"
    more = {"--crds": [str(good)], "replay": ["--rules", str(good)]}.get(command[-1], [])
    arguments = [*command, str(path), *more]

    status = run_command(arguments)

    captured = capsys.readouterr()
    reported = captured.out + captured.err
    assert status in (1, 2)
    assert "unexpected" not in reported and "Traceback" not in reported
    assert str(path) in reported

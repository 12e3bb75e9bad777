"""The check of commit subjects, on repositories that git itself makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.commits import check

SHORT, LONG = "Say it in few words", "x" * 73


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody without settings of their own."""
    own = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *own, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path, subject: str) -> str:
    """Make an empty commit; gives its hash."""
    git(folder, "commit", "--quiet", "--allow-empty", "-m", f"{subject}\n\n{'a long line of the body ' * 9}")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose first commit, the base, is too long."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, LONG)
    return folder


def test_what_is_older_than_the_base_is_not_checked(repository: Path) -> None:
    """The base itself is older too; a long body is nobody's concern."""
    base = git(repository, "rev-parse", "HEAD")
    commit(repository, SHORT)

    assert check(repository, base) == 0


def test_a_long_subject_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which commit, how long it is, what is expected and what to do."""
    base = git(repository, "rev-parse", "HEAD")
    commit(repository, "x" * 72)
    found = commit(repository, LONG)

    assert check(repository, base) == 1
    message = capsys.readouterr().err
    assert f"commit {found[:7]}" in message
    assert "73 characters, expected at most 72" in message
    assert message.count("commit ") == 1


def test_a_shallow_clone_without_the_base_is_checked_as_far_as_it_goes(repository: Path) -> None:
    """All that it has is newer than the base."""
    base = git(repository, "rev-parse", "HEAD")
    commit(repository, LONG)
    commit(repository, SHORT)
    for depth, expected in ((1, 0), (2, 1)):
        clone = repository.parent / f"clone-{depth}"
        git(repository.parent, "clone", "--quiet", f"--depth={depth}", repository.as_uri(), clone.name)

        assert check(clone, base) == expected


def test_without_a_history_nothing_is_checked(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an archive nor a repository that never had the base: it says so, and passes."""
    archive = repository / "archive"
    archive.mkdir()

    assert check(archive, "0" * 40) == check(repository, "0" * 40) == 0
    assert capsys.readouterr().out.count("not checked") == 2

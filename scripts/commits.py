"""Check the subjects of commits: at most 72 characters each, so that `git log --oneline` and mails show all of them.

Commits up to BASE were made before this was checked. A shallow clone without BASE has later commits only, and all are checked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "6043e4023fa1ebb868422110dc33f71101fc173b"
LONGEST = 72


def subjects(root: Path, base: str) -> list[tuple[str, str]] | None:
    """Return the abbreviated hash and the subject of each commit after `base`; None where `root` has no history after it."""
    if _git(root, "rev-parse", "--show-toplevel") != str(root.resolve()):
        return None  # an unpacked archive, maybe in somebody else's repository
    if _git(root, "cat-file", "-t", base) == "commit":
        commits = f"{base}..HEAD"
    elif _git(root, "rev-parse", "--is-shallow-repository") == "true":
        commits = "HEAD"
    else:
        return None
    lines = (_git(root, "log", "--format=%h %s", commits) or "").splitlines()
    return [(abbreviated, subject) for abbreviated, _, subject in (line.partition(" ") for line in lines)]


def check(root: Path = ROOT, base: str = BASE) -> int:
    """Print each subject that is too long. Returns the exit code."""
    found = subjects(root, base)
    if found is None:
        print(f"commits: not checked, there is no git history with {base[:7]} here")
        return 0
    long = [(abbreviated, subject) for abbreviated, subject in found if len(subject) > LONGEST]
    for abbreviated, subject in long:
        print(
            f"commit {abbreviated}: its subject has {len(subject)} characters, expected at most {LONGEST}: {subject!r}; "
            "put the reason in the body",
            file=sys.stderr,
        )
    return 1 if long else 0


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, None where it fails or there is none."""
    try:
        # a checkout that belongs to somebody else, as in a container, is read all the same
        command = ["git", "-c", "safe.directory=*", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(check())

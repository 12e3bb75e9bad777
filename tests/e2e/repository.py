"""Git repositories on disk, which Argo CD reads by file:// URLs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from engine.model.objects import Object, annotations_of


class Repository:
    """A git repository with one branch, main."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str | Sequence[Object]], message: str = "Change") -> str:
        """Write files, each a text or objects to be written as YAML, commit them and return the revision."""
        for name, content in files.items():
            file = self._folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else yaml.safe_dump_all(content))
        self._git("add", "--all")
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        self._git(*identity, "commit", "--quiet", "--allow-empty", f"--message={message}")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self._folder, check=True, capture_output=True, text=True)
        return done.stdout


def in_wave(wave: int, obj: Object) -> Object:
    """The object with a sync wave."""
    annotations = {**annotations_of(obj), "argocd.argoproj.io/sync-wave": str(wave)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}

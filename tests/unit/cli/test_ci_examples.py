"""examples/ci: what continuous integration runs, as far as a machine without its services can run it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from scripts.project import ROOT

EXAMPLES = ROOT / "examples" / "ci"
IMAGE = re.compile(r'^image = "([^"]*)"', re.MULTILINE).findall((ROOT / "pyproject.toml").read_text())[0]
#: Stands in for `docker run`: the image has the same command, and the mounted folder is the working directory here.
DOCKER = f"""\
#!/bin/sh
test "$1 $2 $3 $4 $5 $6" = "run --rm --volume $PWD:/work:ro --workdir /work" || exit 99
case $7 in {IMAGE}:v[0-9]*) ;; *) exit 98 ;; esac
shift 7
exec rulepack "$@"
"""


def github() -> list[str]:
    """The commands of the workflow of GitHub Actions."""
    steps = yaml.safe_load((EXAMPLES / "github-actions.yaml").read_text())["jobs"]["lint"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def gitlab() -> list[str]:
    """The commands of the job of GitLab, which runs in the image."""
    job = yaml.safe_load((EXAMPLES / "gitlab-ci.yaml").read_text())["rule-packs"]
    assert re.fullmatch(rf"{re.escape(IMAGE)}:v\d+\.\d+\.\d+", job["image"]["name"])
    return list(job["script"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a pack and its tests in `packs`."""
    shutil.copytree(ROOT / "rules" / "sync-waves", tmp_path / "repository" / "packs" / "sync-waves")
    return tmp_path / "repository"


def run(commands: Sequence[str], repository: Path, programs: Path) -> list[tuple[int, str]]:
    """Exit status and output of each command, in a repository."""
    programs.mkdir(exist_ok=True)
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return [
        (done.returncode, done.stdout)
        for command in commands
        for done in [
            subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=repository, env={**os.environ, "PATH": path},
                           capture_output=True, text=True, check=False)
        ]
    ]  # fmt: skip


@pytest.mark.parametrize("commands", [github(), gitlab()], ids=["github", "gitlab"])
def test_a_pack_without_faults_passes(commands: list[str], repository: Path, tmp_path: Path) -> None:
    ran = run(commands, repository, tmp_path / "bin")

    assert [status for status, _ in ran] == [0, 0]
    assert "passed" in ran[1][1]


@pytest.mark.parametrize("commands", [github(), gitlab()], ids=["github", "gitlab"])
def test_a_misspelt_key_fails(commands: list[str], repository: Path, tmp_path: Path) -> None:
    """Lint says where; for GitHub in the form that it shows on the line."""
    pack = repository / "packs" / "sync-waves" / "pack.yaml"
    pack.write_text(pack.read_text().replace("      when:", "      wehn:", 1))

    status, output = run(commands[:1], repository, tmp_path / "bin")[0]

    assert status == 1
    assert "unknown key 'wehn'" in output
    assert ("::error file=packs/sync-waves/pack.yaml," in output) == (commands == github())


def git(folder: Path, *arguments: str) -> str:
    """What git prints, in a folder."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def committed(folder: Path) -> str:
    """Make a folder a git repository with one commit; gives its name."""
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All")
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.nightly
def test_pre_commit_installs_and_runs_the_hook(repository: Path, tmp_path: Path) -> None:
    """The real pre-commit, which installs this repository and what it depends on as it does for users."""
    offered = tmp_path / "rulepack"
    for name in git(ROOT, "ls-files", "--", ".pre-commit-hooks.yaml", "pyproject.toml", "LICENSE", "README.md", "engine", "rules",
                    "examples/demo").splitlines():  # fmt: skip
        (offered / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, offered / name)
    config = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())
    config["repos"][0] |= {"repo": str(offered), "rev": committed(offered)}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    committed(repository)
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]

    def hook() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)

    good = hook()
    pack = repository / "packs" / "sync-waves" / "pack.yaml"
    pack.write_text(pack.read_text().replace("      when:", "      wehn:", 1))
    bad = hook()

    assert good.returncode == 0, good.stdout + good.stderr
    assert bad.returncode == 1
    assert "packs/sync-waves/pack.yaml" in bad.stdout
    assert "unknown key 'wehn'" in bad.stdout


def test_the_examples_are_those_of_the_readme() -> None:
    """Each file says as its first line where it goes, as the table does."""
    readme = (EXAMPLES / "README.md").read_text()
    for file in EXAMPLES.glob("*.yaml"):
        goes_to = file.read_text().splitlines()[0].removeprefix("# ")
        assert f"[{file.name}]({file.name}) | `{goes_to}` |" in readme
    assert shlex.split(github()[0])[-1] == "packs"

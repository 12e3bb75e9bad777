"""Who publishes rulepack, where and as which version: pyproject.toml and engine/__init__.py, and nowhere else by people.

Between releases the version is that of the next one with `-dev`, which is older than it and newer than the last.

`make bundle` puts it into the files that have to name it, which PLACES lists; `--check` only says which of them differ.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r'(?<=^__version__ = ")[^"]+', re.MULTILINE)
#: Ends the version of what is not released: a prerelease of Semantic Versioning, and a development release of PEP 440.
DEVELOPMENT = "-dev"


@dataclass(frozen=True, slots=True)
class Project:
    """What pyproject.toml says of the project, and the engine's version."""

    version: str
    image: str
    """The repository of the image, without a tag."""
    repository: str
    """The address of the source."""
    maintainers: list[dict[str, str]]
    """Their names and e-mail addresses."""
    reviewers: list[str]
    """Who reviews changes in the community catalogs, by their names on GitHub."""

    @property
    def release(self) -> str:
        """The release that this is, or is to become."""
        return self.version.removesuffix(DEVELOPMENT)

    @property
    def module(self) -> str:
        """The address of the source as operator-sdk has it."""
        return self.repository.partition("://")[2]

    @property
    def mailbox(self) -> str:
        """The e-mail address of the first maintainer."""
        return self.maintainers[0]["email"]


_CSV = "config/manifests/bases/rulepack-operator.clusterserviceversion.yaml"
#: A file, what to replace in it, and by what.
PLACES = (
    ("config/manager/deployment.yaml", r"(?<=\simage: )\S+", "{0.image}:v{0.version}"),
    ("config/monitoring/prometheus_rule.yaml", r"(?<=runbook_url: )\S+(?=/blob/)", "{0.repository}"),
    (_CSV, r"(?<=repository: )\S+", "{0.repository}"),
    (_CSV, r"(?<=url: )\S+?(?=/tree/|\n)", "{0.repository}"),
    ("docs/install.md", r"https://\S+(?=/releases/)", "{0.repository}"),
    ("docs/install.md", r"(?<=IMAGE_TAG_BASE=)\S+", "{0.image}"),
    ("docs/install.md", r"(?<=\simage: )\S+(?=-catalog:)", "{0.image}"),
    ("docs/install.md", r"(?<=-catalog:v)\S+", "{0.version}"),
    ("examples/ci/github-actions.yaml", r"(?<=/work )\S+:v\S+", "{0.image}:v{0.release}"),
    ("examples/ci/gitlab-ci.yaml", r"(?<=name: )\S+:v\S+", "{0.image}:v{0.release}"),
    ("examples/ci/pre-commit-config.yaml", r"(?<=repo: )https\S+", "{0.repository}"),
    ("examples/ci/pre-commit-config.yaml", r"(?<=rev: )v\S+", "v{0.release}"),
    ("PROJECT", r"(?<=\nrepo: )\S+", "{0.module}"),
    ("Dockerfile", r'(?<=image\.source=")[^"]+', "{0.repository}"),
    ("Dockerfile", r'(?<=image\.documentation=")[^"]+(?=/tree/)', "{0.repository}"),
    ("Dockerfile", r'(?<=maintainer=")[^"]+', "{0.mailbox}"),
    ("SECURITY.md", r"(?<=Write to )\S+@\S+(?=\.)", "{0.mailbox}"),
    ("CODE_OF_CONDUCT.md", r"(?<=write to )\S+@\S+(?=\.)", "{0.mailbox}"),
    (".github/CODEOWNERS", r"(?<=\n\* )\S+", "{0.mailbox}"),
    (".github/ISSUE_TEMPLATE/config.yml", r"(?<=url: )\S+(?=/security/)", "{0.repository}"),
)


def project(root: Path = ROOT) -> Project:
    """The project as its files say."""
    pyproject: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())
    found = VERSION.search((root / "engine/__init__.py").read_text())
    if found is None:
        sys.exit('engine/__init__.py has no line __version__ = "…"')
    about, own = pyproject["project"], pyproject["tool"]["rulepack"]
    return Project(found[0], own["image"], about["urls"]["Repository"], about["maintainers"], own["reviewers"])


def differing(root: Path = ROOT) -> dict[Path, str]:
    """The files of PLACES that name something else, with the text that they should have."""
    facts, texts = project(root), dict[Path, str]()
    for name, pattern, wanted in PLACES:
        path = root / name
        text, found = re.subn(pattern, wanted.format(facts), texts.get(path) or path.read_text())
        if not found:
            sys.exit(f"{name}: nothing matches {pattern!r}, which scripts/project.py puts {wanted.format(facts)} in place of")
        texts[path] = text
    return {path: text for path, text in texts.items() if text != path.read_text()}


def main() -> int:
    """Write the files, or check them; 1 where one differs."""
    found = differing()
    if "--check" not in sys.argv[1:]:
        for path, text in found.items():
            path.write_text(text)
        return 0
    for path in found:
        print(f"{path.relative_to(ROOT)}: differs from pyproject.toml or engine/__init__.py; run: make bundle", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the Dockerfile says, without building it."""

from __future__ import annotations

import json
import re

import pytest

from scripts.bundle import ROOT
from tests.image.dockerfile import Instruction, context, copied, stages


@pytest.fixture(scope="module")
def final() -> list[Instruction]:
    return stages()[-1]


def of(stage: list[Instruction], name: str) -> list[str]:
    return [each.text for each in stage if each.name == name]


def test_the_context_holds_what_is_needed_only() -> None:
    """Each file that .dockerignore leaves in is copied, but for those of bundle.Dockerfile.

    None of them is a test, a cache or part of the repository's own.
    """
    left = {path for path in context() if not path.startswith("bundle/")}
    assert left
    assert left == copied()
    assert {path.partition("/")[0] for path in left} == {
        "engine", "rules", "examples", "LICENSE", "pyproject.toml", "requirements.lock", "requirements-build.lock",
    }  # fmt: skip
    assert not [path for path in left if "__pycache__" in path or path.startswith(("tests", ".git"))]


def test_the_base_can_be_pinned_by_digest() -> None:
    """Both stages start from the one argument, which a release sets to a digest; the default is a slim image of one version."""
    before, *images = stages()
    (base,) = of(before, "ARG")
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)
    platforms = {"BUILDPLATFORM": " AS build", "TARGETPLATFORM": ""}
    assert [stage[0].text for stage in images] == [f"--platform=${{{one}}} ${{BASE}}{name}" for one, name in platforms.items()]
    assert re.search(r"--build-arg BASE=\S+@sha256:", (ROOT / "RELEASING.md").read_text())


def test_packages_are_checked_by_hash() -> None:
    """pip installs wheels only, each by the hash of its lock file, or from no index at all; nothing else is fetched."""
    steps = [step for stage in stages() for run in of(stage, "RUN") for step in run.split(" && ")]
    installing = [step for step in steps if re.search(r"pip\S* .*(install|wheel)", step)]
    assert installing
    assert all("--no-index" in step or "--require-hashes --only-binary :all: -r requirements" in step for step in installing)
    assert not [step for step in steps if re.search(r"\b(apt|apk|curl|wget|git)\b", step)]
    assert not [stage for stage in stages() if of(stage, "ADD")]


def test_nothing_is_built_in_the_final_stage(final: list[Instruction]) -> None:
    """It has what was built copied into it and runs nothing, so no compiler, no cache and no pip of a build is left."""
    assert of(final, "RUN") == []
    assert of(final, "COPY") == ["LICENSE /licenses/LICENSE", "--from=build /opt/venv /opt/venv"]


def test_it_runs_as_a_numeric_user_of_group_0(final: list[Instruction]) -> None:
    """Kubernetes can see that it is not root, and OpenShift's random users share its group."""
    (user,) = of(final, "USER")
    number, group = map(int, user.split(":"))
    assert number >= 10000
    assert group == 0


def test_it_starts_without_a_shell(final: list[Instruction]) -> None:
    """Signals reach the operator itself."""
    (entry,), (arguments,) = of(final, "ENTRYPOINT"), of(final, "CMD")
    assert (json.loads(entry), json.loads(arguments)) == (["rulepack"], ["run"])


def test_it_is_labelled(final: list[Instruction]) -> None:
    """Version and revision come from whoever builds it."""
    found = dict(re.findall(r'([\w.]+)="([^"]*)"', " ".join(of(final, "LABEL"))))
    written = {"title", "description", "licenses", "vendor", "source", "documentation", "version", "revision"}
    assert found.keys() >= {f"org.opencontainers.image.{name}" for name in written}
    # What Red Hat's preflight requires: openshift-preflight, internal/policy/container/has_required_labels.go.
    assert found.keys() >= {"name", "vendor", "version", "release", "summary", "description", "maintainer"}
    assert (found["version"], found["release"]) == ("${VERSION}", "${RELEASE}")
    assert (found["org.opencontainers.image.version"], found["org.opencontainers.image.revision"]) == (
        "${VERSION}",
        "${REVISION}",
    )
    assert {argument.partition("=")[0] for argument in of(final, "ARG")} == {"VERSION", "RELEASE", "REVISION"}

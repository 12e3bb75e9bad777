"""The files for contributors name what exists."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from scripts.project import ROOT, project

PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", ".github/pull_request_template.md")
RECIPES = ("Add an action", "Add a lint check", "Add a CEL function", "Add a pack", "Add a page")
#: The name of what a contributor adds; whatever is there already stands for it.
NEW = "NAME"
#: The first word of a path of this repository.
TOP = {path.name for path in ROOT.iterdir()}
TARGETS = set(
    re.findall(r"^([a-z][a-z0-9-]*|\.venv/\.ready):", (ROOT / "Makefile").read_text().replace("$(READY)", ".venv/.ready"), re.M)
)


def sections() -> dict[str, str]:
    """The sections of CONTRIBUTING.md by their headings."""
    parts = re.split(r"^## (.*)\n", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(section: str) -> list[list[str]]:
    """The words of each command of a section, without its comment."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```", sections()[section], re.M | re.S)
    return [shlex.split(line, comments=True) for _, block in blocks for line in block.splitlines()]


def paths(text: str) -> set[str]:
    """The paths of this repository that a text names, in code, in commands or as links."""
    words = re.findall(r"[\w./-]+", text)
    return {word.rstrip(".") for word in words if "/" in word and word.split("/")[0] in TOP and not word.startswith(".venv/")}


@pytest.mark.parametrize("page", PAGES)
def test_each_path_exists(page: str) -> None:
    """Each path that a page names is there; in a path with NAME, one like it is."""
    named = paths((ROOT / page).read_text())
    missing = [path for path in named if not any(ROOT.glob(path.replace(NEW, "*").rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("section", ["Set up", "Test one thing", *RECIPES])
def test_each_command_is_a_target_or_a_program_of_the_environment(section: str) -> None:
    """A command is `make` with targets of the Makefile, or a program that the lock installs."""
    found = commands(section)
    assert found
    for program, *arguments in found:
        if program == "make":
            assert {each for each in arguments if "=" not in each} <= TARGETS, arguments
        else:
            assert program.startswith(".venv/bin/"), program
            assert (ROOT / program).exists(), program


def test_setting_up_takes_three_commands() -> None:
    """No more stand between a clone and the first commit."""
    assert len(commands("Set up")) == 3


@pytest.mark.parametrize("section", RECIPES[:4])
def test_a_recipe_names_where_its_tests_are(section: str) -> None:
    """Each recipe runs tests, and names files to write or to take as a model."""
    assert any(words[:3] == [".venv/bin/python", "-m", "pytest"] for words in commands(section))
    assert len(paths(sections()[section])) >= 3


def loaded(path: str) -> Any:
    """What a file of YAML holds."""
    return yaml.safe_load((ROOT / path).read_text())


def test_the_hook_before_a_commit_is_make_check() -> None:
    """One hook, so that nothing can be in one and not in the other."""
    (repository,) = loaded(".pre-commit-config.yaml")["repos"]
    assert [(hook["entry"], hook["pass_filenames"]) for hook in repository["hooks"]] == [("make check", False)]


def test_dependabot_knows_every_go_module() -> None:
    """Each folder with a go.mod is in one of its lists, and no folder without."""
    updates = loaded(".github/dependabot.yml")["updates"]
    listed = [name for update in updates if update["package-ecosystem"] == "gomod" for name in update["directories"]]
    there = [f"/{path.parent.relative_to(ROOT).as_posix()}" for path in (ROOT / "tests").rglob("go.mod")]
    assert sorted(listed) == sorted(there)
    assert {"pip", "github-actions"} <= {update["package-ecosystem"] for update in updates}


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_asks_for_explain_and_the_version(form: str) -> None:
    """Both forms ask for what every answer needs; that of a bug does not go without."""
    fields = {field["id"]: field for field in loaded(f".github/ISSUE_TEMPLATE/{form}.yaml")["body"] if "id" in field}
    asked = json.dumps(fields)
    assert "rulepack explain" in asked
    assert "rulepack --version" in asked
    assert fields["versions"]["validations"]["required"]
    assert form == "feature" or fields["explain"]["validations"]["required"]


def test_the_container_for_development_is_that_of_continuous_integration() -> None:
    """What passes in one passes in the other."""
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["image"] == loaded(".github/workflows/check.yaml")["jobs"]["check"]["container"]["image"]


@pytest.mark.parametrize("file", ["SECURITY.md", "CODE_OF_CONDUCT.md", ".github/CODEOWNERS"])
def test_reports_go_to_the_maintainers(file: str) -> None:
    """The one address is that of pyproject.toml, which `make bundle` writes."""
    assert set(re.findall(r"[\w.]+@[\w-]+(?:\.[\w-]+)+", (ROOT / file).read_text())) == {project().mailbox}

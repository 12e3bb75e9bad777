"""Tests of functions: what passes, what does not, what is covered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent, indent

import pytest
from click.testing import CliRunner

from engine.cli.test import test as command

ROOT = Path(__file__).parents[3]
LIBRARY = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RuleLibrary
metadata: {name: texts}
spec:
  functions:
    loud:
      description: Whether a text is loud.
      parameters: [{name: text, type: string}]
      returns: bool
      expression: text.endsWith('!')
    first:
      description: The first character.
      parameters: [{name: text}]
      expression: text.charAt(0)
    later:
      description: An hour after a time.
      parameters: [{name: time, type: timestamp}, {name: by, type: duration}]
      returns: timestamp
      expression: time + by
"""


def ran(folder: Path, tests: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of `rulepack test` for the library with these tests, without the time that it took."""
    (folder / "library.yaml").write_text(LIBRARY)
    head = "apiVersion: rules.mlops.dev/v1alpha1\nkind: RuleLibraryTest\nmetadata: {name: texts}\nspec:\n"
    (folder / "tests.yaml").write_text(head + indent(dedent(tests), "  "))
    result = CliRunner().invoke(command, [str(folder), *arguments], standalone_mode=False)
    return int(result.return_value or 0), result.output.partition(" steps in")[0].replace(f"{folder}/", "")


def test_functions_have_the_values_that_are_expected(tmp_path: Path) -> None:
    """Times are given and expected as texts; arguments for all tests stand once."""
    tests = """\
        arguments: {text: hi!}
        tests:
          - {name: loud, function: texts.loud, expect: true}
          - {name: not loud, function: texts.loud, arguments: {text: hi}, expect: false}
          - {name: first, function: texts.first, expect: h}
          - {name: no first, function: texts.first, arguments: {text: 3}, fails: works on a string}
          - name: later
            function: texts.later
            arguments: {time: '2026-01-01T00:00:00Z', by: 90m}
            expect: '2026-01-01T01:30:00Z'
        """

    assert ran(tmp_path, tests, "--min-coverage", "100") == (0, "5 passed (5")


@pytest.mark.parametrize(
    ("test", "output"),
    [
        ("{name: x, function: texts.loud, arguments: {text: a}, expect: true}", "- expected true\n    + found    false"),
        ("{name: x, function: texts.loud, arguments: {text: a}, expect: null}", "- expected null\n    + found    false"),
        ("{name: x, function: texts.first, arguments: {text: 3}, expect: a}", "texts.first() has no value"),
        ("{name: x, function: texts.first, arguments: {text: ab}, fails: no}", "- expected no value\n    + found    \"a\""),
        ("{name: x, function: texts.first, arguments: {text: 3}, fails: nowhere}", "with 'nowhere' in the message"),
        ("{name: x, function: texts.lout, expect: 1}", "tests.yaml:6:27: error: there is no function 'texts.lout'; expected "
                                                       "'texts.loud' (did you mean that?)"),
        ("{name: x, function: texts.loud, expect: 1}", "is given no text; expected texts.loud(text: string) -> bool"),
        ("{name: x, function: texts.loud, arguments: {text: a, txt: b}, expect: 1}", "texts.loud() has no parameter 'txt'"),
        ("{name: x, function: texts.later, arguments: {time: soon, by: 1h}, expect: 1}", "error: "),
        ("{name: x, function: texts.loud, arguments: {text: a}}", "a test has exactly one of expect, fails"),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_fails(tmp_path: Path, test: str, output: str) -> None:
    """With the difference, or with what is wrong with the test itself and where."""
    code, printed = ran(tmp_path, f"tests:\n  - {test}\n")

    assert code == 1
    assert output in printed


def test_a_function_that_no_test_calls_is_not_covered(tmp_path: Path) -> None:
    """A condition must have been true and false, anything else must have had a value."""
    code, printed = ran(
        tmp_path, "tests: [{name: x, function: texts.loud, arguments: {text: a}, expect: false}]\n", "--coverage",
        "--min-coverage", "100",
    )  # fmt: skip

    assert code == 1
    assert [line.split() for line in printed.splitlines()][1:6] == [
        ["texts"],
        ["texts.loud", "0", "1", "0", "never", "true"],
        ["texts.first", "0", "0", "0", "never", "value"],
        ["texts.later", "0", "0", "0", "never", "value"],
        ["coverage:", "25", "%"],
    ]


def test_json_names_library_and_function(tmp_path: Path) -> None:
    """For programs that read the report."""
    test = "tests: [{name: x, function: texts.loud, arguments: {text: a}, expect: false}]\n"

    _, printed = ran(tmp_path, test, "--coverage", "--format", "json")

    points = json.loads(printed)["coverage"]["points"]
    assert points[0] == {"library": "texts", "function": "texts.loud", "counts": {"false": 1}, "missing": ["true"]}


def test_the_example_of_the_docs_passes(tmp_path: Path) -> None:
    """The library and the tests of docs/libraries.md, every function covered."""
    blocks = re.findall(r"```yaml\n(?:# \S+\n)?(apiVersion.*?)```", (ROOT / "docs/libraries.md").read_text(), re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block)

    result = CliRunner().invoke(command, [str(tmp_path), "--min-coverage", "100"], standalone_mode=False)

    assert (result.return_value, result.output.partition(" (")[0]) == (0, "4 passed")


def test_a_test_of_a_pack_uses_a_library_beside_it(tmp_path: Path) -> None:
    """Also one that stands elsewhere, where its `packs` name that."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/library.yaml").write_text(LIBRARY)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/pack.yaml").write_text(
        dedent("""\
        apiVersion: rules.mlops.dev/v1alpha1
        kind: RulePack
        metadata: {name: mark}
        spec:
          watch: {apiVersion: v1, kind: ConfigMap}
          rules:
            - {name: mark, when: texts.loud(object.metadata.name + '!'), actions: [{annotate: {annotations: {a: b}}}]}
        """)
    )
    (tmp_path / "pack/tests.yaml").write_text(
        dedent("""\
        apiVersion: rules.mlops.dev/v1alpha1
        kind: RulePackTest
        metadata: {name: mark}
        spec:
          packs: [pack.yaml, ../lib]
          tests:
            - name: it marks
              steps:
                - apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
                - expect: {rules: {mark: fired}}
        """)
    )

    result = CliRunner().invoke(command, [str(tmp_path / "pack")], standalone_mode=False)

    assert (result.return_value, result.output.partition(" steps")[0]) == (0, "1 passed (2")

"""The command line: exit statuses, help, and errors as text."""

from __future__ import annotations

import importlib
import json
import logging

import pytest

from engine import __version__
from engine.cli.logs import JsonFormatter, TextFormatter
from engine.cli.main import COMMANDS, run_command


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`rulepack --help` exits 0 and lists the commands with what they do."""
    assert run_command(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`rulepack --version` names the version."""
    assert run_command(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each subcommand in the table exists and has help."""
    assert run_command([name, "--help"]) == 0
    assert f"rulepack {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["run", "--wings"], "No such option"),
        (["run", "--port", "70000"], "70000 is not in the range"),
        (["run", "--namespace", "Not_A_Name"], "namespace 'Not_A_Name' cannot exist"),
        (["run", "--rules", "/no/such/place"], "--rules /no/such/place: there is no such file or folder"),
        (["run", "--feature-flags", "a=Perhaps"], "expected PACK=Enforce"),
        (["run", "--workers", "0"], "--workers 0: expected 1 or more"),
        (["run", "--kubeconfig", "/no/such/kubeconfig"], "/no/such/kubeconfig"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, the reason on stderr, nothing on stdout, no traceback."""
    assert run_command(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "before",
    [
        ["-n", "get"], ["-nteam"], ["--namespace=team"], ["-A"], ["--context", "x"], ["--context=x", "-n", "team"],
        ["--kubeconfig", "x", "-A", "--context", "get"],
    ],
)  # fmt: skip
def test_options_of_a_command_may_stand_before_its_name(before: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As kubectl takes them; a value may be the name of a command."""
    assert run_command([*before, "get", "--help"]) == 0

    assert "rulepack get" in capsys.readouterr().out


@pytest.mark.parametrize("given", [["-n=team"], ["-nteam"], ["-n", "team"], ["--namespace=team"]], ids=" ".join)
@pytest.mark.parametrize("name", ["get", "export", "explain", "record", "rbac", "run"])
def test_a_namespace_is_given_as_kubectl_takes_it(name: str, given: list[str]) -> None:
    others = [] if name in ("get", "export", "run") else ["x"]
    command = importlib.import_module(f"engine.cli.{name}").__dict__[name]

    params = command.make_context(name, [*given, *others]).params

    assert params.get("namespace", params.get("namespaces")) in ("team", ("team",))


@pytest.mark.parametrize("given", [["-n", "Team"], ["-n==team"], ["--namespace", "a,b"]], ids=" ".join)
@pytest.mark.parametrize("name", ["get", "export", "explain", "record", "rbac", "run"])
def test_a_namespace_that_cannot_exist_is_a_usage_error(name: str, given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([name, *given, *([] if name in ("get", "export", "run") else ["x"])]) == 2
    assert "cannot exist; expected at most 63 of a-z, 0-9 and '-'" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "option"), [("get", "--kubeconfig"), ("export", "--kubeconfig"), ("explain", "--kubeconfig")])
def test_an_option_before_the_name_counts(name: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [option, "/no/such/kubeconfig", name, *(["Pod/x"] if name == "explain" else [])]

    assert run_command(arguments) != 0
    assert "/no/such/kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-n", "team", "lint", "x"], ["--wings", "get"], ["-n", "get"], ["-n"]])
def test_an_option_before_the_name_that_the_command_does_not_have_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["-n", "team", "lint", "x"], ["lint", "-n", "team", "x"], ["--namespace=team", "test", "x"]]
)
def test_a_command_that_reads_files_says_what_to_do_with_a_namespace(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    assert "which reads files and takes nothing from a namespace of a cluster: leave it out." in capsys.readouterr().err


def test_an_option_that_no_command_has_is_only_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["lint", "--wings", "x"]) == 2
    assert "leave it out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("style", "said"), [("yml", "yaml, json, name or wide\n"), ("jsonpath={.x}", "or wide; for others, kubectl get")]
)
def test_a_format_that_get_does_not_have_is_a_usage_error(style: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["get", f"-o={style}"]) == 2
    assert said in capsys.readouterr().err


def record(message: str, *args: object) -> logging.LogRecord:
    """A log record of a known time."""
    made = logging.LogRecord("engine.operator.x", logging.WARNING, "x.py", 1, message, args, None)
    made.created = 1_700_000_000.25
    return made


def test_a_text_log_line_is_one_line() -> None:
    """Time, level and message; line ends inside the message do not break it."""
    assert TextFormatter().format(record("a %s", "b\nc")) == "2023-11-14T22:13:20.250Z WARNING a b\\nc"


def test_a_log_line_has_nothing_that_a_terminal_obeys() -> None:
    """Colours, cursor moves and marks of direction that an object holds are left out, in both formats."""
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record("a %s", "\x1b[31mred\x1b[2J\x9b2J\u202e\u2066\r!"))
        assert "a red!" in line
        assert line.isprintable()


def test_a_json_log_line_is_one_object() -> None:
    """Time, level, logger and message."""
    assert json.loads(JsonFormatter().format(record("a %s", 'b\n"'))) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "engine.operator.x",
        "message": 'a b\n"',
    }

"""Settings by variables, as OLM's Subscription can give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from engine.cli.arguments import variable
from engine.cli.run import run


def parsed(*arguments: str) -> dict[str, Any]:
    """What the command gets."""
    return run.make_context("run", list(arguments)).params


def test_every_option_has_a_variable() -> None:
    """Named after the option, and shown in the help."""
    options = [option for option in run.params if isinstance(option, click.Option)]
    assert [option.envvar for option in options] == [variable(option) for option in options]
    assert "RULEPACK_RUN_PROBE_PORT" in run.get_help(click.Context(run))


def test_variables_set_what_options_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, choices, flags and lists."""
    for name, value in {
        "WORKERS": "7", "LOG_LEVEL": "debug", "DRY_RUN": "true", "NAMESPACE": "team-a team-b", "RULES": "/a:/b",
        "FEATURE_FLAGS": "a=Off,b=Audit",
        "HTTP_ALLOW": "a.example:443 http://b.example:80=10.0.0.0/8", "PORT": "9443", "SHARDS": "3",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"RULEPACK_RUN_{name}", value)
    found = parsed()
    assert (found["workers"], found["log_level"], found["dry_run"], found["port"], found["shards"]) == (7, "debug", True, 9443, 3)
    assert found["namespaces"] == ("team-a", "team-b")
    assert found["rules"] == (Path("/a"), Path("/b"))
    assert found["feature_flags"] == ("a=Off,b=Audit",)
    assert found["http_allow"] == ("a.example:443", "http://b.example:80=10.0.0.0/8")


def test_the_command_line_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is empty counts as not set."""
    monkeypatch.setenv("RULEPACK_RUN_WORKERS", "7")
    monkeypatch.setenv("RULEPACK_RUN_LOG_LEVEL", "")
    found = parsed("--workers=2")
    assert (found["workers"], found["log_level"]) == (2, "info")


def test_a_value_that_does_not_fit_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody knows where it came from."""
    monkeypatch.setenv("RULEPACK_RUN_WORKERS", "many")
    with pytest.raises(click.BadParameter) as refused:
        parsed()
    assert "RULEPACK_RUN_WORKERS" in refused.value.format_message()

"""Settings: what they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.model.flags import Mode
from engine.operator.settings import Settings, own_namespace, parse_flags, watched_namespaces


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ([], {}, ("",)),
        ([], {"WATCH_NAMESPACE": ""}, ("",)),
        ([], {"WATCH_NAMESPACE": "a, b,a"}, ("a", "b")),
        (["c"], {"WATCH_NAMESPACE": "a,b"}, ("c",)),
        (["c", "d", "c"], {}, ("c", "d")),
        (["c", ""], {}, ("",)),
    ],
)
def test_watched_namespaces(options: list[str], environ: dict[str, str], expected: tuple[str, ...]) -> None:
    """The command line goes before WATCH_NAMESPACE; '' is all of them."""
    assert watched_namespaces(options, environ) == expected


def test_own_namespace(tmp_path: Path) -> None:
    """Command line, then POD_NAMESPACE, then the service account's file, then rulepack-system."""
    assert own_namespace(None, {}, tmp_path) == "rulepack-system"
    (tmp_path / "namespace").write_text("from-file\n")
    assert own_namespace(None, {}, tmp_path) == "from-file"
    assert own_namespace(None, {"POD_NAMESPACE": "from-pod"}, tmp_path) == "from-pod"
    assert own_namespace("given", {"POD_NAMESPACE": "from-pod"}, tmp_path) == "given"


def test_feature_flags() -> None:
    """Several in one text or in several; later ones win; true and false are spellings."""
    assert parse_flags(["a=Off, b=audit", "c=true,a=Enforce", ""]) == {"a": Mode.ENFORCE, "b": Mode.AUDIT, "c": Mode.ENFORCE}


@pytest.mark.parametrize("text", ["a", "a=", "=Off", "a=Maybe"])
def test_a_bad_feature_flag_is_refused(text: str) -> None:
    """The message shows what was given and what is expected."""
    with pytest.raises(UsageError, match=r"--feature-flags .*expected PACK=Enforce"):
        parse_flags([text])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"namespaces": ("Team_A",)}, "namespace 'Team_A' cannot exist"),
        ({"operator_namespace": ""}, "namespace '' cannot exist"),
        ({"workers": 0}, "--workers 0: expected 1 or more"),
        ({"rules": (Path("nowhere"),)}, "--rules nowhere: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    """Each message names the setting and what was expected."""
    with pytest.raises(UsageError, match=message):
        Settings(**{"rules": (), **settings})  # type: ignore[arg-type]


def test_each_process_has_an_identity_of_its_own() -> None:
    """Two processes of one machine do not take each other for themselves."""
    assert Settings(rules=()).identity != Settings(rules=()).identity

"""`rulepack demo` as its user has it: the shipped script in a process of its own."""

from __future__ import annotations

import io
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.cli.demo.screen import Failures, Screen
from engine.cli.main import run_command
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Ref
from engine.model.observe import Act, ActResult

CHECKOUT = Path(__file__).parents[3]


def demo(*options: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What `rulepack demo` with these options prints, and its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", "demo", *options],
        cwd=CHECKOUT, env={**os.environ, "PYTHONIOENCODING": "utf-8", **(environment or {})},
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


def test_the_shipped_packs_do_what_the_script_expects() -> None:
    """With the shipped packs every effect of the script comes about, and the exit status is 0; a log gets no escape codes."""
    ran = demo()
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("not as expected: ")]
    assert (ran.returncode, wrong, ran.stderr) == (0, [], "")
    assert "15 of 15 effects are as expected" in ran.stdout
    assert "✗" not in ran.stdout
    assert "\x1b" not in ran.stdout
    assert ran.stdout.endswith("\nTo see the same in a browser: rulepack demo --console\n")


def test_the_demo_goes_on_with_a_console() -> None:
    """Once the script has ended, with the address and a token for it; SIGINT ends it, with the status of the script's effects."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "engine.cli", "demo", "--console"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        printed = "".join(iter(process.stdout.readline, "Press Ctrl+C to end.\n"))
        ((url, token),) = re.findall(r"Open (\S+)[^#]*token: (\w+)", printed)
        request = urllib.request.Request(f"{url}/audit", headers={"Cookie": f"rulepack-token={token}"})
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
            page = answer.read().decode()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
    assert "15 of 15 effects are as expected" in printed
    assert url.startswith("https://127.0.0.1:")
    assert "<h1><bdi>Audit</bdi></h1>" in page
    assert (process.returncode, rest.splitlines()[-1]) == (0, "The demo ends.")


def test_what_is_missing_is_named() -> None:
    """Without a pack its effects, and no others, are named as not as expected, and the exit status is 1."""
    ran = demo("--feature-flags", "sync-waves=Off")
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("not as expected: ")]
    assert (ran.returncode, ran.stderr) == (1, "")
    assert wrong == [
        "not as expected: Each succeeded job of a wave says which wave is complete, and since when",
        "not as expected: The failed job says which wave has failed, and nothing of a complete one",
        "not as expected: A block-wave that is not greater than the job's own wave gets one Event",
    ]


def test_a_dry_run_has_no_effects() -> None:
    """With the packs in Audit what they would do is shown, none of it is there, and the exit status is 1."""
    ran = demo("--feature-flags", "sync-waves=Audit,on-success-triggers=Audit", "--speed", "10")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "audited: patch Deployment self-healing-platform/model-gateway" in ran.stdout
    assert "not as expected: Deployment model-gateway is restarted" in ran.stdout


def test_a_log_without_the_characters_is_no_obstacle() -> None:
    """Where the output can only hold ASCII, other characters are replaced and the demo goes on."""
    ran = demo("--speed", "10", environment={"PYTHONIOENCODING": "ascii"})
    assert ran.stderr == ""
    assert "effects are as expected" in ran.stdout


def test_what_a_simulator_cannot_do_is_printed() -> None:
    """Of the rules that simulate controllers only what fails is printed, with the answer of the API server."""
    printed = io.StringIO()
    failures = Failures(Screen(FakeClock(), printed))
    service = Ref(Kind("serving.kserve.io/v1beta1", "InferenceService"), "platform", "model")
    for result, detail in ((ActResult.DONE, "all is well"), (ActResult.FAILED, "422 Invalid: status.availableReplicas")):
        failures.acted(Act("simulated-kserve", "tell-how-far", service, "", "", "patch", None, result, detail))
    assert "simulated-kserve/tell-how-far, for model" in printed.getvalue()
    assert "failed: 422 Invalid: status.availableReplicas" in printed.getvalue()
    assert "all is well" not in printed.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--install-crds"], "expected --kubeconfig"),
        (["--context", "other"], "expected --kubeconfig"),
        (["--kubeconfig", "any", "--speed", "2"], "--speed is for the cluster in memory"),
        (["--kubeconfig", "any", "--console"], "--console is for the cluster in memory"),
        (["--kubeconfig", "/no/such/kubeconfig"], "/no/such/kubeconfig"),
        (["--speed", "0"], "0.1"),
        (["--feature-flags", "sync-waves"], "expected PACK=Enforce"),
        (["--feature-flags", "sync-wave=Off"], "flag 'sync-wave'; expected 'sync-waves' (did you mean that?)"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, with the reason on stderr and nothing on stdout."""
    assert run_command(["demo", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""

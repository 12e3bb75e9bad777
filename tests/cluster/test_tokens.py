"""Credentials stay out of the log, whatever is to be seen there."""

from __future__ import annotations

import os

import pytest

from engine.model.objects import annotations_of
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import DONE, JOB, RULES, job


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_token_is_in_a_log_that_says_everything(control_plane: ControlPlane, namespace: str, style: str) -> None:
    """At level debug, with a token that is refused and one that is good: neither stands in any line, nor a part of it."""
    prepare(control_plane, namespace)
    cluster = Cluster(control_plane, namespace)
    with Engine(control_plane, namespace) as engine:
        token = engine.token()
        refused = engine.kubeconfig_through(control_plane.url)
        refused.write_text(refused.read_text().replace(token, bad := f"{token[:-8]}AAAAAAAA"))
        for name, kubeconfig, sign in (("bad", refused, "401"), ("rulepack", None, "leading as")):
            command = [*engine.command(Served.anywhere(), kubeconfig), "--log-level=debug", f"--log-format={style}"]
            engine.processes.start(name, command, {**os.environ, "PYTHONPATH": str(RULES.parent)})
            log = engine.processes.log(name)
            eventually(lambda log=log, sign=sign: sign in log.read_text(errors="replace"), f"{sign} in the log")  # type: ignore[misc]
        cluster.create(job("train", "Succeeded", {"argocd.argoproj.io/sync-wave": "3"}, namespace))
        eventually(lambda: annotations_of(cluster.get(JOB, "train")).get("mlops.dev/completion-time") == DONE, "effect")
        engine.processes.kill("bad")
        engine.stop()
        said = engine.log() + engine.processes.log("bad").read_text(errors="replace")

    assert "train" in said
    assert [part for part in (token, bad, *token.split(".")[1:], "Bearer") if part in said] == []

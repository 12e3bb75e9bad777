"""How `rulepack run` begins and ends, as a process of its own on a real kube-apiserver."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.model.objects import annotations_of
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import DONE, JOB, RULES, job

WAVE = {"argocd.argoproj.io/sync-wave": "3"}


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    prepare(control_plane, namespace)
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        yield engine


def done(cluster: Cluster, name: str) -> bool:
    return annotations_of(cluster.get(JOB, name)).get("mlops.dev/completion-time") == DONE


def test_sigterm_releases_the_lease(cluster: Cluster, engine: Engine) -> None:
    """It ends with status 0, and nobody holds the Lease afterwards, so that another replica need not wait for it to expire."""
    engine.start()
    engine.ready()
    eventually(lambda: engine.lease().get("holderIdentity"), "leader")

    assert engine.stop() == 0
    assert engine.lease()["holderIdentity"] == ""


def test_what_was_handed_back_is_done_by_the_next_one(cluster: Cluster, engine: Engine) -> None:
    """A hundred jobs end while it is stopping: what it did not get to is done after the next start, and nothing twice."""
    engine.start()
    engine.ready()
    for number in range(100):
        cluster.create(job(f"train-{number}", "Succeeded", WAVE, cluster.namespace))
    assert engine.stop() == 0
    before = {name for name in map("train-{}".format, range(100)) if done(cluster, name)}
    engine.start()

    eventually(lambda: all(done(cluster, f"train-{number}") for number in range(100)), "jobs that are done")
    written = [write.rpartition("/")[2].partition("?")[0] for write in engine.writes() if "notebookvalidationjobs" in write]
    assert sorted(written) == sorted({*written}), "a job was written twice"
    assert before <= {*written}


def test_sighup_ends_as_sigterm_does(cluster: Cluster, engine: Engine) -> None:
    """Where a terminal is closed, the Lease is given back as well."""
    engine.start()
    engine.ready()
    eventually(lambda: engine.lease().get("holderIdentity"), "leader")
    engine.processes.send("rulepack", signal.SIGHUP)

    eventually(lambda: "rulepack" in engine.processes.ended(), "end after SIGHUP")
    assert engine.lease()["holderIdentity"] == ""
    assert "SIGHUP: finishing what is under way" in engine.log()


def start_by_shell(engine: Engine, shell: str) -> None:
    """Start it with what a shell leaves it."""
    command = ["sh", "-c", f'{shell} "$@"', "sh", *engine.command(Served.anywhere())]
    engine.processes.start("rulepack", command, {**os.environ, "PYTHONPATH": str(RULES.parent)})


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"], ids=["stdin", "stdout", "stderr", "all"])
def test_streams_that_are_closed_end_nothing(cluster: Cluster, engine: Engine, closed: str) -> None:
    """Without one of stdin, stdout and stderr, and without all of them, it acts, and ends in order."""
    start_by_shell(engine, f"exec {closed}; exec")
    cluster.create(job("train", "Succeeded", WAVE, cluster.namespace))
    eventually(lambda: done(cluster, "train"), "effect")
    assert engine.stop() == 0
    assert engine.lease()["holderIdentity"] == ""


def test_a_low_limit_of_open_files_is_reported(cluster: Cluster, engine: Engine) -> None:
    """It says what it has and what it wants, and ends in order."""
    start_by_shell(engine, "ulimit -n 20; exec")
    eventually(lambda: "serving /metrics" in engine.log(), "servers")
    assert "only 20 files may be open at a time" in engine.log()
    assert engine.stop() == 0


def test_as_many_files_may_be_open_as_the_hard_limit_allows(cluster: Cluster, engine: Engine) -> None:
    """Whatever limit whoever starts it is content with: each watch is an open file."""
    start_by_shell(engine, "ulimit -Sn 64; exec")
    eventually(lambda: "serving /metrics" in engine.log(), "servers")
    limits = Path(f"/proc/{engine.processes.pid('rulepack')}/limits").read_text().splitlines()
    soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
    assert soft == hard
    assert int(soft) > 64
    assert engine.stop() == 0


@pytest.mark.parametrize("stream", ["full", "closed"])
def test_a_log_that_cannot_be_written_ends_nothing(cluster: Cluster, engine: Engine, stream: str) -> None:
    """Where the disk is full, or whoever read the log has gone, the engine goes on, and ends well when it is to."""
    reader, writer = os.pipe()
    output = os.open("/dev/full", os.O_WRONLY) if stream == "full" else writer
    process = subprocess.Popen(
        engine.command(Served.anywhere()), stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(RULES.parent)}
    )
    os.close(reader)
    try:
        cluster.create(job("train", "Succeeded", WAVE, cluster.namespace))
        eventually(lambda: done(cluster, "train"), "effect of an engine that cannot log")
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) >= 0
        assert engine.lease()["holderIdentity"] == ""
    finally:
        process.kill()
        process.wait()
        os.close(writer)


def test_a_loop_that_is_stuck_does_not_answer_the_probe(cluster: Cluster, engine: Engine) -> None:
    """/healthz is answered by the loop itself: a process that is held up fails its liveness probe, and is well afterwards."""
    engine.start()
    engine.ready()
    url = f"{engine.probes}/healthz"
    engine.processes.send("rulepack", signal.SIGSTOP)
    with pytest.raises(OSError, match="timed out"):
        urllib.request.urlopen(url, timeout=1)
    engine.processes.send("rulepack", signal.SIGCONT)

    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"ok\n"

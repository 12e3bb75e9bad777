"""The image's build, played step by step in a folder, and what it makes, run as a restricted pod would run it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import __version__
from engine.model.objects import annotations_of
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import SERVICE_ACCOUNT, Engine
from tests.e2e.kinds import install_kinds
from tests.image.confined import USER, confined
from tests.image.dockerfile import play, stages
from tests.served import Served
from tests.world import JOB, RULES, job

PACK = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: scaled}
spec:
  description: Marks what has replicas.
  watch: {apiVersion: apps/v1, kind: Deployment, fields: [spec.replicas]}
  rules:
    - name: scaled
      when: object.spec.replica > 1
      actions:
        - annotate: {annotations: {example.com/scaled: "yes"}}
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The folder that stands for the image's root, once its first stage has been played."""
    root = Path(tempfile.mkdtemp(prefix="rulepack-image-"))
    try:
        (root / "account").mkdir()
        python = str(Path(sys.executable).parent)
        cached = {"PIP_NO_CACHE_DIR": "false"}  # an image is better without, a machine that tests is faster with
        play(stages()[1], root, {**os.environ, **cached, "PATH": f"{python}:{os.environ['PATH']}"})
        yield root
    finally:
        shutil.rmtree(root)


def run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What a command of the image says, confined and with nothing of this machine's environment."""
    program, *arguments = command
    return subprocess.run(
        confined([image / "opt/venv/bin" / program, *arguments], image / "account"), cwd="/", env=environment(image),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def environment(image: Path) -> dict[str, str]:
    """The image's ENV, beside what its base has."""
    (env,) = (each for each in stages()[-1] if each.name == "ENV")
    found = dict(pair.split("=", 1) for pair in env.text.split())
    path = found["PATH"].replace("/opt/", f"{image}/opt/").replace("$PATH", os.environ["PATH"])
    return {**found, "PATH": path}


@pytest.mark.cluster
def test_its_confinement_is_one(image: Path) -> None:
    """The user is an arbitrary one of group 0 without capabilities, and nothing can be written anywhere."""
    tries = (
        "import os, tempfile\n"
        "print(os.getuid(), os.getgid(), [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')])\n"
        "tempfile.TemporaryFile()\n"
    )
    done = run(image, "python", "-c", tries)
    assert done.stdout.split() == [str(USER), "0", "['0000000000000000']"]
    assert "No usable temporary directory" in done.stderr


@pytest.mark.cluster
def test_it_holds_what_the_lock_names_and_no_more(image: Path) -> None:
    """The packages are those of requirements.lock and the operator; there is no pip, no compiler and no source of it."""
    lock = (RULES.parent / "requirements.lock").read_text()
    wanted = {line.partition("==")[0].lower().replace("_", "-") for line in lock.splitlines() if "==" in line and line[0] != " "}
    (packages,) = (image / "opt/venv/lib").glob("python3*/site-packages")
    found = {path.name.partition("-")[0].lower().replace("_", "-") for path in packages.glob("*.dist-info")}
    assert found == {name.replace(".", "-") for name in wanted} | {"rulepack"}
    assert not [path for path in (image / "opt/venv/bin").iterdir() if path.name.startswith(("pip", "gcc", "cc"))]
    assert (packages / "engine/shipped_rules/sync-waves/pack.yaml").exists()
    assert not (packages / "tests").exists()


@pytest.mark.cluster
def test_everybody_may_read_it(image: Path) -> None:
    """Each file can be read, and each folder entered, by users that own nothing."""
    closed = [
        path
        for path in (image / "opt/venv").rglob("*")
        if not path.is_symlink() and not path.stat().st_mode & stat.S_IROTH | (path.is_dir() and not path.stat().st_mode & 1)
    ]
    assert closed == []


@pytest.mark.cluster
def test_its_command_works(image: Path) -> None:
    """The entry point is there, with its version and the rule packs that are shipped."""
    done = run(image, "rulepack", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


@pytest.mark.cluster
def test_lint_knows_the_kinds_of_kubernetes(image: Path, tmp_path: Path) -> None:
    """Nothing that it needs for that was left out."""
    pack = tmp_path / "pack.yaml"
    pack.write_text(PACK)
    tmp_path.chmod(0o755)
    done = run(image, "rulepack", "lint", str(pack))
    assert "Deployment has no field spec.replica; expected 'replicas'" in done.stdout


def test_the_operator_runs_so(image: Path, control_plane: ControlPlane, namespace: str) -> None:
    """`rulepack run` from it is ready, acts on a job and ends in order, though it can write nothing."""
    install_kinds(control_plane)
    cluster = Cluster(control_plane, namespace)
    served = Served.anywhere()
    processes = Processes(image)
    with Engine(control_plane, namespace) as rights:
        write_service_account(image, control_plane, rights.own)
        options = [f"--namespace={namespace}", *served.options]
        host, _, at = control_plane.url.removeprefix("https://").partition(":")
        env = {**environment(image), "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": at}
        processes.start("operator", confined([image / "opt/venv/bin/rulepack", "run", *options], image / "account"), env)
        try:
            eventually(lambda: ready(processes, served), "operator that is ready")
            cluster.create(job(phase="Succeeded", annotations={"argocd.argoproj.io/sync-wave": "1"}, namespace=namespace))
            eventually(lambda: "mlops.dev/wave-complete" in annotations_of(cluster.get(JOB, "train")), "wave")
            assert processes.terminate("operator", 30) == 0
        finally:
            processes.kill_all()
    assert "Traceback" not in processes.log("operator").read_text()


def write_service_account(image: Path, plane: ControlPlane, namespace: str) -> None:
    """What a pod finds of its service account."""
    for name, text in {
        "token": plane.token_for(namespace, SERVICE_ACCOUNT),
        "namespace": namespace,
        "ca.crt": plane.certificate.read_text(),
    }.items():
        (image / "account" / name).write_text(text)


def ready(processes: Processes, served: Served) -> bool:
    """Whether the operator is ready; fails where it has ended."""
    assert not processes.ended(), processes.end_of_log("operator")
    return served.ask("/readyz") == "ok\n"

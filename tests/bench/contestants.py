"""Who is measured: the engine and its peers, each as a program with its own service account and, where need be, environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import cpu_seconds, waited_seconds

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
KUBECONFIG = "{kubeconfig}"
#: Seconds between two checks whether a contestant rests: it used a core, or waited for one, for less than a tenth of that.
PAUSE = 1.0

_PORTS = ("--address", "127.0.0.1", "--port", "0", "--probe-port", "0")
_ENGINE = ("run", "--kubeconfig", KUBECONFIG, "--operator-namespace", "bench", *_PORTS)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that annotates jobs. `command` goes after the interpreter; {kubeconfig} in it stands for a path."""

    name: str
    """Also that of its service account."""
    label: str
    """In tables."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    peer: bool = False
    """Whether it runs in the peers' Python environment."""
    build: tuple[str, ...] = ()
    """What goes after the interpreter to build it, where that is needed."""

    def prepare(self) -> None:
        """Make what it runs on, so that no start waits for that. Where it fails it says so; its runs will be invalid."""
        try:
            if self.peer:
                peer_python()
            if self.build:
                subprocess.run([sys.executable, *self.build], cwd=ROOT, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{self.label}: {error}", file=sys.stderr, flush=True)

    def shown(self) -> str:
        """The command, for a reader; no paths of this machine."""
        variables = "".join(f"{name}={value} " for name, value in self.environment.items())
        return f"{variables}python {' '.join(repr(word) if ' ' in word else word for word in self.command)}"

    @contextmanager
    def running(self, kubeconfig: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The program at work on a cluster, killed at the end. What it says goes to `log`."""
        interpreter = peer_python() if self.peer else Path(sys.executable)
        words = [word.replace(KUBECONFIG, str(kubeconfig)) for word in self.command]
        variables = {name: value.replace(KUBECONFIG, str(kubeconfig)) for name, value in self.environment.items()}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [interpreter, *words], cwd=ROOT, env={**os.environ, **variables},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


CONTESTANTS: Sequence[Contestant] = (
    Contestant("engine", "rulepack", ("-m", "engine.cli", *_ENGINE), {}),
    Contestant("engine-waves", "rulepack, only sync-waves", ("-m", "engine.cli", *_ENGINE, "--rules", "rules/sync-waves"), {}),
    Contestant(
        "kopf", "kopf, by hand",
        ("-m", "kopf", "run", "--quiet", "--standalone", "--all-namespaces", "tests/bench/peers/kopf_waves.py"),
        {"KUBECONFIG": KUBECONFIG}, peer=True,
    ),
    Contestant("go", "Go, by hand", ("-m", "tests.bench.peers.go", KUBECONFIG), {}, build=("-m", "tests.bench.peers.go")),
    Contestant("bare", "bare asyncio loop", ("-m", "tests.bench.peers.bare", KUBECONFIG), {}),
)  # fmt: skip


def alive(process: subprocess.Popen[bytes]) -> None:
    """Raises ChildProcessError where a process has ended."""
    if process.poll() is not None:
        raise ChildProcessError(f"it ended with status {process.returncode}")


def rest(process: subprocess.Popen[bytes], patience: float) -> None:
    """Return when a process no longer uses CPU, nor waits for a core.

    Raises TimeoutError after `patience` seconds, ChildProcessError if it ended.
    """
    deadline = time.monotonic() + patience
    wanted = cpu_seconds(process.pid) + waited_seconds(process.pid)
    while True:
        time.sleep(PAUSE)
        alive(process)
        wanted, before = cpu_seconds(process.pid) + waited_seconds(process.pid), wanted
        if wanted - before < PAUSE / 10:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"it was not at rest after {patience:.0f} s")


def peer_python() -> Path:
    """The interpreter of the peers' environment, build/bench, made once for each state of peers/requirements.txt."""
    folder, requirements = ROOT / "build/bench", PEERS / "requirements.txt"
    python, made_for = folder / "bin/python", folder / "requirements.txt"
    if not made_for.exists() or made_for.read_text() != requirements.read_text():
        print("Setting up build/bench for the peers (once, about 20 s) …", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], check=True)
        made_for.write_text(requirements.read_text())
    return python

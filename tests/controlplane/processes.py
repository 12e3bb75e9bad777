"""Programs that run beside the tests, each with a log file; they end with the tests, however those end."""

from __future__ import annotations

import contextlib
import ctypes
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
#: Below those that the kernel gives to connections (ip(7): ip_local_port_range), so that none takes a port first.
_PORTS = range(10_000, 32_768)
_CHANCE = random.SystemRandom()  # one that no test seeds


class Processes:
    """Programs by name, which work and log in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start a program; `env` is its whole environment, that of the tests where None."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*command], cwd=self._folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock that a thread might hold
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a program, where it runs, by SIGKILL."""
        process = self._running.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def pid(self, name: str) -> int:
        """The process id of a program that runs."""
        return self._running[name].pid

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program that runs."""
        self._running[name].send_signal(number)

    def terminate(self, name: str, patience: float) -> int:
        """Ask a program to end by SIGTERM; its exit status. Raises subprocess.TimeoutExpired after `patience` seconds."""
        process = self._running[name]
        process.terminate()
        status = process.wait(patience)
        del self._running[name]
        return status

    def kill_all(self) -> None:
        """Kill every program that runs."""
        for name in list(self._running):
            self.kill(name)

    def ended(self) -> list[str]:
        """The programs that have ended by themselves."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def log(self, name: str) -> Path:
        """The file with all that a program has printed."""
        return self._folder / f"{name}.log"

    def end_of_log(self, name: str) -> str:
        """The last lines that a program has printed, '' where it has never been started."""
        log = self.log(name)
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on at this moment, by chance, so that tests in two processes get different ones."""
    sockets: list[socket.socket] = []
    while len(sockets) < count:
        with contextlib.suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", _CHANCE.choice(_PORTS))))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def die_with_parent() -> None:
    """Between fork and exec: have the kernel kill the program when this process dies, however it dies (prctl(2)).

    SIGHUP is given back to it, which whoever runs the tests by nohup has them ignore.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _LIBC.signal(signal.SIGHUP, None)  # SIG_DFL; Python's own function works in the main thread only

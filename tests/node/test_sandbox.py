"""The namespaces of a node, from outside: they leave the machine as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import eventually
from tests.node import sandbox
from tests.world import RULES

#: No other run of these tests has this command.
SLEEP = f"sleep {7_000_000 + os.getpid()}"
#: Sets, mounts, makes and starts what a node does, and leaves all of it.
UNTIDY = f"""
echo 1 > /proc/sys/vm/overcommit_memory
echo 42 > /proc/sys/kernel/panic
mount -t tmpfs tmpfs /mnt
ip link add pods0 type bridge
for root in /sys/fs/cgroup /sys/fs/cgroup/*; do
  test -d "$root/$RULEPACK_NODE_GROUP" && mkdir -p "$root/$RULEPACK_NODE_GROUP/pod/container"
done
touch "$RULEPACK_NODE_STATE/file"
{SLEEP} &
"""


#: Prints the status of the command, which is a shell script.
RUN = "import sys; from tests.node import sandbox; sys.exit(sandbox.run(['sh', '-c', sys.argv[1]]))"


class Run:
    """A process that has a script run in the namespaces of a node; `left` is what it leaves on the machine.

    It starts with SIGINT ignored, as in the background of a shell, and is killed at the end of the context where it still runs.
    """

    def __init__(self, script: str, folder: Path) -> None:
        self._folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, script], cwd=RULES.parent, env={**os.environ, "TMPDIR": str(folder)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - no other thread runs
        )  # fmt: skip

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def wait_for_the_end(self) -> int:
        """Its exit status."""
        return self.process.wait(60)

    def groups(self) -> list[Path]:
        """Its control groups."""
        return sorted(sandbox.CGROUPS.glob(f"**/rulepack-node-{self.process.pid}"))

    def left(self) -> list[object]:
        """Its control groups, files and processes."""
        return [*self.groups(), *self._folder.iterdir(), *sleeping()]


def machine() -> dict[str, object]:
    """What a node would change of a machine if it had no namespaces."""
    return {
        "sysctls": [Path("/proc/sys", name).read_text() for name in sandbox.SYSCTLS],
        "mounts": Path("/proc/self/mounts").read_text(),
        "links": sorted(os.listdir("/sys/class/net")),
    }


def sleeping() -> list[str]:
    """The processes that UNTIDY has started."""
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line == SLEEP]


def test_nothing_is_left(tmp_path: Path) -> None:
    """Processes, mounts, network devices, control groups, settings of the kernel and files; the status is the command's."""
    before = machine()
    with Run(UNTIDY + "exit 7", tmp_path) as run:
        assert run.wait_for_the_end() == 7
        assert (machine(), run.left()) == (before, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after(number: signal.Signals, tmp_path: Path) -> None:
    """… a signal that asks it to end."""
    before = machine()
    with Run(UNTIDY + "wait", tmp_path) as run:
        eventually(sleeping, "process that waits")
        run.process.send_signal(number)
        assert run.wait_for_the_end() == 128 + number
        assert (machine(), run.left()) == (before, [])


def test_no_process_is_left_after_a_kill(tmp_path: Path) -> None:
    """… SIGKILL, after which nobody can tidy up the rest: an empty control group and the files."""
    before = machine()
    with Run(UNTIDY + "wait", tmp_path) as run:
        eventually(sleeping, "process that waits")
        run.process.kill()
        run.wait_for_the_end()
        eventually(lambda: sleeping() == [], "end of the processes")
        assert machine() == before
        for group in run.groups():
            sandbox.remove(group)


def test_a_process_without_the_right_to_it_is_refused_with_the_reason() -> None:
    """`make node` fails at once, with one line that says what is refused; no test is left out."""
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-m", "tests.node"]
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"node: this kernel refuses namespaces, .*\n", done.stderr)

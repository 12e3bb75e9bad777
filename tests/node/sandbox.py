"""Namespaces of its own for a node: what it mounts, starts, listens on and sets is seen by nothing else on the machine.

With the last process of the PID namespace the kernel takes back all of it. Control groups have no such end: they lie below one
group, which is removed afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.controlplane.processes import die_with_parent
from tests.node.programs import environment

#: In the environment: the folder for the state of the node, and the name of its control group.
STATE, GROUP = "RULEPACK_NODE_STATE", "RULEPACK_NODE_GROUP"
CGROUPS = Path("/sys/fs/cgroup")
#: The node's addresses in its own network namespace; no other namespace has a route to them.
ADDRESS, ADDRESS6 = "10.1.0.1", "fd00:1::1"
#: What Services get their addresses from. Nothing has one, but what is to be sent there needs a route before kube-proxy's rules
#: send it on.
SERVICES, SERVICES6 = "10.2.0.0/24", "fd00:2::/112"
# What kubelet sets of the whole machine (kubernetes: pkg/util/sysctl); it gets files that only it sees.
SYSCTLS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
SCRIPT = f"""\
set -e
mount --make-rshared /
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs $folder; done
for name in {" ".join(SYSCTLS)}; do
  mkdir -p "/run/sysctl/$(dirname $name)"
  cat /proc/sys/$name > /run/sysctl/$name
  mount --bind /run/sysctl/$name /proc/sys/$name
done
ip link set lo up
ip address add {ADDRESS}/32 dev lo
ip address add {ADDRESS6}/128 dev lo nodad
ip route add {SERVICES} dev lo src {ADDRESS}
ip -6 route add {SERVICES6} dev lo
"$@" || exit $?
"""
PROBE = ["true"]


class Impossible(Exception):
    """The kernel does not let this process have a node; the text says what it refuses."""


def run(command: Sequence[str]) -> int:
    """Run a command in namespaces of its own, with folder and control group for a node; its exit status.

    SIGTERM and SIGINT end it, and leave nothing; SIGKILL leaves the folder and the empty control group. SIGINT does so even where
    it was ignored, as a shell sets it for what it starts in the background.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    group = f"rulepack-node-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="rulepack-node-") as state, _control_groups(group):
        env = {**environment(), STATE: state, GROUP: group}
        return subprocess.run(_confined(command), env=env, preexec_fn=die_with_parent, check=False).returncode


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def inside() -> bool:
    """Whether this process runs in such namespaces."""
    return STATE in os.environ and GROUP in os.environ


def check() -> None:
    """Raise Impossible where this process cannot have such namespaces, and say what it lacks."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Impossible("a node needs Linux, and root: it mounts file systems, and makes namespaces and control groups")
    if not _hierarchies():
        raise Impossible(f"{CGROUPS} holds no control groups with memory, cpu and pids that this process may write")
    done = subprocess.run(_confined(PROBE), env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Impossible(f"this kernel refuses namespaces, mounts or network addresses: {done.stderr.strip()}")


def _confined(command: Sequence[str]) -> list[str]:
    flags = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *flags, "--", "sh", "-c", SCRIPT, "sh", *command]


def _hierarchies() -> list[Path]:
    """The roots of the control groups: one in version 2, in version 1 one for each controller."""
    found = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else [path for path in CGROUPS.glob("*") if path.is_dir()]
    return [path for path in found if os.access(path, os.W_OK)]


@contextlib.contextmanager
def _control_groups(name: str) -> Iterator[None]:
    """A control group of this name in every hierarchy, for as long as the context lasts, and then none below it either."""
    groups = [root / name for root in _hierarchies()]
    for group in groups:
        group.mkdir()
    try:
        yield
    finally:
        for group in groups:
            remove(group)


def remove(group: Path) -> None:
    """Remove a control group and those in it; a process that has just ended may hold one for a moment."""
    deadline = time.monotonic() + 10
    while group.exists():
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if time.monotonic() > deadline:
            raise Impossible(f"the control group {group} cannot be removed: processes of the node still run in it")
        time.sleep(0.05)

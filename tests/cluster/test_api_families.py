"""An API server whose name leads to both families of IP, where one of them does not answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.fakes import write_kubeconfig
from tests.world import RULES

ADDRESSES = ("10.1.0.1", "fd01::1")
PORT = 6443
# Neither of them is a loopback address by its number, since libc would not look for one of a family that a machine has no other
# address of (getaddrinfo(3): AI_ADDRCONFIG).
SCRIPT = """\
set -e
ip link set lo up
ip address add 10.1.0.1/32 dev lo
ip address add fd01::1/128 dev lo nodad
mount --make-rprivate /
mount --bind "$1" /etc/hosts
shift
exec "$@"
"""


@pytest.mark.parametrize(("answering", "silent"), [ADDRESSES, ADDRESSES[::-1]], ids=["IPv6 is silent", "IPv4 is silent"])
def test_a_family_of_ip_that_does_not_answer_is_passed_over(tmp_path: Path, answering: str, silent: str) -> None:
    """Requests and watches go on with the other one at once, well within the 10 s that a connection may take."""
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"{address} api.test\n" for address in ADDRESSES))
    kubeconfig = write_kubeconfig(tmp_path, f"http://api.test:{PORT}")
    command = [sys.executable, "-m", "tests.cluster.families", str(kubeconfig), str(PORT), answering, silent]

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "--net", "--", "sh", "-c", SCRIPT, "sh", str(hosts), *command],
        cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.returncode) == ("read watched\n", 0), done.stderr

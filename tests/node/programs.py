"""What a node is made of: programs of Kubernetes, built from the Go module of the control plane, and Debian packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.controlplane import binaries
from tests.controlplane.gobuild import MissingProgram, Programs, Say

NAMES = ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy", "kubectl")
PACKAGES = {name: f"k8s.io/kubernetes/cmd/{name}" for name in NAMES}
#: The Debian package of each program.
DEBIAN = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "unshare": "util-linux",
    "skopeo": "skopeo",
    "docker-registry": "docker-registry",
    "redis-server": "redis-server",
    "/usr/bin/qemu-aarch64-static": "qemu-user-static",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
WITHOUT_GO = f"""\
the tests on a real node need {", ".join(NAMES)}, which are built from a Go module, and this machine has no Go. \
Install Go 1.24 or newer (https://go.dev/dl): the tests then build them once, in about 10 minutes."""


def require_packages() -> None:
    """Raise MissingProgram where a Debian package is missing, and say how to install it."""
    missing = sorted({package for program, package in DEBIAN.items() if not _there(program)})
    if missing:
        raise MissingProgram(f"the tests on a real node need these Debian packages: apt-get install {' '.join(missing)}")


def programs(say: Say = print) -> Programs:
    """The path of each program of the node and of its control plane, built where the cache has none. Raises MissingProgram."""
    node = binaries.module(PACKAGES, WITHOUT_GO).programs(say)
    return {**binaries.programs(say), **node}


def _there(program: str) -> bool:
    return os.access(program, os.X_OK) if program.startswith("/") else shutil.which(program, path=_path()) is not None


def _path() -> str:
    """PATH with the folders for administrators, which not every shell has."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def environment() -> dict[str, str]:
    """The environment in which all of these are found."""
    return {**os.environ, "PATH": _path()}


def cache() -> Path:
    """The folder for what is kept between runs, beside the Go programs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rulepack"

"""Where and with what a measurement was taken, so that its figures can be judged."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.bench.contestants import PEERS, ROOT

_OURS = ("aiohttp", "cel-expr-python", "cel-python", "kubernetes", "orjson", "uvloop")


def machine() -> dict[str, str | int | float]:
    """The CPU as Linux names it, how many of them this process may use, memory in GB, kernel, and the load before the start."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory, 1),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def packs() -> list[str]:
    """The rule packs that are shipped, and so on."""
    return sorted(path.parent.name for path in (ROOT / "rules").glob("*/pack.yaml"))


def versions() -> dict[str, str]:
    """Python, the libraries of the engine and of the peers, and the commit ('+' after it: with changes)."""
    found = {"python": platform.python_version()}
    for name in _OURS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["kopf"] = _pinned(PEERS / "requirements.txt", r"^kopf==(.+)$")
    found["controller-runtime"] = _pinned(PEERS / "controller/go.mod", r"^\s+sigs\.k8s\.io/controller-runtime v(\S+)$")
    commit = _said("git", "rev-parse", "--short", "HEAD") or "none"
    found["commit"] = commit + ("+" if _said("git", "status", "--porcelain", "--", "engine", "rules") else "")
    return found


def _pinned(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def _said(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def about(module: str) -> dict[str, Any]:
    """What every result says of itself: when it was taken, by which command, where, and with what."""
    return {
        "taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": " ".join(
            [f"python -m {module}", *(word for word in sys.argv[1:] if not word.startswith(("--output=", "--results=")))]
        ),
        "machine": machine(),
        "versions": versions(),
    }

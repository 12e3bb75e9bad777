"""What the browser's tests need beside Python packages: axe-core of npm, kept in the cache, and Debian's Chromium.

`python -m tests.browser.packages` gets the packages ready, and says where they are.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from scripts.vendor import MissingNpm, member, record, tarball

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rulepack" / "npm"
AXE = "axe-core", "4.14.1"
ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
"""Chromium speaks to nobody but the console. As root it has no sandbox of its own."""


def axe() -> str:
    """The script of axe-core. Raises MissingNpm."""
    return member(tarball(*AXE, CACHE), "axe.min.js").decode()


def chromium() -> str:
    """The path of Chromium. Raises LookupError where the machine has none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise LookupError("the tests of the console need Chromium: apt-get install chromium")
    return found


if __name__ == "__main__":
    try:
        for package in [AXE, *((each["package"], each["version"]) for each in record())]:
            print(tarball(*package, CACHE))
        print(chromium())
    except (MissingNpm, LookupError) as missing:
        sys.exit(str(missing))

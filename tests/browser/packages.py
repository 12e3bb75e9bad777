"""What the browser's tests need beside Python packages: axe-core and React of npm, kept in the cache, and Debian's Chromium.

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
#: By the version of React that an Argo CD ships (3.2, 3.5), the packages and the file of each that a page loads.
REACT = {
    "16.14.0": {
        "react": ("react", "16.14.0", "umd/react.development.js"),
        "react-dom": ("react-dom", "16.14.0", "umd/react-dom.development.js"),
    },
    "19.2.6": {
        "react": ("react", "19.2.6", "cjs/react.development.js"),
        "scheduler": ("scheduler", "0.27.0", "cjs/scheduler.development.js"),
        "react-dom": ("react-dom", "19.2.6", "cjs/react-dom.development.js"),
        "react-dom/client": ("react-dom", "19.2.6", "cjs/react-dom-client.development.js"),
    },
}  # fmt: skip
ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
"""Chromium speaks to nobody but the console. As root it has no sandbox of its own."""


def axe() -> str:
    """The script of axe-core. Raises MissingNpm."""
    return member(tarball(*AXE, CACHE), "axe.min.js").decode()


def react(version: str) -> dict[str, str]:
    """The scripts of a version of React, each by the name by which others require it. Raises MissingNpm."""
    files = REACT[version].items()
    return {name: member(tarball(package, release, CACHE), file).decode() for name, (package, release, file) in files}


def chromium() -> str:
    """The path of Chromium. Raises LookupError where the machine has none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise LookupError("the tests of the console need Chromium: apt-get install chromium")
    return found


if __name__ == "__main__":
    try:
        scripts = [(name, version) for files in REACT.values() for name, version, _ in files.values()]
        for package in [AXE, *dict.fromkeys(scripts), *((each["package"], each["version"]) for each in record())]:
            print(tarball(*package, CACHE))
        print(chromium())
    except (MissingNpm, LookupError) as missing:
        sys.exit(str(missing))

"""The picture of `make demo` in the README: what it prints on a terminal, as SVG.

`python -m tests.browser.terminal` runs the demo and writes docs/pictures/demo.svg. It shows the title, what happens next,
and the table at the end.
What lies between varies in order from run to run, and so do the seconds before each line: these are left out.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from io import StringIO

from rich.console import Console
from rich.text import Text

from scripts.project import ROOT

PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
COLUMNS = 120
_SECONDS = re.compile(r"^ *[\d.]+ s  (?=\S)")
#: Readers' own fonts: the site and the README load nothing from another server.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", flags=re.DOTALL)


def printed() -> bytes:
    """Return what the demo prints on a terminal, with its colours. Raises CalledProcessError where an effect is missing."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "engine.cli", "demo"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=its) as process:
        os.close(its)
        output = b""
        while chunk := _read(ours):
            output += chunk
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return output


def _read(terminal: int) -> bytes:
    """Return what comes next; b'' once the other side is closed, for which Linux raises EIO."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def drawn(output: bytes) -> str:
    """Return the picture of what a demo printed."""
    lines = [Text.from_ansi(line) for line in output.decode().splitlines()]
    starts = [number for number, line in enumerate(lines) if line.plain.startswith("┏")]
    said = [line[match.end() :] for line in lines[1 : starts[0]] if (match := _SECONDS.match(line.plain))]
    console = Console(file=StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor", highlight=False)
    shown = [Text("$ make demo"), lines[0], *(line for line in said if line.plain[:1] != " "), Text(), *lines[starts[0] :]]
    for line in shown:
        console.print(line, soft_wrap=True)
    return _FONTS.sub("", console.export_svg(title="make demo", unique_id="demo"))


if __name__ == "__main__":
    PICTURE.write_text(drawn(printed()), encoding="utf-8")

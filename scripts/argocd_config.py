"""Write what config/argocd/keys/ says into the two places that need it: a patch of argocd-cm, and the pack argocd-health.

Each file there is one key of Argo CD's ConfigMap argocd-cm: its name is the key, its content the value. With `--check` the
script only says whether both places are up to date; `make check` runs it so.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEYS = ROOT / "config/argocd/keys"
PATCH = ROOT / "config/argocd/argocd-cm.yaml"
PACK = ROOT / "rules/argocd-health/pack.yaml"
BEGIN, END = "        # Written by scripts/argocd_config.py:\n", "        # End of what scripts/argocd_config.py writes.\n"
HEAD = """\
# Written by scripts/argocd_config.py from config/argocd/keys/: change those.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
"""


def data(indent: int) -> str:
    """The keys as YAML, each line indented. Argo CD splits a value of one line at its commas, so that it has no line end."""
    margin = " " * indent
    written = []
    for file in sorted(KEYS.iterdir()):
        lines = file.read_text().splitlines()
        if len(lines) == 1:
            written.append(f"{margin}{file.name}: {lines[0]}\n")
        else:
            written.append(f"{margin}{file.name}: |\n" + "".join(f"{margin}  {line}".rstrip() + "\n" for line in lines))
    return "".join(written)


def wanted() -> dict[Path, str]:
    """What each generated file should hold."""
    before, _, rest = PACK.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return {PATCH: HEAD + data(2), PACK: before + BEGIN + data(8) + END + after}


def main() -> int:
    """Write the files, or check them. Returns the exit code."""
    stale = [path for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)}:1: not what config/argocd/keys/ says; run scripts/argocd_config.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in wanted().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

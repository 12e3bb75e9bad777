"""Write what config/argocd/ says into the places that need it.

Each file in keys/ there is one key of Argo CD's ConfigMap argocd-cm: its name is the key, its content the value. They go into a
patch of argocd-cm, into the pack argocd-health, and into config/openshift-gitops, where the notifications go too: there Argo CD's
operator writes the ConfigMaps from resources of its own. With `--check` the script only says whether all is up to date; `make
check` runs it so.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEYS = ROOT / "config/argocd/keys"
PATCH = ROOT / "config/argocd/argocd-cm.yaml"
PACK = ROOT / "rules/argocd-health/pack.yaml"
NOTIFICATIONS = ROOT / "config/argocd/argocd-notifications-cm.yaml"
OPENSHIFT = ROOT / "config/openshift-gitops"
BEGIN, END = "        # Written by scripts/argocd_config.py:\n", "        # End of what scripts/argocd_config.py writes.\n"
HEAD = """\
# Written by scripts/argocd_config.py from config/argocd/keys/: change those.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
data:
"""
RESOURCE = """\
# Written by scripts/argocd_config.py from config/argocd/: change that.
apiVersion: argoproj.io/v1beta1
kind: ArgoCD
metadata:
  name: openshift-gitops
  namespace: openshift-gitops
spec:
  notifications:
    enabled: true
  # Argo CD's operator adds these to argocd-cm, and would take back what anybody else adds.
  extraConfig:
"""
CONFIGURATION = """\
# Written by scripts/argocd_config.py from config/argocd/: change that. Argo CD's operator makes the ConfigMap from this.
apiVersion: argoproj.io/v1alpha1
kind: NotificationsConfiguration
metadata:
  name: default-notifications-configuration
  namespace: openshift-gitops
spec:
"""


def notifications() -> str:
    """The triggers and templates of config/argocd, as the parts of a NotificationsConfiguration, with their comments."""
    entries = NOTIFICATIONS.read_text().partition("\ndata:\n")[2]
    parts: dict[str, list[str]] = {"trigger": [], "template": []}
    pending, current = list[str](), list[str]()
    for line in entries.splitlines(keepends=True):
        if line.startswith("  #"):
            pending.append(line)
            continue
        if line.startswith("  ") and not line.startswith("   "):
            current = parts[line.strip().partition(".")[0]]
        current += [*pending, line]
        pending = []
    return "".join(f"  {part}s:\n" + "".join("  " + line for line in lines) for part, lines in parts.items())


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
    return {
        PATCH: HEAD + data(2),
        PACK: before + BEGIN + data(8) + END + after,
        OPENSHIFT / "argocd.yaml": RESOURCE + data(4),
        OPENSHIFT / "notifications.yaml": CONFIGURATION + notifications(),
    }


def main() -> int:
    """Write the files, or check them. Returns the exit code."""
    stale = [path for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)}:1: not what config/argocd/ says; run scripts/argocd_config.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in wanted().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

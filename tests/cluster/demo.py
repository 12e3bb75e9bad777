"""`make demo CLUSTER=kube`: the script of `rulepack demo` on a real kube-apiserver that is started for it alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from engine.cli.main import run_command
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane


def main(arguments: Sequence[str] = ()) -> int:
    """Run it, with more options of `rulepack demo` if there are any; its exit status."""
    try:
        with ControlPlane(programs(print)) as plane:
            print(f"kube-apiserver is ready on {plane.url}", flush=True)
            return run_command(["demo", "--kubeconfig", str(plane.kubeconfig), "--install-crds", *arguments])
    except MissingProgram as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

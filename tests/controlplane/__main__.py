"""`python -m tests.controlplane`: a kube-apiserver to try things on by hand, until Ctrl-C; nothing of it stays."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane


def main() -> int:
    """Start it, say where its kubeconfig is, and wait; return the exit status."""
    try:
        with ControlPlane(programs(print)) as plane, suppress(KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            signal.pause()
    except MissingProgram as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

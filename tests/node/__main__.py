"""`make node`: the tests on a real node, in namespaces of their own; arguments go to pytest.

What they run is built before, since from inside no network can be reached.
"""

from __future__ import annotations

import sys

from tests.controlplane import olm
from tests.controlplane.gobuild import MissingProgram
from tests.node import sandbox
from tests.node.images import Images
from tests.node.programs import programs


def main() -> int:
    """Get ready what the node runs, and run the tests; the exit status of pytest."""
    try:
        programs()
        olm.tools()
        olm.operators()
        olm.definitions()
        Images().prepare()
        return sandbox.run([sys.executable, "-m", "pytest", "-m", "node", *sys.argv[1:]])
    except (MissingProgram, sandbox.Impossible) as problem:
        print(f"node: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

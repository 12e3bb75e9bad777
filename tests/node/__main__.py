"""`make node`: the tests on a real node, each file of them in namespaces of its own; arguments go to pytest.

What they run is built before, since from inside no network can be reached; the tests of how the image is built need that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.controlplane import argocd, olm
from tests.controlplane.gobuild import MissingProgram
from tests.node import sandbox
from tests.node.images import Images
from tests.node.programs import programs, require_packages

#: What runs outside: an image is built with packages from the network, and the namespaces are looked at from there.
OUTSIDE = ("tests/image/test_built.py", "tests/image/test_release.py", "tests/node/test_sandbox.py")


#: What takes more than a minute beyond that and is only run where it is named, as `make nightly` does.
NIGHTLY = "tests/node/test_released.py"


def main() -> int:
    """Get ready what the node runs, and run the tests; the exit status of the first pytest that fails, 0 where none does."""
    chosen = [argument for argument in sys.argv[1:] if ".py" in argument]
    options = [argument for argument in sys.argv[1:] if argument not in chosen]
    try:
        require_packages()
        sandbox.check()
        programs()
        argocd.programs()
        argocd.source()
        olm.tools()
        olm.operators()
        olm.definitions()
        images = Images()
        images.prepare()
        pytest = [sys.executable, "-m", "pytest", "-s", "-m", "node", *options]  # -s: some print figures
        files = chosen or list(dict.fromkeys((*OUTSIDE, *sorted(map(str, Path("tests/node").glob("test_*.py"))))))
        if NIGHTLY in chosen:
            images.prepare_released()
        else:
            files = [file for file in files if file != NIGHTLY]
        statuses = [subprocess.run([*pytest, file], check=False).returncode for file in files if file in OUTSIDE]
        statuses += [sandbox.run([*pytest, file]) for file in files if file not in OUTSIDE]
        return next(filter(None, statuses), 0)
    except (MissingProgram, sandbox.Impossible) as problem:
        print(f"node: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

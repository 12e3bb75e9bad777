"""A registry on this machine: Debian's docker-registry, which is the one of the distribution project."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path
from typing import Self

from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import eventually


class Registry:
    """A registry that keeps images in a folder and listens on 127.0.0.1, without TLS."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self._processes, self._configuration = Processes(folder), folder / "registry.yaml"
        self._configuration.write_text(
            f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
            f"http: {{addr: '{self.address}'}}\n"
        )

    def __enter__(self) -> Self:
        self._processes.start("docker-registry", ["docker-registry", "serve", self._configuration])
        eventually(self._answers, "registry that answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()

    def manifest(self, reference: str) -> bytes:
        """A manifest or an index, byte for byte, by its tag or digest. Raises CalledProcessError where there is none."""
        command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

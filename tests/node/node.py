"""One node of a real cluster, in the namespaces of `sandbox`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from engine.model.objects import Object, dig
from tests.controlplane.gobuild import MissingProgram, Programs
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import eventually
from tests.node import sandbox, settings
from tests.node.images import PAUSE, Images
from tests.node.settings import IPV4, Family

NAME = "node"
SOCKET = "/run/containerd/containerd.sock"
#: Below these amounts kubelet evicts pods; the machine has more while the tests leave it alone.
EVICTION = {"memory.available": "100Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"}
NODES = f"/api/v1/nodes/{NAME}"


class Node:
    """containerd, kubelet, kube-proxy, kube-scheduler and kube-controller-manager beside a control plane, as one node."""

    def __init__(self, programs: Programs, images: Images, family: Family = IPV4) -> None:
        state = Path(os.environ[sandbox.STATE])
        self._programs, self._images, self._family, self._state = programs, images, family, state
        self._processes = Processes(state)
        self.plane = ControlPlane(programs, family.address, (
            f"--service-cluster-ip-range={family.services}", f"--advertise-address={family.address}",
            "--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP",
        ))  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()
        self.plane.stop()

    def load(self, image: str, *names: str) -> None:
        """Let pods have an image of the store under names, without a registry."""
        archive = self._state / "image.tar"
        self._images.save(image, names[0], archive)
        self._ctr("images", "import", "--no-unpack", str(archive))
        archive.unlink()
        for name in names[1:]:
            self._ctr("images", "tag", names[0], name)

    def folder(self, name: str) -> Path:
        """A new folder of the node, for pods to mount."""
        path = self._state / "volumes" / name
        path.mkdir(parents=True)
        return path

    def evict_below(self, thresholds: Mapping[str, str]) -> None:
        """Restart kubelet with other thresholds of eviction."""
        self._processes.kill("kubelet")
        self._start_kubelet({**EVICTION, **thresholds})

    def kubectl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a real kubectl as administrator. Fails where that fails, unless `check` is False."""
        command: list[str | Path] = [self._programs["kubectl"], f"--kubeconfig={self.plane.kubeconfig}", *arguments]
        done = subprocess.run(command, cwd=self._state, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done

    def pids(self, pod: Object) -> list[int]:
        """The processes of a pod's only container, the first one first."""
        (status,) = dig(pod, ("status", "containerStatuses"), [])
        container = str(status["containerID"]).removeprefix("containerd://")
        table = self._ctr("tasks", "ps", container).splitlines()[1:]
        return sorted(int(line.split()[0]) for line in table)

    def conditions(self) -> dict[str, str]:
        """The status of each of the node's conditions."""
        return {one["type"]: one["status"] for one in dig(self._get(), ("status", "conditions"), [])}

    def logs(self) -> dict[str, str]:
        """The end of each log, and how the pods are."""
        pods = self.kubectl("get", "pods", "--all-namespaces", "--output=wide", check=False).stdout
        names = ("containerd", "kubelet", "kube-proxy", "kube-controller-manager")
        return {"pods": pods, **{name: self._processes.end_of_log(name) for name in names}}

    def _start(self) -> None:
        self.plane.start()
        self._write("containerd.toml", settings.containerd(self._state))
        self._write("cni/pods.conflist", settings.network(self._family, self._state))
        self._write("proxy.yaml", settings.proxy(self.plane.kubeconfig, self._family))
        self._write("resolv.conf", "")
        self._run("containerd", f"--config={self._state}/containerd.toml", f"--address={SOCKET}")
        self._until(lambda: Path(SOCKET).exists() and self._ctr("version"), "containerd that answers")
        self.load(PAUSE, PAUSE)
        self._start_controllers()
        self._start_kubelet(EVICTION)
        self._run("kube-proxy", f"--config={self._state}/proxy.yaml", f"--hostname-override={NAME}")
        self._until(lambda: self.conditions().get("Ready") == "True", "node that is Ready")

    def _start_controllers(self) -> None:
        ports = free_ports(2)
        common = [f"--kubeconfig={self.plane.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
        self._run("kube-scheduler", *common, f"--secure-port={ports[0]}", f"--cert-dir={self._state}/scheduler")
        self._run(
            "kube-controller-manager", *common, f"--secure-port={ports[1]}", f"--cert-dir={self._state}/controllers",
            f"--root-ca-file={self.plane.certificate}", "--concurrent-namespace-syncs=2",
        )  # fmt: skip

    def _start_kubelet(self, eviction: Mapping[str, str]) -> None:
        group = os.environ[sandbox.GROUP]
        self._write("kubelet.yaml", settings.kubelet(group, self._state, self._family, eviction))
        self._run(
            "kubelet", f"--config={self._state}/kubelet.yaml", f"--kubeconfig={self.plane.kubeconfig}",
            f"--root-dir={self._state}/kubelet", f"--hostname-override={NAME}", f"--node-ip={self._family.address}",
        )  # fmt: skip

    def _get(self) -> dict[str, Any]:
        try:
            return self.plane.request("GET", NODES)
        except OSError:  # it has yet to register
            return {}

    def _until(self, found: Any, what: str) -> None:
        def checked() -> Any:
            for name in self._processes.ended():
                raise MissingProgram(f"{name} ended; the end of its log:\n{self._processes.end_of_log(name)}")
            return found()

        eventually(checked, what)

    def _run(self, name: str, *arguments: str) -> None:
        self._processes.start(name, [self._programs.get(name, Path(name)), *arguments])

    def _write(self, name: str, text: str) -> None:
        path = self._state / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def _ctr(self, *arguments: str) -> str:
        command = ["ctr", f"--address={SOCKET}", "--namespace=k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

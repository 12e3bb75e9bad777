"""What containerd, kubelet, kube-proxy and the network plugins are configured with, as the text of their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.node.images import PAUSE
from tests.node.sandbox import ADDRESS, ADDRESS6, SERVICES, SERVICES6


@dataclass(frozen=True, slots=True)
class Family:
    """One family of IP: the node's address, what Services get theirs from, and pods."""

    address: str
    services: str
    pods: str


IPV4 = Family(ADDRESS, SERVICES, "10.3.0.0/24")
IPV6 = Family(ADDRESS6, SERVICES6, "fd00:3::/64")


def containerd(state: Path) -> str:
    """containerd's config.toml: runc without AppArmor and systemd, the network plugins of Debian.

    It asks for no lower score of the out-of-memory killer than it has itself, which takes CAP_SYS_RESOURCE.
    """
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", \
"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[{cri}]
sandbox_image = "{PAUSE}"
disable_apparmor = true
restrict_oom_score_adj = true
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{state}/cni"
"""


def network(family: Family, state: Path) -> str:
    """A network of one bridge, through which pods reach the node and each other."""
    route = "::/0" if ":" in family.pods else "0.0.0.0/0"
    addresses = {
        "type": "host-local", "ranges": [[{"subnet": family.pods}]], "routes": [{"dst": route}], "dataDir": f"{state}/addresses",
    }  # fmt: skip
    bridge = {"type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]})


def kubelet(group: str, state: Path, family: Family, eviction: Mapping[str, str]) -> str:
    """A KubeletConfiguration that keeps all pods below one control group and reserves nothing of the machine."""
    return _yaml({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": family.address, "healthzBindAddress": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{group}", "failCgroupV1": False, "failSwapOn": False,
        "enforceNodeAllocatable": [], "resolvConf": f"{state}/resolv.conf",
        "evictionHard": dict(eviction), "evictionPressureTransitionPeriod": "5s",
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "2s", "syncFrequency": "5s", "registerWithTaints": [],
    })  # fmt: skip


def proxy(kubeconfig: Path, family: Family) -> str:
    """A KubeProxyConfiguration that leaves the machine's connection tracking as it is."""
    unchanged = {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return _yaml({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)}, "mode": "iptables", "clusterCIDR": family.pods,
        "conntrack": unchanged, "bindAddress": family.address,
    })  # fmt: skip


def _yaml(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(settings)

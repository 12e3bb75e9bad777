"""A real node: containerd, kubelet and kube-proxy beside a real control plane, with the operator's own image in its pods."""

"""The engine beside the real KServe, with kube-controller-manager and a simulated kubelet."""

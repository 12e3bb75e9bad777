"""The rule packs beside a real Argo CD, on a real kube-apiserver, with the engine as a process of its own."""

"""Benchmarks on a real kube-apiserver: `python -m tests.bench.steady` measures, `python -m tests.bench.report` writes it up."""

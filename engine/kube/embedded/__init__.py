"""A cluster in memory, for the demo, for tests of rule packs and for unit tests: it needs nothing to run.

It answers as a kube-apiserver with its controllers of garbage collection, namespaces and disruption would, for what the
engine does; tests/contract holds it to that. What it leaves out: defaults and schemas of kinds, admission, versions of a
kind beside the stored one, the list types of server-side apply, rights, and the time that pods take to end.
"""

from engine.kube.embedded.cluster import EmbeddedCluster

__all__ = ["EmbeddedCluster"]

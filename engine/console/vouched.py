"""What the users of a proxy see: the objects of the application that the proxy vouches for, and nothing else."""

from __future__ import annotations

from engine.console.viewer import Viewer
from engine.model.objects import Kind, Object, Ref
from engine.operator.extension import Named
from engine.operator.reviews import Reviews


class VouchedViewer(Viewer):
    """A user of a proxy; packs are seen where the proxy's own account may see them."""

    def __init__(self, reviews: Reviews, proxy: Object, namespace: str, objects: frozenset[Named]) -> None:
        super().__init__(reviews, proxy, namespace)
        self.objects = objects

    async def sees(self, ref: Ref) -> bool:
        """Return whether an object is part of the application."""
        return Named(ref.kind.group, ref.kind.kind, ref.namespace, ref.name) in self.objects

    async def may(self, verb: str, kind: Kind, namespace: str) -> bool:
        """Return False: no application has all objects of a kind."""
        return False

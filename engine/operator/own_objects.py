"""Objects of the engine's own kinds: those in force are of the operator's namespace, and each gets a status."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import ApiError, Fault, Location
from engine.kube.act import Actor
from engine.kube.api import FIELD_MANAGER, Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Object, dig, ref_of
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey
from engine.operator.settings import Settings
from engine.packs.sources import OwnObject
from engine.reconcile.prune import Whole, pruner

NOT_HERE = "NotAnOperatorNamespace"
"""The reason of an object in another namespace than the operator's."""


class OwnObjects:
    """Holds the objects of a kind in the operator's namespace, and in others that it watches. `changed` is called when a spec
    changes.

    `own` must be listed before anything is in force. The others only get a status, so they may be forbidden.
    """

    def __init__(self, api: Api, settings: Settings, clock: Clock, kind: Kind, changed: Callable[[], None]) -> None:
        self._namespace, watched = settings.operator_namespace, settings.namespaces
        elsewhere = [InformerKey(kind, fields=f"metadata.namespace!={self._namespace}")]
        if "" not in watched:
            elsewhere = [InformerKey(kind, namespace) for namespace in watched if namespace != self._namespace]
        prune = pruner([("spec",), ("status",)])

        def on_change(namespace: str, name: str, old: Object | None, new: Object | None, initial: bool) -> None:
            if old is None or new is None or OwnObject.of(old) != OwnObject.of(new):
                changed()

        # whole, since managedFields say whether nulls count
        self.own = Informer(api, InformerKey(kind, self._namespace), clock, Whole(), on_change)
        self.elsewhere = [Informer(api, key, clock, prune, on_change) for key in elsewhere]

    @property
    def informers(self) -> list[Informer]:
        """All of them."""
        return [self.own, *self.elsewhere]

    def objects(self) -> list[Object]:
        """Return those of the operator's namespace, by name."""
        return _objects(self.own)

    def refused(self) -> list[Object]:
        """Return those elsewhere of which no other operator has written the status."""
        return [obj for informer in self.elsewhere for obj in _objects(informer) if not _of_another_operator(obj)]

    def refusal(self, obj: Object) -> Fault:
        """Return why an object elsewhere is not in force."""
        message = f"only a {ref_of(obj).kind.kind} in the operator's namespace, {self._namespace}, is in force"
        return Fault(Location(OwnObject.of(obj).file, 1, 1, "metadata.namespace"), message, code="namespace")

    def move(self, obj: Object) -> str:
        """Return what to do with an object elsewhere that is meant to be in force."""
        ref = ref_of(obj)
        delete = f"kubectl delete {ref.kind.kind.lower()} {ref.name} -n {ref.namespace}"
        return f"Move it: apply its manifest with -n {self._namespace}, and delete it here: {delete}"


async def apply_status(actor: Actor, obj: Object, status: Object, manager: str = FIELD_MANAGER) -> None:
    """Write a status, unless the object is gone, or another one has its name by now. Raises ApiError and NotLeading."""
    try:
        await actor.apply_status(ref_of(obj), status, manager)
    except ApiError as error:
        if error.status != 404 and "uid" not in error.message.lower():
            raise


def _objects(informer: Informer) -> list[Object]:
    return [cached.object for _, cached in sorted(informer.store.objects.items())]


def _of_another_operator(obj: Object) -> bool:
    """Return whether an operator of an object's own namespace has written its status."""
    conditions = dig(obj, ("status", "conditions"), ())
    return bool(conditions) and all(each.get("reason") != NOT_HERE for each in conditions)

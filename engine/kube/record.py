"""Recording: one patch of the watched object carries its own metadata and the firing records together."""

from __future__ import annotations

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.merge import changes
from engine.model.objects import Object
from engine.model.plan import Annotate, OwnWrite, own_patch


async def record(actor: Actor, obj: Object, own: Annotate) -> OwnWrite | None:
    """Bring the watched object's metadata to what it should be; returns what was written.

    None where nothing is to be written, or where the object is gone. Raises ApiError and NotLeading.
    """
    step = own_patch(obj, own)
    if not changes(obj, step.body):
        return None
    try:
        version = await actor.write_metadata(step)
    except ApiError as error:
        if error.status == 404 or "uid" in error.message.lower():
            return None
        raise
    return OwnWrite(step.body, version)

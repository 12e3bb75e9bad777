"""Own metadata in order: what actions want on the watched object goes out no later than what a later action writes there.

It is written with the firing record, once all actions are done. A later action may make the conditions false that writes the
watched object by a request of its own, or an object of a kind that the rule looks up, and a crash between the two would then lose
what stands before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.kube.act import Actor
from engine.model.mappings import is_mapping
from engine.model.merge import added, changes, merged
from engine.model.objects import ref_of
from engine.model.plan import Delete, Patch, Step, joined, own_patch
from engine.reconcile.item import ItemRun
from engine.reconcile.reader import Reader
from engine.reconcile.record import write_own


def carrying(run: ItemRun, step: Patch | Delete) -> Patch | Delete:
    """Return a merge patch of the watched object with the metadata that stands before it, so that both hold or neither."""
    own = _pending(run)
    if own is None or not isinstance(step, Patch) or not (_is_own(run, step) and _carries(step)):
        return step
    return step._replace(body=added(own.body, step.body), before=merged(step.before, own.body))


async def write_before(run: ItemRun, steps: Sequence[Step], actor: Actor, reader: Reader) -> bool:
    """Write the metadata that stands before steps which may end what the rule is about, and cannot carry it; return whether
    there was any.

    Raises ApiError and NotLeading.
    """
    own = _pending(run)
    if own is None or not any(isinstance(step, Patch | Delete) and _ends_apart(run, step) for step in steps):
        return False
    written = await write_own(actor, run.cause.object, joined(each.step for each in run.progress.own))
    if written is not None and not written.gone:
        reader.wrote_own(run.cause.ref, written)
    note_written(run)
    return True


def note_written(run: ItemRun) -> None:
    """Note that what actions want on the watched object is there; the record's write still has it, and changes nothing."""
    for own in run.progress.own:
        own.written = True


def _pending(run: ItemRun) -> Patch | None:
    """What actions want on the watched object, None where that is written or would change nothing."""
    if all(own.written for own in run.progress.own):
        return None
    patch = own_patch(run.cause.object, joined(own.step for own in run.progress.own))
    return patch if changes(run.cause.object, patch.body) else None


def _ends_apart(run: ItemRun, step: Patch | Delete) -> bool:
    """Return whether a step may make the conditions false in a request that has no room for metadata of the watched object.

    Of other objects only those of a kind that the rule looks up do so by themselves; a kind that only the running rule knows
    may be any.
    """
    if _is_own(run, step):
        return not _carries(step)
    return any(lookup.kind in (None, step.target.kind) for lookup in run.rule.lookups.values())


def _is_own(run: ItemRun, step: Patch | Delete) -> bool:
    """Return whether a step is on the watched object; what is applied has no uid."""
    own = ref_of(run.cause.object)
    return step.target.uid == own.uid if step.target.uid else step.target[:3] == own[:3]


def _carries(step: Patch | Delete) -> bool:
    """Return whether metadata can be put into the request."""
    return isinstance(step, Patch) and step.format == "merge" and not step.subresource and is_mapping(step.body)

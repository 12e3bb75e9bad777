"""Merge patch, JSON patch, server-side apply, and what they count as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.api import Api, PatchType, Selection
from engine.model.objects import Object, Resource
from tests.contract.support import CONFIG_MAP, DEPLOYMENT, configmap, events, named, refused, summary


async def test_a_merge_patch_sets_and_removes(api: Api, namespace: str, probe: Resource) -> None:
    """A merge patch sets what it names, removes what it names as null, replaces lists, and leaves the rest."""
    spec = {"keep": 1, "drop": 2, "deep": {"keep": 1, "drop": 2}, "list": [1, 2]}
    await api.create(probe, namespace, named(probe, "a", spec=spec))

    patch = {"spec": {"drop": None, "deep": {"drop": None, "new": {"x": 1, "gone": None}}, "list": [3]}}
    patched = await api.patch(probe, namespace, "a", patch)

    assert patched["spec"] == {"keep": 1, "deep": {"keep": 1, "new": {"x": 1}}, "list": [3]}
    assert await api.get(probe, namespace, "a") == patched


async def test_whoever_needs_only_metadata_gets_no_more(api: Api, namespace: str, probe: Resource) -> None:
    """The answer to such a patch is the metadata that a read has then; the object keeps its spec."""
    await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))

    patched = await api.patch_metadata(probe, namespace, "a", {"metadata": {"annotations": {"a": "1"}}})

    found = await api.get(probe, namespace, "a")
    assert patched == found["metadata"]
    assert found["spec"] == {"x": 1}


async def test_a_merge_patch_can_be_conditional(api: Api, namespace: str, probe: Resource) -> None:
    """A merge patch with a stale resourceVersion is refused with 409, with another uid with 422."""
    created = await api.create(probe, namespace, named(probe, "a"))
    seen = {key: created["metadata"][key] for key in ("uid", "resourceVersion")}
    annotate = {"annotations": {"a": "1"}}

    await api.patch(probe, namespace, "a", {"metadata": {**seen, **annotate}})

    with refused(409, "Conflict", 'cannot be fulfilled on probes.example.rulepack.dev "a": the object has been modified'):
        await api.patch(probe, namespace, "a", {"metadata": {**seen, "annotations": {"a": "2"}}})
    with refused(422, "Invalid", 'metadata.uid: Invalid value: "other": field is immutable'):
        await api.patch(probe, namespace, "a", {"metadata": {"uid": "other", "annotations": {"a": "2"}}})


async def test_a_merge_patch_can_null_its_conditions(api: Api, namespace: str, probe: Resource) -> None:
    """A uid of null asks for nothing; a resourceVersion of null neither, but for a custom kind it is refused with 422."""
    created = await api.create(CONFIG_MAP, namespace, configmap("a"))
    await api.create(probe, namespace, named(probe, "a"))

    assert await api.patch(CONFIG_MAP, namespace, "a", {"metadata": {"uid": None, "resourceVersion": None}}) == created
    with refused(422, "Invalid", "metadata.resourceVersion: Invalid value: 0: must be specified for an update"):
        await api.patch(probe, namespace, "a", {"metadata": {"resourceVersion": None}})


async def test_a_patch_cannot_make_another_object(api: Api, namespace: str, probe: Resource) -> None:
    """Name, namespace and kind stay; generation and creationTimestamp are ignored; deletionTimestamp is refused."""
    created = await api.create(probe, namespace, named(probe, "a"))

    with refused(400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"):
        await api.patch(probe, namespace, "a", {"metadata": {"name": "b"}})
    with refused(400, "BadRequest", "namespace"):
        await api.patch(probe, namespace, "a", {"metadata": {"namespace": "b"}})
    await api.create(CONFIG_MAP, namespace, configmap("a"))
    with refused(422, "Invalid"):
        await api.patch(CONFIG_MAP, namespace, "a", {"kind": "Other"})
    with refused(422, "Invalid", "metadata.deletionTimestamp", "field is immutable"):
        await api.patch(probe, namespace, "a", {"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}})
    ignored = {"generation": 77, "creationTimestamp": "2001-01-01T00:00:00Z"}
    assert await api.patch(probe, namespace, "a", {"metadata": ignored}) == created


async def test_a_patch_that_changes_nothing_is_no_write(api: Api, namespace: str, probe: Resource) -> None:
    """Such a patch answers with the object as it is, with its resourceVersion, and no watch hears of it."""
    created = await api.create(probe, namespace, named(probe, "a", {"labels": {"l": "1"}}, spec={"x": 1}))
    version = created["metadata"]["resourceVersion"]

    same = [
        await api.patch(probe, namespace, "a", {"metadata": {"labels": {"l": "1"}}, "spec": {"x": 1, "none": None}}),
        await api.patch(probe, namespace, "a", [{"op": "replace", "path": "/spec/x", "value": 1}], type=PatchType.JSON),
        await api.patch(probe, namespace, "a", {"spec": {"x": 2}}, subresource="status"),
    ]
    await api.create(probe, namespace, named(probe, "b"))

    assert same == [created] * 3
    assert summary(await events(api, Selection(probe, namespace), version, 1)) == [("ADDED", "b")]


async def test_a_json_patch_operates(api: Api, namespace: str, probe: Resource) -> None:
    """Each operation of a JSON patch does what RFC 6902 says; `replace` also sets a key that is not there."""
    await api.create(probe, namespace, named(probe, "a", {"annotations": {"a/b": "1"}}, spec={"list": [1, 3], "old": 1}))

    patched = await api.patch(
        probe, namespace, "a",
        [
            {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
            {"op": "add", "path": "/spec/list/1", "value": 2},
            {"op": "add", "path": "/spec/list/-", "value": 4},
            {"op": "move", "from": "/spec/old", "path": "/spec/moved"},
            {"op": "copy", "from": "/spec/moved", "path": "/spec/copied"},
            {"op": "replace", "path": "/spec/new", "value": {"x": 1}},
            {"op": "remove", "path": "/spec/list/0"},
        ],
        type=PatchType.JSON,
    )  # fmt: skip

    assert patched["spec"] == {"list": [2, 3, 4], "moved": 1, "copied": 1, "new": {"x": 1}}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/spec/x", "value": 2}],
        [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}],
        [{"op": "remove", "path": "/spec/none"}],
        [{"op": "add", "path": "/spec/none/x", "value": 1}],
        [{"op": "replace", "path": "/spec/x", "value": 2}, {"op": "test", "path": "/spec/x", "value": 1}],
        [{"op": "odd", "path": "/spec/x"}],
    ],
)
async def test_a_json_patch_that_does_not_fit(
    api: Api, namespace: str, probe: Resource, operations: Sequence[Mapping[str, Any]]
) -> None:  # fmt: skip
    """An operation that does not fit is refused with 422, and none of the patch is done."""
    created = await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))

    with refused(422, "Invalid", "the server rejected our request due to an error in our request"):
        await api.patch(probe, namespace, "a", operations, type=PatchType.JSON)

    assert await api.get(probe, namespace, "a") == created


async def test_a_json_patch_must_be_a_list(api: Api, namespace: str) -> None:
    """A JSON patch that is a mapping is refused with 400."""
    await api.create(CONFIG_MAP, namespace, configmap("a"))

    with refused(400, "BadRequest", "error decoding patch"):
        await api.patch(CONFIG_MAP, namespace, "a", {"data": {}}, type=PatchType.JSON)


async def test_status_is_written_apart(api: Api, namespace: str, probe: Resource) -> None:
    """Writes of the object leave its status alone, writes of the subresource leave everything else alone."""
    created = await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))

    main = await api.patch(probe, namespace, "a", {"spec": {"x": 2}, "status": {"phase": "A"}})
    everything = {"spec": {"x": 3}, "status": {"phase": "B"}, "metadata": {"labels": {"l": "1"}}}
    status = await api.patch(probe, namespace, "a", everything, subresource="status")
    put = await api.replace(probe, namespace, {**status, "spec": {"x": 4}, "status": {"phase": "C"}}, subresource="status")
    put_main = await api.replace(probe, namespace, {**put, "spec": {"x": 5}, "status": {"phase": "D"}})

    assert (main["spec"], main.get("status")) == ({"x": 2}, None)
    assert (status["spec"], status["status"], status["metadata"].get("labels")) == ({"x": 2}, {"phase": "B"}, None)
    assert (put["spec"], put["status"]) == ({"x": 2}, {"phase": "C"})
    assert (put_main["spec"], put_main["status"]) == ({"x": 5}, {"phase": "C"})
    generations = [each["metadata"]["generation"] for each in (created, main, status, put, put_main)]
    assert generations == [1, 2, 2, 2, 3]


async def test_status_needs_a_subresource(api: Api, namespace: str) -> None:
    """A kind without status subresource answers it with 404."""
    await api.create(CONFIG_MAP, namespace, configmap("a"))

    with refused(404, "NotFound", "the server could not find the requested resource"):
        await api.patch(CONFIG_MAP, namespace, "a", {"status": {}}, subresource="status")


async def test_generation_counts_changes_of_what_is_wanted(api: Api, namespace: str, probe: Resource) -> None:
    """metadata.generation grows with the spec, not with metadata or status; a ConfigMap has none."""
    await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))

    annotated = await api.patch(probe, namespace, "a", {"metadata": {"annotations": {"a": "1"}, "labels": {"l": "1"}}})
    respecified = await api.patch(probe, namespace, "a", {"spec": {"x": 2}})

    assert annotated["metadata"]["generation"] == 1
    assert respecified["metadata"]["generation"] == 2
    assert "generation" not in (await api.create(CONFIG_MAP, namespace, configmap("a")))["metadata"]


async def test_annotations_count_for_a_deployment(api: Api, namespace: str) -> None:
    """Of a Deployment a change of its own annotations counts as a generation too, one of its labels does not."""
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
    await api.create(DEPLOYMENT, namespace, named(DEPLOYMENT, "a", spec=spec))

    labelled = await api.patch(DEPLOYMENT, namespace, "a", {"metadata": {"labels": {"l": "1"}}})
    annotated = await api.patch(DEPLOYMENT, namespace, "a", {"metadata": {"annotations": {"a": "1"}}})
    restarted = await api.patch(
        DEPLOYMENT, namespace, "a", {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}
    )

    assert [each["metadata"]["generation"] for each in (labelled, annotated, restarted)] == [1, 2, 3]


async def apply(api: Api, resource: Resource, namespace: str, body: Object, *, force: bool = False, **settings: Any) -> Object:
    """Apply an object."""
    type = PatchType.FORCED_APPLY if force else PatchType.APPLY
    return await api.patch(resource, namespace, body["metadata"]["name"], body, type=type, **settings)


async def test_apply_creates_changes_and_removes(api: Api, namespace: str) -> None:
    """Apply creates what is not there, changes what it applied, removes what it no longer applies, and repeats are no writes."""
    created = await apply(api, CONFIG_MAP, namespace, configmap("a", {"x": "1", "y": "1"}, labels={"l": "1"}))
    same = await apply(api, CONFIG_MAP, namespace, configmap("a", {"x": "1", "y": "1"}, labels={"l": "1"}))
    changed = await apply(api, CONFIG_MAP, namespace, configmap("a", {"x": "2"}))
    emptied = await apply(api, CONFIG_MAP, namespace, configmap("a"))

    assert created["data"] == {"x": "1", "y": "1"}
    assert same == created
    assert (changed["data"], changed["metadata"].get("labels")) == ({"x": "2"}, None)
    assert "data" not in emptied


async def test_apply_leaves_what_others_set(api: Api, namespace: str, probe: Resource) -> None:
    """Fields that somebody's update set stay when they are not applied, and when they are no longer applied."""
    await api.create(probe, namespace, named(probe, "a", spec={"theirs": 1, "both": 1}))

    applied = await apply(api, probe, namespace, named(probe, "a", spec={"both": 1, "mine": 1}))
    left = await apply(api, probe, namespace, named(probe, "a"))

    assert applied["spec"] == {"theirs": 1, "both": 1, "mine": 1}
    assert left["spec"] == {"theirs": 1, "both": 1}


async def test_apply_conflicts_with_what_others_set(api: Api, namespace: str, probe: Resource) -> None:
    """Another value for a field that an update set is refused with 409 that names it; `force` takes it over."""
    await api.create(probe, namespace, named(probe, "a", spec={"x": 1, "y": 1}))

    with refused(409, "Conflict", "Apply failed with 1 conflict: conflict with", ".spec.x"):
        await apply(api, probe, namespace, named(probe, "a", spec={"x": 2}))
    with pytest.raises(ApiError, match="Apply failed with 2 conflicts: conflicts with") as caught:
        await apply(api, probe, namespace, named(probe, "a", spec={"x": 2, "y": 2}))
    assert "\n- .spec.x\n- .spec.y" in caught.value.message
    named_fields = [(cause["reason"], cause["field"]) for cause in caught.value.details["causes"]]
    assert named_fields == [("FieldManagerConflict", ".spec.x"), ("FieldManagerConflict", ".spec.y")]
    forced = await apply(api, probe, namespace, named(probe, "a", spec={"x": 2}), force=True)
    changed = await apply(api, probe, namespace, named(probe, "a", spec={"x": 3}))

    assert forced["spec"] == {"x": 2, "y": 1}
    assert changed["spec"] == {"x": 3, "y": 1}


async def test_an_update_takes_applied_fields_over(api: Api, namespace: str, probe: Resource) -> None:
    """A field that was applied and then changed by an update belongs to the update: applying it again is a conflict."""
    await apply(api, probe, namespace, named(probe, "a", spec={"x": 1, "y": 1}))
    await api.patch(probe, namespace, "a", {"spec": {"x": 2}})

    with refused(409, "Conflict", ".spec.x"):
        await apply(api, probe, namespace, named(probe, "a", spec={"x": 1, "y": 1}))
    left = await apply(api, probe, namespace, named(probe, "a"))

    assert left["spec"] == {"x": 2}


async def test_apply_of_status(api: Api, namespace: str, probe: Resource) -> None:
    """What is applied to the status subresource is status alone, and applying the rest does not take it away."""
    await apply(api, probe, namespace, named(probe, "a", spec={"x": 1}, status={"phase": "A"}))

    status = await apply(api, probe, namespace, named(probe, "a", status={"phase": "B"}), subresource="status")
    main = await apply(api, probe, namespace, named(probe, "a", spec={"x": 2}))

    assert (status["spec"], status["status"]) == ({"x": 1}, {"phase": "B"})
    assert (main["spec"], main["status"]) == ({"x": 2}, {"phase": "B"})


async def test_apply_can_be_conditional(api: Api, namespace: str, probe: Resource) -> None:
    """Apply with a stale resourceVersion is 409, with another uid 422, with a uid where nothing is 409; it must say its kind."""
    await apply(api, probe, namespace, named(probe, "a", spec={"x": 1}))

    with refused(409, "Conflict", "the object has been modified"):
        await apply(api, probe, namespace, named(probe, "a", {"resourceVersion": "1"}, spec={"x": 2}))
    with refused(422, "Invalid", "metadata.uid", "field is immutable"):
        await apply(api, probe, namespace, named(probe, "a", {"uid": "other"}, spec={"x": 2}))
    with refused(409, "Conflict", "uid mismatch: the provided object specified uid other, and no existing object was found"):
        await apply(api, probe, namespace, named(probe, "b", {"uid": "other"}))
    with refused(400, "BadRequest"):
        await apply(api, probe, namespace, {"metadata": {"name": "a"}})


async def test_a_dry_run_changes_nothing(api: Api, namespace: str, probe: Resource) -> None:
    """Each write can be tried: it answers as if done, is refused where it would be, and leaves no trace."""
    created = await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))
    version = created["metadata"]["resourceVersion"]

    tried = [
        await api.create(probe, namespace, named(probe, "b", spec={"x": 2}), dry_run=True),
        await api.replace(probe, namespace, {**created, "spec": {"x": 2}}, dry_run=True),
        await api.patch(probe, namespace, "a", {"spec": {"x": 2}}, dry_run=True),
        await api.patch(probe, namespace, "a", [{"op": "add", "path": "/spec/x", "value": 2}], type=PatchType.JSON, dry_run=True),
        await apply(api, probe, namespace, named(probe, "a", spec={"x": 2}), force=True, dry_run=True),
        await apply(api, probe, namespace, named(probe, "b", spec={"x": 2}), dry_run=True),
    ]
    status = await api.patch(probe, namespace, "a", {"status": {"phase": "A"}}, subresource="status", dry_run=True)
    await api.delete(probe, namespace, "a", dry_run=True)

    assert [each["spec"] for each in tried] == [{"x": 2}] * 6
    assert tried[2]["metadata"]["generation"] == 2
    assert status["status"] == {"phase": "A"}
    with refused(409, "AlreadyExists"):
        await api.create(probe, namespace, named(probe, "a"), dry_run=True)
    with refused(409, "Conflict"):
        await api.delete(probe, namespace, "a", uid="other", dry_run=True)
    assert (await api.list(Selection(probe, namespace))).items == [created]
    await api.create(probe, namespace, named(probe, "c"))
    assert summary(await events(api, Selection(probe, namespace), version, 1)) == [("ADDED", "c")]

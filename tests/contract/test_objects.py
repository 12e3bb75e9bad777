"""Creating, reading, replacing and deleting objects."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine.kube.api import Api, PatchType, Selection
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Resource
from tests.contract.support import CONFIG_MAP, EVENT, NAMESPACE, SERVICE, configmap, named, names, refused
from tests.controlplane.plane import ControlPlane


async def test_a_created_object_is_the_one_that_is_read(api: Api, namespace: str) -> None:
    """Create answers with what get then gives, with uid, resourceVersion, creationTimestamp and its kind."""
    created = await api.create(CONFIG_MAP, namespace, configmap("a", {"key": "value"}))

    read = await api.get(CONFIG_MAP, namespace, "a")

    assert read == created
    assert (read["apiVersion"], read["kind"], read["data"]) == ("v1", "ConfigMap", {"key": "value"})
    meta = read["metadata"]
    assert meta["namespace"] == namespace
    assert meta["uid"]
    assert int(meta["resourceVersion"]) > 0
    assert datetime.fromisoformat(meta["creationTimestamp"]).microsecond == 0


async def test_what_is_handed_out_is_a_copy(api: Api, namespace: str) -> None:
    """Changing an object that was handed out, or one that was handed in, changes nothing in the cluster."""
    body = configmap("a", {"key": "value"})
    created = await api.create(CONFIG_MAP, namespace, body)

    body["data"]["key"] = "changed"
    created["data"]["key"] = "changed"
    (await api.list(Selection(CONFIG_MAP, namespace))).items[0]["data"]["key"] = "changed"

    assert (await api.get(CONFIG_MAP, namespace, "a"))["data"] == {"key": "value"}


async def test_a_name_is_taken_once(api: Api, namespace: str, probe: Resource) -> None:
    """A second object of the same name is refused with 409 AlreadyExists."""
    await api.create(CONFIG_MAP, namespace, configmap("a"))
    await api.create(probe, namespace, named(probe, "a"))

    with refused(409, "AlreadyExists", 'configmaps "a" already exists'):
        await api.create(CONFIG_MAP, namespace, configmap("a"))
    with refused(409, "AlreadyExists", 'probes.example.rulepack.dev "a" already exists'):
        await api.create(probe, namespace, named(probe, "a"))


async def test_a_name_can_be_generated(api: Api, namespace: str) -> None:
    """generateName gives each object a name of its own that begins with it."""
    body = {"metadata": {"generateName": "made-"}}

    first, second = [await api.create(CONFIG_MAP, namespace, body) for _ in range(2)]

    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["name"].startswith("made-")
    assert first["metadata"]["generateName"] == "made-"


async def test_what_is_not_there_is_not_found(api: Api, namespace: str, probe: Resource) -> None:
    """Reading, replacing, patching and deleting an object that is not there is refused with 404."""
    with refused(404, "NotFound", 'configmaps "none" not found'):
        await api.get(CONFIG_MAP, namespace, "none")
    with refused(404, "NotFound", 'probes.example.rulepack.dev "none" not found'):
        await api.get(probe, namespace, "none")
    with refused(404, "NotFound"):
        await api.replace(CONFIG_MAP, namespace, configmap("none"))
    with refused(404, "NotFound"):
        await api.patch(CONFIG_MAP, namespace, "none", {})
    with refused(404, "NotFound"):
        await api.delete(CONFIG_MAP, namespace, "none")


async def test_a_name_that_is_none_is_a_bad_request(api: Api, namespace: str) -> None:
    """A name that would lead to another path than an object's is refused with 400, whoever chose it."""
    for name in ("", ".", "..", "a/b", "a%2fb"):
        with refused(400, "BadRequest"):
            await api.get(CONFIG_MAP, namespace, name)
        with refused(400, "BadRequest"):
            await api.delete(CONFIG_MAP, namespace, name)


async def test_an_object_needs_a_namespace_that_exists(api: Api, namespace: str) -> None:
    """Creating in a namespace that is not there is 404 for the namespace, and one that the body contradicts is 400."""
    with refused(404, "NotFound", 'namespaces "nowhere" not found'):
        await api.create(CONFIG_MAP, "nowhere", configmap("a"))
    with refused(400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"):
        await api.create(CONFIG_MAP, namespace, configmap("a", namespace="other"))


async def test_the_server_sets_its_own_fields(api: Api, namespace: str, probe: Resource) -> None:
    """What a new object says of its uid, generation, timestamps and status does not count; a resourceVersion is refused."""
    long_ago = "2001-01-01T00:00:00Z"
    meta = {"uid": "mine", "generation": 7, "creationTimestamp": long_ago, "deletionTimestamp": long_ago}

    created = await api.create(probe, namespace, named(probe, "a", meta, status={"phase": "Done"}))

    assert created["metadata"]["uid"] != "mine"
    assert created["metadata"]["generation"] == 1
    assert not created["metadata"]["creationTimestamp"].startswith("2001")
    assert "deletionTimestamp" not in created["metadata"]
    assert "status" not in created
    with refused(500, "InternalServerError", "resourceVersion should not be set on objects to be created"):
        await api.create(probe, namespace, named(probe, "b", {"resourceVersion": "1"}))


async def test_empty_maps_and_lists_of_metadata_are_not_kept(api: Api, namespace: str, probe: Resource) -> None:
    """Labels, annotations and finalizers of which there are none are left out, whether created or patched so."""
    created = await api.create(probe, namespace, named(probe, "a", {"labels": {}, "annotations": {"a": "1"}, "finalizers": []}))
    patched = await api.patch(probe, namespace, "a", {"metadata": {"annotations": {"a": None}}})

    assert {"labels", "finalizers"}.isdisjoint(created["metadata"])
    assert "annotations" not in patched["metadata"]


async def test_a_body_must_be_of_the_kind(api: Api, namespace: str, probe: Resource) -> None:
    """A custom object must say its kind, and no body may say another version than the path."""
    with refused(400, "BadRequest"):
        await api.create(probe, namespace, {"metadata": {"name": "a"}})
    with refused(400, "BadRequest", "does not match the expected API version"):
        await api.create(probe, namespace, {**named(probe, "a"), "apiVersion": "example.rulepack.dev/v2"})


async def test_replace_keeps_what_is_the_servers(api: Api, namespace: str) -> None:
    """A put with the current resourceVersion changes the object, which keeps uid and creationTimestamp and gets a new version."""
    created = await api.create(CONFIG_MAP, namespace, configmap("a", {"key": "old"}))

    replaced = await api.replace(CONFIG_MAP, namespace, {**created, "data": {"key": "new"}})

    assert replaced["data"] == {"key": "new"}
    assert replaced["metadata"]["uid"] == created["metadata"]["uid"]
    assert replaced["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]
    assert int(replaced["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])


async def test_a_stale_replace_is_a_conflict(api: Api, namespace: str, probe: Resource) -> None:
    """A put with a resourceVersion that is not the current one, or with another uid, is refused with 409."""
    created = await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))
    current = await api.replace(probe, namespace, {**created, "spec": {"x": 2}})

    with refused(409, "Conflict", 'cannot be fulfilled on probes.example.rulepack.dev "a": the object has been modified'):
        await api.replace(probe, namespace, {**created, "spec": {"x": 3}})
    with refused(409, "Conflict", "UID in precondition: other"):
        await api.replace(probe, namespace, {**current, "metadata": {**current["metadata"], "uid": "other"}})


async def test_a_replace_without_a_version(api: Api, namespace: str, probe: Resource) -> None:
    """A put without resourceVersion always wins for a ConfigMap, and is refused with 422 for a custom kind."""
    await api.create(CONFIG_MAP, namespace, configmap("a"))
    await api.create(probe, namespace, named(probe, "a"))

    replaced = await api.replace(CONFIG_MAP, namespace, configmap("a", {"key": "new"}))

    assert replaced["data"] == {"key": "new"}
    with refused(422, "Invalid", "metadata.resourceVersion: Invalid value: 0: must be specified for an update"):
        await api.replace(probe, namespace, named(probe, "a"))


async def test_a_replace_that_changes_nothing_is_no_write(api: Api, namespace: str, probe: Resource) -> None:
    """Putting an object as it is leaves its resourceVersion alone."""
    created = await api.create(probe, namespace, named(probe, "a", spec={"x": 1}))

    assert await api.replace(probe, namespace, created) == created


async def test_a_deleted_object_is_gone(api: Api, namespace: str) -> None:
    """After a delete there is nothing, and the name is free for an object with another uid."""
    first = await api.create(CONFIG_MAP, namespace, configmap("a"))

    await api.delete(CONFIG_MAP, namespace, "a")

    assert await names(api, Selection(CONFIG_MAP, namespace)) == []
    assert (await api.create(CONFIG_MAP, namespace, configmap("a")))["metadata"]["uid"] != first["metadata"]["uid"]


async def test_a_delete_can_name_the_uid(api: Api, namespace: str) -> None:
    """A delete that names another uid is refused with 409, one that names the right one succeeds."""
    created = await api.create(CONFIG_MAP, namespace, configmap("a"))

    with refused(409, "Conflict", "the UID in the precondition (other) does not match the UID in record"):
        await api.delete(CONFIG_MAP, namespace, "a", uid="other")
    await api.delete(CONFIG_MAP, namespace, "a", uid=created["metadata"]["uid"])

    assert await names(api, Selection(CONFIG_MAP, namespace)) == []


async def test_a_delete_can_name_the_resource_version(api: Api, namespace: str) -> None:
    """A delete of an object as it was before a change is refused with 409, one of it as it is succeeds."""
    created = await api.create(CONFIG_MAP, namespace, configmap("a"))
    changed = await api.patch(CONFIG_MAP, namespace, "a", {"data": {"other": "1"}})

    with refused(409, "Conflict", "the ResourceVersion in the precondition"):
        await api.delete(CONFIG_MAP, namespace, "a", version=created["metadata"]["resourceVersion"])
    await api.delete(CONFIG_MAP, namespace, "a", version=changed["metadata"]["resourceVersion"])

    assert await names(api, Selection(CONFIG_MAP, namespace)) == []


async def test_an_apply_can_name_the_uid(api: Api, namespace: str) -> None:
    """An apply that names the uid of an object that is gone is refused with 409, also where another one has its name."""
    gone = await api.create(CONFIG_MAP, namespace, configmap("a"))
    await api.delete(CONFIG_MAP, namespace, "a")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": gone["metadata"]["uid"]}}

    with refused(409, "Conflict", "uid"):
        await api.patch(CONFIG_MAP, namespace, "a", body, type=PatchType.FORCED_APPLY)
    await api.create(CONFIG_MAP, namespace, configmap("a"))
    with refused(422, "Invalid", "metadata.uid: "):
        await api.patch(CONFIG_MAP, namespace, "a", body, type=PatchType.FORCED_APPLY)


async def test_finalizers_hold_an_object(api: Api, namespace: str, probe: Resource) -> None:
    """With finalizers a delete sets deletionTimestamp and counts as a generation; the object goes with the last of them."""
    await api.create(probe, namespace, named(probe, "a", {"finalizers": ["example.dev/one", "example.dev/two"]}))

    await api.delete(probe, namespace, "a")
    await api.delete(probe, namespace, "a")
    waiting = await api.get(probe, namespace, "a")
    await api.patch(probe, namespace, "a", {"metadata": {"finalizers": ["example.dev/two"]}})

    assert waiting["metadata"]["deletionTimestamp"]
    assert waiting["metadata"]["deletionGracePeriodSeconds"] == 0
    assert waiting["metadata"]["generation"] == 2
    with refused(422, "Invalid", "no new finalizers can be added if the object is being deleted"):
        await api.patch(probe, namespace, "a", {"metadata": {"finalizers": ["example.dev/new"]}})
    with refused(409, "AlreadyExists", "object is being deleted"):
        await api.create(probe, namespace, named(probe, "a"))
    last = await api.patch(probe, namespace, "a", {"metadata": {"finalizers": None}})
    assert "finalizers" not in last["metadata"]
    with refused(404, "NotFound"):
        await api.get(probe, namespace, "a")


async def test_names_are_checked(api: Api, namespace: str, probe: Resource) -> None:
    """Names that are not of the form that the kind asks for are refused with 422 Invalid."""
    for name in ("Upper", "under_score", "-dash", "dot.", "x" * 254):
        with refused(422, "Invalid", f'ConfigMap "{name}" is invalid: metadata.name: Invalid value'):
            await api.create(CONFIG_MAP, namespace, configmap(name))
    with refused(422, "Invalid", 'Probe.example.rulepack.dev "Upper" is invalid', "a lowercase RFC 1123 subdomain must consist"):
        await api.create(probe, namespace, named(probe, "Upper"))
    with refused(422, "Invalid", "name or generateName is required"):
        await api.create(CONFIG_MAP, namespace, {"metadata": {}})
    with refused(422, "Invalid", 'Namespace "with.dot" is invalid'):
        await api.create(NAMESPACE, "", {"metadata": {"name": "with.dot"}})
    # Not one that starts with a digit: since Kubernetes 1.36 a Service may have such a name.
    with refused(422, "Invalid", 'Service "with.dot" is invalid'):
        await api.create(SERVICE, namespace, named(SERVICE, "with.dot", spec={"ports": [{"port": 80}]}))


async def test_labels_and_annotations_are_checked(api: Api, namespace: str, probe: Resource) -> None:
    """Keys and values that are no labels, and more than 256 KiB of annotations, are refused with 422 Invalid."""
    await api.create(probe, namespace, named(probe, "a"))
    longest = {"a": "x" * (256 * 1024 - 1)}

    for labels in ({"a": "b c"}, {"a b": "c"}, {"a": "x" * 64}, {"a/b/c": "d"}, {"UP/a": "b"}):
        with refused(422, "Invalid", "metadata.labels"):
            await api.create(CONFIG_MAP, namespace, configmap("a", labels=labels))
    with refused(422, "Invalid", "metadata.annotations: Invalid value"):
        await api.patch(probe, namespace, "a", {"metadata": {"annotations": {"a b": "c"}}})
    with refused(422, "Invalid", "metadata.annotations: Too long: may not be more than 262144 bytes"):
        await api.patch(probe, namespace, "a", {"metadata": {"annotations": {**longest, "b": ""}}})
    await api.patch(probe, namespace, "a", {"metadata": {"annotations": longest}})
    with refused(400, "BadRequest"):
        await api.create(CONFIG_MAP, namespace, configmap("a", annotations={"a": 5}))
    with refused(422, "Invalid"):
        await api.patch(probe, namespace, "a", {"metadata": {"annotations": {"a": 5}}})


async def test_an_event_lives_where_its_object_does(api: Api, namespace: str) -> None:
    """An Event is created once by name, and only in the namespace of what it is about (`default` where that has none)."""
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": namespace, "uid": "1"}
    event = named(EVENT, "a.1", involvedObject=about, reason="Done", message="It is done.", type="Normal")

    created = await api.create(EVENT, namespace, event)

    assert created["message"] == "It is done."
    with refused(409, "AlreadyExists", 'events "a.1" already exists'):
        await api.create(EVENT, namespace, event)
    for other in ({**about, "namespace": "other"}, {**about, "namespace": ""}):
        with refused(422, "Invalid", "involvedObject.namespace: Invalid value", "does not match event.namespace"):
            await api.create(EVENT, namespace, {**event, "metadata": {"name": "a.2"}, "involvedObject": other})


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("propagation", "finalizers"), [("Background", None), ("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])]
)
async def test_a_delete_says_what_becomes_of_dependents(
    control_plane: ControlPlane, propagation: str, finalizers: list[str] | None
) -> None:
    """It keeps the object, with a finalizer, until its garbage collector has done that; in the background it is gone at once.

    The embedded cluster does what the garbage collector does: see tests/unit/actions/test_targets.py.
    """
    api = await KubernetesApi.connect(str(control_plane.kubeconfig))
    try:
        space = str((await api.create(NAMESPACE, "", {"metadata": {"generateName": "contract-"}}))["metadata"]["name"])
        await api.create(CONFIG_MAP, space, named(CONFIG_MAP, "owner"))
        await api.delete(CONFIG_MAP, space, "owner", propagation=propagation)
        left = [obj for obj in (await api.list(Selection(CONFIG_MAP, space))).items if obj["metadata"]["name"] == "owner"]
        assert [obj["metadata"].get("finalizers") for obj in left] == ([finalizers] if finalizers else [])
    finally:
        await api.close()

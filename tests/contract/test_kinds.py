"""Discovery, and kinds that come and go."""

from __future__ import annotations

import asyncio

from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.model.objects import Kind, Resource
from tests.contract.conftest import served
from tests.contract.support import BUDGET, CONFIG_MAP, CRD, DEPLOYMENT, LEASE, NAMESPACE, crd, named, refused

GADGET = Resource(Kind("example.rulepack.dev/v1", "Gadget"), "gadgets", namespaced=True)


async def test_built_in_kinds_are_discovered(api: Api) -> None:
    """Discovery gives a kind's plural and whether it lives in namespaces, and 404 for a kind that is not served."""
    for resource in (CONFIG_MAP, NAMESPACE, DEPLOYMENT, LEASE, BUDGET, CRD):
        assert await api.discover(resource.kind) == resource

    for kind in (Kind("v1", "Nothing"), Kind("apps/v9", "Deployment"), Kind("nowhere.example.dev/v1", "Nothing")):
        with refused(404, "NotFound"):
            await api.discover(kind)


async def test_a_kind_comes_and_goes_with_its_definition(api: Api, namespace: str) -> None:
    """A kind is served once its CustomResourceDefinition is there; with it go its objects, its watches and the kind."""
    with refused(404, "NotFound"):
        await api.discover(GADGET.kind)
    definition = crd(GADGET)

    await api.create(CRD, "", definition)
    resource = await served(api, GADGET)
    created = await api.create(resource, namespace, named(GADGET, "a", spec={"x": 1}))
    version = created["metadata"]["resourceVersion"]
    watch = asyncio.create_task(followed(api, Selection(resource, namespace), version))
    await asyncio.sleep(0.1)
    await api.delete(CRD, "", definition["metadata"]["name"])

    assert resource == GADGET
    assert await watch == ["DELETED"]
    async with asyncio.timeout(20):
        while await status_of_list(api, resource) != 404:
            await asyncio.sleep(0.1)


async def followed(api: Api, selection: Selection, version: str) -> list[str]:
    """The types of the events until the watch ends, what comes before the deletion and bookmarks left out."""
    async with asyncio.timeout(20):
        types = [event.type async for event in api.watch(selection, version, timeout=20)]
    return [type for type in types if type == "DELETED"]


async def status_of_list(api: Api, resource: Resource) -> int:
    """The status that a list of the kind is answered with."""
    try:
        await api.list(Selection(resource))
    except ApiError as error:
        return error.status
    return 200


async def test_a_namespace_says_its_name(api: Api, namespace: str) -> None:
    """A namespace is Active at once and carries its own name as a label."""
    found = await api.get(NAMESPACE, "", namespace)

    assert found["status"]["phase"] == "Active"
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": namespace}


async def test_a_lease_has_one_holder(api: Api, namespace: str) -> None:
    """Of two who take a Lease from the same state one succeeds and the other gets 409."""
    free = await api.create(LEASE, namespace, named(LEASE, "l", spec={"holderIdentity": "", "leaseDurationSeconds": 15}))

    taken = await api.replace(LEASE, namespace, {**free, "spec": {**free["spec"], "holderIdentity": "one"}})

    with refused(409, "Conflict", 'leases.coordination.k8s.io "l": the object has been modified'):
        await api.replace(LEASE, namespace, {**free, "spec": {**free["spec"], "holderIdentity": "two"}})
    assert (await api.get(LEASE, namespace, "l"))["spec"]["holderIdentity"] == "one"
    assert int(taken["metadata"]["resourceVersion"]) > int(free["metadata"]["resourceVersion"])

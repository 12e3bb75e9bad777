"""Lists: selectors, order and pages."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.kube.embedded import EmbeddedCluster
from engine.model.objects import Kind, Object, Resource
from engine.model.selectable import FIELDS
from tests.contract.conftest import Subject
from tests.contract.support import CONFIG_MAP, EVENT, NAMESPACE, POD, configmap, events, named, names, of, refused, summary


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", "abcd"),
        ("tier=web", "ab"),
        ("tier==web", "ab"),
        ("tier!=web", "cd"),
        ("tier in (web, db)", "abc"),
        ("tier notin (web)", "cd"),
        ("tier", "abc"),
        ("!tier", "d"),
        ("tier=web,env!=test", "b"),
        (" env = test , tier in (web,db) ", "a"),
        ("example.dev/rank>4", "c"),
        ("example.dev/rank<4", "b"),
        ("env=", ""),
        ("empty=", "d"),
        ("tier in ()", ""),
    ],
)
async def test_label_selectors(api: Api, namespace: str, selector: str, expected: str) -> None:
    """A label selector picks by equality, sets, existence and order of numbers; `!=` and `notin` pick what lacks it too."""
    labels = {
        "a": {"tier": "web", "env": "test"}, "b": {"tier": "web", "example.dev/rank": "3"},
        "c": {"tier": "db", "example.dev/rank": "5"}, "d": {"empty": ""},
    }  # fmt: skip
    for name, own in labels.items():
        await api.create(CONFIG_MAP, namespace, configmap(name, labels=own))

    assert await names(api, Selection(CONFIG_MAP, namespace, labels=selector)) == list(expected)


@pytest.mark.parametrize(
    "selector", ["a b", "=b", "a,,b", "a,", "a in x", "in (x)", "!a=b", "a=b!", "a@=x", "a=-x", "a>x", "a in (x", "a!b"]
)
async def test_a_label_selector_must_parse(api: Api, namespace: str, selector: str) -> None:
    """A label selector that does not parse is refused with 400."""
    with refused(400, "BadRequest"):
        await api.list(Selection(CONFIG_MAP, namespace, labels=selector))


async def test_field_selectors(api: Api, namespace: str, probe: Resource) -> None:
    """Every kind can be selected by name and namespace, with = and !=; a path that is none of the kind's is refused with 400."""
    for name in "abc":
        await api.create(probe, namespace, named(probe, name))

    assert await names(api, Selection(probe, fields=f"metadata.name=b,metadata.namespace={namespace}")) == ["b"]
    assert await names(api, Selection(probe, namespace, fields="metadata.name!=b")) == ["a", "c"]
    assert await names(api, Selection(probe, namespace, fields="metadata.name==b")) == ["b"]
    for bad in ("spec.x=1", "metadata.labels.x=1", "metadata.name", "metadata.name in (a)", "metadata.name=a=b"):
        with refused(400, "BadRequest"):
            await api.list(Selection(probe, namespace, fields=bad))


async def test_field_selectors_of_built_in_kinds(api: Api, namespace: str) -> None:
    """Pods can be selected by phase and node, Events by what they are about, Namespaces by phase."""
    for name, node in (("a", "one"), ("b", "two")):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        await api.create(POD, namespace, named(POD, name, spec=spec))
        about = {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": namespace, "uid": f"uid-{name}"}
        event = named(EVENT, name, involvedObject=about, reason=f"R{name}", type="Normal", reportingComponent="one")
        await api.create(EVENT, namespace, {**event, "reportingInstance": "i"})
    await api.patch(POD, namespace, "a", {"status": {"phase": "Running"}}, subresource="status")

    assert await names(api, Selection(POD, namespace, fields="status.phase=Running")) == ["a"]
    assert await names(api, Selection(POD, namespace, fields="status.phase!=Running")) == ["b"]
    assert await names(api, Selection(POD, namespace, fields="spec.nodeName=two")) == ["b"]
    assert await names(api, Selection(EVENT, namespace, fields="involvedObject.name=a,involvedObject.kind=Pod")) == ["a"]
    assert await names(api, Selection(EVENT, namespace, fields="involvedObject.uid=uid-b,reason=Rb,type=Normal")) == ["b"]
    assert namespace in await names(api, Selection(NAMESPACE, fields="status.phase=Active"))
    assert await names(api, Selection(EVENT, namespace, fields="source=one")) == ["a", "b"]  # what reports it, without a source
    assert await names(api, Selection(EVENT, namespace, fields="reportingComponent!=one")) == []
    assert await names(api, Selection(EVENT, namespace, fields=r"reason=R\,a,type=Normal")) == []
    assert await names(api, Selection(EVENT, namespace, fields=r",reason=Ra,,type!=\=")) == ["a"]
    assert await names(api, Selection(POD, namespace, fields="status.podIPs=")) == ["a", "b"]
    for bad in (r"reason=a\b", "reason=a=b", "reason = Ra"):
        with refused(400, "BadRequest"):
            await api.list(Selection(EVENT, namespace, fields=bad))
    with refused(400, "BadRequest", "field label not supported: status.reason"):
        await api.list(Selection(POD, namespace, fields="status.reason=x"))


#: Kinds that the embedded cluster does not serve.
NOT_EMBEDDED = ("Node", "PersistentVolumeClaim", "CronJob")


async def test_each_kind_can_be_selected_by_its_own_fields_and_no_others(api: Api, namespace: str) -> None:
    """What lint knows of the kinds that a cluster serves is what the API server takes."""
    taken: dict[Kind, set[str]] = {}
    for kind in [kind for kind in FIELDS if kind.kind not in NOT_EMBEDDED or not isinstance(api, EmbeddedCluster)]:
        resource = await api.discover(kind)
        for field in {field for fields in FIELDS.values() for field in fields}:
            try:
                await api.list(Selection(resource, namespace if resource.namespaced else "", fields=f"{field}=x"))
                taken.setdefault(kind, set()).add(field)
            except ApiError as error:
                assert error.status == 400 and field in error.message
    assert taken == {kind: FIELDS[kind] for kind in taken}
    assert len(taken) >= 14


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (POD, "spec.hostNetwork=false", ["a"]), (POD, "spec.hostNetwork=true", []),
        (EVENT, "source=kubelet", ["a"]), (EVENT, "source=other", []), (EVENT, "source!=kubelet", []),
    ],
)  # fmt: skip
async def test_fields_that_are_called_otherwise_or_have_a_default(
    api: Api, namespace: str, kind: Resource, fields: str, expected: list[str]
) -> None:
    """A field selector reads them as the API server does."""
    about = {"apiVersion": "v1", "kind": "Pod", "name": "a", "namespace": namespace}
    body = {"spec": {"containers": [{"name": "c", "image": "i"}]}} if kind == POD else {
        "involvedObject": about, "reason": "R", "type": "Normal", "source": {"component": "kubelet"}}  # fmt: skip
    await api.create(kind, namespace, named(kind, "a", **body))
    assert await names(api, Selection(kind, namespace, fields=fields)) == expected


async def test_a_list_is_in_order(api: Api, namespace: str) -> None:
    """A list is ordered by `namespace/name`, where `-` and `.` come before `/`, and each item says its kind.

    A list of one namespace holds what is in that namespace alone.
    """
    other = (await api.create(NAMESPACE, "", {"metadata": {"name": f"{namespace}-z"}}))["metadata"]["name"]
    for place, name in ((other, "a"), (namespace, "c"), (namespace, "b"), (namespace, "b.x"), (namespace, "b-x")):
        await api.create(CONFIG_MAP, place, configmap(name, labels={"of": namespace}))

    everywhere = await api.list(Selection(CONFIG_MAP, labels=f"of={namespace}"))

    assert of(everywhere) == ["a", "b", "b-x", "b.x", "c"]
    assert {(item["apiVersion"], item["kind"]) for item in everywhere.items} == {("v1", "ConfigMap")}
    assert await names(api, Selection(CONFIG_MAP, other)) == ["a"]
    assert await names(api, Selection(CONFIG_MAP, "nowhere")) == []


async def test_pages_are_of_one_moment(api: Api, namespace: str) -> None:
    """Pages continue where the one before ended, show what there was at the first one, and all say its resourceVersion."""
    for name in "abcde":
        await api.create(CONFIG_MAP, namespace, configmap(name))
    selection = Selection(CONFIG_MAP, namespace)

    first = await api.list(selection, limit=2)
    await api.create(CONFIG_MAP, namespace, configmap("bb"))
    await api.delete(CONFIG_MAP, namespace, "d")
    second = await api.list(selection, limit=2, next=first.next)
    again = await api.list(selection, limit=2, next=first.next)
    third = await api.list(selection, limit=2, next=second.next)

    assert [of(page) for page in (first, second, again, third)] == [["a", "b"], ["c", "d"], ["c", "d"], ["e"]]
    assert third.next == ""
    assert {page.resource_version for page in (first, second, third)} == {first.resource_version}
    assert (await api.list(selection, limit=5)).next == ""


async def test_a_continue_token_expires(subject: Subject, namespace: str) -> None:
    """After a compaction a continue token is answered with 410 Expired; one that never was any, with 400."""
    for name in "abc":
        await subject.api.create(CONFIG_MAP, namespace, configmap(name))
    selection = Selection(CONFIG_MAP, namespace)
    token = (await subject.api.list(selection, limit=1)).next
    await subject.api.create(CONFIG_MAP, namespace, configmap("d"))

    subject.forget()

    with refused(410, "Expired"):
        await subject.api.list(selection, limit=1, next=token)
    with refused(400, "BadRequest", "invalid continue token"):
        await subject.api.list(selection, limit=1, next="garbage")


async def everything(api: Api, selection: Selection) -> tuple[list[Object], str]:
    """All objects of the pages of a collection, and the resourceVersion of the last one."""
    found: list[Object] = []
    version = ""
    async with aclosing(api.pages(selection)) as pages:
        async for page in pages:
            found += page.items
            version = page.resource_version
    return found, version


@pytest.mark.parametrize("count", [0, 3, 60])
async def test_pages_are_the_whole_collection(api: Api, namespace: str, count: int) -> None:
    """Each object comes once, however many there are and by whichever way; a watch can go on from the last page."""
    for number in range(count):
        await api.create(CONFIG_MAP, namespace, configmap(f"c{number:02}", {"x": str(number)}))
    selection = Selection(CONFIG_MAP, namespace)

    found, version = await everything(api, selection)

    assert found == list((await api.list(selection)).items)
    await api.create(CONFIG_MAP, namespace, configmap("later"))
    assert summary(await events(api, selection, version, 1)) == [("ADDED", "later")]


async def test_metadata_only(api: Api, namespace: str, probe: Resource) -> None:
    """Lists, pages and watches give no more than what names an object and its metadata, where that is asked for."""
    for number in range(52):
        await api.create(probe, namespace, named(probe, f"p{number:02}", {"labels": {"a": "b"}}, spec={"x": 1}))
    selection = Selection(probe, namespace, metadata_only=True)
    whole = (await api.list(Selection(probe, namespace))).items
    listed = (await api.list(selection)).items

    found, version = await everything(api, selection)
    await api.patch(probe, namespace, "p00", {"spec": {"x": 2}})
    (event,) = await events(api, selection, version, 1)

    assert found == list(listed) == [{key: obj[key] for key in ("apiVersion", "kind", "metadata")} for obj in whole]
    assert event.type == "MODIFIED"
    assert {*event.object} == {"apiVersion", "kind", "metadata"}
    assert event.object["kind"] == probe.kind.kind

"""What a rule looks up: found as it is, and a change of it evaluates the rule again for exactly the objects that depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.act import NotLeading
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Object, ObjectKey
from engine.model.observe import Evaluated
from tests.unit.packs.packs import pack, parsed
from tests.world import World, named

CONFIG, SECRET, NAMESPACE, POD = (Kind("v1", kind) for kind in ("ConfigMap", "Secret", "Namespace", "Pod"))
FOLLOWING = ["get", "list", "watch", "patch", "delete"]
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}
SEEN = {"example.com/seen": "${lookup.other == null ? 'none' : lookup.other.data.value}"}


def world_of(lookup: dict[str, Any], actions: Any = None, verbs: Any = FOLLOWING, **rule: Any) -> World:
    """A world with one rule about ConfigMaps with the label `role: source`, which looks something up."""
    kinds = ("ConfigMap", "Secret", "Namespace", "Pod")
    targets = [{"apiVersion": "v1", "kind": kind, "verbs": verbs, "consent": "true"} for kind in kinds]
    own = {
        "name": "follow",
        **({"lookup": lookup} if lookup else {}),
        "actions": actions or [{"annotate": {"annotations": SEEN}}],
        **rule,
    }
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}}
    return World(parsed(pack(watch=watch, targets=targets, rules=[own])))


def source(name: str = "source", **fields: Any) -> Object:
    """A watched object."""
    obj = named(CONFIG, name, **fields)
    return {**obj, "metadata": {**obj["metadata"], "labels": {"role": "source"}}}


def labelled(kind: Kind, name: str, labels: dict[str, str], namespace: str = "ns") -> Object:
    """An object with labels."""
    obj = named(kind, name, namespace)
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


async def seen(world: World, name: str = "source") -> str | None:
    """What the rule has put down."""
    return (await world.annotations(CONFIG, name)).get("example.com/seen")


def evaluated(world: World) -> int:
    """How many evaluations there were since this was last asked."""
    number = len(world.seen.evaluations)
    world.seen.evaluations.clear()
    return number


def requests(world: World, kind: Kind) -> list[str]:
    """What the engine has asked of a kind."""
    return [call.verb for call in world.engine.calls if call.ref.kind == kind and call.verb in ("get", "list")]


async def test_a_change_of_what_was_looked_up_is_evaluated_at_once() -> None:
    """An object that appears, changes and goes is seen each time, without a change of the watched one and without a request."""
    world = world_of({"other": OTHER})
    await world.create(source())
    await world.settle()
    assert await seen(world) == "none"

    await world.create(named(CONFIG, "other", data={"value": "one"}))
    await world.settle()
    assert await seen(world) == "one"

    await world.patch(CONFIG, "other", {"data": {"value": "two"}})
    await world.settle()
    assert await seen(world) == "two"

    await world.delete(CONFIG, "other")
    await world.settle()
    assert await seen(world) == "none"
    assert requests(world, CONFIG) == []


async def test_only_what_depends_on_a_change_is_evaluated() -> None:
    """Of 30 objects that look up 3 others by a computed name, a change of one concerns its 10."""
    world = world_of({"other": {**OTHER, "name": "${object.data.other}"}})
    for number in range(3):
        await world.create(named(CONFIG, f"o{number}", data={"value": "one"}))
    for number in range(30):
        await world.create(source(f"s{number}", data={"other": f"o{number % 3}"}))
    await world.settle()
    evaluated(world)

    await world.patch(CONFIG, "o1", {"data": {"value": "two"}})
    await world.settle()

    assert evaluated(world) == 10
    assert [await seen(world, f"s{number}") for number in range(3)] == ["one", "two", "one"]


async def test_a_dependency_ends_with_the_evaluation_that_does_not_have_it_any_more() -> None:
    """An object that looks up another name now, or has a false clause, is not evaluated for the earlier one."""
    world = world_of({"other": {**OTHER, "name": "${object.data.other}"}}, when="object.data.other != ''")
    await world.create(*(named(CONFIG, name, data={"value": "one"}) for name in ("a", "b")), source(data={"other": "a"}))
    await world.settle()
    for other in ("b", ""):
        await world.patch(CONFIG, "source", {"data": {"other": other}})
        await world.settle()
        evaluated(world)

        await world.patch(CONFIG, "a", {"data": {"value": other or "three"}})
        await world.settle()
        assert evaluated(world) == 0

    await world.patch(CONFIG, "b", {"data": {"value": "four"}})
    await world.settle()
    assert evaluated(world) == 0


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("other", "lookup.other.data.value"),
        ("other", "get(lookup.other, 'data.value', '')"),
        ("other", "lookup.other != null"),
        ("others", "lookup.others.exists(each, each.data.value == 'one')"),
        ("others", "lookup.others.filter(each, each.data.value == 'one').map(each, each.metadata.name).join(' ')"),
        ("others", "size(lookup.others)"),
    ],
)
async def test_what_no_expression_reads_of_it_is_no_change(name: str, expression: str) -> None:
    """A field that is not read changes, and nothing is evaluated."""
    others = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "other"}}
    lookup = {"other": OTHER} if name == "other" else {"others": others}
    world = world_of(lookup, [{"annotate": {"annotations": {"a/b": f"${{string({expression})}}"}}}])
    other = labelled(CONFIG, "other", {"role": "other"})
    await world.create({**other, "data": {"value": "one"}}, source())
    await world.settle()
    evaluated(world)

    await world.patch(CONFIG, "other", {"data": {"unread": "two"}})
    await world.settle()

    assert evaluated(world) == 0


@pytest.mark.parametrize(
    ("selector", "labels", "others"),
    [
        ({"app": "web"}, {"app": "web"}, {"app": "db"}),
        ({"matchLabels": {"app": "web"}}, {"app": "web"}, {}),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, {"app": "api"}, {"app": "db"}),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, {}, {"app": "db"}),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {"app": "db"}, {"other": "db"}),
        ({"matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]}, {"app": "db"}, {"old": ""}),
        ({"app": "${object.data.app}", "tier": "a"}, {"app": "web", "tier": "a"}, {"app": "web"}),
    ],
)
async def test_a_selector_begins_and_ceases_to_select(
    selector: dict[str, Any], labels: dict[str, str], others: dict[str, str]
) -> None:
    """A label that comes or goes evaluates the rule; an object that is not selected before or after does not."""
    counted = [{"annotate": {"annotations": {"example.com/seen": "${string(size(lookup.pods))}"}}}]
    world = world_of({"pods": {"apiVersion": "v1", "kind": "Pod", "labelSelector": selector}}, counted)
    await world.create(source(data={"app": "web"}), labelled(POD, "p", others))
    await world.settle()
    assert await seen(world) == "0"
    evaluated(world)

    await world.patch(POD, "p", {"metadata": {"annotations": {"a/note": "not selected"}}})
    await world.settle()
    assert evaluated(world) == 0

    gone = dict.fromkeys(others.keys() - labels.keys())
    await world.patch(POD, "p", {"metadata": {"labels": {**labels, **gone}}})
    await world.settle()
    assert await seen(world) == "1"

    gone = dict.fromkeys(labels.keys() - others.keys())
    await world.patch(POD, "p", {"metadata": {"labels": {**others, **gone}}})
    await world.settle()
    assert await seen(world) == "0"


async def test_namespaces_are_selected_by_their_labels() -> None:
    """What lies in a namespace is found once that has the label, and a change in another namespace evaluates nothing."""
    counted = [{"annotate": {"annotations": {"example.com/seen": "${lookup.pods.map(p, p.metadata.namespace).join()}"}}}]
    selector = {"labelSelector": {"app": "web"}, "namespaceSelector": {"matchLabels": {"team": "ml"}}}
    world = world_of({"pods": {"apiVersion": "v1", "kind": "Pod", **selector}}, counted)
    await world.create(*(labelled(POD, "p", {"app": "web"}, namespace) for namespace in ("a", "b", "c")), source())
    for namespace in ("a", "b"):
        await world.patch(NAMESPACE, namespace, {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.settle()
    assert await seen(world) == "ab"
    evaluated(world)

    await world.patch(POD, "p", {"metadata": {"annotations": {"a/note": "x"}}}, "c")
    await world.patch(NAMESPACE, "c", {"metadata": {"labels": {"other": "ml"}}}, "")
    await world.patch(NAMESPACE, "b", {"metadata": {"labels": {"other": "ml"}}}, "")
    await world.settle()
    assert evaluated(world) == 0

    await world.patch(NAMESPACE, "b", {"metadata": {"labels": {"team": None}}}, "")
    await world.patch(NAMESPACE, "c", {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.settle()
    assert await seen(world) == "ac"
    assert requests(world, POD) == []


async def test_no_lookup_is_behind_an_own_write() -> None:
    """What one rule has patched, another rule finds in the same evaluation, before any watch has shown it."""
    target = {"target": OTHER, "patch": {"data": {"value": "two"}}}
    world = world_of({"other": OTHER})
    (pack_before,) = world.catalog.packs.values()
    rules = [
        {"name": "write", "actions": [{"patch": target}]},
        {
            "name": "follow",
            "lookup": {"other": OTHER},
            "oncePer": "object.metadata.uid",
            "actions": [{"annotate": {"annotations": SEEN}}],
        },
    ]
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": FOLLOWING}]
    world.use(parsed(pack(pack_before.name, watch=watch, targets=targets, rules=rules)))
    await world.create(named(CONFIG, "other", data={"value": "one"}), source())

    await world.settle()

    assert await seen(world) == "two"


async def test_what_is_deleted_is_not_found_any_more() -> None:
    """A lookup does not find what a rule before it has deleted."""
    rules = [
        {"name": "delete", "actions": [{"delete": {"target": OTHER}}]},
        {
            "name": "follow",
            "lookup": {"other": OTHER},
            "oncePer": "object.metadata.uid",
            "actions": [{"annotate": {"annotations": SEEN}}],
        },
    ]
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}}
    world = World(parsed(pack(watch=watch, targets=[{"apiVersion": "v1", "kind": "ConfigMap", "verbs": FOLLOWING}], rules=rules)))
    await world.create(named(CONFIG, "other", data={"value": "one"}), source())

    await world.settle()

    assert await seen(world) == "none"


@pytest.mark.parametrize(
    ("lookup", "verbs", "reads"),
    [
        (OTHER, FOLLOWING, 0),
        (OTHER, ["list", "watch"], 0),
        ({**OTHER, "live": True}, FOLLOWING, 2),
        ({**OTHER, "live": True}, ["get"], 2),
        (OTHER, ["get"], 1),
        ({**OTHER, "live": False}, ["get"], 1),
    ],
)
async def test_what_is_read_and_what_is_followed(lookup: dict[str, Any], verbs: list[str], reads: int) -> None:
    """Two evaluations within 5 seconds ask nothing for a lookup that is followed, twice for a live one, and once otherwise."""
    reported = {"emitEvent": {"type": "Normal", "reason": "Told", "message": "${object.data.n}"}}
    world = world_of({"other": lookup}, [reported], verbs)
    for n in ("1", "2"):
        await world.apply(source(data={"n": n}))
        await world.settle()

    assert requests(world, CONFIG) == ["get"] * reads
    assert [result for _, result, _ in world.seen.evaluations] == [Evaluated.FIRED, Evaluated.FIRED]


@pytest.mark.parametrize(
    ("lookup", "followed"),
    [
        ({"name": "static"}, True),
        ({"name": "${object.metadata.name}"}, False),
        ({"name": "${object.metadata.name}", "live": False}, True),
        ({"labelSelector": {"a": "b"}}, True),
        ({"name": "static", "live": True}, False),
    ],
)
def test_a_secret_with_a_computed_name_is_read_live(lookup: dict[str, Any], followed: bool) -> None:
    """Unless the pack says otherwise: the engine would hold every Secret."""
    world = world_of({"other": {"apiVersion": "v1", "kind": "Secret", **lookup}}, [{"annotate": {"annotations": {"a/b": "c"}}}])
    (found,) = world.catalog.packs.values()

    assert bool(found.followed) == followed


def on_node(name: str, node: str) -> Object:
    """A pod on a node."""
    return named(POD, name, spec={"nodeName": node, "containers": [{"name": "c", "image": "i"}]})


PODS = {"apiVersion": "v1", "kind": "Pod", "labelSelector": {}, "fieldSelector": {"spec.nodeName": "${object.data.node}"}}
NAMES = [{"annotate": {"annotations": {"example.com/seen": "${lookup.pods.map(p, p.metadata.name).join(' ')}"}}}]


async def test_fields_select_by_what_the_object_says() -> None:
    """With `live: true` only what has these values is listed, at the next evaluation too: that is not followed."""
    world = world_of({"pods": {**PODS, "live": True}}, NAMES)
    await world.create(on_node("a", "one"), on_node("b", "two"), on_node("c", "one"), source(data={"node": "one"}))
    await world.settle()
    assert await seen(world) == "a c"
    assert requests(world, POD) == ["list"]

    await world.create(on_node("d", "two"))
    await world.settle()
    assert evaluated(world) == 1  # of the ConfigMap, before that pod was there
    await world.patch(CONFIG, "source", {"data": {"node": "two"}})
    await world.settle()
    assert await seen(world) == "b d"


@pytest.mark.parametrize(
    "selector",
    [
        {"spec.nodeName": "${object.data.node}"},
        "spec.nodeName=${object.data.node}",
        "spec.nodeName==${object.data.node},status.phase!=Failed",
        "metadata.name!=${object.data.node},spec.nodeName=${object.data['node']}",
    ],
)
async def test_what_fields_select_is_followed(selector: Any) -> None:
    """A pod that comes, goes, or changes, and another value in the watched object, are seen at once, without a request."""
    world = world_of({"pods": {**PODS, "fieldSelector": selector}}, NAMES)
    await world.create(on_node("a", "one"), on_node("b", "two"), source(data={"node": "one"}))
    await world.settle()
    assert await seen(world) == "a"

    evaluated(world)
    await world.create(on_node("d", "two"))
    await world.settle()
    assert evaluated(world) == 0  # which concerns nobody

    await world.create(on_node("c", "one"))
    await world.settle()
    assert await seen(world) == "a c"

    await world.delete(POD, "a")
    await world.settle()
    assert await seen(world) == "c"

    await world.patch(CONFIG, "source", {"data": {"node": "two"}})
    await world.settle()
    assert await seen(world) == "b d"
    assert requests(world, POD) == []


async def test_an_object_that_ceases_to_have_a_value_is_seen_at_once() -> None:
    """A field that does not stand among what the rule reads: it is held for the selector."""
    world = world_of({"pods": {**PODS, "fieldSelector": "status.phase!=Failed"}}, NAMES)
    await world.create(on_node("a", "one"), on_node("b", "one"), source())
    await world.settle()
    assert await seen(world) == "a b"

    pods = await world.cluster.discover(POD)
    await world.cluster.patch(pods, "ns", "a", {"status": {"phase": "Failed"}}, subresource="status")
    await world.settle()
    assert await seen(world) == "b"


async def test_an_own_write_counts_at_once_for_what_fields_select() -> None:
    """The next action finds it, before any watch has shown it."""
    lookup = {"apiVersion": "v1", "kind": "Secret", "labelSelector": {}, "fieldSelector": "metadata.name!=x,type=Opaque"}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "made"}, "type": "Opaque"}
    found = {"until": "lookup.all.exists(s, s.metadata.name == 'made')", "atMost": "1s"}
    world = world_of({}, [{"apply": {"manifest": made}}, {"wait": {"lookup": {"all": lookup}, **found}},
                          {"annotate": {"annotations": {"example.com/seen": "made"}}}],
                     verbs=["get", "list", "watch", "create", "patch"])  # fmt: skip
    await world.create(source())
    await world.settle()
    assert await seen(world) == "made"


async def test_fields_labels_and_namespaces_select_together() -> None:
    """All of them must fit."""
    pods = {**PODS, "labelSelector": {"app": "web"}, "namespaceSelector": {"team": "ml"}}
    world = world_of({"pods": pods}, NAMES)
    for namespace, name, node, app in (
        ("ns", "a", "one", "web"), ("ml", "b", "one", "web"), ("ml", "c", "two", "web"), ("ml", "d", "one", "db"),
    ):  # fmt: skip
        pod = on_node(name, node)
        await world.create({**pod, "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}}})
    await world.patch(NAMESPACE, "ml", {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.create(source(data={"node": "one"}))
    await world.settle()
    assert await seen(world) == "b"


@pytest.mark.parametrize("selector", [PODS["fieldSelector"], "spec.nodeName=${object.data.node}"])
@pytest.mark.parametrize("node", ["one,status.phase=Running", "a=b", "=b", "a\\\\", ",", ""])
async def test_a_value_cannot_change_what_fields_select(node: str, selector: Any) -> None:
    """One that the API server would read as another term has no answer, and says why; an empty one is as good as any."""
    world = world_of({"pods": {**PODS, "fieldSelector": selector}}, NAMES)
    await world.create(on_node("a", "one"), source(data={"node": node}))
    await world.settle()
    assert await seen(world) == (None if node else "")
    reported = [each for each in world.seen.evaluations if "without , = and \\\\ there" in str(each)]
    assert bool(reported) == bool(node)


async def test_a_wait_goes_on_at_the_change_that_it_waits_for() -> None:
    """It does not sleep until its next turn, and reads nothing meanwhile."""
    waiting = {"wait": {"lookup": {"other": OTHER}, "until": "lookup.other != null", "atMost": "1h"}}
    noted = {"annotate": {"annotations": {"example.com/seen": "waited"}}}
    world = world_of({}, [waiting, noted], oncePer="object.metadata.uid")
    await world.create(source())
    await world.settle()
    await world.settle(300)
    assert await seen(world) is None
    before = world.clock.monotonic()

    await world.create(named(CONFIG, "other", data={"value": "one"}))
    await world.settle()

    assert await seen(world) == "waited"
    assert world.clock.monotonic() == before
    assert requests(world, CONFIG) == []


async def test_a_dependency_outlives_an_evaluation_that_leaves_out_what_waits() -> None:
    """The watched object changes between two turns of a wait; the change that it waits for is noticed all the same."""
    waiting = {"wait": {"lookup": {"other": OTHER}, "until": "lookup.other != null", "atMost": "1h"}}
    world = world_of({}, [waiting, {"annotate": {"annotations": {"example.com/seen": "waited"}}}], oncePer="object.metadata.uid")
    await world.create(source())
    await world.settle()
    await world.settle(60)
    await world.patch(CONFIG, "source", {"data": {"x": "y"}})
    await world.settle()

    await world.create(named(CONFIG, "other", data={"value": "one"}))
    await world.settle()

    assert await seen(world) == "waited"


async def test_an_evaluation_that_ends_early_is_made_up_for() -> None:
    """A replica that loses the Lease in the middle has not forgotten the change when it goes on."""
    copied = {"target": {**OTHER, "name": "copy"}, "patch": {"data": {"value": "${lookup.other.data.value}"}}}
    world = world_of({"other": OTHER}, [{"patch": copied}])
    await world.create(*(named(CONFIG, name, data={"value": "one"}) for name in ("other", "copy")), source())
    await world.settle()
    await world.patch(CONFIG, "other", {"data": {"value": "two"}})
    world.leading = False
    with pytest.raises(NotLeading):
        await world.settle()

    world.leading = True
    await world.reconciler.reconcile(ObjectKey(CONFIG, "ns", "source"))

    assert (await world.get(CONFIG, "copy"))["data"]["value"] == "two"


async def test_what_is_gone_finds_what_is_there_now() -> None:
    """Two objects go within a second, and what their rule looks up changes in between: the second finds it as it is."""
    reported = {"emitEvent": {"type": "Normal", "reason": "Gone", "message": "${lookup.other.data.value}"}}
    world = world_of({"other": OTHER}, [reported], event="Delete")
    await world.create(named(CONFIG, "other", data={"value": "one"}), source("a"), source("b"))
    await world.settle()

    await world.delete(CONFIG, "a")
    await world.settle()
    await world.patch(CONFIG, "other", {"data": {"value": "two"}})
    await world.delete(CONFIG, "b")
    await world.settle()

    assert await world.events() == [("a", "Gone", "one"), ("b", "Gone", "two")]
    assert requests(world, CONFIG) == ["list", "list"]  # whether they are gone


async def test_a_group_finds_what_is_there_without_a_request() -> None:
    """A `wait` of a rule with an aggregate looks up what informers hold; it goes on within 10 s."""
    target = {"apiVersion": "v1", "kind": "Secret", "namespace": "ns", "name": "sum"}
    group = {"by": "'all'", "target": target, "counts": {"sources": "true"}}
    waiting = {"wait": {"lookup": {"other": {**OTHER, "namespace": "ns"}}, "until": "lookup.other != null", "atMost": "1h"}}
    noted = {"annotate": {"annotations": {"example.com/seen": "${group.sources}"}}}
    world = world_of({}, [waiting, noted], aggregate=group)
    await world.create(named(SECRET, "sum"), source("a"), source("b"))
    await world.settle()
    await world.settle(20)
    assert not await world.annotations(SECRET, "sum")

    await world.create(named(CONFIG, "other"))
    await world.settle(10)

    assert await world.annotations(SECRET, "sum") == {"example.com/seen": "2"}
    assert requests(world, CONFIG) == []


async def test_an_object_that_is_made_again_keeps_what_it_depends_on() -> None:
    """What is done for the one that is gone, in the same turn, does not make it forget."""
    waiting = {"wait": {"lookup": {"other": OTHER}, "until": "lookup.other != null", "atMost": "1s"}}
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": FOLLOWING}]
    rules = [
        {"name": "follow", "lookup": {"other": OTHER}, "actions": [{"annotate": {"annotations": SEEN}}]},
        {"name": "end", "event": "Delete", "actions": [waiting]},
    ]
    world = World(parsed(pack(watch=watch, targets=targets, rules=rules)))
    await world.create(named(CONFIG, "other", data={"value": "one"}), source())
    await world.settle()

    await world.delete(CONFIG, "source")
    world.caches.put(ObjectKey(CONFIG, "ns", "source"), None)
    await world.create(source())
    await world.settle()
    await world.patch(CONFIG, "other", {"data": {"value": "two"}})
    await world.settle()

    assert await seen(world) == "two"


async def test_it_holds_no_dependency_of_what_is_gone() -> None:
    """Objects that go leave nothing behind."""
    world = world_of({"other": OTHER})
    await world.create(*(source(f"s{number}") for number in range(5)))
    await world.settle()
    assert len(world.reconciler.related.dependents) == 5

    for number in range(5):
        await world.delete(CONFIG, f"s{number}")
    await world.settle()

    assert len(world.reconciler.related.dependents) == 0
    assert [result for _, result, _ in world.seen.evaluations if result is Evaluated.UNKNOWN] == []


ONE_POD = {"apiVersion": "v1", "kind": "Pod", "name": "web", "live": True}
ALL_PODS = {"apiVersion": "v1", "kind": "Pod", "labelSelector": {}, "live": True}
SPACES = {"apiVersion": "v1", "kind": "Namespace", "labelSelector": {"team": "ml"}, "live": True}


@pytest.mark.parametrize(
    ("lookup", "verbs", "refused", "command"),
    [
        ({"one": ONE_POD}, ["get"], ("get", "pods", 'in the namespace "ns"'), "role NAME -n ns --verb=get --resource=pods"),
        (
            {"one": ONE_POD, "all": ALL_PODS}, ["get", "list"], ("get", "pods", 'in the namespace "ns"'),
            "role NAME -n ns --verb=get,list --resource=pods",
        ),
        (
            {"one": ONE_POD, "all": {**ALL_PODS, "live": False}}, FOLLOWING, ("get", "pods", 'in the namespace "ns"'),
            "role NAME -n ns --verb=get,list,watch --resource=pods",
        ),
        (
            {"spaces": SPACES}, ["list"], ("list", "namespaces", "at the cluster scope"),
            "clusterrole NAME --verb=list --resource=namespaces",
        ),
    ],
    ids=["one by name", "two lookups of a kind", "beside one that is followed", "a kind that is in no namespace"],
)  # fmt: skip
async def test_a_lookup_that_is_refused_says_all_rights_that_the_lookups_need(
    lookup: dict[str, Any], verbs: list[str], refused: tuple[str, str, str], command: str
) -> None:
    """Else the grant of one is followed by the refusal of the next."""
    verb, resource, where = refused
    cannot = f'User "system:serviceaccount:own:robot" cannot {verb} resource "{resource}" in API group "" {where}'
    answer = ApiError(403, "Forbidden", f"{resource} is forbidden: {cannot}")
    world = world_of(lookup, [{"annotate": {"annotations": {"example.com/seen": "yes"}}}], verbs)
    kind = "Namespace" if resource == "namespaces" else "Pod"
    world.engine.faults.add(InjectedFault(answer, verb=verb, kind=kind, times=None))

    await world.create(source())
    await world.settle()

    (reported,) = [message for _, reason, message in await world.events() if reason == "RuleWaiting"]
    assert f"to grant it: kubectl create {command} && " in reported

"""The index of dependencies and that of labels and fields, compared with what going through everything gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.kube.selectors import selects
from engine.model.objects import Kind, Object, ObjectKey, Ref
from engine.model.plan import LookupWatch, Read
from engine.reconcile.caches import Cached
from engine.reconcile.dependencies import Dependencies, Dependent
from engine.reconcile.labelindex import LABELS, LabelIndex

POD = Kind("v1", "Pod")
NAMES, NAMESPACES = st.sampled_from(["p", "q"]), st.sampled_from(["a", "b"])
LABELLED = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]))
SELECTORS = st.sampled_from(["", "app=x", "app=y,tier=x", "tier in (x,y)", "!app", "app notin (x)", "app,tier=y"])
FIELDS = st.sampled_from(["", "", "value=old", "value=new,status.phase=x", "value!=old", "status.phase=", "status.phase!=x"])
COMMON = st.sampled_from([LookupWatch(POD), LookupWatch(POD, labels="app=x"), LookupWatch(POD, fields="value=old")])
SELECTING = st.builds(
    lambda namespace, labels, fields, entry, watch: Read(Ref(POD, namespace, ""), labels, None, watch, entry, fields),
    st.sampled_from(["", "a", "b"]), SELECTORS, FIELDS, st.booleans(), COMMON,
)  # fmt: skip
READS = st.builds(lambda namespace, name: Read(Ref(POD, namespace, name)), NAMESPACES, NAMES) | SELECTING
DEPENDENTS = st.builds(lambda pack, name: Dependent(pack, ObjectKey(POD, "a", name)), st.sampled_from(["one", "two"]), NAMES)
STATES = st.none() | LABELLED


def pod(labels: dict[str, str] | None, value: str = "") -> Object | None:
    """A pod with labels; None: it is not there."""
    return None if labels is None else {"metadata": {"labels": labels}, "value": value}


def concerns(read: Read, key: ObjectKey, old: Object | None, new: Object | None) -> bool:
    """Whether a change is one of what a read is about."""
    if read.label_selector is None:
        return read.ref.namespace == key.namespace and read.ref.name == key.name
    fits = selects(read.label_selector, read.fields)
    was, now = old is not None and fits(old), new is not None and fits(new)
    here = read.ref.namespace in ("", key.namespace)
    return here and (was != now if read.entry else was or now)


@given(
    st.lists(st.tuples(DEPENDENTS, st.lists(READS, max_size=4)), max_size=12),
    st.lists(st.tuples(NAMESPACES, NAMES, STATES, STATES), max_size=5),
)
def test_a_change_concerns_what_going_through_all_reads_says(
    evaluations: list[tuple[Dependent, list[Read]]], changes: list[tuple[str, str, dict[str, str] | None, dict[str, str] | None]]
) -> None:
    """Whatever was read by whom, and replaced by a later evaluation; nothing is left once all is forgotten."""
    index, reads = Dependencies(), dict[Dependent, list[Read]]()
    for dependent, read_now in evaluations:
        index.begin(dependent)
        for read in read_now:
            index.add(dependent, read)
        index.end(dependent)
        reads[dependent] = read_now

    for namespace, name, before, after in changes:
        key, old, new = ObjectKey(POD, namespace, name), pod(before, "old"), pod(after, "new")
        wanted = {each for each, those in reads.items() if any(concerns(read, key, old, new) for read in those)}
        assert set(index.affected(key, old, new, lambda selector, namespace: True)) == wanted

    index.forget(reads)
    assert len(index) == 0
    assert index.is_empty()


@given(
    st.lists(st.tuples(NAMESPACES, NAMES, STATES), max_size=12),
    st.lists(SELECTING, min_size=1, max_size=4),
)
def test_candidates_are_all_that_fit(changes: list[tuple[str, str, dict[str, str] | None]], questions: list[Read]) -> None:
    """Whenever it is asked in between, the index leaves out no object that a selector selects."""
    index, cache = LabelIndex(), dict[tuple[str, str], Cached]()
    for namespace, name, labels in [("a", "p", None), *changes]:
        old = cache.pop((namespace, name), None)
        new = pod(labels, "old" if old is None else "new")
        if new is not None:
            cache[namespace, name] = Cached(new)
        index.put((namespace, name), old.object if old else None, new)
        for read in questions:
            fits, where = selects(read.label_selector or "", read.fields), read.ref.namespace
            wanted = {each for each, cached in cache.items() if where in ("", each[0]) and fits(cached.object)}
            found = set(index.candidates(read, cache))
            assert wanted <= found <= cache.keys()


def test_no_more_labels_are_indexed_than_it_has_room_for() -> None:
    """A label that an object names could be any; those beyond the limit are found by going through the namespace."""
    cache = {("a", f"p{number}"): Cached({"metadata": {"labels": {f"l{number}": "x"}}}) for number in range(2 * LABELS)}
    index = LabelIndex()
    reads = [Read(Ref(POD, "a", ""), f"l{number}=x") for number in range(2 * LABELS)]

    found = [len(list(index.candidates(read, cache))) for read in reads]

    assert found == [1] * LABELS + [2 * LABELS] * LABELS


def test_objects_are_found_by_the_field_that_the_watched_object_names() -> None:
    """Not by one that all that is watched has: of a thousand pods those on one node are gone through alone."""
    cache = {("a", f"p{n}"): Cached({"spec": {"nodeName": f"n{n % 100}"}, "status": {"phase": "Failed"}}) for n in range(1000)}
    watch = LookupWatch(POD, fields="status.phase=Failed")
    read = Read(Ref(POD, "a", ""), "", watch=watch, fields="spec.nodeName=n7,status.phase=Failed")

    assert len(list(LabelIndex().candidates(read, cache))) == 10

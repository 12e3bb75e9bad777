"""What marks the objects that rules generate: by which pack and rule, from which object, as which object, and from what text.

No owner reference says it, since an owner cannot be in another namespace, nor ApplySet, which knows no sources.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.model.mappings import is_mapping
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import Kind, Object, ObjectKey, Ref, annotations_of, labels_of, names_of

PACK = "rules.mlops.dev/generated-by"
"""Label: the pack. What carries it is generated."""
RULE = "rules.mlops.dev/generated-rule"
"""Label: the rule."""
FROM = "rules.mlops.dev/generated-from"
"""Label: a digest of pack, rule and source, to select by; it outlives a source that is made anew under its name."""
SOURCE_UID = "rules.mlops.dev/source-uid"
"""Label: the uid of the source when the object was last written."""
SOURCE = "rules.mlops.dev/source"
"""Annotation: the source by its kind and name, as JSON."""
GENERATED_AS = "rules.mlops.dev/generated-as"
"""Annotation: namespace and name of the object itself. A copy that somebody makes of it, with its labels, has another name."""
APPLIED = "rules.mlops.dev/applied"
"""Annotation: a digest of what was applied last."""
LONGEST = 63


class Origin(NamedTuple):
    """Why an object is there: a pack, by its identity, a rule, and the object that it is generated from."""

    pack: str
    rule: str
    source: ObjectKey

    @property
    def selector(self) -> str:
        """Return the label selector of what is generated for it."""
        return f"{FROM}={self._digest}"

    @property
    def _digest(self) -> str:
        kind, namespace, name = self.source
        return digest(self.pack, self.rule, *kind, namespace, name)

    def same_rule(self, obj: Object) -> bool:
        """Return whether an object says that this rule has generated it, from whatever object."""
        labels = labels_of(obj)
        return (labels.get(PACK), labels.get(RULE)) == (pack_label(self.pack), self.rule)

    def made(self, obj: Object) -> bool:
        """Return whether an object is one that was generated for it, and no copy of one."""
        return labels_of(obj).get(FROM) == self._digest and self.same_rule(obj) and _as_itself(obj)

    def marked(self, body: Mapping[str, Any], target: Ref, uid: str) -> dict[str, Any]:
        """Return a manifest with the marks of an object that is generated for it, of a source with this uid."""
        meta = body["metadata"]
        kind, namespace, name = self.source
        source = json.dumps({"apiVersion": kind.api_version, "kind": kind.kind, "namespace": namespace, "name": name})
        labels = {PACK: pack_label(self.pack), RULE: self.rule, FROM: self._digest, SOURCE_UID: uid}
        annotations = {SOURCE: source, GENERATED_AS: _as(target.namespace, target.name)}
        marked = {
            **body,
            "metadata": {
                **meta,
                "labels": {**(meta.get("labels") or {}), **labels},
                "annotations": {**(meta.get("annotations") or {}), **annotations},
            },
        }
        marked["metadata"]["annotations"][APPLIED] = digest(canonical(marked))
        return marked


def made_by(pack: str, rule: str) -> str:
    """Return the label selector of what a rule of a pack, by its identity, has generated from whatever objects."""
    return f"{PACK}={pack_label(pack)},{RULE}={rule}"


def pack_label(identity: str) -> str:
    """Return a pack's identity as the value of a label."""
    text = identity.replace("/", "_")  # which no name of a namespace holds
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 17]}-{digest(identity)}"


def is_generated(obj: Object) -> bool:
    """Return whether an object says that it is generated, by whatever rule."""
    return PACK in labels_of(obj)


def was_generated(obj: Object) -> bool:
    """Return whether somebody has taken the label off a generated object that says so: it has another mark, and is theirs."""
    return not is_generated(obj) and FROM in labels_of(obj)


def described(obj: Object) -> str:
    """Return what a generated object says that it comes from, in words."""
    labels = labels_of(obj)
    return f"rule {labels.get(RULE, '?')} of pack {labels.get(PACK, '?')} from {source_of(obj) or 'an unknown object'}"


def left_by(obj: Object) -> str:
    """Return what to type to delete everything that the rule of a generated object has generated of its kind."""
    labels, kind = labels_of(obj), Kind(str(obj.get("apiVersion")), str(obj.get("kind")))
    resource = f"{kind.kind}.{kind.api_version.rpartition('/')[2]}.{kind.group}" if kind.group else kind.kind
    return f"kubectl delete {resource} -A -l {PACK}={labels.get(PACK, '')},{RULE}={labels.get(RULE, '')}"


def listing(kinds: Iterable[Kind | None], selector: str) -> str:
    """Return the arguments of `kubectl get` that list what is generated; a kind that is an expression (None) is KIND."""
    names = sorted({f"{kind.kind}.{kind.group}".rstrip(".") if kind else "KIND" for kind in kinds})
    return f"{','.join(names)} -A -l {selector}"


def left_in(spec: Any, pack: str) -> str:
    """Return what to say of a pack whose spec is refused, '' where it generates nothing: what it has generated is kept."""
    kinds = [Kind(str(body.get("apiVersion")), str(body.get("kind"))) for body in _pruned(spec)]
    return f"anything it has generated is kept: kubectl get {listing(kinds, f'{PACK}={pack_label(pack)}')}" if kinds else ""


def _pruned(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the manifests of all actions with `prune` in what people have written."""
    if is_mapping(value):
        body = value.get("manifest")
        if value.get("prune") is True and is_mapping(body):
            yield body
        for each in value.values():
            yield from _pruned(each)
    elif isinstance(value, list):
        for each in value:
            yield from _pruned(each)


def source_of(obj: Object) -> ObjectKey | None:
    """Return what a generated object says that it is generated from; None where it says nothing."""
    if not is_generated(obj):
        return None
    try:
        source = json.loads(annotations_of(obj).get(SOURCE, ""))
        parts = [source[key] for key in ("apiVersion", "kind", "namespace", "name")]
    except (ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(part, str) for part in parts):
        return None
    return ObjectKey(Kind(parts[0], parts[1]), parts[2], parts[3])


def up_to_date(wanted: Mapping[str, Any], there: Object) -> bool:
    """Return whether an object was last written from the same manifest, and still has everything that it says."""
    applied = wanted["metadata"]["annotations"][APPLIED]
    return annotations_of(there).get(APPLIED) == applied and _holds(there, wanted)


def without(objects: Iterable[Object], wanted: Iterable[Ref]) -> list[Object]:
    """Return the objects that are not among those wanted; what lives in no namespace goes by its kind and name alone."""
    named, anywhere = set(), set()
    for ref in wanted:
        named.add((ref.kind, ref.namespace, ref.name))
        anywhere.add((ref.kind, ref.name))
    kept = []
    for obj in objects:
        kind, (namespace, name) = Kind(str(obj.get("apiVersion")), str(obj.get("kind"))), names_of(obj)
        if not ((kind, namespace, name) in named if namespace else (kind, name) in anywhere):
            kept.append(obj)
    return kept


def _as_itself(obj: Object) -> bool:
    """Whether it has the name under which it was generated; of what lives in no namespace, its name alone."""
    namespace, name = names_of(obj)
    written = str(annotations_of(obj).get(GENERATED_AS, ""))
    return written == _as(namespace, name) if namespace else written.partition("/")[2] == name


def _as(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _holds(there: Any, wanted: Any) -> bool:
    """Whether a value has all that another one says; lists have to be equal in length, element by element."""
    if is_mapping(wanted):
        return is_mapping(there) and all(key in there and _holds(there[key], value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(there, list | tuple) and len(there) == len(wanted) and all(map(_holds, there, wanted))
    return bool(there == wanted)

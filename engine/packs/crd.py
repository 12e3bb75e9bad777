"""The CustomResourceDefinition of `kind: RulePack`, and what its status holds."""

from __future__ import annotations

from typing import Any

from engine.packs.published import published_schema
from engine.packs.schema import RulePackSpec
from engine.packs.structural import CONDITIONS, KEEP, TIME, Column, Named, count, definition, faults, listed, structural, text

_NAMED = Named("RulePack", "rp", "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "lower case letters, digits and '-'")


def custom_resource_definition() -> dict[str, Any]:
    """Return the manifest of the CustomResourceDefinition."""
    published = published_schema(RulePackSpec)
    defs = published["$defs"]
    spec = structural({"$ref": "#/$defs/PackSpec"}, defs)
    del spec["required"]  # a reference to a shipped pack has neither `watch` nor `rules`
    spec["properties"]["shipped"] = text("The name of a pack that the operator ships, instead of watch and rules.", minLength=1)
    spec["properties"]["configMap"] = text("The ConfigMap that holds the pack; the operator writes such objects.", minLength=1)
    # Of a reference they are values; of a pack each declares one.
    spec["properties"]["params"]["additionalProperties"] = {KEEP: True, "nullable": True}
    declared = spec["properties"]["params"]["description"]
    spec["properties"]["params"]["description"] = (
        "Beside `shipped` or `configMap`: values for params of that pack, such as `disruptionsPerMinute: 20`, which go before "
        f"those in ConfigMap rulepack-params. Beside `rules`: {declared[0].lower()}{declared[1:]}"
    )
    spec["description"] = "The pack itself, or a reference to one that the operator ships or that a ConfigMap holds."
    spec["x-kubernetes-validations"] = [
        {
            "rule": "[has(self.rules), has(self.shipped), has(self.configMap)].filter(given, given).size() == 1",
            "message": "set either rules and watch, or shipped, or configMap; an object that refers to a pack of this name "
            "becomes your own pack by kubectl replace",
        }
    ]
    return definition(_NAMED, published["description"], spec, STATUS_SCHEMA, COLUMNS)


_RULES = listed(
    "The rules, with approximate counts since the pack came into force.",
    ["name"],
    {
        "name": text("The rule."),
        "mode": text("Its mode, where it has a stricter one of its own than the pack: Audit or Disabled."),
        "fired": count("How often it acted, and did not fail after all; what is only audited is not counted here."),
        "audited": count("For how many items it would act by the text in force, were it not in Audit."),
        "failed": count("How often its actions failed for good."),
        "failing": count("For how many items its actions failed for good, and have not succeeded since."),
        "waiting": count("How many items wait."),
        "waitingSince": text("Since when the oldest of them waits.", **TIME),
        "waitingFor": text("What most of them wait for."),
        "suspended": {"type": "array", "description": "Namespaces for which it is suspended.", "items": {"type": "string"},
                      "x-kubernetes-list-type": "atomic"},
        "lastFiring": text("When it last acted.", **TIME),
        "lastObject": text("On which object."),
        "lastFailure": text("When its actions last failed for good.", **TIME),
        "failure": text("Which action did, for which object, and with which answer."),
    },
    ["name"],
)  # fmt: skip
STATUS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "How the pack fares; written by the operator.",
    "properties": {
        "observedGeneration": count("The generation of the spec that the operator has read."),
        "generationInForce": count(
            "The generation that is in force: an older one where the newest is refused; none where none is."
        ),
        "mode": text("The mode in force: Enforce, Audit or Disabled."),
        "ruleCount": count("How many rules the text in force has, whatever their modes."),
        "fired": count("How often its rules acted: about, since counts may be lost with a process."),
        "failed": count("How often their actions failed for good."),
        "waiting": count("How many items wait."),
        "conditions": CONDITIONS,
        "faultCount": count("How many faults the spec has."),
        "faults": faults("What is wrong in the spec: the first ten."),
        "warningCount": count("How many things in the spec may not be meant."),
        "warnings": faults("What may not be meant, such as what does not fit the schemas of the cluster: the first ten."),
        "parts": listed(
            "What each shard counts; one part where there are no shards.",
            ["shard"],
            {"shard": count("The number of the shard."), "rules": _RULES},
            ["shard"],
        ),
    },
}
COLUMNS = (
    Column("Mode", "string", ".status.mode"),
    Column("Rules", "integer", ".status.ruleCount"),
    Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
    Column("Fired", "integer", ".status.fired"),
    Column("Failed", "integer", ".status.failed", priority=1),
    Column("Waiting", "integer", ".status.waiting"),
    Column("Age", "date", ".metadata.creationTimestamp"),
)

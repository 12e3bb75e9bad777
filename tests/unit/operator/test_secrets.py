"""What is said of rules that read Secrets, in the log, Events, statuses and /packs: that they acted, and no value of a Secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

from engine.errors import ApiError
from engine.kube.api import Selection
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Resource
from tests.unit.operator.test_operator import CONFIG_MAP, EVENT, WIDGET, ask
from tests.unit.operator.test_rulepacks import Packs

WORD = "opensesame12"  # Base64, so that a Secret may hold it, and a name
HIDDEN = "hidden, since the rule reads a Secret and the text may quote it"
DENIED = ApiError(
    422, "Invalid", f'configmaps "policed" is forbidden: ValidatingAdmissionPolicy "p" denied request: it was {WORD}'
)  # fmt: skip
MAPS = "{apiVersion: v1, kind: ConfigMap, verbs: [get, list, watch, patch]}"
TARGETS = {"ConfigMap": f"[{MAPS}]", "Secret": f"[{MAPS}, {{apiVersion: v1, kind: Secret, verbs: [get, list, watch]}}]"}
HEAD = "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: talks}\nspec:\n"
LOOKUP = "lookup: {s: {apiVersion: v1, kind: KIND, name: vault}}"
COPY = "target: {apiVersion: v1, kind: ConfigMap, name: copy}"
SAYS = f"assert: {{{COPY}, that: 'false', message: 'it holds ${{WHAT}}'}}"
WRITES = "patch: {target: {apiVersion: v1, kind: ConfigMap, name: NAME}, patch: {data: {a: b}}}"
WAITS = f"patch: {{{COPY}, guard: 'false', patch: {{data: {{a: b}}}}}}"
RULES = {
    "message": (LOOKUP, SAYS.replace("WHAT", "lookup.s.data.word")),
    "error": (LOOKUP, "annotate: {annotations: {a: '${string(int(lookup.s.data.word))}'}}"),
    "condition": (f"{LOOKUP}\n      when: int(lookup.s.data.word) == 3", "annotate: {annotations: {a: b}}"),
    "key": (f"{LOOKUP}\n      oncePer: lookup.s.data.word + string(object.spec.size)", WAITS),
    "item": (
        f"{LOOKUP}\n      when: object.spec.size == 1\n      loop: '[lookup.s.data.word]'\n      loopKey: item", WAITS,
    ),
    "rescue": (
        f"{LOOKUP}\n      rescue: [{{emitEvent: {{type: Warning, reason: Failed, message: 'it is ${{error}}'}}}}]",
        SAYS.replace("WHAT", "lookup.s.data.word"),
    ),
    "missing": (LOOKUP, WRITES.replace("NAME", "'${lookup.s.data.word}'")),
    "misnamed": (LOOKUP, WRITES.replace("NAME", "'${lookup.s.data.word}/'")),
    "difference": (LOOKUP, f"patch: {{{COPY}, patch: {{data: {{difference: '${{lookup.s.data.word}}'}}}}}}"),
    "audit": (f"{LOOKUP}\n      mode: Audit", f"patch: {{{COPY}, patch: {{data: {{audit: '${{lookup.s.data.word}}'}}}}}}"),
    "own": (LOOKUP, "label: {labels: {example.com/own: '${lookup.s.data.word}'}}"),
    "policy": (LOOKUP, WRITES.replace("NAME", "policed")),
    "var": (f"vars: {{word: lookup.s.data.word}}\n      {LOOKUP}", SAYS.replace("WHAT", "vars.word")),
    "target": ("", SAYS.replace(COPY, "target: {apiVersion: v1, kind: KIND, name: vault}").replace("WHAT", "target.data.word")),
    "computed-target": (
        "", "assert: {target: {apiVersion: v1, kind: \"${'KIND' + ''}\", name: vault}, that: int(target.data.word) == 3}",
    ),
    "computed-lookup": (LOOKUP.replace("KIND", "\"${'KIND' + ''}\""), SAYS.replace("WHAT", "lookup.s.data.word")),
    "waits": (
        "", "wait: {lookup: {s: {apiVersion: v1, kind: KIND, name: vault}}, until: 'int(lookup.s.data.word) == 3', atMost: 1m}",
    ),
    "param": ("", SAYS.replace("WHAT", "params.word")),
    "param-of-var": ("vars: {all: params}", SAYS.replace("WHAT", "vars.all.word")),
}  # fmt: skip


def text(kind: str) -> str:
    """A pack with all of these rules, each of which reads an object of a kind."""
    rules = "".join(
        f"    - name: {name}\n      existing: CatchUp\n      {keys}\n      actions: [{action}]\n"
        + ("" if "oncePer" in keys else "      oncePer: object.metadata.uid\n")
        for name, (keys, action) in RULES.items()
    )
    from_it = "discover: {word: {apiVersion: v1, kind: KIND, name: vault, value: object.data.word}}"
    given = f"params: {{word: {{type: string, default: none}}}}\n  {from_it}"
    spec = f"  watch: {{apiVersion: example.com/v1, kind: Widget}}\n  {given}\n  targets: {TARGETS[kind]}\n  rules:\n{rules}"
    return HEAD + spec.replace("KIND", kind)


GROUPS = {
    "by": (
        "by: object.data.word",
        WAITS.replace("name:", "namespace: default, name:"),
    ),
    "by-denied": (
        "by: object.data.word",
        WRITES.replace("NAME", "policed, namespace: default"),
    ),
    "list": (
        f"by: \"'all'\"\n        {COPY.replace(' name:', ' namespace: default, name:')}\n"
        "        lists: {words: {value: object.data.word}}",
        SAYS.replace("WHAT", "group.words[0]"),
    ),
}  # fmt: skip


def groups(kind: str) -> str:
    """A pack that counts objects of a kind in groups."""
    rules = "".join(
        f"    - name: {name}\n      when: has(object.data.word)\n"
        f"      aggregate:\n        {aggregate}\n      actions: [{action}]\n"
        for name, (aggregate, action) in GROUPS.items()
    )
    targets = TARGETS[kind].replace("kind: ConfigMap", "kind: ConfigMap, consent: 'true'")
    return f"{HEAD}  watch: {{apiVersion: v1, kind: {kind}}}\n  targets: {targets}\n  rules:\n{rules}"


async def said(folder: Path, caplog: pytest.LogCaptureFixture, kind: str, pack: str) -> dict[str, str]:
    """All that is said within three minutes, by where; what the rules write is theirs."""
    caplog.set_level("DEBUG")
    fixture = Packs(folder)
    (folder / "pack.yaml").write_text(pack)
    await fixture.serve()
    cluster = fixture.cluster
    resource = Resource(Kind("v1", "Secret"), "secrets", True) if kind == "Secret" else CONFIG_MAP
    await cluster.create(resource, "default", {"metadata": {"name": "vault"}, "data": {"word": WORD}})
    for name in ("copy", "policed"):
        await cluster.create(CONFIG_MAP, "default", {"metadata": {"name": name}})
    cluster.faults.add(InjectedFault(DENIED, verb="patch", kind="ConfigMap", name="policed", times=None))
    cluster.faults.add(InjectedFault(DENIED, verb="patch", kind="Widget", times=1))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(5)
        meta = {"name": "w", "namespace": "default"}
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": {"size": 1, "note": ""}}
        await cluster.create(WIDGET, "default", body)
        await fixture.clock.advance(90)
        waiting = json.dumps((await fixture.got("talks")).get("status"))
        cluster.faults.clear()
        await cluster.patch(WIDGET, "default", "w", {"spec": {"size": 2}})
        await fixture.clock.advance(90)
        events = [event["message"] for event in (await cluster.list(Selection(EVENT, ""))).items]
        found = {
            "log": caplog.text, "Events": "\n".join(events),
            "status": waiting + json.dumps((await fixture.got("talks"))["status"]),
            "packs": (await ask(operator, "/packs"))[1], "metrics": (await ask(operator, "/metrics"))[1],
        }  # fmt: skip
    return found


def about(found: Mapping[str, str], rule: str) -> str:
    """The lines of the log and the Events that name a rule."""
    lines = f"{found['log']}\n{found['Events']}".splitlines()
    return "\n".join(line for line in lines if re.search(rf"talks/{rule}[:;, ]", line))


@pytest.mark.parametrize(("pack", "rules"), [(text, RULES), (groups, GROUPS)], ids=["objects", "groups"])
async def test_no_value_of_a_secret_is_said_of_a_rule(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, pack: Callable[[str], str], rules: Collection[str]
) -> None:
    """Of a ConfigMap the log or an Event says it for each of these rules, so that all of them have it to say."""
    (there := tmp_path / "secret").mkdir()
    found = await said(there, caplog, "Secret", pack("Secret"))
    for where, words in found.items():
        assert WORD not in words, where
    assert [rule for rule in rules if not about(found, rule)] == []
    assert f"422 Invalid: {HIDDEN}" in found["log"]
    assert f"422 Invalid: {HIDDEN}" in found["status"]
    caplog.clear()
    (there := tmp_path / "config-map").mkdir()
    found = await said(there, caplog, "ConfigMap", pack("ConfigMap"))
    assert [rule for rule in rules if WORD not in about(found, rule)] == []
    assert WORD in found["status"]
    assert (WORD in found["packs"]) is (rules is GROUPS)

"""Values that rules have read where the viewer may not: in messages, errors, keys and differences of what rules did."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.console import render
from engine.console.content import Content
from engine.console.firings import Firings
from engine.console.viewer import Viewer
from engine.model.objects import Kind, Ref, Resource
from engine.model.observe import Act, ActResult
from engine.model.send import Send
from tests.unit.console.builder import ADMIN, TEAM, Console, may
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET

WORD = "opensesame12"  # Base64, so that a Secret may hold it, and a name
SECRET = Resource(Kind("v1", "Secret"), "secrets", True)
PAGES = ("", "activity", "audit", "object?apiVersion=example.com/v1&kind=Widget&name=w&namespace=team-a")
VAULT = "apiVersion: v1, kind: Secret, name: vault"
LOOKUP = "lookup: {other: {apiVersion: v1, kind: ConfigMap, namespace: team-b, name: vault}}"


def pack(
    action: str, *, rule: str = "description: Reads elsewhere.", key: str = "object.spec.note", mode: str = "Enforce"
) -> str:
    """A pack with one rule that acts once for a big widget."""
    return f"""\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: widgets}}
spec:
  mode: {mode}
  watch: {{apiVersion: example.com/v1, kind: Widget}}
  targets:
    - {{apiVersion: v1, kind: ConfigMap, verbs: [get, list, watch, patch], consent: 'true'}}
    - {{apiVersion: v1, kind: Secret, verbs: [get, patch], consent: 'true'}}
  rules:
    - name: mark
      when: object.spec.size > 10
      existing: CatchUp
      oncePer: {key}
      retry: {{timeout: 10m}}
      {rule}
      actions: [{action}]
"""


def target(kind: str) -> str:
    """The other namespace's object."""
    return f"target: {{apiVersion: v1, kind: {kind}, namespace: team-b, name: vault}}"


def asserts(kind: str) -> str:
    """An action that says what a target holds."""
    return f"assert: {{{target(kind)}, that: 'false', message: 'it holds ${{target.data.word}}'}}"


def guards(kind: str) -> str:
    """An action whose guard has no answer for what a target holds."""
    return f"patch: {{{target(kind)}, guard: 'int(target.data.word) == 3', patch: {{data: {{a: b}}}}}}"


WAITS = (
    "wait: {lookup: {v: {apiVersion: v1, kind: ConfigMap, namespace: team-b, name: vault}}, "
    "until: 'int(lookup.v.data.word) == 3', atMost: 1m}"
)
MAP = VAULT.replace("Secret", "ConfigMap")
LOOKED_UP_BY_PARAM = "lookup: {other: {apiVersion: v1, kind: ConfigMap, namespace: team-a, name: '${params.word + \"!\"}'}}"
WRITES_PARAM = "annotate: {annotations: {example.com/a: '${params.word}'}}"


def finding(text: str, of: str) -> str:
    """A pack that finds a param in an object as well."""
    found = (
        "  params: {word: {description: A word., type: string, default: none}}\n"
        f"  discover: {{word: {{{of}, value: object.data.word}}}}\n  watch:"
    )
    return text.replace("  watch:", found, 1)


ELSEWHERE = {
    "a message of assert": pack(asserts("ConfigMap")),
    "a guard": pack(guards("ConfigMap")),
    "what is waited for": pack(WAITS),
    "a message of a lookup": pack(
        "assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', "
        "message: 'it holds ${lookup.other.data.word}'}",
        rule=LOOKUP,
    ),
    "a target that is missing": pack(
        "patch: {target: {apiVersion: v1, kind: ConfigMap, name: '${lookup.other.data.word}'}, patch: {data: {a: b}}}",
        rule=LOOKUP,
    ),
    "what Audit would write": pack(
        "annotate: {annotations: {example.com/copy: '${lookup.other.data.word}'}}", rule=LOOKUP, mode="Audit"
    ),
    "the key in Audit": pack(
        "annotate: {annotations: {example.com/copy: a}}",
        rule=LOOKUP,
        key="object.spec.note + lookup.other.data.word",
        mode="Audit",
    ),
    "an error that rescue says": pack(
        f"assert: {{{target('ConfigMap')}, that: 'int(target.data.word) == 2', message: m}}",
        rule="rescue: [assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', message: '${error}'}]",
    ),
    "a guard that is not met yet": pack(
        f"patch: {{{target('ConfigMap')}, guard: \"target.data.word != '{WORD}'\", patch: {{data: {{a: b}}}}}}"
    ),
    "the key of what waits": pack(
        "wait: {lookup: {v: {apiVersion: v1, kind: ConfigMap, name: copy}}, until: 'false', atMost: 10m}",
        rule=LOOKUP,
        key="object.spec.note + lookup.other.data.word",
    ),
    "a name that does not consent": pack(
        f"assert: {{target: {{apiVersion: v1, kind: ConfigMap, namespace: team-b, name: {WORD}}}, that: 'true', message: m}}"
    ),
    "a param that an object gives": finding(
        pack("assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', message: 'it is ${params.word}'}"),
        MAP,
    ),
    "a param in Audit": finding(pack(WRITES_PARAM, mode="Audit"), MAP),
    "members of a group": """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, list, watch, patch], consent: 'true'}]
  rules:
    - name: mark
      aggregate:
        by: "'all'"
        target: {apiVersion: v1, kind: ConfigMap, namespace: team-a, name: copy}
        lists: {notes: {value: object.spec.note}}
      actions:
        - assert: {target: {apiVersion: v1, kind: ConfigMap, namespace: team-a, name: copy}, that: 'false',
            message: "members say ${group.notes.join(',')}"}
""",
}


async def pages_of(console: Console, token: str, resource: Resource) -> list[str]:
    """The pages, and the stream, once the rule has acted for a widget; the value is in the other namespace."""
    async with console.running():
        body = {"metadata": {"name": "vault"}, "data": {"word": WORD}}
        await console.cluster.create(resource, "team-b", body)
        await console.clock.advance(2)
        await console.widget("team-b", "member", 5, WORD)
        await console.widget("team-a", "w", 20)
        await console.clock.advance(70)
        pages = [(await console.visit(page, token)).text for page in PAGES]
        return [*pages, *await console.events("activity-stream?after=0", token, 1)]


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_values_of_an_object_are_shown_to_those_who_may_get_it(tmp_path: Path, text: str) -> None:
    """Whoever may not get it sees that the rule acted, and none of its values on any page."""
    (there := tmp_path / "team").mkdir()
    for page in (shown := await pages_of(Console(there, text), TEAM, CONFIG_MAP)):
        assert WORD not in page
    assert "widgets/mark" in shown[1]
    (there := tmp_path / "admin").mkdir()
    assert any(WORD in page for page in await pages_of(Console(there, text), ADMIN, CONFIG_MAP))


OF_A_SECRET = {
    "assert": pack(asserts("Secret")),
    "guard": pack(guards("Secret")),
    "param": ELSEWHERE["a param that an object gives"].replace(f"{{{MAP},", f"{{{VAULT},"),
    "param in Audit": finding(pack(WRITES_PARAM, mode="Audit"), VAULT),
    "param in a condition": ELSEWHERE["a param that an object gives"]
    .replace(f"{{{MAP},", f"{{{VAULT},")
    .replace("object.spec.size > 10", "object.spec.size > 10 && params.word != 'x'"),
    "members": ELSEWHERE["members of a group"]
    .replace("example.com/v1, kind: Widget", "v1, kind: Secret")
    .replace("object.spec.note", "object.data.word"),
}


@pytest.mark.parametrize("text", OF_A_SECRET.values(), ids=OF_A_SECRET)
async def test_values_of_a_secret_that_a_rule_reads_are_shown_to_nobody(tmp_path: Path, text: str) -> None:
    """The name of the Secret, and how it ended, are."""
    shown = await pages_of(Console(tmp_path, text), ADMIN, SECRET)
    for page in shown:
        assert WORD not in page
    assert "(hidden)" in shown[1]


async def test_what_is_sent_is_shown_to_those_who_may_get_what_was_read_for_it(tmp_path: Path) -> None:
    """It is sent elsewhere, so nobody can read it on an object; done or not."""
    console, vault = Console(tmp_path), Ref(CONFIG_MAP.kind, "team-b", "vault")
    send = Send("POST", (f"https://example.com/{WORD}",), {}, (WORD,), as_json=False, timeout=5)
    widget, firings = Ref(WIDGET.kind, "team-a", "w"), Firings(console.clock)
    async with console.running():
        firings.catalog = lambda: console.operator.reconciler.catalog
        firings.acted(Act("widgets", "mark", widget, "", "", "http", send, ActResult.DONE, "", send.lines, seen=(vault,)))
        (firing,) = firings.newest()
        content = Content(console.operator, firings, console.clock)
        team, admin = (Viewer(console.operator.reviews, {"username": name}, "system") for name in ("team", "admin"))

        assert WORD not in render.firing(firing, await content.hidden(team, firing))
        assert WORD in render.firing(firing, await content.hidden(admin, firing))


async def test_looking_at_an_object_leaves_nothing_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the viewer may not get what a rule looks up: the rule, which may, has its answer."""
    async with (console := Console(tmp_path, pack(asserts("ConfigMap"), rule=LOOKUP))).running():
        await console.cluster.create(CONFIG_MAP, "team-b", {"metadata": {"name": "vault"}, "data": {"word": WORD}})
        await console.widget("team-a", "w", 20)
        caplog.clear()
        caplog.set_level("DEBUG", "engine")
        page = (await console.visit(PAGES[-1], TEAM)).text
        assert "403 Forbidden: you may not get" in page
        assert [record.getMessage() for record in caplog.records if record.name.startswith("engine.reconcile")] == []


@pytest.mark.parametrize(("of", "token"), [(MAP, TEAM), (VAULT, TEAM), (VAULT, ADMIN)], ids=["team", "secret", "secret, admin"])
async def test_a_param_by_which_a_rule_looks_up_is_not_said(tmp_path: Path, of: str, token: str) -> None:
    """It is the name of nothing, and why the lookup has no answer quotes it."""
    resource = SECRET if of == VAULT else CONFIG_MAP
    text = finding(pack("annotate: {annotations: {a: b}}", rule=LOOKED_UP_BY_PARAM), of)
    async with (console := Console(tmp_path, text)).running():
        await console.cluster.create(resource, "team-b", {"metadata": {"name": "vault"}, "data": {"word": WORD}})
        await console.clock.advance(2)
        await console.widget("team-a", "w", 20)
        page = (await console.visit(PAGES[-1], token)).text
    assert ("has no answer" in page, "(hidden: " in page or "hidden, since" in page, WORD in page) == (True, True, False)


async def test_a_param_hides_the_texts_of_the_rules_that_use_it_only(tmp_path: Path) -> None:
    """Another rule of its pack is shown as ever."""
    text = finding(pack(asserts("ConfigMap").replace("team-b", "team-a").replace("vault", "copy")), MAP)
    text = text.replace("target.data.word", "target.data.note")
    assert any("it holds old" in page for page in await pages_of(Console(tmp_path, text), TEAM, CONFIG_MAP))


async def test_a_kind_that_is_not_served_is_said_to_those_who_may_get_any(tmp_path: Path) -> None:
    """The most usual cause of a wait, a definition that is not installed, is not hidden from an administrator."""
    text = pack("patch: {target: {apiVersion: example.com/v1, kind: Foo, name: x}, patch: {a: b}}").replace(
        "    - {apiVersion: v1, kind: Secret",
        "    - {apiVersion: example.com/v1, kind: Foo, verbs: [get, patch]}\n    - {apiVersion: v1, kind: Secret",
    )
    pages = await pages_of(Console(tmp_path, text), ADMIN, CONFIG_MAP)
    assert ["could not find the requested resource" in page for page in pages] == [True, True, False, True, True]


async def test_the_key_of_a_group_is_shown_to_those_who_may_get_all_members(tmp_path: Path) -> None:
    """Not to those who may see the packs only."""
    text = ELSEWHERE["members of a group"].replace("\"'all'\"", "object.spec.note").partition("        - assert:")[0]
    text = text.replace("      aggregate:", "      retry: {timeout: 10m}\n      aggregate:")
    where = "target: {apiVersion: v1, kind: ConfigMap, namespace: team-a, name: copy}"
    text += f"        - patch: {{{where}, guard: 'false', patch: {{data: {{a: b}}}}}}\n"
    async with (console := Console(tmp_path, text)).running():
        console.cluster.users["carol-token"] = {"username": "carol", "groups": []}
        console.cluster.access = lambda spec: may(spec) or (spec["user"] == "carol" and "nonResourceAttributes" in spec)
        await console.widget("team-b", "member", 5, WORD)
        await console.clock.advance(100)
        admin, carol = [(await console.visit("", token)).text for token in (ADMIN, "carol-token")]
    assert (f"group &#39;{WORD}&#39; of widgets/mark" in admin, WORD in carol, "a group of widgets/mark" in carol) == (
        True, False, True,
    )  # fmt: skip

"""Objects of kind RuleLibrary on an embedded cluster: they come into force, break and go, and get a status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.get import libraries_table
from engine.errors import ApiError
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Object, Resource, dig
from engine.packs.last_applied import LAST_APPLIED
from engine.packs.library_crd import library_definition
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, PACK
from tests.unit.operator.test_rulepacks import DEFINITION, RULE_PACK, Packs, spec

RULE_LIBRARY = Resource(Kind("rules.mlops.dev/v1alpha1", "RuleLibrary"), "rulelibraries", True)
CALLING = spec(PACK.replace("object.spec.size > 10", "sizes.big(object)"))


def big(expression: str, **fields: Any) -> dict[str, Any]:
    """The spec of a library with one function, with further fields."""
    parameters = [{"name": "widget", "type": "map"}]
    function = {"description": "Whether a widget is big.", "parameters": parameters, "returns": "bool", "expression": expression}
    return {"functions": {"big": {**function, **fields}}}


class Libraries(Packs):
    """The fixture, with the kind RuleLibrary served too, and a RulePack that calls a function of one."""

    async def serve(self) -> None:
        await super().serve()
        await self.cluster.create(DEFINITION, "", library_definition())
        await self.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
        await self.put("calling", CALLING)

    async def library(self, spec: dict[str, Any], namespace: str = "system", name: str = "sizes") -> None:
        """Create or replace a RuleLibrary."""
        body = {"apiVersion": RULE_LIBRARY.kind.api_version, "kind": "RuleLibrary", "metadata": {"name": name}, "spec": spec}
        try:
            await self.cluster.create(RULE_LIBRARY, namespace, body)
        except ApiError:
            await self.cluster.replace(RULE_LIBRARY, namespace, {**await self.found(namespace), "spec": spec})

    async def found(self, namespace: str = "system") -> Object:
        return await self.cluster.get(RULE_LIBRARY, namespace, "sizes")

    async def library_status(self) -> dict[str, Any]:
        return dict(dig(await self.found(), ("status",), {}))

    async def marks(self, name: str, size: int) -> str | None:
        """What becomes of a widget that is made now."""
        await self.widget(name, size)
        await self.clock.advance(5)
        return await self.mark(name)


@pytest.fixture
async def libraries(tmp_path: Path) -> Libraries:
    libraries = Libraries(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK.replace("name: marks", "name: other").replace("size > 10", "size > 1000"))
    await libraries.serve()
    return libraries


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Status, reason and message of each condition."""
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in status["conditions"]}


async def test_a_library_says_what_it_has_and_who_calls_it(libraries: Libraries) -> None:
    """A pack that was refused without it comes into force."""
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        refused = await libraries.condition("Accepted", "calling")
        await libraries.library(big("widget.spec.size > 10"))
        await libraries.clock.advance(5)
        status = await libraries.library_status()
        lines = [*libraries_table([await libraries.found()], {})]

        assert refused[:2] == ("False", "LibraryMissing")
        assert "expected a library 'sizes' (kind: RuleLibrary), which is not here" in refused[2]
        assert await libraries.marks("one", 20) == "big"
        assert (status["observedGeneration"], status["generationInForce"]) == (1, 1)
        assert (status["functionCount"], status["functions"]) == (1, ["sizes.big(widget: map) -> bool"])
        assert (status["packCount"], status["packs"]) == (1, ["calling"])
        assert {kind: found[:2] for kind, found in conditions(status).items()} == {
            "Accepted": ("True", "Accepted"), "Ready": ("True", "InForce"), "Stalled": ("False", "Progressing"),
        }  # fmt: skip
        assert [line.split() for line in lines] == [
            ["NAMESPACE", "LIBRARY", "FUNCTIONS", "READY", "USED", "BY"], ["system", "sizes", "1", "True", "calling"],
        ]  # fmt: skip


async def test_a_change_compiles_the_packs_that_use_it(libraries: Libraries) -> None:
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        before = await libraries.marks("one", 20)
        await libraries.library(big("widget.spec.size > 50"))
        await libraries.clock.advance(5)

        assert (before, await libraries.marks("two", 20), await libraries.marks("three", 60)) == ("big", None, "big")
        assert (await libraries.library_status())["generationInForce"] == 2


async def test_a_library_that_breaks_stays_as_it_was_until_a_restart(libraries: Libraries) -> None:
    """A key that is not known is refused by its path, with an Event; after the restart packs that call it are refused."""
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        await libraries.library(big("widget.spec.size > 50", retruns="bool"))
        await libraries.clock.advance(5)
        status, events = await libraries.library_status(), await libraries.events()
        shown = [*libraries_table([await libraries.found()], {})]
        kept = await libraries.marks("one", 20)
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        restarted, pack = await libraries.library_status(), await libraries.condition("Accepted", "calling")
        later = await libraries.marks("two", 20)

    path, why = "spec.functions.big.retruns", "unknown key 'retruns'; expected 'returns' (did you mean that?)"
    assert (status["observedGeneration"], status["generationInForce"], kept) == (2, 1, "big")
    assert status["faults"] == [{"path": path, "code": "schema", "message": why}]
    assert conditions(status) == {
        "Accepted": ("False", "Invalid", f"{path}: {why}"),
        "Ready": ("False", "Invalid", "it is not accepted; the last good text, generation 1, stays in force"),
        "Stalled": (
            "True", "Invalid",
            "it is not accepted; the last good text, generation 1, stays in force. Correct it, then it goes on",
        ),
    }  # fmt: skip
    assert [event["reason"] for event in events if event["involvedObject"]["kind"] == "RuleLibrary"] == ["RuleLibraryInvalid"]
    assert shown[2:] == [f"    {conditions(status)['Ready'][2]}", f"    {path}: {why}"]
    assert "generationInForce" not in restarted
    assert restarted["packs"] == ["calling"]
    assert pack[:2] == ("False", "LibraryRefused")
    assert "expected library 'sizes' without faults: it is refused as it is" in pack[2]
    assert later is None


async def test_packs_of_a_library_that_is_deleted_stay_as_they_were(libraries: Libraries) -> None:
    """They say so: they are refused as they are, and which generation stays in force."""
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        await libraries.cluster.delete(RULE_LIBRARY, "system", "sizes")
        await libraries.clock.advance(5)
        accepted, ready = await libraries.condition("Accepted", "calling"), await libraries.condition("Ready", "calling")

        assert await libraries.marks("one", 20) == "big"
        assert "expected a library 'sizes' (kind: RuleLibrary), which is not here" in accepted[2]
        waits = "it waits for library 'sizes', which is not there: it is in force as soon as that is"
        assert ready[2] == f"{waits}; the last good text, generation 1, stays in force"


async def test_a_library_elsewhere_is_not_in_force(libraries: Libraries) -> None:
    """It says so, once."""
    await libraries.cluster.create(NAMESPACE, "", {"metadata": {"name": "team"}})
    await libraries.library(big("widget.spec.size > 10"), "team")
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(60)
        status = dict((await libraries.found("team"))["status"])
        pack = await libraries.condition("Accepted", "calling")

    message = "metadata.namespace: only a RuleLibrary in the operator's namespace, system, is in force"
    assert conditions(status)["Accepted"] == ("False", "NotAnOperatorNamespace", message)
    assert conditions(status)["Stalled"][2].endswith(
        "Move it: apply its manifest with -n system, and delete it here: kubectl delete rulelibrary sizes -n team"
    )
    assert "functions" not in status
    assert pack[0] == "False"
    assert [
        str(call.ref) for call in libraries.cluster.writes if call.ref.kind == RULE_LIBRARY.kind and call.verb == "patch"
    ] == ["RuleLibrary team/sizes"]


async def test_a_status_that_is_not_written_is_tried_again(libraries: Libraries) -> None:
    await libraries.library(big("widget.spec.size > 10"))
    failure = ApiError(500, "InternalError", "no")
    async with libraries.running(libraries.operator()):
        libraries.cluster.faults.add(InjectedFault(failure, verb="patch", kind="RuleLibrary", times=2))
        await libraries.library(big("widget.spec.size > 11"))
        await libraries.clock.advance(40)

        assert (await libraries.library_status())["observedGeneration"] == 2


async def test_a_dry_run_writes_no_status(libraries: Libraries) -> None:
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator(dry_run=True)):
        await libraries.clock.advance(30)

        assert await libraries.library_status() == {}
        assert await libraries.marks("one", 20) is None


async def test_a_pack_that_comes_before_its_library_waits_for_it(libraries: Libraries) -> None:
    """It is not stalled, says for what it waits, and is in force once the library is there."""
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        before = conditions((await libraries.got("calling"))["status"])
        events = [event["reason"] for event in await libraries.events() if event["involvedObject"]["name"] == "calling"]
        await libraries.library(big("widget.spec.size > 10"))
        await libraries.clock.advance(5)
        after = conditions((await libraries.got("calling"))["status"])

    waits = "it waits for library 'sizes', which is not there: it is in force as soon as that is; nothing is in force"
    assert before["Ready"] == ("False", "LibraryMissing", waits)
    assert before["Stalled"] == ("False", "LibraryMissing", "it goes on by itself, see Ready")
    assert events == ["LibraryMissing"]
    assert [each[:2] for each in after.values()] == [("True", "Accepted"), ("True", "InForce"), ("False", "Progressing")]


async def test_a_pack_with_a_fault_of_its_own_is_stalled_whatever_it_waits_for(libraries: Libraries) -> None:
    await libraries.put("calling", spec(PACK.replace("object.spec.size > 10", "nothing && sizes.big(object)")))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        stalled = await libraries.condition("Stalled", "calling")

    assert stalled[:2] == ("True", "Invalid")


async def test_a_config_map_says_that_its_pack_waits(libraries: Libraries) -> None:
    text = PACK.replace("object.spec.size > 10", "sizes.big(object)").replace("name: marks", "name: mapped")
    meta = {"name": "mapped", "labels": {"rules.mlops.dev/rule-pack": "true"}}
    await libraries.cluster.create(CONFIG_MAP, "system", {"metadata": meta, "data": {"pack.yaml": text}})
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        said = str(await libraries.status("mapped")).splitlines()
        reasons = [event["reason"] for event in await libraries.events() if event["involvedObject"]["name"] == "mapped"]
        await libraries.library(big("widget.spec.size > 10"))
        await libraries.clock.advance(5)
        after = await libraries.status("mapped")

    assert said[-1] == "it waits for library 'sizes', which is not there: it is in force as soon as that is"
    assert reasons == ["RulePackWaiting"]
    assert after == "ok"


async def test_packs_of_a_refused_library_carry_a_warning_and_are_named(libraries: Libraries) -> None:
    """Its status names them as long as it is refused, also after the restart that ends them."""
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        await libraries.library(big("widgt.spec.size > 50"))
        await libraries.clock.advance(5)
        kept, pack = await libraries.library_status(), (await libraries.got("calling"))["status"]
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        lines = [*libraries_table([await libraries.found()], {})]

    said = "after a restart this pack is not in force, since library 'sizes' is refused, and the last good text counts now"
    assert kept["packs"] == ["calling"]
    assert conditions(pack)["Ready"][:2] == ("True", "InForce")
    assert [each["message"] for each in pack["warnings"]] == [f"{said}; expected the library corrected"]
    assert lines[1].split() == ["system", "sizes", "-", "False", "calling"]


async def test_a_library_that_hides_a_shipped_one_is_warned(libraries: Libraries, tmp_path: Path) -> None:
    """Its condition and its line say so; it is in force."""
    shipped = {"apiVersion": RULE_LIBRARY.kind.api_version, "kind": "RuleLibrary", "metadata": {"name": "sizes"}}
    (tmp_path / "library.yaml").write_text(json.dumps({**shipped, "spec": big("widget.spec.size > 1")}))
    await libraries.library(big("widget.spec.size > 10"))
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        status, lines = await libraries.library_status(), [*libraries_table([await libraries.found()], {})]

    said = "metadata.name: it hides the shipped library 'sizes', also from shipped packs"
    assert conditions(status)["Accepted"][:2] == ("True", "Warnings")
    assert conditions(status)["Accepted"][2].startswith(said)
    assert status["warningCount"] == 1
    assert lines[2].strip().startswith(f"warning: {said}")


async def test_a_refused_library_is_warned_of_what_the_api_server_dropped(libraries: Libraries) -> None:
    noted = json.dumps({"kind": "RuleLibrary", "metadata": {"mode": "Disabled", "name": "sizes"}}, separators=(",", ":"))
    await libraries.library(big("widgt.spec.size > 10"))
    await libraries.cluster.patch(RULE_LIBRARY, "system", "sizes", {"metadata": {"annotations": {LAST_APPLIED: noted}}})
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        status = await libraries.library_status()

    assert conditions(status)["Accepted"][:2] == ("False", "Invalid")
    assert (status["warningCount"], [each["path"] for each in status["warnings"]]) == (1, ["metadata.mode"])


async def test_a_shipped_pack_that_a_library_breaks_says_so_after_a_restart(libraries: Libraries, tmp_path: Path) -> None:
    """It is neither said not to be shipped nor that its RulePack is to be deleted, and its mode is kept."""
    shipped = {"apiVersion": RULE_LIBRARY.kind.api_version, "kind": "RuleLibrary", "metadata": {"name": "sizes"}}
    (tmp_path / "library.yaml").write_text(json.dumps({**shipped, "spec": big("widget.spec.size > 1")}))
    calling = PACK.replace("name: marks", "name: other").replace("object.spec.size > 10", "sizes.big(object)")
    (tmp_path / "pack.yaml").write_text(calling)
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        await libraries.cluster.patch(RULE_PACK, "system", "other", {"spec": {"mode": "Audit"}})
        await libraries.library(big("widgt.spec.size > 10"))
        await libraries.clock.advance(5)
    async with libraries.running(libraries.operator()):
        await libraries.clock.advance(5)
        status, events = (await libraries.got("other"))["status"], await libraries.events()
        named = (await libraries.library_status())["packs"]
        await libraries.cluster.delete(RULE_LIBRARY, "system", "sizes")
        await libraries.clock.advance(5)
        after = (await libraries.got("other"))["status"]

    said = [event["message"] for event in events if event["involvedObject"]["name"] == "other"]
    assert [each[:2] for each in conditions(status).values()] == [("False", "LibraryRefused")] * 3
    assert "unknown function 'sizes.big'; expected library 'sizes' without faults" in conditions(status)["Accepted"][2]
    assert not [text for text in (*said, str(status)) if "delete" in text or "is shipped" in text]
    assert named == ["calling", "other"]
    assert (conditions(after)["Ready"][:2], after["mode"]) == (("True", "InForce"), "Audit")

"""What one backend counts and the other only estimates: neither takes long, and both give the same answer."""

from __future__ import annotations

import time

import pytest

from engine.cel import Cel, Scope, backend
from engine.cel.cpp import CelCpp
from engine.errors import Unanswered

OBJECT = {
    "text": "x" * 200_000,
    "list": ",".join(map(str, range(2000))),
    "numbers": list(range(900)),
    "mixed": "".join("abcdxy"[number * number % 97 % 6] for number in range(200_000)),
    "pattern": "^x+$",
}
"""Few values, which weigh little, but much can be made of them."""
EACH = "object.numbers.all(n, {})"
REFUSED = {
    "pieces": "object.list.split(',').all(each, !object.text.contains('x' + each))",
    "contains": " || ".join(f"object.text.contains('x{number}')" for number in range(150)),
    "indexOf": EACH.format("object.text.indexOf('xy') < 0"),
    "concatenate": EACH.format("(object.text + object.text) != ''"),
    "substring": EACH.format("object.text.substring(1, 199000) != ''"),
    "lowerAscii": EACH.format("object.text.lowerAscii() != ''"),
    "upperAscii": "object.numbers.map(n, object.text.upperAscii()) != []",
    "map in map": "object.numbers.map(n, object.numbers.map(m, 'abc')) != []",
    "equal": EACH.format("object.numbers == object.numbers"),
    "member": EACH.format("!((n + 5000) in object.numbers)"),
    "slow pattern": EACH.format("!object.mixed.matches('[ab].{60}z')"),
    "patterns": EACH.format("!'x'.matches('(a{500}b{300}c{200})' + string(n))"),
}
ANSWERED = {
    "one pattern": EACH.format("!string(n).matches(object.pattern)"),
    "some patterns": "object.numbers.filter(n, n < 30).all(n, !'text'.matches('(?i)some error no. ' + string(n)))",
    "pattern of the text": EACH.format("!string(n).matches('^x+$')"),
    "size": EACH.format("object.text.size() > 0"),
    "startsWith": EACH.format("object.text.startsWith(object.text)"),
    "filter": "object.numbers.filter(n, n > 897) == [898, 899]",
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_it_and_soon(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that counts nothing leaves what might take long to the one that does."""
    answers = []
    for cel in (backend("celpy"), CelCpp(all_forms=True)):
        program = cel.compile(REFUSED[name], ["object"])
        started = time.process_time()
        with pytest.raises(Unanswered, match=r"more than|too many") as refused:
            program.evaluate(Scope({"object": OBJECT}))
        answers.append(str(refused.value))
        with capsys.disabled():
            print(f"\n{name} on {cel.name}: {(time.process_time() - started) * 1000:.0f} ms of CPU time", end="")

    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_cheap_is_answered(cel: Cel, name: str) -> None:
    """Whichever of the two it is left to."""
    assert cel.compile(ANSWERED[name], ["object"]).condition(Scope({"object": OBJECT}))


@pytest.mark.parametrize("pattern", [r"[\p{L}\p{N}]{900}", "(" + "a|" * 300 + "a)", "a{999}" * 60])
def test_a_pattern_of_data_has_a_limit(cel: Cel, pattern: str) -> None:
    """Seventeen characters can be a pattern that takes 44 ms to compile, so what comes from data must be a small one."""
    program = cel.compile("'x'.matches(object.pattern)", ["object"])

    with pytest.raises(Unanswered, match=r"pattern too large|too long for a regular expression"):
        program.evaluate(Scope({"object": {"pattern": pattern}}))

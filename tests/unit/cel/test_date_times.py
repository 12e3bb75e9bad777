"""A `format: date-time` field: a text in JSON, and a timestamp wherever one is needed, as in Kubernetes' CEL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.cel import Cel, Scope
from engine.cel.template import Template
from engine.errors import EvaluationError

NOW = datetime(2026, 1, 25, tzinfo=UTC)
OBJECT = {
    "start": "2026-01-24T21:30:00.5Z", "end": "2026-01-24T22:30:00Z", "elsewhere": "2026-01-24T23:30:00+01:00", "name": "web",
}  # fmt: skip
#: What Kubernetes says of a field that its schema gives `format: date-time`.
AS_TIMES = (
    "now - object.end == duration('1h30m')",
    "object.end - object.start == duration('59m59.5s')",
    "object.end + duration('1h') == timestamp('2026-01-24T23:30:00Z')",
    "duration('1h') + object.end == object.end + duration('1h')",
    "object.end - duration('1h') < object.start",
    "object.end < now && now >= object.end && timestamp('2026-01-24T22:30:00Z') <= object.end",
    "object.end.getHours() == 22 && object.end.getHours('Europe/Berlin') == 23 && object.start.getMilliseconds() == 500",
    "timestamp(object.end) - object.start > duration('1m') && timestamp(object.end) == timestamp('2026-01-24T22:30:00Z')",
    "object.elsewhere == timestamp('2026-01-24T22:30:00Z') && timestamp('2026-01-24T22:30:00Z') == object.elsewhere",
    "object.end != now && object.end in [now, timestamp('2026-01-24T22:30:00Z')]",
    "int(timestamp(object.end)) == 1769293800",
)
#: What rule packs say of it, which worked before it was a time too.
AS_TEXTS = (
    "object.end == '2026-01-24T22:30:00Z' && object.end != object.elsewhere",
    "object.end + '/x' == '2026-01-24T22:30:00Z/x' && object.end != ''",
    "object.end.startsWith('2026-01-24') && size(object.end) == 20 && isTime(object.end)",
    "string(object.end) == object.end && '%s'.format([object.end]) == object.end",
    "type(object.end) == string && object.end in ['2026-01-24T22:30:00Z']",
    "hash(object.end) == hash('2026-01-24T22:30:00Z')",
)


@pytest.mark.parametrize("condition", [*AS_TIMES, *AS_TEXTS])
def test_a_time_of_an_object_serves_as_both(cel: Cel, condition: str) -> None:
    """The same field is a time where one is needed, and a text everywhere else."""
    assert cel.compile(condition, ("object", "now")).condition(Scope({"object": OBJECT, "now": NOW}))


def test_a_template_writes_the_text_as_it_stands(cel: Cel) -> None:
    """`${…}` gives what the API server sent, not another form of the same time."""
    program = cel.compile("object.elsewhere", ("object",))
    template: Any = Template((program,), program.evaluate)

    assert template.render(Scope({"object": OBJECT})) == "2026-01-24T23:30:00+01:00"


@pytest.mark.parametrize("condition", ["now - object.name > duration('1h')", "object.name.getHours() == 1", "object.name < now"])
def test_a_text_that_says_no_time_has_no_answer(cel: Cel, condition: str) -> None:
    """The message quotes the text."""
    with pytest.raises(EvaluationError, match="'web' is not a time such as 2026-01-24T22:30:00Z"):
        cel.compile(condition, ("object", "now")).condition(Scope({"object": OBJECT, "now": NOW}))


def test_a_text_that_says_no_time_equals_none(cel: Cel) -> None:
    """As values of two types are never equal."""
    assert cel.compile("object.name != now", ("object", "now")).condition(Scope({"object": OBJECT, "now": NOW}))


@pytest.mark.parametrize("condition", ["object.name - 3 == 1", "object.name < 3", "object.end + 1 == object.end"])
def test_a_text_is_no_number(cel: Cel, condition: str) -> None:
    """Texts stand for times only."""
    with pytest.raises(EvaluationError, match="does not work on string and int"):
        cel.compile(condition, ("object",)).condition(Scope({"object": OBJECT}))

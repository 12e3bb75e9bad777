"""A line that is no YAML is shown with the quotes that it lacks, and only where these mend it."""

from __future__ import annotations

import pytest

from engine.packs.quotes import corrected

#: A line as people write it -> as it is right.
MENDED = {
    "when: a.b > 1 ? true : false": "when: 'a.b > 1 ? true : false'",
    "      when: a['b'] == 'c' ? d : e": "when: \"a['b'] == 'c' ? d : e\"",
    "when: a[\"b\"] == 'c' ? d : e": "when: 'a[\"b\"] == ''c'' ? d : e'",
    "- !has(a.b)": "'!has(a.b)'",
    "  - cron: */5 * * * *": "cron: '*/5 * * * *'",
    "schedule: {cron: * * * * *}": "schedule: {cron: '* * * * *'}",
    "schedule: {cron: */5 * * * *, timeZone: Europe/Berlin}": "schedule: {cron: '*/5 * * * *', timeZone: Europe/Berlin}",
    "when: [!has(a.b), !has(c.d), e]": "when: ['!has(a.b)', '!has(c.d)', e]",
    "when: ['a', 'b'].exists(x, x == c)": "when: \"['a', 'b'].exists(x, x == c)\"",
    "when: {'a': 1}.a == b": "when: \"{'a': 1}.a == b\"",
    "when: *x > 1": "when: '*x > 1'",
    "when: &x > 1": "when: '&x > 1'",
    "when: %x > 1": "when: '%x > 1'",
    "when: @x > 1": "when: '@x > 1'",
    "labels: {a: ${b ? 'c' : 'd'}}": "labels: {a: \"${b ? 'c' : 'd'}\"}",
    "labels: {a: ${object.metadata.name}}": "labels: {a: '${object.metadata.name}'}",
    "- emitEvent: {reason: A, message: scaled: ${a}}": "emitEvent: {reason: A, message: 'scaled: ${a}'}",
    "message: Can't scale: ${a}": 'message: "Can\'t scale: ${a}"',
    "when: 'a' == object.metadata.name": "when: \"'a' == object.metadata.name\"",
    'when: "object.metadata.name == "a""': "when: 'object.metadata.name == \"a\"'",
}
#: Lines that are right, or that quotes do not mend.
LEFT = (
    "when: a.b > 1",
    "labels: {a: 'b'}",
    "actions: [{label: {labels: {a: 'b'}}]",
    "actions: [{label: {labels: {a: 'b'}}}}]",
    "when: 'abc",
    "when: - a",
    "when: > a",
    "when: | a",
    "\twhen: a",
    "",
)


@pytest.mark.parametrize("line", MENDED)
def test_the_line_is_shown_with_its_quotes(line: str) -> None:
    """Only the text that needs quotes gets them, and keeps what it says."""
    assert corrected(line) == MENDED[line]


@pytest.mark.parametrize("line", LEFT)
def test_what_quotes_do_not_mend_is_left_alone(line: str) -> None:
    """No advice is better than one that does not help."""
    assert corrected(line) == ""


def test_a_long_line_is_not_tried() -> None:
    """A line of a megabyte costs no more than one of 200 characters."""
    assert corrected(f"when: {'!a, ' * 100_000}") == ""

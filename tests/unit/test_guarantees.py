"""docs/guarantees.md: each test that it names exists."""

from __future__ import annotations

import re

from scripts.project import ROOT

TEXT = (ROOT / "docs/guarantees.md").read_text()


def test_each_test_that_holds_a_promise_exists() -> None:
    """A function, a file or a folder by its name; a path from the root."""
    sources = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    there = {name for text in sources.values() for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE)}
    there |= {path.name for path in sources}
    named = set(re.findall(r"`(?:[\w/]+/)?(test_\w+(?:\.py)?)`", TEXT))
    assert len(named) > 100
    assert sorted(named - there) == []

    paths = set(re.findall(r"`((?:tests|rules)/[\w./-]+)`", TEXT))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []

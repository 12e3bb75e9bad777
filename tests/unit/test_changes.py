"""The fragments of which a release makes its part of CHANGELOG.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
KINDS = "added|changed|fixed|removed|security"


def test_fragments_are_named_after_what_they_are() -> None:
    """Each is `<what>.<kind>.md` and one paragraph of sentences."""
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert [path.name for path in fragments if not re.fullmatch(rf"[a-z0-9-]+\.({KINDS})\.md", path.name)] == []
    for path in fragments:
        text = path.read_text().strip()
        assert text.endswith("."), path.name
        assert "\n\n" not in text, path.name

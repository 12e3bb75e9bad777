"""Which names a text claims that cannot be read."""

from __future__ import annotations

import pytest

from engine.packs.claims import names_in


@pytest.mark.parametrize(
    "metadata",
    [
        "metadata:\n  name: x\n",
        "metadata: {name: x}\n",
        "metadata: {labels: {team: ml}, name: x}\n",
        "metadata:\n  labels: {team: ml}\n  name: x\n",
        "metadata:\n  labels: {app.kubernetes.io/name: other}\n\n  # a comment\n  name: 'x'\n",
    ],
)
def test_a_name_below_metadata_is_read_of_a_text_that_is_no_yaml(metadata: str) -> None:
    """Whatever stands before it there; a name in what the pack creates is none of the pack's."""
    text = f"kind: RulePack\n{metadata}spec:\n  rules: [[\n    - apply: {{manifest: {{metadata: {{name: made}}}}}}\n"

    assert names_in(text) == {"x"}


@pytest.mark.parametrize("before", ["", '"labels": {"team": "ml"}, '])
def test_a_name_is_read_of_a_text_in_one_line(before: str) -> None:
    """As in JSON that breaks off, whatever stands before it."""
    assert names_in(f'{{"kind": "RulePack", "metadata": {{{before}"name": "x"}}, "spec": [') == {"x"}

"""What it costs to read the metrics: by how many series there are, not by that times the namespaces that are watched."""

from __future__ import annotations

from pathlib import Path

from tests.guard.test_lookups import calls
from tests.unit.operator.samples import sample
from tests.unit.operator.test_operator import WIDGET, Fixture, ask

WIDGETS, NAMESPACES = 50, 100
SIZES = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: sizes}
spec:
  description: Measure how big what is.
  metrics:
    widget_size: {type: gauge, help: Size of a widget., labels: [widget]}
  watch: {apiVersion: example.com/v1, kind: Widget}
  rules:
    - name: size
      when: object.spec.size > 10
      actions:
        - metric: {name: widget_size, labels: {widget: '${object.metadata.name}'}, value: '${double(object.spec.size)}'}
"""


async def cost(folder: Path, *namespaces: str) -> int:
    """How many calls of the engine it takes to read the metrics of widgets that were measured by name, and have gone since."""
    fixture = Fixture(folder)
    (folder / "pack.yaml").write_text(SIZES)
    for number in range(WIDGETS):
        await fixture.widget(f"w{number}")
    operator = fixture.operator(namespaces=("default", *namespaces))
    async with fixture.running(operator):
        await fixture.clock.advance(60)
        for number in range(WIDGETS):
            await fixture.cluster.delete(WIDGET, "default", f"w{number}")
        await fixture.clock.advance(60)
        with calls() as found:
            status, _ = await ask(operator, "/metrics")
        assert status == 200
        assert sample(operator.metrics.text(), "widget_size", {"widget": "w7"}) == 20
    return found[0]


async def test_a_scrape_is_no_dearer_where_many_namespaces_are_watched(tmp_path: Path) -> None:
    """Neither which kinds wait, nor whether an object that a series names is still there, is asked of each informer each time."""
    few = await cost(tmp_path)
    many = await cost(tmp_path, *(f"other-{number}" for number in range(NAMESPACES)))
    assert many - few < 20 * NAMESPACES

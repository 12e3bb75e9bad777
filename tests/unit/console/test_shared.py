"""What is rendered for one who follows a page is good for all who may see the same, and for nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.console.shared import LONGEST, PAUSE, Live, Shared
from engine.console.viewer import QUESTIONS, Viewer
from engine.model.objects import Ref
from engine.operator.reviews import Reviews
from tests.unit.console.builder import Console, may
from tests.unit.operator.test_operator import WIDGET

OURS, THEIRS = Ref(WIDGET.kind, "team-a", "w"), Ref(WIDGET.kind, "team-b", "w")


class Part:
    """A part of a page that says which of two objects its viewer sees, and counts how often it is rendered."""

    def __init__(self) -> None:
        self.rendered, self.mark = 0, 0

    def live(self, viewer: Viewer) -> Live[str]:
        """The part, for a viewer."""

        async def part() -> str:
            self.rendered += 1
            await asyncio.sleep(0.01)
            return " ".join([str(each) for each in (OURS, THEIRS) if await viewer.sees(each)])

        return Live("part", part, lambda: self.mark)


@pytest.fixture
def reviews(tmp_path: Path) -> Reviews:
    """An API server that knows the users of the console's tests, and Bob, who may all."""
    console = Console(tmp_path)
    console.cluster.access = lambda spec: may(spec) or spec["user"] == "bob"
    return Reviews(console.cluster, console.clock)


async def shown(shared: Shared, part: Part, reviews: Reviews, *users: str, turn: float = 0.0) -> list[str]:
    """What these users see at one turn."""
    viewers = [Viewer(reviews, {"username": user}, "system") for user in users]
    return [each.value for each in await asyncio.gather(*(shared.of(viewer, part.live(viewer), turn) for viewer in viewers))]


async def test_users_with_the_same_rights_share_what_is_rendered(reviews: Reviews) -> None:
    """Also where they follow at the same time; who has others sees no more than these allow."""
    shared, part = Shared(), Part()
    all_of_it, none_of_it = "Widget team-a/w Widget team-b/w", ""
    users = ("admin", "bob", "team", "nobody", "admin", "team")
    assert await shown(shared, part, reviews, *users) == [
        all_of_it, all_of_it, "Widget team-a/w", none_of_it, all_of_it, "Widget team-a/w",
    ]  # fmt: skip
    assert part.rendered == 3


async def test_nothing_is_rendered_where_nothing_has_changed(reviews: Reviews) -> None:
    """Whoever opens the page later gets what there is; after a change it is rendered once more."""
    shared, part = Shared(), Part()
    for turn in range(3):
        await shown(shared, part, reviews, "admin", "bob", turn=turn * PAUSE)
    assert part.rendered == 1
    part.mark += 1
    await shown(shared, part, reviews, "admin", "bob", turn=3 * PAUSE)
    assert part.rendered == 2


async def test_what_changes_all_the_time_is_rendered_once_a_turn(reviews: Reviews) -> None:
    """Whoever has the same turn gets what the first one got, with the mark of that: so it has another turn soon."""
    shared, part = Shared(), Part()
    viewer = Viewer(reviews, {"username": "admin"}, "system")
    first = await shared.of(viewer, part.live(viewer), 0.0)
    part.mark += 1
    assert await shared.of(viewer, part.live(viewer), 0.0) is first
    assert first.mark != part.live(viewer).mark()
    await shared.of(viewer, part.live(viewer), PAUSE)
    assert part.rendered == 2


async def test_who_was_not_asked_about_everything_shares_nothing(reviews: Reviews) -> None:
    """Beyond the questions of one page nobody is asked, so nobody knows what else they may see."""
    viewer, other = (Viewer(reviews, {"username": user}, "system") for user in ("team", "team"))
    for number in range(QUESTIONS):
        await viewer.sees(Ref(WIDGET.kind, f"team-{number}", "w"))
    assert viewer.incomplete
    assert not await other.has(viewer.rights())


async def test_what_takes_long_has_a_longer_pause(reviews: Reviews) -> None:
    """Not a longer one than somebody waits for."""
    shared, part = Shared(), Part()
    viewer = Viewer(reviews, {"username": "admin"}, "system")
    made = await shared.of(viewer, part.live(viewer), 0.0)  # a turn that began long ago
    assert made.pause == LONGEST

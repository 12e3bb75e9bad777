"""A cache of the objects of one kind that stays equal to the cluster, whatever the API server does meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import aclosing
from math import inf

from engine.errors import ApiError
from engine.kube.api import Api, Page, Selection, WatchEvent
from engine.kube.clock import Clock, cancel
from engine.model.backoff import Backoff
from engine.model.objects import metadata, names_of
from engine.operator.selection import InformerKey, State
from engine.operator.store import OnChange, Store
from engine.reconcile.caches import NotListed
from engine.reconcile.prune import Prune

log = logging.getLogger(__name__)

FORBIDDEN, NOT_FOUND, GONE = 403, 404, 410
WATCH_SECONDS = 60.0
"""How long a watch is to last: it is resumed at little cost, and so a silent one is noticed soon."""
SILENCE_GRACE = 15.0
"""How much longer than that a watch may be silent before its connection counts as dead."""
SETTLED = 5.0
"""How long a watch must last without an error to count as one where nothing changes and no bookmark is due."""
BACKOFF = Backoff(0.5, 30.0)
"""Between two attempts that the API server refuses or does not answer."""
FLICKER = 60.0
"""Seconds for which a kind may be answered with 404 before its objects are forgotten."""
UNLISTED, UNWATCHED = 5.0, 120.0
"""Seconds after which it is reported that a kind cannot be listed, or not be watched any more: after an API server has come back
it may take BACKOFF.longest until a watch is tried again. A missing right to watch is reported after UNLISTED too: an API server
that has just started forbids everything until it has read the roles."""
WAIT_FOR_KIND = 5.0
"""The longest pause while a kind is not served, so that a new CRD is picked up within 10 s."""


class Informer:
    """Keeps `store` equal to what the cluster has of a selection, and reports each difference once to `on_change`.

    `state` is WAITING while the cluster does not serve the kind, FAILING while the API server refuses or does not answer
    (`error` says why); both end by themselves. `synced` is set once the objects have been listed for the first time.
    `answered` is set then, and where the kind is not served.
    `last_event` is the monotonic clock's time of the last sign of life of the API server: a list, an event or a bookmark.
    `waiting` says who has to wait as long as the kind is not served, for the log. `listing` limits how many list at a time.
    `on_listed` is called when `synced` is set.
    """

    def __init__(
        self, api: Api, key: InformerKey, clock: Clock, prune: Prune, on_change: OnChange,
        waiting: Callable[[], Iterable[str]] = tuple, listing: asyncio.Semaphore | None = None,
    ) -> None:  # fmt: skip
        self.key = key
        self.store = Store(key.kind, prune, on_change)
        self.state = State.STARTING
        self.synced, self.answered = asyncio.Event(), asyncio.Event()
        self.last_event = 0.0
        self._api, self._clock, self._waiting = api, clock, waiting
        self._listing = listing or asyncio.Semaphore()
        self.on_listed: Callable[[], None] = lambda: None
        self._attempts = 0  # in a row that have brought nothing
        self._failure: ApiError | None = None  # while it is WAITING or FAILING
        self._version = ""
        self._heard = False  # whether the present watch has brought anything
        self._watched = False  # whether any watch has
        self._following: asyncio.Task[None] | None = None
        self._refreshing = False
        self._failing_since = 0.0  # where it is WAITING or FAILING; where a right is missing, since when that is
        self._gone_since: float | None = None  # when the kind was first not served, while it is not
        self._existing = True  # whether what a list shows was there before the engine
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run in a task of its own."""
        self._task = asyncio.create_task(self.run(), name=f"informer {self.key}")

    async def stop(self) -> None:
        """End that task."""
        if self._task is not None:
            await cancel(self._task)

    @property
    def ended(self) -> bool:
        """Whether its task has ended, which it never should by itself."""
        return self._task is not None and self._task.done()

    async def run(self) -> None:
        """Run until cancelled; no answer of the API server ends it."""
        while True:
            try:
                await self._list_and_watch()
            except ApiError as error:
                await self._failed(error)
            except Exception as error:
                log.debug("%s", self.key, exc_info=True)
                await self._failed(ApiError(0, "InternalError", f"{type(error).__name__}: {error}"))

    @property
    def error(self) -> str:
        """What the API server refuses with, or why there is no answer; '' while it answers."""
        return str(self._failure or "")

    @property
    def waits(self) -> bool:
        """Whether the objects cannot be listed, or not watched for two minutes, or 5 s where it is a right that is missing."""
        lasting = UNLISTED if self.forbidden else UNWATCHED
        return self.state is State.WAITING or (self.state is State.FAILING and (not self.synced.is_set() or self._lasts(lasting)))

    @property
    def forbidden(self) -> bool:
        """Whether a right is missing."""
        return self._failure is not None and self._failure.status == FORBIDDEN

    def problem(self) -> str:
        """Return why it waits, with what to do; '' also where no API server answers at all.

        That a right is missing is said at once, or after 5 s where the objects were watched before; that a kind which was not
        listed before is not served, at once; anything else once it has lasted.
        """
        if self._failure is None or not self._failure.status:
            return ""
        lasting = UNWATCHED if self.synced.is_set() else UNLISTED
        if self.forbidden:
            lasting = UNLISTED if self._watched else 0.0
        elif self.state is State.WAITING and not (self._watched or self.synced.is_set()):
            lasting = 0.0
        if not self._lasts(lasting):
            return ""
        verb = "watched" if self.synced.is_set() else "listed"
        hint = "; to grant what a pack needs: rulepack rbac pack.yaml | kubectl apply -f -" if self.forbidden else ""
        return f"{self.key} cannot be {verb}: {self.error}{hint}"

    def _lasts(self, seconds: float) -> bool:
        return self._clock.monotonic() - self._failing_since >= seconds

    def unlisted(self) -> ApiError | NotListed | None:
        """Return why the objects are not listed yet, None where they are."""
        if self.synced.is_set():
            return None
        return self._failure or NotListed(f"{self.key} is being listed")

    def stuck(self) -> bool:
        """Return whether it believes to be watching, but has had no sign of life for longer than its watchdog allows."""
        return self.state is State.WATCHING and self._clock.monotonic() - self.last_event > 2 * (WATCH_SECONDS + SILENCE_GRACE)

    def refresh(self, prune: Prune) -> None:
        """Keep other parts of the objects from now on: list them again and report each as changed."""
        self.store.prune, self._refreshing = prune, True
        if self._following is not None:
            self._following.cancel()

    async def _list_and_watch(self) -> None:
        """List once, then watch for as long as the resourceVersion can be resumed from."""
        resource = await self._api.discover(self.key.kind)
        namespace = self.key.namespace if resource.namespaced else ""
        selection = Selection(resource, namespace, self.key.labels, self.key.fields, self.store.prune.metadata_only)
        await self._list(selection)
        while not self._refreshing:
            started, self._heard = self._clock.monotonic(), False
            try:
                await self._watch(selection)
            except ApiError as error:
                if error.status in (NOT_FOUND, GONE):  # where the kind is not served any more, the next list says so
                    log.debug("%s: %s; listing again", self.key, error)
                    if not self._heard:
                        await self._pause()
                    return
                await self._failed(error)
            else:
                if not self._heard and self._clock.monotonic() - started < SETTLED and not self._refreshing:
                    await self._pause()  # a server that closes every watch at once

    async def _list(self, selection: Selection) -> None:
        """Bring the cache to what the cluster has now."""
        refreshing, self._refreshing = self._refreshing, False
        initial = self._existing and not self.synced.is_set()
        seen: set[tuple[str, str]] = set()
        self.store.left_out.clear()
        page = Page((), "")
        async with self._listing, aclosing(self._api.pages(selection)) as pages:
            async for page in pages:
                for obj in page.items:
                    seen.add(self.store.put(obj, initial, refreshing))
                for broken in page.undecodable:
                    self.store.leave_out(broken.object, broken.reason)
                for obj in page.gone:
                    seen.discard(names_of(obj))
        for key in [key for key in self.store.objects if key not in seen]:
            self.store.remove(key)
        self._version, self._gone_since = page.resource_version, None
        self.answered.set()
        self.last_event = self._clock.monotonic()
        self._answers()
        if not self.synced.is_set():
            self.synced.set()
            self.on_listed()

    async def _watch(self, selection: Selection) -> None:
        """Follow changes until the server closes the watch, or has been silent for too long."""
        self._following = following = asyncio.create_task(self._follow(selection))
        silence = asyncio.create_task(self._silence())
        try:
            await asyncio.wait({following, silence}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                raise ApiError(0, "SilentWatch", f"no event and no bookmark for {WATCH_SECONDS + SILENCE_GRACE:.0f} s")
            if not following.cancelled():
                following.result()
        finally:
            self._following = None
            await cancel(following, silence)

    async def _follow(self, selection: Selection) -> None:
        async with aclosing(self._api.watch(selection, self._version, timeout=WATCH_SECONDS)) as events:
            async for event in events:
                self._apply(event)
                self.last_event = self._clock.monotonic()
                if not self._heard:
                    self._heard = self._watched = True
                    self._answers()

    async def _silence(self) -> None:
        """Return when nothing has been heard for too long."""
        heard = self._clock.monotonic()
        await self._clock.sleep(SETTLED)
        self._watched = True
        self._answers()
        while (left := max(heard, self.last_event) + WATCH_SECONDS + SILENCE_GRACE - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)

    def _apply(self, event: WatchEvent) -> None:
        meta = metadata(event.object)
        if event.type == "DELETED":
            self.store.remove(names_of(event.object), None if event.undecodable else event.object)
        elif event.undecodable:
            self.store.leave_out(event.object, event.undecodable)
        elif event.type != "BOOKMARK":
            self.store.put(event.object)
        self._version = str(meta.get("resourceVersion") or self._version)

    def _answers(self) -> None:
        """Note that the API server answers; log it where it did not before."""
        self._attempts = 0
        if self.state is not State.WATCHING:
            log.info("%s: watching, %d objects", self.key, len(self.store.objects))
            self.state, self._failure = State.WATCHING, None

    async def _failed(self, error: ApiError) -> None:
        """Note why there is no answer, say so where that is news, and wait before the next attempt."""
        gone, before = error.status == NOT_FOUND, self._failure
        if before is None or (error.status == FORBIDDEN and before.status != FORBIDDEN):
            self._failing_since, self._attempts = self._clock.monotonic(), 0
        if before is None or (error.status, error.reason) != (before.status, before.reason):  # when it begins, not each time
            text = "; ".join(("the cluster does not serve this kind (yet)", *self._waiting())) if gone else str(error)
            log.log(logging.INFO if gone else logging.WARNING, "%s: %s; trying again until it does", self.key, text)
        self.state, self._failure = State.WAITING if gone else State.FAILING, error
        if gone:
            self.answered.set()
            self._not_served()
        await self._pause(error.retry_after or 0.0, WAIT_FOR_KIND if gone else inf)

    def _not_served(self) -> None:
        """Forget the objects of a kind that has not been served for a minute: a CRD that is replaced is back sooner."""
        self._existing = False
        if self._gone_since is None:
            self._gone_since = self._clock.monotonic()
        if self._clock.monotonic() - self._gone_since >= FLICKER:
            self.synced.clear()
            for key in list(self.store.objects):
                self.store.remove(key)

    async def _pause(self, shortest: float = 0.0, longest: float = inf) -> None:
        """Wait before the next attempt; some spread keeps several informers from coming at the same time."""
        self._attempts += 1
        pause = BACKOFF.pause(self._attempts, jitter=random.uniform(0.0, 0.5))
        await self._clock.sleep(min(max(pause, shortest), longest))

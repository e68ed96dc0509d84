"""A worker's place: ports shared with others, pods and questions from the supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final, assert_never

from common.config import gateway, shared
from common.enrichment import attributes, pods
from common.service import health, lifecycle
from common.service.settings import SettingsError
from gateway import app, kubernetes, settings
from gateway.place import Told
from gateway.workers import channel, facts, messages, sharing

EVERY: Final = 0.25  # seconds between reports: what is not known of a worker that is killed
READINGS: Final = 4  # reports, of which one has the metrics: 1.2 ms of CPU, the others 0.2 ms
MAX_WAITING: Final = 8 << 20  # bytes the supervisor has yet to take, beyond which none is added


async def work(
    config: Path,
    seat: messages.Seat,
    *,
    kubeconfig: str = "",
    log_level: str | None = None,
    workers: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run one worker of the gateway that *config* describes; return the exit code.

    What is wrong with the settings is told to the supervisor, which tells people.
    """
    async with channel.line(socket.socket(fileno=seat.channel)) as line:
        try:
            return await app.serve(
                config,
                kubeconfig=kubeconfig,
                log_level=log_level,
                workers=workers,
                environ=environ,
                place=Worker(seat, line),
            )
        except SettingsError as error:
            line.tell(messages.framed(messages.Failed(list(error.problems))))
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise  # the grace period is over, which is nothing to mend
            line.tell(messages.framed(messages.Failed([], str(error))))
    return 1


class Fed:
    """How well the supervisor is informed, as it told last."""

    counts = None  # the supervisor asks the API server, and counts

    def __init__(self) -> None:
        self.said: messages.Informed | None = None
        self.complete = asyncio.Event()  # a whole list of pods has arrived
        self.spoken = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether a complete list ever arrived here."""
        return self.complete.is_set()

    @property
    def healthy(self) -> bool:
        """Whether the API server answered last time."""
        return self.said is None or self.said.healthy

    @property
    def status(self) -> str:
        """How it is doing, in words for people."""
        return self.said.status if self.said else "listing"

    async def wait_synced(self, within: float) -> bool:
        """Wait up to *within* seconds for the first complete list; say whether it arrived."""
        try:
            async with asyncio.timeout(within):
                await self.complete.wait()
        except TimeoutError:
            return False
        return True


class Worker:
    """The place of one worker among several, see :class:`gateway.place.Place`."""

    shares_ports = True

    def __init__(self, seat: messages.Seat, line: channel.Line) -> None:
        self._seat, self._line = seat, line
        self.seat = (seat.number, seat.workers)
        self._index = pods.PodIndex()
        self._fed, self._listener = Fed(), facts.Listener()
        self._listeners: list[kubernetes.Changed] = []

    def part(self, loaded: settings.Loaded) -> settings.Loaded:
        """Return the configuration with this worker's part of the limits."""
        seat = self._seat
        shared = sharing.share(loaded.config, seat.workers, grpc=seat.grpc, http=seat.http)
        return replace(loaded, config=shared)

    @asynccontextmanager
    async def telling(
        self, _: shared.Admin, told: Told, stop: lifecycle.Stop
    ) -> AsyncIterator[str]:
        """Report to the supervisor and answer it; end when it is gone."""
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._hear(told.pages, stop)),
                tasks.create_task(self._report(told)),
            ]
            try:
                yield f"supervisor, as worker {self._seat.number} of {self._seat.workers}"
            finally:
                for task in work:
                    task.cancel()
                self._line.tell(messages.framed(report(told)))

    @asynccontextmanager
    async def knowing(
        self,
        _: gateway.Gateway,
        __: attributes.Rules,
    ) -> AsyncIterator[kubernetes.Knowledge]:
        """Know the pods that the supervisor tells of."""
        async with asyncio.timeout(kubernetes.PATIENCE):
            await self._fed.spoken.wait()
        used = self._fed.said is not None and self._fed.said.used
        if used:
            await kubernetes.first_list(self._fed)
        yield kubernetes.Knowledge(
            index=self._index,
            informer=self._fed if used else None,
            listeners=self._listeners,
        )

    async def _report(self, told: Told) -> None:
        for turn in count():
            if self._line.waiting < MAX_WAITING:
                told_all = not turn % READINGS
                self._line.tell(messages.framed(report(told, readings=told_all)))
            await asyncio.sleep(EVERY)

    async def _hear(self, pages: Mapping[str, health.Page], stop: lifecycle.Stop) -> None:
        loop = asyncio.get_running_loop()
        while (body := await self._line.hear()) is not None:
            match messages.to_worker(body):
                case messages.Ask() as asked:
                    self._line.tell(messages.framed(await _answer(asked, pages)))
                case messages.Informed() as said:
                    self._fed.said = said
                    self._fed.spoken.set()
                case messages.Pods() | messages.Changed() as heard:
                    change = self._listener.heard(heard)
                    if change is not None:
                        self._index.apply(change, loop.time())
                        for listener in self._listeners:
                            listener(change)
                        if self._index.synced:
                            self._fed.complete.set()
                case _ as never:
                    assert_never(never)
        stop.request("the supervisor is gone")


def report(told: Told, *, readings: bool = True) -> messages.Report:
    """Say how this worker is, at this moment; *readings* or not."""
    ready, _ = told.readiness.report()
    checks = {name: check() for name, check in told.readiness.checks.items()}
    return messages.Report(
        listening=checks["listening"][0],
        ready=ready,
        checks={name: words for name, (_, words) in checks.items() if name != "listening"},
        readings=list(told.telemetry.snapshot()) if readings else None,
        ledgers=list(told.accounts),
        mismatches=told.accounts.mismatches,
        fresh_pods=told.fresh_pods(),
    )


async def _answer(asked: messages.Ask, pages: Mapping[str, health.Page]) -> messages.Answer:
    page = pages.get(asked.path)
    if page is None:
        return messages.Answer(asked.ticket, None)
    try:
        said = page(asked.query)
        found = await said if isinstance(said, Awaitable) else said
    except health.BadQuery as error:
        return messages.Answer(asked.ticket, None, str(error))
    return messages.Answer(asked.ticket, health.encoded(found))

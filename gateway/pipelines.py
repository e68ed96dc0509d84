"""The pipelines that run now: entered, kept or drained as the configuration changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar, final

from common.config import gateway, secrets
from common.service.ledger import Ledger
from common.service.settings import Problem, SettingsError
from common.wire import otlp
from gateway import filters, intake, routing
from gateway.accounts import Accounts

MAX_DRAINING: Final = 16  # destinations that are gone and still hold data, each up to its queue


class Destination(intake.Queue, Protocol):
    """What a pipeline wants of :class:`common.exporters.destination.Destination`."""

    def renew(self, output: gateway.Output) -> None:
        """Use the secrets of *output*, which differs in nothing else, from the next request on."""
        ...


Kind = TypeVar("Kind", bound=Destination)
Open = Callable[[gateway.Pipeline, Ledger], AbstractAsyncContextManager[Kind]]
"""Enter a destination; leaving normally drains it, leaving by an exception abandons it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Running(Generic[Kind]):
    """A destination with the configuration it was made from, and the account it books on."""

    config: gateway.Pipeline
    ledger: Ledger
    destination: Kind
    leave: asyncio.Event

    def has_room(self, size: int) -> bool:
        """Say whether *size* bytes more would be taken now, without anything else being lost."""
        return self.destination.has_room(size)

    @property
    def durable(self) -> bool:
        """Whether `offer` tells when the data is safe from a crash."""
        return self.config.buffer is not None and self.config.buffer.sync == "each"

    def offer(
        self,
        body: otlp.Encoded,
        points: int,
        spans: otlp.Spans = (),
        written: Callable[[bool], None] | None = None,
    ) -> bool:
        """Take points that the ledger holds, or book their loss and say no.

        What a disk refuses is kept in memory as long as there is room. Only where the pipeline is
        required the sender is told, and may send it again.
        """
        if written is not None and not self.config.required:
            plain = written
            return self.destination.offer(body, points, spans, lambda _: plain(True))
        return self.destination.offer(body, points, spans, written)


class Pipelines(Generic[Kind]):
    """Keeps the destinations that the configuration asks for, and publishes routes to them."""

    def __init__(
        self, tasks: asyncio.TaskGroup, enter: Open[Kind], accounts: Accounts, doors: intake.Intake
    ) -> None:
        self._tasks, self._enter = tasks, enter
        self._accounts, self._intake = accounts, doors
        self._running: dict[str, Running[Kind]] = {}
        self._draining: set[str] = set()
        self._lives = 0

    @property
    def running(self) -> Sequence[Running[Kind]]:
        """The pipelines of the present configuration, in its order."""
        return tuple(self._running.values())

    @property
    def draining(self) -> int:
        """How many destinations are being emptied because the configuration left them."""
        return len(self._draining)

    async def apply(self, wanted: Iterable[gateway.Pipeline]) -> None:
        """Make *wanted* the pipelines that run; what is unchanged is not touched.

        Destinations of which nothing but secrets changed are kept, and use the new ones from the
        next request on, for what they hold already, too. New destinations are entered first, then
        the routes are swapped between two requests, then those that are gone are drained in the
        background. Raises :class:`SettingsError` when a destination cannot be entered; then
        everything is as it was.
        """
        wanted = tuple(wanted)
        old = self._running
        changed = [p for p in wanted if p.name not in old or _differs(old[p.name].config, p)]
        leaving = [r for name, r in old.items() if name not in {p.name for p in wanted}]
        leaving += [old[p.name] for p in changed if p.name in old]
        if len(self._draining) + len(leaving) > MAX_DRAINING and self._draining:
            raise SettingsError([
                Problem("pipelines", f"{len(self._draining)} former destinations are still being "
                f"emptied and {len(leaving)} more would be, the limit is {MAX_DRAINING}; it is "
                "tried again until they are")
            ])  # fmt: skip
        entered: dict[str, Running[Kind]] = {}
        try:
            for pipeline in changed:
                entered[pipeline.name] = await self._open(pipeline)
        except BaseException:
            for running in entered.values():
                running.leave.set()
            raise
        self._running = {}
        for pipeline in wanted:
            running = entered.get(pipeline.name) or old[pipeline.name]
            if running.config.output != pipeline.output:
                running.destination.renew(pipeline.output)
            self._running[pipeline.name] = Running(
                config=pipeline,
                ledger=running.ledger,
                destination=running.destination,
                leave=running.leave,
            )
        self._publish()
        for running in leaving:
            self._renew_last(running)
            running.leave.set()
        self._accounts.keep(self._running.keys())

    def leave_all(self) -> None:
        """Take no more, and drain everything."""
        for running in self._running.values():
            running.leave.set()

    def _renew_last(self, leaving: Running[Kind]) -> None:
        """Let what a destination still holds be sent with its successor's secrets, if they fit."""
        fresh = self._running.get(leaving.config.name)
        if fresh is not None and secrets.same_but_secrets(
            leaving.config.output, fresh.config.output
        ):
            leaving.destination.renew(fresh.config.output)

    def _publish(self) -> None:
        self._intake.routes = routing.Routes(
            generation=self._intake.routes.generation + 1,
            required=any(running.config.required for running in self._running.values()),
            durable=any(running.durable for running in self._running.values()),
            pipelines=tuple(
                routing.Route(
                    name=name,
                    selections=filters.selections(running.config.inputs),
                    outlet=running,
                    required=running.config.required,
                )
                for name, running in self._running.items()
            ),
        )

    async def _open(self, pipeline: gateway.Pipeline) -> Running[Kind]:
        opened: asyncio.Future[Kind] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()
        ledger = self._accounts.of(pipeline.name)
        self._tasks.create_task(
            self._live(pipeline, ledger, opened, leave), name=f"pipeline {pipeline.name}"
        )
        try:
            destination = await opened
        except BaseException:
            leave.set()
            raise
        return Running(config=pipeline, ledger=ledger, destination=destination, leave=leave)

    async def _live(
        self,
        pipeline: gateway.Pipeline,
        ledger: Ledger,
        opened: asyncio.Future[Kind],
        leave: asyncio.Event,
    ) -> None:
        """Own one destination from its first moment to the last point it delivers."""
        self._lives += 1
        ticket = f"{pipeline.name} {self._lives}"
        try:
            async with self._enter(pipeline, ledger) as destination:
                if not opened.done():  # whoever asked may have been cancelled since
                    opened.set_result(destination)
                await leave.wait()
                self._draining.add(ticket)
        except SettingsError as error:
            if opened.done() and not opened.cancelled():
                raise
            if not opened.cancelled():
                opened.set_exception(error.within(f"pipelines[{pipeline.name}]"))
        finally:
            self._draining.discard(ticket)


@asynccontextmanager
async def running(
    enter: Open[Kind], accounts: Accounts, doors: intake.Intake
) -> AsyncIterator[Pipelines[Kind]]:
    """Own the pipelines behind *doors*; none runs before `Pipelines.apply`.

    Leaving normally drains all destinations, the former ones included; leaving by an exception
    abandons them, and what they held is booked as lost.
    """
    async with asyncio.TaskGroup() as tasks:
        pipelines = Pipelines(tasks, enter, accounts, doors)
        yield pipelines
        pipelines.leave_all()


def _differs(old: gateway.Pipeline, new: gateway.Pipeline) -> bool:
    """Say whether the destination itself differs: filters and secrets need no new connection."""
    if (old.batch, old.retry, old.queue_bytes, old.buffer) != (
        new.batch, new.retry, new.queue_bytes, new.buffer,
    ):  # fmt: skip
        return True
    return old.output != new.output and not secrets.same_but_secrets(old.output, new.output)

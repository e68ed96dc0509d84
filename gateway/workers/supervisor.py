"""One gateway of several processes: starts workers, replaces those that die, speaks for all."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from common.enrichment import pods
from common.kube import informer, objects, reflector
from common.service import address, health, lifecycle
from common.service.settings import SettingsError
from common.service.telemetry import Telemetry
from gateway import kubernetes, settings
from gateway.workers import channel, facts, link, messages, ports
from gateway.workers.roster import Done, GiveUp, Member, Restart, Roster, members

log = logging.getLogger("headgate.gateway.workers")

MARGIN: Final = 2.0  # seconds beyond the grace period that workers keep to by themselves
EXIT: Final = 10.0  # seconds a worker that has said its last words may take to exit
LOOK: Final = 0.5  # seconds between looks who is stuck and how the informer is
LEDGER, WORKERS = "/debug/ledger", "/debug/workers"


async def supervise(
    loaded: settings.Loaded, command: Sequence[str], *, environ: Mapping[str, str] = os.environ
) -> int:
    """Run ``loaded.config.workers`` processes of *command* until SIGTERM; return the exit code.

    *command* is completed by ``--as-worker`` and a :class:`messages.Seat` in JSON. Raises like
    :func:`gateway.app.serve`.
    """
    config = loaded.config
    roster = Roster(members(config.workers), random.random)
    try:
        async with lifecycle.stopping(config.grace + MARGIN) as stop:
            with (
                ports.reserved(config.listen.grpc, "OTLP gRPC") as grpc,
                ports.reserved(config.listen.http, "OTLP HTTP") as http,
            ):
                supervisor = Supervisor(roster, command, grpc, http)
                await supervisor.run(loaded, stop, environ)
    except BaseExceptionGroup as group:
        raise lifecycle.alone(group, (SettingsError, OSError)) or group from None
    finally:
        roster.abandon()  # whoever had to be killed
        log.info("all workers ended", extra=roster.accounts().last_words())
    return 0 if roster.clean else 1


class Supervisor:
    """Keeps every place of *roster* taken by a process of *command*."""

    def __init__(
        self, roster: Roster, command: Sequence[str], grpc: address.Address, http: address.Address
    ) -> None:
        self._roster, self._command = roster, tuple(command)
        self._grpc, self._http = grpc, http
        self._store = facts.Store()
        self._links: dict[Member, link.Link] = {}
        self._told = messages.Informed(used=False)
        self._all_listen = asyncio.Event()
        self._stopped = asyncio.Event()

    async def run(
        self, loaded: settings.Loaded, stop: lifecycle.Stop, environ: Mapping[str, str]
    ) -> None:
        """Run until *stop*, and until every worker has ended."""
        config, roster = loaded.config, self._roster
        logging.getLogger().setLevel(config.log_level.upper())
        readiness, telemetry, own = health.Readiness(), Telemetry(process=False), Telemetry()
        readiness.checks["workers"] = roster.ready
        readiness.asides = roster.checks
        telemetry.add(lambda: roster.readings(own.snapshot()))
        loop, rules = asyncio.get_running_loop(), settings.rules(config.enrichment)

        def shrink(pod: objects.Pod) -> facts.Row:
            return facts.encoded(pods.facts(pod, rules))

        pages: dict[str, health.Page] = {
            LEDGER: self._ledger,
            WORKERS: lambda _: roster.page(loop.time()),
            "/debug/{page}": self._page,
        }
        async with (
            health.serving(
                (config.admin.health, config.admin.metrics),
                readiness=readiness,
                telemetry=telemetry,
                pages=pages,
            ) as admin,
            kubernetes.asking(config, environ, shrink, self._changed) as informed,
        ):
            if informed is not None:
                own.add(lambda: kubernetes.readings(informed))
            self._look(informed)
            async with asyncio.TaskGroup() as around:
                watch = around.create_task(self._watch(informed))
                say = around.create_task(self._say(", ".join(map(str, admin))))
                async with asyncio.TaskGroup() as tasks:
                    for member in roster.members:
                        tasks.create_task(self._keep(member), name=member.name)
                    await stop.wait()
                    readiness.stopping = roster.stopping = True
                    self._stopped.set()
                    for at in self._links.values():
                        at.end()
                watch.cancel()
                say.cancel()

    async def _keep(self, member: Member) -> None:
        """Let one process after another take the place of *member*."""
        roster, loop = self._roster, asyncio.get_running_loop()
        while not roster.stopping:
            code = await self._live(member)
            step, lost = roster.ended(member, code, loop.time())
            extra = {"worker": member.number, "end": member.last_end, "points_lost": lost}
            if lost:
                log.error("worker lost", extra=extra)
            match step:
                case Done():
                    return
                case GiveUp(failure=failure):
                    if failure.problems:
                        raise SettingsError(failure.problems)
                    raise OSError(failure.words)
                case Restart(after=after, reason=reason):
                    why: dict[str, object] = {
                        "reason": reason,
                        "restart_in_seconds": round(after, 2),
                    }
                    if member.failure is not None:
                        said = "; ".join(map(str, member.failure.problems)) or member.failure.words
                        why["failure"] = said
                    log.warning("worker ended", extra={**extra, **why})
                    with suppress(TimeoutError):  # of the pause
                        async with asyncio.timeout(after):
                            await self._stopped.wait()
        member.state = "ended"

    async def _live(self, member: Member) -> int:
        """Run one process to its end; return its exit code, negative for a signal."""
        try:
            process, ours = await self._start(member)
        except OSError as error:  # no memory, no descriptors: perhaps there will be
            member.failure = messages.Failed([], f"cannot start a worker: {error}")
            return 1
        self._roster.started(member, process.pid, asyncio.get_running_loop().time())
        try:
            async with channel.line(ours) as line:
                await self._talk(member, link.Link(process, line))
            async with asyncio.timeout(EXIT):
                return await process.wait()
        except TimeoutError:  # it closed its channel and lives on
            process.kill()
            return await process.wait()
        finally:
            await link.gone(process)

    async def _start(self, member: Member) -> tuple[asyncio.subprocess.Process, socket.socket]:
        """Start a process for *member*; return it, and our end of the socket to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            seat = messages.Seat(
                number=member.number,
                workers=len(self._roster.members),
                channel=theirs.fileno(),
                grpc=str(self._grpc),
                http=str(self._http),
            )
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--as-worker",
                    msgspec.json.encode(seat).decode(),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        return process, ours

    async def _talk(self, member: Member, at: link.Link) -> None:
        """Hear *member* out, and tell it of pods meanwhile."""
        at.line.tell(messages.framed(self._told))
        at.offer(None)
        self._links[member] = at
        try:
            if self._roster.stopping:
                at.end()
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(at.pump(self._store))
                await self._hear(member, at)
                pump.cancel()
        finally:
            del self._links[member]
            at.hang_up()

    async def _hear(self, member: Member, at: link.Link) -> None:
        loop = asyncio.get_running_loop()
        while (body := await at.line.hear()) is not None:
            match messages.to_supervisor(body):
                case messages.Report() as report:
                    self._roster.reported(member, report, loop.time())
                    if all(m.report and m.report.listening for m in self._roster.members):
                        self._all_listen.set()
                case messages.Answer() as answer:
                    at.answered(answer)
                case messages.Failed() as failure:
                    member.failure = failure

    def _changed(self, change: reflector.Change[facts.Row]) -> None:
        """Tell every worker what the informer says, encoded once for all."""
        told = self._store.apply(change, asyncio.get_running_loop().time())
        if told is None and not isinstance(change, reflector.Replaced):
            return
        frame = None if told is None else messages.framed(told)
        for at in self._links.values():
            at.offer(frame)

    def _look(self, informed: informer.Informer | None) -> None:
        """Tell every worker how the informer is, if that changed."""
        if informed is None:
            return
        said = messages.Informed(
            used=True,
            synced=informed.synced,
            healthy=informed.healthy,
            status=informed.status,
        )
        if said != self._told:
            self._told = said
            for at in self._links.values():
                at.line.tell(messages.framed(said))

    async def _watch(self, informed: informer.Informer | None) -> None:
        """Look after everything that nobody reports, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK)
            self._look(informed)
            for member in self._roster.stuck(loop.time()):
                log.warning("worker is stuck and is killed", extra={"worker": member.number})
                if member in self._links:
                    self._links[member].kill()

    async def _say(self, admin: str) -> None:
        """Say once where the whole listens."""
        await self._all_listen.wait()
        where = {"grpc": str(self._grpc), "http": str(self._http), "admin": admin}
        log.info("all workers listen", extra={**where, "workers": len(self._roster.members)})

    def _ledger(self, query: Mapping[str, str]) -> object:
        """Return the account of the whole, or what a worker's own page says."""
        if "worker" in query:
            return self._page({**query, "page": "ledger"})
        return self._roster.ledger_page()

    async def _page(self, query: Mapping[str, str]) -> object:
        """Return what the workers' pages of one name say, or only that of ``?worker=N``."""
        wanted = query.get("worker", "")
        rest = {key: value for key, value in query.items() if key not in {"page", "worker"}}
        asked = {
            str(member.number): at
            for member, at in self._links.items()
            if wanted in {"", str(member.number)}
        }
        found: dict[str, object] = {}
        async with asyncio.TaskGroup() as tasks:
            answers = {
                number: tasks.create_task(at.ask(f"/debug/{query['page']}", rest))
                for number, at in asked.items()
            }
        said = {number: task.result() for number, task in answers.items()}
        for number, answer in said.items():
            if answer is not None and answer.problem:
                raise health.BadQuery(answer.problem)
            if answer is not None and answer.body is not None:
                found[number] = msgspec.Raw(answer.body)
        if not found:
            raise health.NoSuchPage(f"no worker has a page /debug/{query['page'][:100]}")
        return {"workers": found}

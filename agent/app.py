"""The agent, put together: discovery, scraping, the push to the gateway, and what tells people."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from agent import collecting, readings, settings
from agent.pages import explanation, plain, prometheus, targets as targets_page, view
from agent.runtime import source
from agent.token import TokenFile
from common.config import agent
from common.exporters import build, delivery
from common.exporters.destination import Destination
from common.exporters.outcomes import Exporter
from common.kube import access
from common.service import audit, clock, health, lifecycle
from common.service.ledger import Ledger
from common.service.settings import Problem, SettingsError
from common.service.telemetry import Telemetry
from common.wire import otlp

log = logging.getLogger("headgate.agent")

AUDIT: Final = 1.0  # seconds between two looks whether the account balances
EXPORTER: Final = "otlp_grpc/gateway"  # what an OpenTelemetry Collector would call the push
PAGES: Final = (
    "/targets",
    "/api/v1/targets",
    "/api/v1/scrape_pools",
    "/debug/explain",
    "/debug/ledger",
    "/debug/runtime",
)


async def serve(
    config: Path,
    *,
    kubeconfig: str = "",
    log_level: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run the agent that the document *config* describes until SIGTERM; return the exit code.

    *kubeconfig* and *log_level* win over the document. Raises
    :class:`~common.service.settings.SettingsError` and :class:`OSError` for what the user can mend,
    and :class:`TimeoutError` when the grace period ended before all was pushed.
    """
    document = settings.load(config, environ=environ, kubeconfig=kubeconfig, log_level=log_level)
    logging.getLogger().setLevel(document.log_level.upper())
    ledger = Ledger("gateway")
    try:
        async with lifecycle.stopping(document.grace) as stop:
            await _run(document, ledger, stop, environ)
    finally:
        log.info("stopped", extra=_last_words(ledger))
    return 0


async def _run(
    document: agent.Agent, ledger: Ledger, stop: lifecycle.Stop, environ: Mapping[str, str]
) -> None:
    reached = await access.choose(document.kubernetes, environ)
    token = TokenFile(document.gateway.token_file, asyncio.get_running_loop().time)
    readiness, telemetry, audited = health.Readiness(), Telemetry(), _Audited(ledger)
    if document.admin.otelcol_metrics:
        ledger.exporter = EXPORTER
    readiness.checks["started"] = lambda: (False, "starting")
    answers: dict[str, health.Page] = dict.fromkeys(PAGES, _starting)
    async with (
        # The door for probes is opened first and closed last: it says so while the push drains.
        health.serving(
            (document.admin.health, document.admin.metrics),
            readiness=readiness,
            telemetry=telemetry,
            pages={path: functools.partial(_answer, answers, path) for path in PAGES},
        ) as bound,
        _pushing(document.gateway, token) as exporter,
        audited.watching(),  # until the push is drained
        delivery.delivering(
            ledger.pipeline,
            exporter,
            ledger,
            batching=document.gateway.batch,
            retrying=document.gateway.retry,
            queue_bytes=document.gateway.queue_bytes,
            random=random.random,
        ) as destination,
    ):

        def offer(body: otlp.Encoded, points: int) -> bool:
            ledger.receive(points, {})
            return destination.offer(body, points)

        async with collecting.collecting(
            document,
            reached,
            offer,
            host=environ.get("HOSTNAME", ""),
            monotonic=asyncio.get_running_loop().time,
        ) as collected:
            answers |= _pages(document, collected, audited)
            # None makes the agent unready: it scrapes what it knows, and keeps what it scraped.
            for name in collected.status():
                readiness.checks[name] = functools.partial(_told, collected, name)
            readiness.checks["gateway"] = lambda: (True, _reachable(document, destination))
            readiness.checks["started"] = lambda: (True, "scraping")
            telemetry.add(lambda: readings.of_scraping(collected.loop))
            telemetry.add(
                lambda: readings.of_delivery(
                    ledger, destination, document.gateway.queue_bytes, audited.mismatches
                )
            )
            telemetry.add(collected.discovery.readings)
            telemetry.add(lambda: source.readings(collected.kubelet))
            telemetry.add(collected.cluster.readings)
            admin = ", ".join(map(str, bound))
            log.info("listening", extra={"admin": admin, "discovery": collected.discovery.status})
            await stop.wait()
            readiness.stopping = True


class _Audited:
    """The account of the push, and how often it did not balance."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.mismatches = ledger, 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at it now and then, and at last."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look())
            try:
                yield
            finally:
                looking.cancel()
                self._once()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(AUDIT)
            self._once()

    def _once(self) -> None:
        for words in audit.off((self.ledger,)):
            self.mismatches += 1
            log.error("BUG: %s", words)

    def page(self) -> dict[str, object]:
        """Return it as plain values, as a gateway returns its own."""
        return {
            "pipelines": {self.ledger.pipeline: self.ledger.summary()},
            "balance": self.ledger.balance(),
            "mismatches": self.mismatches,
        }


def _starting(_: Mapping[str, str]) -> object:
    return {"status": "starting"}


def _answer(answers: Mapping[str, health.Page], path: str, query: Mapping[str, str]) -> object:
    return answers[path](query)


@asynccontextmanager
async def _pushing(push: agent.Push, token: TokenFile) -> AsyncIterator[Exporter]:
    """Enter the exporter, with the keys of its problems as they are in the document."""
    async with AsyncExitStack() as stack:
        try:
            exporter = await stack.enter_async_context(build.pushing(push, token=token))
        except SettingsError as error:
            problems = [Problem(f"gateway.{p.key}", p.message) for p in error.problems]
            raise SettingsError(problems) from error
        yield exporter


def _told(collected: collecting.Collected, name: str) -> tuple[bool, str]:
    return True, collected.status().get(name, "off")


def _pages(
    document: agent.Agent, collected: collecting.Collected, audited: _Audited
) -> dict[str, health.Page]:
    loop, found = collected.loop, collected.discovery
    bounds = view.Bounds(
        samples=document.scraping.max_samples, body_bytes=document.scraping.max_body_bytes
    )

    def all_targets(query: Mapping[str, str]) -> object:
        shown = view.view(
            loop.states,
            found.decisions,
            found.skipped,
            asked=view.Asked.of(query),
            node=document.node,
            now=clock.unix_nanoseconds(),
            bounds=bounds,
            inputs=collected.status(),
        )
        return health.Faces(plain=lambda: plain.page(shown), html=lambda: targets_page.page(shown))

    def explain(query: Mapping[str, str]) -> object:
        states = loop.states
        told = explanation.explained(
            explanation.subject(query),
            found.roster,
            states,
            troubles=found.troubles,
            now=clock.unix_nanoseconds(),
        )
        return health.Faces(
            plain=lambda: explanation.plain(told, document.node, states),
            html=lambda: explanation.page(told, states),
        )

    return {
        "/targets": all_targets,
        "/api/v1/targets": lambda query: prometheus.targets_page(
            loop.states, found.skipped, found.roster, query
        ),
        "/api/v1/scrape_pools": lambda _: prometheus.pools_page(loop.states),
        "/debug/explain": explain,
        "/debug/ledger": lambda _: audited.page(),
        "/debug/runtime": lambda _: collected.runtime_page(),
    }


def _reachable(document: agent.Agent, destination: Destination) -> str:
    """Say how the push is doing."""
    where, stats = document.gateway.endpoint, destination.stats()
    match stats.condition.state:
        case "failing":
            held = f"{stats.points_held} points wait"
            return f"{where} does not take data: {stats.condition.last_error}; {held}"
        case "delivering":
            return f"{where} takes data"
        case _:
            return f"{where}: nothing was sent yet"


def _last_words(ledger: Ledger) -> dict[str, object]:
    lost = {str(reason): points for reason, points in ledger.dropped.items() if points}
    return {
        "scraped": ledger.received,
        "delivered": ledger.delivered,
        "lost": lost,
        "held": ledger.held,
    }

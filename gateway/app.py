"""The gateway, put together: doors, enrichment, pipelines, and what tells people about them."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from common.config.doors import Listen
from common.enrichment.enricher import Enricher
from common.exporters.destination import Destination
from common.service import address, health, lifecycle, memory
from common.service.settings import SettingsError
from common.service.telemetry import Telemetry
from common.wire import layout
from gateway import (
    association_page,
    destinations,
    fresh_pods,
    kubernetes,
    otelcol,
    pipelines,
    readings,
    settings,
    shelves,
)
from gateway.accounts import Accounts
from gateway.handover import Handover
from gateway.intake import Intake
from gateway.place import Alone, Place, Told
from gateway.receivers import door, grpc_lean, otlp_http
from gateway.receivers.admission import Admission
from gateway.receivers.trust import Trust
from gateway.reload import Reload
from gateway.scarcity import Scarcity

log = logging.getLogger("headgate.gateway")

AUDIT: Final = 1.0  # seconds between two looks whether every account balances
DRAIN: Final = 0.25  # of the grace period: what requests inside the doors may take of it

Serving: TypeAlias = Callable[
    [str, door.Terms, door.Traffic], AbstractAsyncContextManager[address.Address]
]
"""Opens a door, and yields where."""


async def serve(
    config: Path,
    *,
    kubeconfig: str = "",
    log_level: str | None = None,
    workers: int | None = None,
    environ: Mapping[str, str] = os.environ,
    place: Place | None = None,
) -> int:
    """Run the gateway that the document *config* describes until SIGTERM; return the exit code.

    *kubeconfig*, *log_level* and *workers* win over the document. This is one process, whatever
    their number: *place* is that of a worker among several. Raises
    :class:`~common.service.settings.SettingsError` and :class:`OSError` for what the user can mend,
    and :class:`TimeoutError` when the grace period ended before all was delivered, or on disk.
    """
    place = Alone(environ) if place is None else place
    chosen: dict[str, Any] = {"kubeconfig": kubeconfig, "log_level": log_level, "workers": workers}
    load = partial(_load, place, partial(settings.load, config, environ=environ, **chosen))
    loaded = load()
    accounts, kept = Accounts(), False
    try:
        async with lifecycle.stopping(loaded.config.grace) as stop:
            try:
                await _run(loaded, load, accounts, stop, place)
            finally:
                kept = stop.requested and accounts.kept_all
    except TimeoutError:
        if not kept:
            raise
        log.warning("the grace period is over; what was still held is on disk for the next start")
    except BaseExceptionGroup as group:
        raise lifecycle.alone(group, (SettingsError, OSError)) or group from None
    finally:
        _audit_once(accounts)
        log.info("stopped", extra=accounts.last_words())
    return 0


async def _run(
    loaded: settings.Loaded,
    load: Callable[[], settings.Loaded],
    accounts: Accounts,
    stop: lifecycle.Stop,
    place: Place,
) -> None:
    config = loaded.config
    rules = settings.rules(config.enrichment)
    readiness, telemetry = health.Readiness(), Telemetry()
    readiness.checks["listening"] = lambda: (False, "starting")
    # Until there are any.
    views: dict[str, Callable[[], dict[str, object]]] = {"pipelines": dict, "fresh_pods": dict}
    explained: dict[str, health.Page] = {"enrichment": lambda _: {"kubernetes": "starting"}}

    def explain(query: Mapping[str, str]) -> object:
        return explained["enrichment"](query)

    def fresh() -> dict[str, object]:
        return views["fresh_pods"]()

    pages: dict[str, health.Page] = {
        "/debug/enrichment": explain,
        "/debug/ledger": lambda _: {**accounts.page(), "fresh_pods": fresh()},
        "/debug/pipelines": lambda _: views["pipelines"](),
    }
    told = Told(
        readiness=readiness,
        telemetry=telemetry,
        accounts=accounts,
        fresh_pods=fresh,
        pages=pages,
    )
    async with (
        place.telling(config.admin, told, stop) as admin,
        place.knowing(config, rules) as known,
    ):
        enricher = Enricher(rules, known.index, config.limits.enrichment_memo_bytes)
        recogniser = layout.Recogniser(config.limits.layout_memo_bytes, secrets.randbits(64))
        doorstep = fresh_pods.Doorstep(config.enrichment, known)
        intake = Intake(enricher, recogniser.frames, doorstep)
        accounts.watch("fresh pods", doorstep.holding.balance)
        views["fresh_pods"] = doorstep.page
        explained["enrichment"] = association_page.explaining(
            enricher,
            known.index,
            doorstep,
            status=lambda: known.status,
            now=asyncio.get_running_loop().time,
        )
        trust, clients = Trust(loaded.tokens), Trust(loaded.client_tokens)
        async with (
            _beside(_audit(accounts, known)),  # until the last destination is empty
            shelves.keeping(*place.seat) as kept,
            pipelines.running(
                partial(destinations.entering, shelves=kept, handover=Handover()),
                accounts,
                intake,
            ) as running,
        ):
            await running.apply(config.pipelines)
            otelcol.name(accounts, config)

            async def apply(changed: settings.Loaded) -> None:
                await running.apply(changed.config.pipelines)
                otelcol.name(accounts, changed.config)
                trust.replace(changed.tokens)
                clients.replace(changed.client_tokens)
                logging.getLogger().setLevel(changed.config.log_level.upper())

            logging.getLogger().setLevel(config.log_level.upper())
            reload = Reload(loaded, load, apply)
            views["pipelines"] = partial(_page, reload, running, kept)
            terms = door.Terms(
                intake=intake,
                admission=Admission(config.limits.max_in_flight_bytes, config.limits.peer_share),
                trust=trust,
                clients=clients,
                limits=config.limits,
                listen=config.listen,
                drain=config.grace * DRAIN,
                reuse_port=place.shares_ports,
                healthy=lambda: readiness.report()[0],
            )
            traffic = (door.Traffic("grpc"), door.Traffic("http"))
            telemetry.add(lambda: door.readings(traffic, terms.admission))
            telemetry.add(lambda: otelcol.refused(config.admin, traffic))
            telemetry.add(lambda: readings.of_intake(intake, trust, running.draining))
            telemetry.add(lambda: readings.of_enricher(enricher))
            telemetry.add(lambda: readings.of_recogniser(recogniser))
            telemetry.add(lambda: destinations.readings(running.running))
            scarcity = Scarcity(terms.admission, config.limits.memory_fraction, memory.Meter().read)
            for source in (
                accounts.readings, reload.readings, known.readings, doorstep.readings,
                scarcity.readings, kept.readings,
            ):  # fmt: skip
                telemetry.add(source)
            async with (
                fresh_pods.keeping(doorstep, known, intake.pass_on),
                _beside(reload.follow(), scarcity.follow()),
                _grpc_door(config.listen)(config.listen.grpc, terms, traffic[0]) as grpc,
                otlp_http.serving(config.listen.http, terms, traffic[1]) as http,
            ):
                words = f"grpc {grpc}, http {http}"
                readiness.checks["listening"] = lambda: (True, words)
                readiness.checks["config"] = lambda: (True, reload.status)
                readiness.checks["kubernetes"] = lambda: (True, known.status)
                bound = {"admin": admin, "kubernetes": known.status}
                log.info("listening", extra={"grpc": str(grpc), "http": str(http), **bound})
                await stop.wait()
                readiness.stopping = True


def _grpc_door(listen: Listen) -> Serving:
    if listen.grpc_door == "grpcio":
        from gateway.receivers import otlp_grpc  # noqa: PLC0415 - 8 MB that few ask for

        return otlp_grpc.serving
    return grpc_lean.serving


def _load(place: Place, load: Callable[[], settings.Loaded]) -> settings.Loaded:
    return place.part(load())


def _page(
    reload: Reload, running: pipelines.Pipelines[Destination], kept: shelves.Shelves
) -> dict[str, object]:
    """Return the configuration that runs, without secrets, and how its destinations are."""
    return {
        "status": reload.status,
        "problems": list(map(str, reload.problems)),
        "draining": running.draining,
        "destinations": destinations.page(running.running),
        "buffers": kept.page(),
        "configuration": settings.redacted(reload.current.config),
    }


@asynccontextmanager
async def _beside(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run *work* for as long as the block runs."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in work]
        yield
        for task in running:
            task.cancel()


async def _audit(accounts: Accounts, known: kubernetes.Knowledge) -> None:
    """Look at every account once a second, and let the index forget pods that are long gone."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(AUDIT)
        _audit_once(accounts)
        known.index.sweep(loop.time())


def _audit_once(accounts: Accounts) -> None:
    for words in accounts.audit():
        log.error("BUG: %s", words)

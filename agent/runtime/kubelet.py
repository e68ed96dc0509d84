"""Asks the kubelet of this node at intervals, and hands on what it tells."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, final

import msgspec

from agent.runtime import kubelet_hints, kubelet_points, node_pods, summary, writing
from agent.runtime.kubelet_points import Capacity, Choice
from agent.runtime.source import Health, Source
from agent.scraping import schedule
from agent.scraping.response import Cause
from agent.scraping.ticks import Ticks
from common.config import agent, shared
from common.exporters.outcomes import Offer
from common.kube import client as kube, credentials, quantity
from common.service.settings import Problem, SettingsError
from common.wire import errors

log = logging.getLogger("headgate.agent.runtime")

SUMMARY: Final = "/stats/summary"
PORT: Final = 10250
CAPACITY_EVERY: Final = 60.0  # seconds; a node grows by a restart of its kubelet
_KEY: Final = "inputs.runtime.kubelet.tls"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Where the time comes from."""

    wall: Callable[[], int]
    """The wall clock, in Unix nanoseconds."""
    stopwatch: Callable[[], float]
    """Seconds, only ever forward."""


@asynccontextmanager
async def collecting(
    document: agent.Agent,
    access: credentials.Access | None,
    pods: node_pods.Known,
    offer: Offer,
    *,
    clocks: Clocks,
    version: str,
) -> AsyncIterator[Source]:
    """Hand to *offer* what the kubelet tells at every tick, and say how that goes.

    Entering does not wait for the kubelet. What the document does not ask for is not collected; if
    that is everything, the source stays off. *access* proves us to the kubelet, too. *pods* is what
    is known of this node's pods; it changes in place. Raises
    :class:`~common.service.settings.SettingsError` for certificates that cannot be used.
    """
    given = document.inputs.runtime
    chosen = kubelet_points.choice(given)
    source = Source("kubelet")
    url = given.kubelet.endpoint.rstrip("/") or (
        f"https://{document.node}:{PORT}" if document.node else ""
    )
    if not chosen.metrics or not url:
        yield source
        return
    source.url, source.health = url + SUMMARY, Health.PENDING
    source.interval = given.interval or document.scraping.interval
    timeout = min(given.kubelet.timeout, source.interval)
    limits = kube.Limits(
        connect_timeout=timeout, request_timeout=timeout, max_page_bytes=given.kubelet.max_bytes
    )
    async with AsyncExitStack() as stack:
        asking = await stack.enter_async_context(
            kube.connecting(_towards(url, given.kubelet.tls, access), limits)
        )
        node = None
        if access is not None and document.node and chosen.metrics & kubelet_points.NODE_SHARES:
            patience = kube.Limits(connect_timeout=timeout, request_timeout=timeout)
            node = await stack.enter_async_context(kube.connecting(access, patience))
        collector = _Collector(
            source=source,
            kubelet=asking,
            max_bytes=given.kubelet.max_bytes,
            api=node,
            node=document.node,
            chosen=chosen,
            pods=pods,
            offer=offer,
            clocks=clocks,
            scope=(writing.SCOPE, version),
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        task = tasks.create_task(collector.follow(), name="kubelet")
        try:
            yield source
        finally:
            task.cancel()


@final
@dataclass(slots=True, kw_only=True)
class _Collector:
    """What one round needs, and what the rounds before have left."""

    source: Source
    kubelet: kube.Client
    max_bytes: int
    api: kube.Client | None
    node: str
    chosen: Choice
    pods: node_pods.Known
    offer: Offer
    clocks: Clocks
    scope: tuple[str, str]
    capacity: Capacity = kubelet_points.NOTHING_KNOWN
    asked: float = -CAPACITY_EVERY  # on the stopwatch: when the node was asked for

    async def follow(self) -> None:
        """Ask at every tick, for ever."""
        source, place = self.source, (("k8s.node.name", self.node),)
        ticks = Ticks(schedule.grid(source.url, place, source.interval), self.clocks.wall)
        while True:
            source.next_time = ticks.next
            await ticks.wait()
            await self._once(ticks.timestamp())
            source.late += ticks.advance()

    async def _once(self, at: int) -> None:
        began = self.clocks.stopwatch()
        told, size = await self._ask()
        if isinstance(told, summary.Summary):
            if self.api is not None:
                await self._measure(self.api)
            subjects = kubelet_points.subjects(
                told, self.pods, self.chosen, self.capacity, node=self.node, now=at
            )
            body, points = writing.request(subjects, scope=self.scope, time_ns=at)
            took = self.clocks.stopwatch() - began
            before = self.source.health
            if self.source.succeeded(at, took, points, size):
                again = " again" if before is Health.FAILING else ""
                log.info("the kubelet answers%s", again, extra={"url": self.source.url})
            if points and not self.offer(body, points):
                self.source.lost += 1
        else:
            cause, words = told
            if self.source.failed(at, self.clocks.stopwatch() - began, cause, words):
                log.warning("the kubelet fails: %s", words, extra={"url": self.source.url})

    async def _ask(self) -> tuple[summary.Summary | tuple[Cause, str], int]:
        """Return what the kubelet tells, or what went wrong; and the bytes of the answer."""
        body = b""
        try:
            body = await self.kubelet.get(SUMMARY)
            return summary.decode(body), len(body)
        except kube.Unreachable as error:
            return kubelet_hints.unreachable(str(error)), 0
        except kube.Refused as error:
            return kubelet_hints.refused(error.status, str(error)), 0
        except kube.TooLong:
            return kubelet_hints.too_large(self.max_bytes), 0
        except errors.Malformed as error:
            return (Cause.MALFORMED, str(error)), len(body)

    async def _measure(self, api: kube.Client) -> None:
        """Ask the API server how large the node is, if it was not asked within a minute."""
        now = self.clocks.stopwatch()
        if now - self.asked < CAPACITY_EVERY:
            return
        self.asked = now
        try:
            self.capacity = _capacity(await api.get(f"/api/v1/nodes/{self.node}"))
        except kube.Failure as error:
            self._miss(f"shares of the node's capacity: {error}; reading it needs to get nodes")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._miss(f"shares of the node's capacity: unreadable answer: {error}")
        else:
            self.source.missing = ""

    def _miss(self, words: str) -> None:
        if self.source.missing != words and self.capacity == kubelet_points.NOTHING_KNOWN:
            self.source.missing = words
            log.warning("the runtime input lacks %s", words, extra={"node": self.node})


class _Status(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    capacity: dict[str, quantity.Given] | None = None


class _Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    status: _Status = _Status()


def _capacity(body: bytes) -> Capacity:
    has = msgspec.json.decode(body, type=_Node).status.capacity or {}
    return Capacity(node_pods.cores(has), node_pods.size(has))


def _towards(url: str, tls: shared.Tls, access: credentials.Access | None) -> credentials.Access:
    """Say how to reach the kubelet: as we reach the API server, but for what *tls* says."""
    proof = access or credentials.anonymous(url)
    if not url.startswith("https:"):
        context = None
    elif tls == shared.Tls(server_name=tls.server_name) and proof.tls is not None:
        context = proof.tls
    else:
        context = _context(tls, proof.tls)
    return replace(proof, server=url, tls=context, server_name=tls.server_name, proxy="")


def _context(tls: shared.Tls, cluster: ssl.SSLContext | None) -> ssl.SSLContext:
    """Load the files of *tls*; without a ``ca_file``, trust whom the *cluster* does."""
    trusted = b"".join(cluster.get_ca_certs(binary_form=True)) if cluster is not None else b""
    try:
        context = ssl.create_default_context(
            cafile=tls.ca_file or None, cadata=None if tls.ca_file else trusted or None
        )
    except OSError as error:
        raise SettingsError([Problem(f"{_KEY}.ca_file", f"{tls.ca_file}: {error}")]) from error
    # Python 3.13 demands an Authority Key Identifier, which cluster authorities often lack.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except OSError as error:
            problem = Problem(f"{_KEY}.cert_file", f"{tls.cert_file}: {error}")
            raise SettingsError([problem]) from error
    return context

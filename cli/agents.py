"""Finds out through the API server why a pod is scraped, or not; its node's agent knows best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, final
from urllib.parse import quote

import msgspec

from cli import asking, extras
from cli.explanation import Page
from common.kube import client, objects

PATH: Final = "/debug/explain"
SELECTOR: Final = "app.kubernetes.io/component=agent"
PORT: Final = 8888
_MOST_AGENTS: Final = 5  # asked on one node; there is one, but others may have its label
_NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")

Item = TypeVar("Item")


class NoAnswer(Exception):
    """There is nothing to explain; why, in words."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An explanation, and how it came about, in words."""

    page: Page
    how: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How agents are found and asked."""

    selector: str = SELECTOR
    """The labels of agents' pods."""
    port: int = PORT
    timeout: float = 10.0
    """Seconds that each request may take."""


def subject(text: str) -> str:
    """Return "namespace/name" if *text* is that; raises :class:`ValueError` in words."""
    namespace, slash, name = text.partition("/")
    if not slash or not _NAME.fullmatch(namespace) or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not NAMESPACE/NAME of a pod")
    return text


def read(body: bytes) -> Page:
    """Understand a page; raises :class:`cli.asking.NoPage` for what is none."""
    try:
        return msgspec.json.decode(body, type=Page)
    except msgspec.DecodeError as error:
        raise asking.NoPage(
            f"says something else than an explanation ({error}); is it an agent, of this version?"
        ) from error


async def one(url: str, asked: str, timeout: float) -> Page:  # noqa: ASYNC109 - it bounds one request
    """Ask the agent whose page is at *url*; raises :class:`cli.asking.NoPage`."""
    return read(await asking.fetch(url, timeout, {"pod": asked, "json": "1"}))


async def explain(api: client.Client, asked: str, search: Search) -> Told:
    """Explain the pod *asked*: ask the agent of its node, or decide as an agent would.

    Raises `NoAnswer`, and :class:`common.kube.client.Failure` where the API server does not tell
    of the pod.
    """
    namespace, _, name = asked.partition("/")
    try:
        body = await api.get(f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(name)}")
    except client.Refused as error:
        if error.status == 404:
            raise NoAnswer("the cluster has no such pod") from error
        raise
    pod = msgspec.json.decode(body, type=objects.Pod)
    node = pod.spec.node_name
    if not node:
        summary = "not scraped: it is on no node yet; see why it is not scheduled"
        return Told(
            page=Page(subject=asked, known=True, summary=summary), how="the API server says"
        )
    troubles: list[str] = []
    for agent in await _agents(api, node, search, troubles):
        page = await _ask(api, agent, asked, search, troubles)
        if page is None:
            continue
        where = f"{agent.metadata.namespace}/{agent.metadata.name}"
        if page.known:
            return Told(page=page, how=f"said by agent {where} on {node}")
        troubles.append(f"agent {where}: {page.summary}")
    return await _alone(api, pod, troubles)


async def _agents(
    api: client.Client, node: str, search: Search, troubles: list[str]
) -> Sequence[objects.Pod]:
    chosen = {"labelSelector": search.selector, "fieldSelector": f"spec.nodeName={node}"}
    try:
        found = _items(await api.get("/api/v1/pods", chosen), objects.Pod)
    except client.Failure as error:
        troubles.append(f"pods of agents cannot be listed: {error}")
        return ()
    running = [pod for pod in found if pod.status.phase == "Running"]
    if not running:
        troubles.append(f"no agent runs on {node}: no Running pod has {search.selector}")
    return running[:_MOST_AGENTS]


def _items(body: bytes, kind: type[Item]) -> tuple[Item, ...]:
    return msgspec.json.decode(body, type=objects.ObjectList[kind]).items or ()  # type: ignore[valid-type]


async def _ask(
    api: client.Client, agent: objects.Pod, asked: str, search: Search, troubles: list[str]
) -> Page | None:
    """Ask through the API server, which reaches every pod; then directly, as from inside."""
    meta = agent.metadata
    where = f"{meta.namespace}/{meta.name}"
    proxied = f"/api/v1/namespaces/{meta.namespace}/pods/{meta.name}:{search.port}/proxy{PATH}"
    try:
        return read(await api.get(proxied, {"pod": asked, "json": "1"}))
    except (client.Failure, asking.NoPage) as error:
        troubles.append(f"agent {where}, through the API server: {error}")
    address = agent.status.pod_ip
    if not address:
        return None
    host = f"[{address}]" if ":" in address else address
    try:
        return await one(f"http://{host}:{search.port}{PATH}", asked, search.timeout)
    except asking.NoPage as error:
        troubles.append(f"agent {where}, at {host}:{search.port}: {error}")
        return None


async def _alone(api: client.Client, pod: objects.Pod, troubles: Sequence[str]) -> Told:
    with extras.needing("agent"):
        from cli import deciding  # noqa: PLC0415 - only then is the agent's own code needed

    namespace = pod.metadata.namespace
    notes = list(troubles)
    services: tuple[objects.Service, ...] = ()
    slices: tuple[objects.EndpointSlice, ...] = ()
    try:
        services = _items(
            await api.get(f"/api/v1/namespaces/{namespace}/services"), objects.Service
        )
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        slices = _items(await api.get(path), objects.EndpointSlice)
    except client.Failure as error:
        notes.append(f"Services that may ask for it are not known: {error}")
    return Told(
        page=deciding.decide(pod, services, slices, notes),
        how="as an agent with default settings would decide, for no agent told",
    )

"""What scrapes have in common, and what follows from it for each target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final
from urllib.parse import urlsplit

from agent import targets, urls
from agent.exposition import metrics, model, report, target_state, translate
from agent.scraping import credentials, fetch
from common.config import input_names


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all targets of a process have in common; sizes in bytes."""

    max_body_bytes: int
    max_concurrency: int
    max_fetching_bytes: int
    max_redirects: int
    max_leaving: int
    """Targets that are gone and wait to be marked stale, at most."""
    limits: model.Limits
    version: str
    credentials: Mapping[str, credentials.Profile]
    """By the names that targets know them by; "" is for those that name none."""
    compression: bool = False
    native_histograms: bool = False
    escaping: str = "allow-utf-8"
    """What targets shall make of names that are not of letters, digits and underscores."""
    fallback: bool = True
    """Whether an answer without a usable type is read as text."""
    classic_histograms: bool = False
    """Whether classic buckets of native histograms are sent, too."""
    track_timestamps: bool = False
    """Whether series with timestamps of their own are marked stale, too."""
    extra_metrics: bool = False
    """Whether a scrape tells of its limits, too."""
    wall: Callable[[], int]
    """The wall clock, in Unix nanoseconds."""
    stopwatch: Callable[[], float]
    """Seconds, only ever forward; uvloop's own clock counts whole milliseconds."""


def request(target: targets.Target, common: Terms) -> fetch.Request:
    """Say how *target* is asked."""
    return fetch.Request(
        url=target.url,
        timeout=target.timeout,
        max_bytes=common.max_body_bytes,
        user_agent=f"headgate-agent/{common.version}",
        max_redirects=common.max_redirects,
        compression=common.compression,
        protobuf=common.native_histograms,
        escaping=common.escaping,
        fallback=common.fallback,
    )


def fresh_memory(target: targets.Target, common: Terms) -> target_state.TargetState:
    """Begin to remember *target*, of which nothing was scraped yet."""
    return target_state.TargetState(_origin(target, common.version), _terms(target, common))


def _terms(target: targets.Target, common: Terms) -> target_state.Terms:
    """Say what holds for all scrapes of *target*."""
    choice = target.choice
    extra = report.Terms(timeout=target.timeout, sample_limit=common.limits.samples)
    return target_state.Terms(
        limits=common.limits,
        rules=translate.Rules(
            honor_labels=target.honor_labels,
            prefixes=tuple(prefix.encode() for prefix in choice.prefixes),
            without=tuple((name.encode(), value.encode()) for name, value in choice.without),
            classic=common.classic_histograms,
        ),
        drop_lines=target.drop_lines,
        honor_timestamps=target.honor_timestamps,
        track_timestamps=common.track_timestamps,
        extra=extra if common.extra_metrics else None,
    )


def _origin(target: targets.Target, version: str) -> metrics.Origin:
    """Say whose points they are. The job of discovered pods is ours, not a service's name."""
    parts = urlsplit(target.url)
    source = dict(target.attributes).get(input_names.ATTRIBUTE, input_names.PROMETHEUS)
    return metrics.Origin.of(
        job=target.job if target.subject in {targets.STATIC, targets.APISERVER} else "",
        instance=target.instance,
        scope=(input_names.SCOPES[source], version),
        attributes={
            "server.address": parts.hostname or "",
            "server.port": str(urls.port(parts)),
            "url.scheme": parts.scheme,
            **dict(target.attributes),
        },
        labels=dict(target.labels),
    )

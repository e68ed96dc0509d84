"""The API server as a target: where its metrics are, and how we prove ourselves to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, final
from urllib.parse import urlsplit

from agent import targets, urls
from common.config import agent as config, input_names
from common.kube import credentials

JOB: Final = "apiserver"
PROFILE: Final = "apiserver"  # of credentials


def apiserver_target(access: credentials.Access, document: config.Agent) -> targets.Target:
    """Return the target that the leader scrapes; one of several API servers answers each time."""
    scraping = document.scraping
    interval = document.inputs.runtime.interval or scraping.interval
    parts = urlsplit(access.server)
    instance = urls.host_port(parts.hostname or "", urls.port(parts))
    return targets.Target(
        url=f"{access.server}/metrics",
        job=JOB,
        instance=instance,
        # No pod stands behind it that we know of, so that its job is the name of the service.
        subject=targets.APISERVER,
        attributes=((input_names.ATTRIBUTE, input_names.APISERVER),),
        interval=interval,
        timeout=min(scraping.timeout, interval),
        kind="apiserver",
        credentials=PROFILE,
    )


@final
class Merging:
    """Joins what was discovered with what only the leader scrapes, and tells *update* of both."""

    __slots__ = ("_found", "_leading", "_update")

    def __init__(self, update: Callable[[Mapping[str, targets.Target]], None]) -> None:
        self._update = update
        self._found: Mapping[str, targets.Target] = {}
        self._leading: Mapping[str, targets.Target] = {}

    def discovered(self, wanted: Mapping[str, targets.Target]) -> None:
        """Take all that was discovered, by URL."""
        self._found = wanted
        self._tell()

    def lead(self, target: targets.Target | None) -> None:
        """Take what is scraped while this agent leads, ``None`` when it does no longer."""
        self._leading = {} if target is None else {target.url: target}
        self._tell()

    def _tell(self) -> None:
        # Who names the same URL in the configuration has reasons, and settings, of their own.
        self._update({**self._leading, **self._found})

"""Where a gateway process stands: it is the whole gateway, or one worker of several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, final

from common.config import gateway, shared
from common.enrichment import attributes
from common.service import health, lifecycle
from common.service.telemetry import Telemetry
from gateway import kubernetes, settings
from gateway.accounts import Accounts


class Place(Protocol):
    """What depends on whether this process is the whole gateway, or one worker of several."""

    @property
    def shares_ports(self) -> bool: ...  # noqa: D102 - the protocol's names say it

    @property
    def seat(self) -> tuple[int, int]:
        """Return the number of this process, from 1, and of how many; zeros if it is the whole."""
        ...

    def part(self, loaded: settings.Loaded) -> settings.Loaded:
        """Return what of the whole gateway's configuration is this process's."""
        ...

    def telling(
        self, admin: shared.Admin, told: Told, stop: lifecycle.Stop
    ) -> AbstractAsyncContextManager[str]:
        """Tell people how we are for as long as the block runs; yields where."""
        ...

    def knowing(
        self, config: gateway.Gateway, rules: attributes.Rules
    ) -> AbstractAsyncContextManager[kubernetes.Knowledge]:
        """Know pods for as long as the block runs, see :func:`gateway.kubernetes.knowing`."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to tell about a process."""

    readiness: health.Readiness
    telemetry: Telemetry
    accounts: Accounts
    fresh_pods: Callable[[], dict[str, object]] = dict
    """The account of what waits for its pod, as ``/debug/ledger`` has it."""
    pages: Mapping[str, health.Page]


@final
@dataclass(frozen=True, slots=True)
class Alone:
    """The place of a process that is the whole gateway."""

    environ: Mapping[str, str]
    shares_ports: bool = False
    seat: tuple[int, int] = (0, 0)

    def part(self, loaded: settings.Loaded) -> settings.Loaded:
        """Return all of it."""
        return loaded

    @asynccontextmanager
    async def telling(
        self, admin: shared.Admin, told: Told, _: lifecycle.Stop
    ) -> AsyncIterator[str]:
        """Serve the admin addresses."""
        async with health.serving(
            (admin.health, admin.metrics),
            readiness=told.readiness,
            telemetry=told.telemetry,
            pages=told.pages,
        ) as bound:
            yield ", ".join(map(str, bound))

    def knowing(
        self, config: gateway.Gateway, rules: attributes.Rules
    ) -> AbstractAsyncContextManager[kubernetes.Knowledge]:
        """Ask the API server."""
        return kubernetes.knowing(config, rules, self.environ)

"""Sections that the gateway's and the agent's documents have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from common.service import address

Seconds = Annotated[float, Meta(ge=0, le=86400)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 40)]
Name = Annotated[str, Meta(min_length=1, max_length=253)]
Secret = Annotated[str, Meta(extra={"secret": True})]  # never shown, not even where it is wrong
Level = Literal["debug", "info", "warning", "error"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every section: immutable, and unknown keys are refused."""


class Kubernetes(Section, frozen=True):
    """Which API server tells us about pods."""

    source: Literal["auto", "in-cluster", "kubeconfig", "none"] = "auto"
    """``auto``: the kubeconfig if one is named, else in-cluster credentials, else none."""
    kubeconfig: str = ""
    """Path of a kubeconfig file."""
    context: str = ""
    """Context of the kubeconfig; empty: its current one."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the source has what it needs."""
        if self.source == "kubeconfig" and not self.kubeconfig:
            yield "kubeconfig", "is required when source is kubeconfig"


class Tls(Section, frozen=True):
    """How a client proves the server, and itself."""

    ca_file: str = ""
    """PEM file of the authorities to trust; empty: the system's."""
    cert_file: str = ""
    """PEM file of the client certificate."""
    key_file: str = ""
    """PEM file of the client certificate's key."""
    server_name: str = ""
    """Name to verify instead of the endpoint's host."""
    insecure_skip_verify: bool = False
    """Do not verify the server; not with grpcio, which always verifies."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that a client certificate has its key."""
        if bool(self.cert_file) != bool(self.key_file):
            yield (
                "cert_file" if not self.cert_file else "key_file",
                "cert_file and key_file go together",
            )


class Names(Section, frozen=True):
    """A choice by name; globs with ``*`` and ``?`` where the place says so. Empty: everything."""

    include: tuple[str, ...] = ()
    """Take only these."""
    exclude: tuple[str, ...] = ()
    """Leave these."""


class Namespaces(Names, frozen=True):
    """Either the namespaces to take or those to leave; data without a namespace always passes."""

    def take(self, namespace: str) -> bool:
        """Say whether data of *namespace* is taken."""
        if not namespace or namespace in self.include:
            return True
        return not self.include and namespace not in self.exclude

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse both lists at once: that would be ambiguous."""
        if self.include and self.exclude:
            yield "exclude", "include and exclude cannot both be given; keep one of them"


class Admin(Section, frozen=True):
    """Where probes, metrics and debug pages are served."""

    health: str = "0.0.0.0:13133"
    """Address of /livez and /readyz."""
    metrics: str = "0.0.0.0:8888"
    """Address of /metrics; both addresses serve the same pages."""
    otelcol_metrics: bool = True
    """Tell about sent, failed and refused points also by the names of OpenTelemetry Collectors."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that both are addresses."""
        yield from listens(health=self.health, metrics=self.metrics)


class Batching(Section, frozen=True):
    """When a batch is sent."""

    max_bytes: Bytes = 2 << 20
    """Bytes at which a batch is sent at once."""
    linger: Seconds = 1.0
    """Seconds that a point waits for company at most."""


class Retrying(Section, frozen=True):
    """How long a destination is tried again: exponential, with jitter."""

    initial: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    """Seconds before the first repetition."""
    max_interval: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """Seconds between repetitions at most."""
    max_age: Seconds = 300.0
    """Seconds after which a batch is dropped and counted."""


def listens(**addresses: str) -> Iterable[tuple[str, str]]:
    """Yield a problem for every address that is not ``host:port``."""
    for key, text in addresses.items():
        try:
            address.parse(text)
        except ValueError as error:
            yield key, str(error)


def url(key: str, text: str) -> Iterable[tuple[str, str]]:
    """Yield a problem unless *text* is an http or https URL with a host that can be looked up.

    One with an ``@`` or a ``?`` may hold secrets, nobody knows where, and is not shown.
    """
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna")  # refuses labels that are empty or too long
        valid = parts.scheme in {"http", "https"} and bool(host) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not text.isprintable():
        secret = "@" in text or "?" in text
        shown = f"{len(text)} characters that may hold secrets" if secret else repr(text)
        yield key, f"expected http://host:port or https://host:port, got {shown}"

"""From a section of the configuration to the exporter that it describes."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import metadata
from urllib.parse import urlsplit

from common.config import agent, gateway
from common.exporters import (
    otlp_grpc,
    otlp_http,
    remote_write as remote_write_client,
    turning,
)
from common.exporters.outcomes import Exporter
from common.service.settings import Problem, SettingsError
from common.wire import remote_write, temporality

_VERSION = metadata.version("headgate")
_OTLP_USER_AGENT = f"OTel-OTLP-Exporter-python-headgate/{_VERSION}"
_WRITE_USER_AGENT = f"headgate/{_VERSION}"

# Of one remote-write request before compression, of which snappy leaves about a tenth. Large, since
# a batch that makes a single request is the one that can be cut when a backend finds it too big.
_WRITE_BYTES = 8 << 20

# RFC 9110, 5.6.2; gRPC allows fewer, reserves a prefix, and wants bytes where a name ends in -bin.
_HTTP_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_GRPC_NAME = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "te",
        "transfer-encoding",
        "x-prometheus-remote-write-version",
    }
)


@asynccontextmanager
async def exporting(output: gateway.Output, *, now: Callable[[], float]) -> AsyncIterator[Exporter]:
    """Give the exporter that *output* describes, and close its connections on leaving.

    *now* answers seconds since the Unix epoch. Nothing is connected before the first request.
    Raises :class:`SettingsError`, with keys relative to *output*, for headers that cannot be sent
    and certificates that cannot be used.
    """
    if output.remote_write is not None:
        entering, key = _remote_write(output.remote_write, now), "remote_write.tls"
    elif output.otlp is not None:
        entering, key = _otlp(output.otlp, now), "otlp.tls"
    else:
        raise RuntimeError("BUG: an output without a destination passed the settings' checks")
    turner = _turner(output, now())
    async with _entered(entering, key) as exporter:
        yield exporter if turner is None else turning.TurningExporter(exporter, turner, now)


@asynccontextmanager
async def pushing(push: agent.Push, *, token: Callable[[], str]) -> AsyncIterator[Exporter]:
    """Give the exporter from an agent to its gateway, and close its connection on leaving.

    *token* is asked at every request; an empty one is not sent. Raises :class:`SettingsError`, with
    keys relative to *push*, for certificates that cannot be used.
    """

    def headers() -> Mapping[str, str]:
        # What is no header cannot be the right token either: the gateway says so, we do not crash.
        secret = _NOT_PRINTABLE.sub("?", token().strip())
        return {"authorization": f"Bearer {secret}"} if secret else {}

    entering = otlp_grpc.connecting(
        push.endpoint,
        headers=headers,
        compression=push.compression,
        attempt_timeout=push.timeout,
        tls=push.tls,
        user_agent=_OTLP_USER_AGENT,
    )
    async with _entered(entering, "tls") as exporter:
        yield exporter


@asynccontextmanager
async def _entered(
    entering: AbstractAsyncContextManager[Exporter], key: str
) -> AsyncIterator[Exporter]:
    async with AsyncExitStack() as stack:
        try:
            exporter = await stack.enter_async_context(entering)
        except OSError as error:
            raise SettingsError([Problem(key, f"cannot use the certificates: {error}")]) from error
        yield exporter


def _otlp(
    section: gateway.OtlpOutput, now: Callable[[], float]
) -> AbstractAsyncContextManager[Exporter]:
    if section.protocol == "grpc":
        constant = _headers("otlp.headers", section.headers, _GRPC_NAME)
        if section.grpc_client == "grpcio":
            from common.exporters import otlp_grpcio  # noqa: PLC0415 - 8 MB that few ask for

            connecting: Callable[..., AbstractAsyncContextManager[Exporter]] = (
                otlp_grpcio.connecting
            )
        else:
            connecting = otlp_grpc.connecting
        return connecting(
            section.endpoint,
            headers=lambda: constant,
            compression=section.compression,
            attempt_timeout=section.timeout,
            tls=section.tls,
            user_agent=_OTLP_USER_AGENT,
        )
    headers = _headers("otlp.headers", section.headers, _HTTP_NAME)
    _check_credentials("otlp.endpoint", section.endpoint, headers)
    path = section.path or otlp_http.DEFAULT_PATH
    return otlp_http.connecting(
        f"{section.endpoint.rstrip('/')}/{path.lstrip('/')}",
        headers=headers,
        compression=section.compression,
        attempt_timeout=section.timeout,
        tls=section.tls,
        user_agent=_OTLP_USER_AGENT,
        now=now,
    )


def _remote_write(
    section: gateway.RemoteWriteOutput, now: Callable[[], float]
) -> AbstractAsyncContextManager[Exporter]:
    headers = _headers("remote_write.headers", section.headers, _HTTP_NAME)
    _check_credentials("remote_write.url", section.url, headers)
    options = remote_write.Options(
        naming=remote_write.Naming(section.naming),
        external_labels=tuple(section.external_labels.items()),
        promote=section.promote,
        target_info=section.target_info,
        scope_labels=section.scope_labels,
        max_bytes=_WRITE_BYTES,
    )
    return remote_write_client.connecting(
        section.url,
        headers=headers,
        converter=remote_write.Converter(options, section.memo_bytes, secrets.randbits(64)),
        attempt_timeout=section.timeout,
        tls=section.tls,
        user_agent=_WRITE_USER_AGENT,
        now=now,
    )


def _turner(output: gateway.Output, now: float) -> temporality.Turner | None:
    """Return what brings batches to the temporality that *output* asks for."""
    if output.remote_write is not None and output.remote_write.deltas == "accumulate":
        state = output.remote_write.series_state
        return temporality.Accumulator(
            max_bytes=state.max_bytes, expiry=state.expiry, seed=secrets.randbits(64)
        )
    if output.otlp is not None and output.otlp.temporality == "delta":
        state = output.otlp.series_state
        return temporality.Differ(
            max_bytes=state.max_bytes, expiry=state.expiry, seed=secrets.randbits(64), began=now
        )
    return None


def _headers(key: str, given: Mapping[str, str], names: re.Pattern[str]) -> dict[str, str]:
    """Return *given* with names in lower case; values never show in a message, they are secrets."""
    problems: list[Problem] = []
    for name, value in given.items():
        where = f"{key}.{name}"
        if not names.fullmatch(name.lower()):
            problems.append(Problem(where, "is not a name that a header can have"))
        elif name.lower() in _OURS:
            problems.append(Problem(where, "is set by headgate itself; remove it"))
        elif _NOT_PRINTABLE.search(value):
            problems.append(
                Problem(where, "has a value with characters other than printable ASCII")
            )
    if problems:
        raise SettingsError(problems)
    return {name.lower(): value for name, value in given.items()}


def _check_credentials(key: str, url: str, headers: Mapping[str, str]) -> None:
    if "authorization" in headers and urlsplit(url).username is not None:
        message = "has a user name, and headers have an authorization; keep one of them"
        raise SettingsError([Problem(key, message)])

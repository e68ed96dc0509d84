"""From a section of the configuration to the exporter that it describes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import metadata
from typing import TypeVar

from common.config import agent, gateway, headers
from common.exporters import (
    credentials,
    oauth2,
    otlp_grpc,
    otlp_http,
    remote_write as remote_write_client,
    turning,
)
from common.exporters.outcomes import Exporter
from common.service.settings import Problem, SettingsError
from common.wire import remote_write, remote_write_v2, temporality

_VERSION = metadata.version("headgate")
_OTLP_USER_AGENT = f"OTel-OTLP-Exporter-python-headgate/{_VERSION}"
_USER_AGENT = f"headgate/{_VERSION}"

Kind = TypeVar("Kind")

# Of one remote-write request before compression, of which snappy leaves about a tenth. Large, since
# a batch that makes a single request is the one that can be cut when a backend finds it too big.
_WRITE_BYTES = 8 << 20


@asynccontextmanager
async def exporting(output: gateway.Output, *, now: Callable[[], float]) -> AsyncIterator[Exporter]:
    """Give the exporter that *output* describes, and close its connections on leaving.

    *now* answers seconds since the Unix epoch. Nothing is connected before the first request.
    Raises :class:`SettingsError`, with keys relative to *output*, for headers that cannot be sent
    and certificates that cannot be used.
    """
    began, since = now(), asyncio.get_running_loop().time()

    def steady() -> float:
        """Answer like *now*, but for jumps of the clock: what is remembered must not expire."""
        return began + asyncio.get_running_loop().time() - since

    async with AsyncExitStack() as stack:
        where = _checked(output)
        proof = await stack.enter_async_context(_proving(output, where, now))
        if output.remote_write is not None:
            entering = _remote_write(output.remote_write, proof, now)
        elif output.otlp is not None:
            entering = _otlp(output.otlp, proof, now)
        else:
            raise RuntimeError("BUG: an output without a destination passed the settings' checks")
        exporter = await stack.enter_async_context(_entered(entering, f"{where}.tls"))
        turner = _turner(output, began)
        yield exporter if turner is None else turning.TurningExporter(exporter, turner, steady)


@asynccontextmanager
async def pushing(push: agent.Push, *, token: Callable[[], str]) -> AsyncIterator[Exporter]:
    """Give the exporter from an agent to its gateway, and close its connection on leaving.

    *token* is asked at every request; an empty one is not sent. With one, the gateway is asked to
    refuse what it does not believe, instead of taking it for somebody else's. Raises
    :class:`SettingsError`, with keys relative to *push*, for certificates that cannot be used.
    """

    def authorization() -> Mapping[str, str]:
        # What is no header cannot be the right token either: the gateway says so, we do not crash.
        secret = headers.NOT_PRINTABLE.sub("?", token().strip())
        return {"authorization": f"Bearer {secret}", headers.AGENT: "1"} if secret else {}

    entering = otlp_grpc.connecting(
        push.endpoint,
        proof=credentials.Asked(authorization),
        compression=push.compression,
        attempt_timeout=push.timeout,
        tls=push.tls,
        user_agent=_OTLP_USER_AGENT,
    )
    async with _entered(entering, "tls") as exporter:
        yield exporter


@asynccontextmanager
async def _entered(entering: AbstractAsyncContextManager[Kind], key: str) -> AsyncIterator[Kind]:
    async with AsyncExitStack() as stack:
        try:
            entered = await stack.enter_async_context(entering)
        except OSError as error:
            raise SettingsError([Problem(key, f"cannot use the certificates: {error}")]) from error
        yield entered


def _checked(output: gateway.Output) -> str:
    """Return the key of the one section of *output*; raise what is wrong between its settings."""
    key = "otlp" if output.otlp is not None else "remote_write"
    section = output.otlp or output.remote_write
    wrong = [] if section is None else [(f"{key}.{name}", why) for name, why in section.problems()]
    if wrong:
        raise SettingsError([Problem(name, why) for name, why in wrong])
    return key


@asynccontextmanager
async def _proving(
    output: gateway.Output, key: str, now: Callable[[], float]
) -> AsyncIterator[credentials.Proof]:
    section = output.otlp or output.remote_write
    if section is None or section.auth.oauth2 is None:
        yield credentials.Given(output)
        return
    asking = oauth2.asking(output, user_agent=_USER_AGENT, unix_now=now)
    async with _entered(asking, f"{key}.auth.oauth2.tls") as tokens:
        yield tokens


def _otlp(
    section: gateway.OtlpOutput, proof: credentials.Proof, now: Callable[[], float]
) -> AbstractAsyncContextManager[Exporter]:
    if section.protocol == "grpc":
        if section.grpc_client == "grpcio":
            from common.exporters import otlp_grpcio  # noqa: PLC0415 - 8 MB that few ask for

            connecting: Callable[..., AbstractAsyncContextManager[Exporter]] = (
                otlp_grpcio.connecting
            )
        else:
            connecting = otlp_grpc.connecting
        return connecting(
            section.endpoint,
            proof=proof,
            compression=section.compression,
            attempt_timeout=section.timeout,
            tls=section.tls,
            user_agent=_OTLP_USER_AGENT,
        )
    path = section.path or otlp_http.DEFAULT_PATH
    return otlp_http.connecting(
        f"{section.endpoint.rstrip('/')}/{path.lstrip('/')}",
        proof=proof,
        compression=section.compression,
        attempt_timeout=section.timeout,
        tls=section.tls,
        user_agent=_OTLP_USER_AGENT,
        now=now,
    )


def _remote_write(
    section: gateway.RemoteWriteOutput, proof: credentials.Proof, now: Callable[[], float]
) -> AbstractAsyncContextManager[Exporter]:
    options = remote_write.Options(
        naming=remote_write.Naming(section.naming),
        external_labels=tuple(section.external_labels.items()),
        promote=section.promote,
        promote_without_instance=section.promote_without_instance,
        target_info=section.target_info,
        scope_labels=section.scope_labels,
        exemplars=section.exemplars,
        native_histograms=section.native_histograms,
        start_times=section.protocol == "2.0",
        max_bytes=_WRITE_BYTES,
    )
    encoder, memo_bytes = None, section.memo_bytes
    if section.protocol == "2.0":
        encoder = remote_write_v2.Encoder(memo_bytes // 4)
        memo_bytes -= memo_bytes // 4
    return remote_write_client.connecting(
        section.url,
        proof=proof,
        converter=remote_write.Converter(options, memo_bytes, secrets.randbits(64)),
        encoder=encoder,
        attempt_timeout=section.timeout,
        tls=section.tls,
        user_agent=_USER_AGENT,
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

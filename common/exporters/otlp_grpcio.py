"""The client of an OTLP backend over gRPC, on grpcio: the oracle of `otlp_grpc`, and selectable.

Source: the OTLP specification, "OTLP/gRPC"; opentelemetry/proto/collector/metrics/v1.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import grpc
from typing_extensions import override

from common.config import outputs, shared
from common.exporters import (
    credentials,
    grpc_answers,
    grpc_channel,
    otlp_grpc,
    tls as certificates,
)
from common.exporters.grpc_answers import Answer
from common.exporters.outcomes import Batch, Encoding, Exporter, Proofs, Request, Retry, Verdict
from common.service import address

_COMPRESSION = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}


@final
@dataclass(slots=True, eq=False)
class _Channel:
    """A channel, and how many calls are on it."""

    channel: grpc.aio.Channel
    export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    context: ssl.SSLContext | None
    worn: float  # seconds on the loop's clock
    users: int = 0


@final
class _Channels:
    """The channel of now: another follows when it is a minute old, or certificates changed.

    grpcio would look a name up again only when it loses a connection.
    """

    def __init__(
        self,
        connect: Callable[[grpc.ChannelCredentials | None], grpc.aio.Channel],
        tls: shared.Tls,
        *,
        secure: bool,
    ) -> None:
        self._connect, self._tls = connect, tls
        self._now = asyncio.get_running_loop().time
        now = self._now()
        self._trusted = certificates.Certificates(tls, now=now) if secure else None
        context = None if self._trusted is None else self._trusted.context(now)
        self._present = self._opened(context)
        self._former: list[_Channel] = []  # with calls that are not through yet

    @asynccontextmanager
    async def using(self) -> AsyncIterator[_Channel]:
        """Give the channel for a new call; calls end on the channel that they began on."""
        channel, idle = self._present, None
        now = self._now()
        context = None if self._trusted is None else self._trusted.context(now)
        worn = context is not channel.context or now >= channel.worn
        if worn and (fresh := self._again(context)) is not None:
            if channel.users:
                self._former.append(channel)
            else:
                idle = channel
            self._present = channel = fresh
        channel.users += 1
        try:
            if idle is not None:
                await idle.channel.close()
            yield channel
        finally:
            channel.users -= 1
            if not channel.users and channel in self._former:
                self._former.remove(channel)
                await channel.channel.close()

    def proofs(self) -> Proofs:
        """Return how the certificates fare."""
        return Proofs() if self._trusted is None else self._trusted.proofs()

    async def close(self) -> None:
        """Close all channels."""
        for each in (self._present, *self._former):
            await each.channel.close()

    def _again(self, context: ssl.SSLContext | None) -> _Channel | None:
        try:
            return self._opened(context)
        except OSError:
            return None  # gone since they were looked at: at the next request again

    def _opened(self, context: ssl.SSLContext | None) -> _Channel:
        channel = self._connect(None if context is None else _credentials(self._tls))
        # A tenth more or less, lest all destinations and all gateways do it at once.
        age = grpc_channel.MAX_AGE * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        worn = self._now() + age
        return _Channel(channel, channel.unary_unary(otlp_grpc.METHOD), context, worn)


@final
class OtlpGrpcioExporter(Exporter):
    """Sends batches as they are; gRPC compresses by itself, at each attempt.

    Its gzip is dear: 129 KB cost 0.30 ms of CPU plain and 0.96 ms compressed, over HTTP 0.33 ms.
    """

    def __init__(
        self,
        channels: _Channels,
        *,
        proof: credentials.Proof,
        compression: str,
        attempt_timeout: float,
    ) -> None:
        self._channels, self._proof, self._timeout = channels, proof, attempt_timeout
        self._encoding = "" if compression == "none" else compression
        self._compression = _COMPRESSION[compression]

    @override
    def renew(self, output: outputs.Output) -> None:
        """Use the secrets of *output* from the next request on."""
        self._proof.renew(output)

    @override
    def proofs(self) -> Proofs:
        """Return how tokens and certificates fare."""
        return self._proof.proofs().plus(self._channels.proofs())

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return *batch* as the one request that it is."""
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do.

        When the backend does not believe our token, and another can be had, it is made twice.
        """
        answer = await credentials.proven(
            self._proof,
            lambda headers: self._attempt(request.body, headers),
            otlp_grpc.unauthenticated,
        )
        if isinstance(answer, Retry):
            return answer
        return otlp_grpc.verdict(answer, self._encoding, patient=self._proof.patient)

    async def _attempt(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            async with self._channels.using() as channel:
                answer = await channel.export(
                    body,
                    timeout=self._timeout,
                    metadata=tuple(headers.items()),
                    compression=self._compression,
                )
        except grpc.aio.AioRpcError as error:
            return otlp_grpc.blotted(_answer(error), headers)
        return Answer(code=grpc_answers.OK, body=answer)


def _answer(error: grpc.aio.AioRpcError) -> Answer:
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    return Answer(
        code=error.code().value[0],
        message=error.details() or "",
        details=details if isinstance(details, bytes) else None,
    )


@asynccontextmanager
async def connecting(
    endpoint: str,
    *,
    proof: credentials.Proof,
    compression: str,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
) -> AsyncIterator[OtlpGrpcioExporter]:
    """Own the channel to *endpoint*, ``http://host:port`` (no TLS) or ``https://host:port``.

    *proof* has the headers of each request. *compression* is none or gzip, *attempt_timeout* in
    seconds. Nothing is connected before the first request. Raises
    :class:`OSError` if a file of *tls* cannot be used.
    """
    parts = urlsplit(endpoint)
    where = address.Address(parts.hostname or "", parts.port or otlp_grpc.DEFAULT_PORT)
    options: list[tuple[str, str | int]] = [
        ("grpc.primary_user_agent", user_agent),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", grpc_channel.MAX_ANSWER),
        ("grpc.service_config", '{"loadBalancingConfig":[{"round_robin":{}}]}'),
        ("grpc.enable_retries", 0),  # delivery retries, and accounts for it
        ("grpc.enable_http_proxy", 0),  # settings decide, not the environment
        ("grpc.use_local_subchannel_pool", 1),  # destinations share nothing
        # gRPC would wait up to two minutes before it even looks whether the backend is back.
        ("grpc.initial_reconnect_backoff_ms", 250),
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
    target = f"dns:///{where}"
    if tls.server_name and parts.scheme == "https":
        options.append(("grpc.ssl_target_name_override", tls.server_name))

    def connect(proofs: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        if proofs is None:
            return grpc.aio.insecure_channel(target, options=options)
        return grpc.aio.secure_channel(target, proofs, options=options)

    channels = _Channels(connect, tls, secure=parts.scheme == "https")
    try:
        yield OtlpGrpcioExporter(
            channels, proof=proof, compression=compression, attempt_timeout=attempt_timeout
        )
    finally:
        await channels.close()


def _credentials(tls: shared.Tls) -> grpc.ChannelCredentials:
    # Certificates has tried them: gRPC would say that a file is broken in a failing handshake only.
    # Without roots gRPC trusts the authorities it was built with; people mean their system's.
    authorities = tls.ca_file or ssl.get_default_verify_paths().cafile
    return grpc.ssl_channel_credentials(
        root_certificates=_read(authorities) if authorities else None,
        private_key=_read(tls.key_file) if tls.key_file else None,
        certificate_chain=_read(tls.cert_file) if tls.cert_file else None,
    )


def _read(path: str) -> bytes:
    return Path(path).read_bytes()

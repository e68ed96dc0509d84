"""The client of an OTLP backend over gRPC, on grpcio: the oracle of `otlp_grpc`, and selectable.

Source: the OTLP specification, "OTLP/gRPC"; opentelemetry/proto/collector/metrics/v1.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import grpc
from typing_extensions import override

from common.config import shared
from common.exporters import grpc_answers, grpc_channel, otlp_grpc, tls as certificates
from common.exporters.grpc_answers import Answer
from common.exporters.outcomes import Batch, Encoding, Exporter, Request, Verdict
from common.service import address

_COMPRESSION = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}


@final
class OtlpGrpcioExporter(Exporter):
    """Sends batches as they are; gRPC compresses by itself, at each attempt.

    Its gzip is dear: 129 KB cost 0.30 ms of CPU plain and 0.96 ms compressed, over HTTP 0.33 ms.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        headers: Callable[[], Mapping[str, str]],
        compression: str,
        attempt_timeout: float,
    ) -> None:
        self._export: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            otlp_grpc.METHOD
        )
        self._headers, self._timeout = headers, attempt_timeout
        self._compression = _COMPRESSION[compression]

    @override
    def encode(self, batch: Batch) -> Encoding:
        """Return *batch* as the one request that it is."""
        return Encoding(requests=(Request(body=batch.body, points=batch.points),))

    @override
    async def send(self, request: Request) -> Verdict:
        """Make one attempt; never raises for what network or backend do."""
        try:
            answer = await self._export(
                request.body,
                timeout=self._timeout,
                metadata=tuple(self._headers().items()),
                compression=self._compression,
            )
        except grpc.aio.AioRpcError as error:
            return otlp_grpc.verdict(_answer(error))
        return otlp_grpc.verdict(Answer(code=grpc_answers.OK, body=answer))


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
    headers: Callable[[], Mapping[str, str]],
    compression: str,
    attempt_timeout: float,
    tls: shared.Tls,
    user_agent: str,
) -> AsyncIterator[OtlpGrpcioExporter]:
    """Own the channel to *endpoint*, ``http://host:port`` (no TLS) or ``https://host:port``.

    *headers* is asked at every request; names are lower case. *compression* is none or gzip,
    *attempt_timeout* in seconds. Nothing is connected before the first request. Raises
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
    if parts.scheme == "http":
        channel = grpc.aio.insecure_channel(target, options=options)
    else:
        if tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        channel = grpc.aio.secure_channel(target, _credentials(tls), options=options)
    async with channel:
        yield OtlpGrpcioExporter(
            channel, headers=headers, compression=compression, attempt_timeout=attempt_timeout
        )


def _credentials(tls: shared.Tls) -> grpc.ChannelCredentials:
    certificates.context(tls)  # gRPC would say that a file is broken only in a failing handshake
    # Without roots gRPC trusts the authorities it was built with; people mean their system's.
    authorities = tls.ca_file or ssl.get_default_verify_paths().cafile
    return grpc.ssl_channel_credentials(
        root_certificates=_read(authorities) if authorities else None,
        private_key=_read(tls.key_file) if tls.key_file else None,
        certificate_chain=_read(tls.cert_file) if tls.cert_file else None,
    )


def _read(path: str) -> bytes:
    return Path(path).read_bytes()

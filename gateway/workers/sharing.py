"""What of a gateway's configuration is one worker's: limits of the whole are divided."""

from __future__ import annotations

from typing import Final

import msgspec

from common.config import gateway

DIVIDED: Final = (
    "max_in_flight_bytes",
    "max_connections",
    "layout_memo_bytes",
    "enrichment_memo_bytes",
)  # of the section `limits`; docs/operations.md says so, too


def share(config: gateway.Gateway, workers: int, *, grpc: str, http: str) -> gateway.Gateway:
    """Return the configuration of one of *workers*, which listens on *grpc* and *http*.

    What bounds the memory or the descriptors of the whole is divided evenly, rounded down but never
    to nothing, so that the parts do not exceed the whole. What bounds one request, one connection
    or one attempt is the same for all.
    """
    replace = msgspec.structs.replace
    limits = {name: _part(getattr(config.limits, name), workers) for name in DIVIDED}
    enrichment = config.enrichment
    return replace(
        config,
        listen=replace(config.listen, grpc=grpc, http=http),
        limits=replace(config.limits, **limits),
        enrichment=replace(enrichment, fresh_pod_bytes=_part(enrichment.fresh_pod_bytes, workers)),
        pipelines=tuple(
            replace(
                pipeline,
                output=_output(pipeline.output, workers),
                queue_bytes=_part(pipeline.queue_bytes, workers),
                buffer=_buffer(pipeline.buffer, workers),
            )
            for pipeline in config.pipelines
        ),
    )


def _output(output: gateway.Output, workers: int) -> gateway.Output:
    replace = msgspec.structs.replace
    write, otlp = output.remote_write, output.otlp
    if write is not None:
        memo_bytes = _part(write.memo_bytes, workers)
        state = _state(write.series_state, workers)
        write = replace(write, memo_bytes=memo_bytes, series_state=state)
    if otlp is not None:
        otlp = replace(otlp, series_state=_state(otlp.series_state, workers))
    return replace(output, remote_write=write, otlp=otlp)


def _state(state: gateway.SeriesState, workers: int) -> gateway.SeriesState:
    return msgspec.structs.replace(state, max_bytes=_part(state.max_bytes, workers))


def _buffer(buffer: gateway.Buffer | None, workers: int) -> gateway.Buffer | None:
    """Return a worker's part of the disk, which is two segments at least."""
    if buffer is None:
        return None
    part = max(2 * buffer.segment_bytes, _part(buffer.max_bytes, workers))
    return msgspec.structs.replace(buffer, max_bytes=part)


def _part(whole: int, workers: int) -> int:
    return max(1, whole // workers)

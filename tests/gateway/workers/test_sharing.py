"""The parts of a configuration do not exceed the whole."""

import msgspec
from hypothesis import given, strategies as st

from common.config import gateway, outputs
from gateway.workers import sharing


def config(bound: int) -> gateway.Gateway:
    state = outputs.SeriesState(max_bytes=bound)
    otlp = gateway.Output(otlp=gateway.OtlpOutput(endpoint="http://b:1", series_state=state))
    write = gateway.Output(
        remote_write=gateway.RemoteWriteOutput(
            url="http://b:1", memo_bytes=bound, series_state=state
        )
    )
    limits = gateway.Limits(
        max_in_flight_bytes=bound,
        max_connections=bound,
        layout_memo_bytes=bound,
        enrichment_memo_bytes=bound,
    )
    return gateway.Gateway(
        limits=limits,
        enrichment=gateway.Enrichment(fresh_pod_bytes=bound),
        pipelines=(
            gateway.Pipeline(name="a", output=otlp, queue_bytes=bound),
            gateway.Pipeline(name="b", output=write, queue_bytes=bound),
        ),
    )


def bounds(shared: gateway.Gateway) -> set[int]:
    return {
        *(getattr(shared.limits, name) for name in sharing.DIVIDED),
        shared.enrichment.fresh_pod_bytes,
        *(pipeline.queue_bytes for pipeline in shared.pipelines),
        *(p.output.remote_write.memo_bytes for p in shared.pipelines if p.output.remote_write),
        *(
            output.series_state.max_bytes
            for p in shared.pipelines
            for output in (p.output.remote_write, p.output.otlp)
            if output
        ),
    }


@given(bound=st.integers(1, 1 << 31), workers=st.integers(1, 64))
def test_parts_add_up_to_the_whole_at_most(bound: int, workers: int) -> None:
    (part,) = bounds(sharing.share(config(bound), workers, grpc="h:1", http="h:2"))
    assert part >= 1
    assert part * workers <= max(bound, workers)
    assert part * workers > bound - workers


def test_nothing_else_changes_but_where_it_listens() -> None:
    whole = gateway.Gateway(listen=gateway.Listen(grpc="h:0", http="h:0"))
    shared = sharing.share(whole, 1, grpc="h:1", http="h:2")
    listen = msgspec.structs.replace(whole.listen, grpc="h:1", http="h:2")
    assert shared == msgspec.structs.replace(whole, listen=listen)

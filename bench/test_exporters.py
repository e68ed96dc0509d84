"""Joining requests into a batch must stay a copy of bytes, and cheap per request."""

from bench.references import exporters as reference
from common.config.shared import Batching
from common.exporters.batching import Batcher
from tests.fakes import points

BODIES = [points.request(range(50), name=f"g{n}", width=40) for n in range(20)]


def test_batching_twenty_requests_of_fifty_points(guard) -> None:
    batcher = Batcher(Batching(max_bytes=2 << 20, linger=1.0))

    def subject() -> object:
        for body in BODIES:
            batcher.add(body, 50, 0.0)
        return batcher.flush()

    guard(subject, reference=lambda: reference.join(BODIES))

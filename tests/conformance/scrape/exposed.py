"""What the targets of these cases expose: the fixtures of the suites' scrape tests, made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from common.service import clock
from tests.fakes import http_server, metric_families
from tests.flow.scripted import OPEN_METRICS, PROTOBUF

VALUE: Final = 101.13
BEGAN: Final = 1_700_000_000.25  # seconds; of everything that says since when it counts
APART: Final = 15.0  # seconds between the samples of one series in one body

_SAMPLES: Final = f"""\
# HELP test_counter Counted.
# TYPE test_counter counter
test_counter_total {VALUE}
test_counter_created {BEGAN}
# TYPE test_gauge gauge
test_gauge {VALUE}
# TYPE test_histogram histogram
test_histogram_bucket{{le="0.5"}} 1
test_histogram_bucket{{le="1.0"}} 2
test_histogram_bucket{{le="+Inf"}} 3
test_histogram_sum {VALUE}
test_histogram_count 3
test_histogram_created {BEGAN}
# TYPE test_summary summary
test_summary{{quantile="0.5"}} {VALUE}
test_summary_sum {VALUE}
test_summary_count 3
test_summary_created {BEGAN}
# TYPE test_build info
test_build_info{{version="1"}} 1
# EOF
"""


def _sorted() -> bytes:
    now = round(clock.unix_seconds(), 3)
    samples = [f"test_sorted_total {n} {now - (3 - n) * APART:.3f}" for n in (1, 2, 3)]
    return "\n".join(["# TYPE test_sorted counter", *samples, "# EOF\n"]).encode()


def _native() -> bytes:
    make = metric_families.make
    histogram = make(
        "Histogram",
        sample_count=12,
        sample_sum=VALUE,
        schema=1,
        zero_threshold=1e-128,
        zero_count=2,
        negative_span=[make("BucketSpan", offset=1, length=1)],
        negative_delta=[3],
        positive_span=[
            make("BucketSpan", offset=-1, length=2),
            make("BucketSpan", offset=2, length=1),
        ],
        positive_delta=[2, 1, -1],
        start_timestamp=make("Timestamp", seconds=int(BEGAN), nanos=250_000_000),
    )
    family = metric_families.family(
        "test_native", metric_families.HISTOGRAM, metric_families.metric(histogram=histogram)
    )
    return metric_families.body([family])


@asynccontextmanager
async def exposing() -> AsyncIterator[str]:
    """Serve ``/samples``, ``/sorted`` and ``/native`` on a free port of loopback; give its URL."""

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        body, kind = {
            "/samples": (_SAMPLES.encode(), OPEN_METRICS),
            "/sorted": (_sorted(), OPEN_METRICS),
            "/native": (_native(), PROTOBUF),
        }[request.path]
        return web.Response(body=body, headers={"Content-Type": kind})

    async with http_server.serving(take) as url:
        yield url

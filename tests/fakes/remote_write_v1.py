"""A strict receiver of remote write 1.0: a schema of its own, and every rule of the protocol.

Source: "Prometheus Remote-Write 1.0 specification", and prometheus/prompb/remote.proto and
types.proto for the messages. Nothing of the product is used to read what it sends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import cramjam
from aiohttp import web
from google.protobuf import message

from tests.fakes import (
    backends,
    http_server,
    remote_write_rules as rules,
    remote_write_schema as schema,
)
from tests.fakes.remote_write_rules import STALE, bits

Labels: TypeAlias = frozenset[tuple[str, str]]
Samples: TypeAlias = dict[int, int]
"""The bits of values by milliseconds."""

TYPES = (
    "unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset",
)  # fmt: skip
HEADERS = {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf",
    "x-prometheus-remote-write-version": "0.1.0",
}

# With remote read, by which the real Prometheus tells what it holds, bit by bit.
_MESSAGES = schema.messages("v1", schema.V1 | schema.READ)
WriteRequest = _MESSAGES["WriteRequest"]
ReadRequest = _MESSAGES["ReadRequest"]
ReadResponse = _MESSAGES["ReadResponse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """A histogram as it is meant: buckets by index, without the empty ones."""

    count: int
    total: int  # bits of the sum
    schema: int
    zero_threshold: float
    zero_count: int
    negative: tuple[tuple[int, int], ...]
    positive: tuple[tuple[int, int], ...]


GONE = Native(
    count=0, total=STALE, schema=0, zero_threshold=0.0, zero_count=0, negative=(), positive=()
)
"""What every histogram that is a stale marker is read as: nothing but its sum counts."""


def ranges(of: Native) -> list[tuple[float, float, int]]:
    """Return the buckets that are not empty with their bounds, as they rise."""

    def bounds(index: int) -> tuple[float, float]:
        return 2 ** ((index - 1) / 2**of.schema), 2 ** (index / 2**of.schema)

    zero = [(-of.zero_threshold, of.zero_threshold, of.zero_count)] if of.zero_count else []
    return [
        *((-bounds(index)[1], -bounds(index)[0], count) for index, count in of.negative[::-1]),
        *zero,
        *((*bounds(index), count) for index, count in of.positive),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A histogram as Prometheus 2.42 shows it: by the bounds of its buckets."""

    count: float
    total: float
    ranges: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    labels: Labels
    milliseconds: int
    value: int  # bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One TimeSeries, in the order of the wire."""

    labels: tuple[tuple[str, str], ...]
    samples: tuple[tuple[int, int], ...]  # milliseconds, bits
    histograms: tuple[tuple[int, Native], ...] = ()  # by milliseconds
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def key(self) -> Labels:
        return frozenset(self.labels)

    def get(self, label: str) -> str:
        return dict(self.labels).get(label, "")


@dataclass(slots=True)
class Held:
    """What a store holds, by series."""

    samples: dict[Labels, Samples] = field(default_factory=dict)
    histograms: dict[Labels, dict[int, Native | Shown]] = field(default_factory=dict)
    exemplars: dict[Labels, set[Exemplar]] = field(default_factory=dict)

    def add(self, series: Series) -> None:
        """Take in one TimeSeries."""
        for part, found in ((self.samples, series.samples), (self.histograms, series.histograms)):
            for at, what in found:
                assert at not in part.setdefault(series.key, {}), "a sample comes twice"
                part[series.key][at] = what
        if series.exemplars:
            self.exemplars.setdefault(series.key, set()).update(series.exemplars)


@dataclass(slots=True, kw_only=True)
class Write:
    """One request: what it said, what was wrong with it, and how it fared."""

    method: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # as on the wire
    series: Sequence[Series]
    metadata: Mapping[str, tuple[str, str, str]]  # type, help, unit by name of the family
    problems: Sequence[str]
    arrived: float  # of the loop's clock
    answered: float = float("inf")
    status: int = 0  # 0: none was sent


def read(series: Any) -> Series:
    """Read a message of type TimeSeries."""
    return Series(
        labels=_pairs(series.labels),
        samples=tuple((sample.timestamp, bits(sample.value)) for sample in series.samples),
        histograms=tuple((each.timestamp, _native(each)) for each in series.histograms),
        exemplars=tuple(
            Exemplar(
                labels=frozenset(_pairs(each.labels)),
                milliseconds=each.timestamp,
                value=bits(each.value),
            )
            for each in series.exemplars
        ),
    )


def _pairs(labels: Any) -> tuple[tuple[str, str], ...]:
    return tuple((label.name, label.value) for label in labels)


def _native(histogram: Any) -> Native:
    total = bits(histogram.sum)
    if total == STALE:
        return GONE
    return Native(
        count=histogram.count_int,
        total=total,
        schema=histogram.schema,
        zero_threshold=histogram.zero_threshold,
        zero_count=histogram.zero_count_int,
        negative=_buckets(histogram.negative_spans, histogram.negative_deltas),
        positive=_buckets(histogram.positive_spans, histogram.positive_deltas),
    )


def _buckets(spans: Any, deltas: Any) -> tuple[tuple[int, int], ...]:
    indices = [
        start + at
        for start, length in _placed([(span.offset, span.length) for span in spans])
        for at in range(length)
    ]
    found = zip(indices, accumulate(deltas), strict=True)
    return tuple((index, count) for index, count in found if count)


def _placed(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield where each span starts, and its length: an offset counts from the span before."""
    at = 0
    for offset, length in spans:
        at += offset
        yield at, length
        at += length


def judged(method: str, headers: Mapping[str, str], body: bytes, arrived: float) -> Write:
    """Read a request, noting every rule that it breaks."""
    problems = [*rules.of_head(method, headers, HEADERS)]
    series: list[Series] = []
    metadata: dict[str, tuple[str, str, str]] = {}
    try:
        request = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    except (cramjam.DecompressionError, message.DecodeError) as error:
        problems += [*rules.of_block(body)] or [f"body: {error}"]
    else:
        problems += schema.strangers(request)
        series = [*map(read, request.timeseries)]
        metadata = {
            each.metric_family_name: (TYPES[each.type], each.help, each.unit)
            for each in request.metadata
        }
        if not series and not metadata:
            problems.append("body: it holds nothing")
        for each in series:
            problems += rules.of_labels(each.labels, utf8=False)
            problems += _of_times(each)
        # A series may come again in a request, as Prometheus itself sends it, but in order.
        problems += [
            f"samples: a series goes back in time: {sorted(labels)} {ordered}"
            for labels, ordered in _times(series).items()
            if ordered != sorted(set(ordered))
        ]
    return Write(
        method=method, headers=headers, body=body, series=series, metadata=metadata,
        problems=problems, arrived=arrived,
    )  # fmt: skip


def _of_times(series: Series) -> Iterator[str]:
    times = [at for at, _ in (*series.samples, *series.histograms)]
    if not times:
        yield f"samples: none of {series.labels}"
    if series.samples and series.histograms:
        yield f"samples: {series.labels} has histograms, too"
    if any(not earlier < later for earlier, later in pairwise(times)):
        yield f"samples: not in order: {series.labels} {times}"
    stamps = [each.milliseconds for each in series.exemplars]
    if stamps != sorted(stamps):
        yield f"exemplars: not in order: {series.labels} {stamps}"


def _times(series: Sequence[Series]) -> dict[Labels, list[int]]:
    found: dict[Labels, list[int]] = {}
    for each in series:
        times = [at for at, _ in (*each.samples, *each.histograms)]
        found.setdefault(each.key, []).extend(times)
    return found


def samples(writes: Sequence[Write]) -> dict[Labels, list[tuple[int, int]]]:
    """Return the samples of all *writes* by series, in the order in which they arrived."""
    found: dict[Labels, list[tuple[int, int]]] = {}
    for write in writes:
        for series in write.series:
            found.setdefault(series.key, []).extend(series.samples)
    return found


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes instead of an answer, and the connection is closed."""

    data: bytes


@dataclass(slots=True)
class Receiver:
    """A running receiver, which answers as its script says, and then that all is well."""

    url: str
    script: deque[backends.Answer | Raw]
    delay: Callable[[], float]  # seconds before each answer
    writes: list[Write] = field(default_factory=list)

    @property
    def taken(self) -> list[Write]:
        """The requests that were answered with 2xx."""
        return [write for write in self.writes if 200 <= write.status < 300]


@asynccontextmanager
async def receiving(
    script: Sequence[backends.Answer | Raw] = (),
    *,
    port: int = 0,
    delay: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Receiver]:
    """Serve on *port* of loopback, 0 for any that is free."""
    receiver = Receiver("", deque(script), delay)
    clock = asyncio.get_running_loop().time

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        arrived = clock()
        headers = {key.lower(): value for key, value in request.headers.items()}
        write = judged(request.method, headers, await request.read(), arrived)
        receiver.writes.append(write)
        answer = receiver.script.popleft() if receiver.script else backends.Http(status=204)
        if wait := receiver.delay():
            await asyncio.sleep(wait)
        write.answered = clock()
        match answer:
            case backends.Http():
                write.status = answer.status
            case backends.BreakBody():
                write.status = 200
            case backends.Hang():
                write.answered = float("inf")
            case Raw():
                assert request.transport is not None
                request.transport.write(answer.data)
                answer = backends.Break()
        return await backends.said(answer, request)

    async with http_server.serving(take, port=port) as url:
        receiver.url = f"{url}/api/v1/write"
        yield receiver

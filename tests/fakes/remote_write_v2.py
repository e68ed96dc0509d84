"""A strict receiver of remote write, 2.0 and 1.0, that checks every rule and answers as it is told.

``async with receiving([Http(status=415)]) as receiver`` serves on loopback. Each request becomes a
`Write` in ``receiver.writes``: what it said, and in ``problems`` each rule that it broke; a test
ends with ``assert receiver.problems == []``. The answers are those of the script, in order, `None`
standing for an honest one, and afterwards those of the *policy*, by default honest: 204 with the
three headers of 2.0, or 400 with the problems. An honest answer to 2.0 can be had as `written`.

Order in time is checked over all requests that were answered with success.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import cramjam
from aiohttp import web
from google.protobuf import message

from tests.fakes import (
    backends,
    http_server,
    remote_write_rules as rules,
    remote_write_schema as schema,
)
from tests.fakes.remote_write_rules import Exemplar, Labels, Metadata, Sample, Series, bits

V1 = schema.messages("v1", schema.V1)
V2 = schema.messages("v2", schema.V2)
HEADERS = {
    "1.0": {
        "content-type": "application/x-protobuf",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "0.1.0",
    },
    "2.0": {
        "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "2.0.0",
    },
}
UNKNOWN_VERSION = backends.Http(status=415, body=b"only prometheus.WriteRequest is known here")
SILENT = backends.Http(status=204)
"""What a receiver of 1.0 says to a request of 2.0 in which it finds nothing that it knows."""


@dataclass(slots=True, kw_only=True)
class Write:
    """One request: what it said, what was wrong with it, and how it fared."""

    version: Literal["1.0", "2.0"]
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # as on the wire
    series: Sequence[Series]
    problems: list[str]
    symbols: Sequence[str]
    arrived: float  # of the loop's clock
    answered: float = float("inf")
    status: int = 0  # 0: none was sent

    @property
    def samples(self) -> int:
        return sum(len(series.samples) for series in self.series)

    @property
    def histograms(self) -> int:
        return sum(len(series.histograms) for series in self.series)

    @property
    def exemplars(self) -> int:
        return sum(len(series.exemplars) for series in self.series)

    def named(self, name: str) -> list[Series]:
        """Return the series called *name*."""
        return [series for series in self.series if series.name == name]


def written(samples: int, histograms: int = 0, exemplars: int = 0) -> dict[str, str]:
    """Return the headers in which a receiver of 2.0 says what it has written."""
    return {
        "X-Prometheus-Remote-Write-Samples-Written": str(samples),
        "X-Prometheus-Remote-Write-Histograms-Written": str(histograms),
        "X-Prometheus-Remote-Write-Exemplars-Written": str(exemplars),
    }


def honest(write: Write) -> backends.Http:
    """Answer as a receiver does that takes what is right."""
    if write.problems:
        return backends.Http(status=400, body="\n".join(write.problems).encode())
    if write.version == "1.0":
        return backends.Http(status=204)
    counts = written(write.samples, write.histograms, write.exemplars)
    return backends.Http(status=204, headers=counts)


def only_v1(write: Write) -> backends.Http:
    """Answer as a receiver does that knows 1.0 only, and says so."""
    return UNKNOWN_VERSION if write.version == "2.0" else honest(write)


def only_v1_silently(write: Write) -> backends.Http:
    """Answer as a receiver does that knows 1.0 only, and does not look at content types."""
    return SILENT if write.version == "2.0" else honest(write)


@dataclass(slots=True)
class Receiver:
    """A running receiver."""

    url: str
    script: deque[backends.Answer | None]
    policy: Callable[[Write], backends.Answer]
    utf8: bool
    writes: list[Write] = field(default_factory=list)
    latest: dict[Labels, int] = field(default_factory=dict)  # milliseconds, of what was taken

    @property
    def problems(self) -> list[str]:
        """All rules broken so far."""
        return [problem for write in self.writes for problem in write.problems]

    @property
    def taken(self) -> list[Write]:
        """The requests that were answered with 2xx."""
        return [write for write in self.writes if 200 <= write.status < 300]

    def series(self) -> list[Series]:
        """Return the series of all requests taken."""
        return [series for write in self.taken for series in write.series]

    def judge(self, method: str, headers: Mapping[str, str], body: bytes, arrived: float) -> Write:
        """Read a request and note every rule that it breaks."""
        is_v2 = "v2.Request" in headers.get("content-type", "") or headers.get(
            "x-prometheus-remote-write-version", ""
        ).startswith("2")
        version: Literal["1.0", "2.0"] = "2.0" if is_v2 else "1.0"
        problems = [*rules.of_head(method, headers, HEADERS[version]), *rules.of_block(body)]
        series: list[Series] = []
        symbols: Sequence[str] = ()
        try:
            plain = bytes(cramjam.snappy.decompress_raw(body))
            request = (V2["Request"] if is_v2 else V1["WriteRequest"]).FromString(plain)
        except (cramjam.DecompressionError, message.DecodeError) as error:
            problems.append(f"body: {error}")
        else:
            problems += schema.strangers(request)
            if is_v2:
                symbols = [*request.symbols]
                problems += rules.of_symbols(request)
            try:
                series = read_v2(request) if is_v2 else read_v1(request)
            except IndexError:
                problems.append("body: a reference beyond the symbols")
            if not series:
                problems.append("body: it holds no series")
            for each in series:
                problems += rules.of_series(each, utf8=self.utf8)
            problems += self._of_time(series)
            problems += _of_metadata(series)
        return Write(
            version=version, headers=headers, body=body, series=series, problems=problems,
            symbols=symbols, arrived=arrived,
        )  # fmt: skip

    def take(self, write: Write) -> None:
        """Remember how far each series has come."""
        for series in write.series:
            times = [s.ms for s in series.samples] + [h.timestamp for h in series.histograms]
            self.latest[series.labels] = max([*times, self.latest.get(series.labels, 0)])

    def _of_time(self, series: Sequence[Series]) -> list[str]:
        latest, found = dict(self.latest), []
        for each in series:
            times = [s.ms for s in each.samples] + [h.timestamp for h in each.histograms]
            for at in times:
                if at < latest.get(each.labels, at):
                    found.append(f"timestamps: {each.labels} goes back to {at}")
                latest[each.labels] = at
        return found


def read_v1(request: Any) -> list[Series]:
    """Read a WriteRequest, start times included if it has them."""
    families = {
        each.metric_family_name: Metadata(kind=each.type, help=each.help, unit=each.unit)
        for each in reversed(request.metadata)
    }
    return [
        Series(
            labels=(labels := tuple((label.name, label.value) for label in series.labels)),
            samples=_samples(series.samples),
            histograms=tuple(series.histograms),
            exemplars=tuple(
                Exemplar(
                    labels=tuple((label.name, label.value) for label in exemplar.labels),
                    bits=bits(exemplar.value),
                    ms=exemplar.timestamp,
                )
                for exemplar in series.exemplars
            ),
            metadata=_family(dict(labels).get("__name__", ""), families),
        )
        for series in request.timeseries
    ]


def read_v2(request: Any) -> list[Series]:
    """Read a Request; raises IndexError for a reference beyond the symbols."""

    def labels(refs: Sequence[int]) -> Labels:
        texts = [request.symbols[ref] for ref in refs]
        return tuple(zip(texts[::2], texts[1::2], strict=False))

    return [
        Series(
            labels=labels(series.labels_refs),
            samples=_samples(series.samples),
            histograms=tuple(series.histograms),
            exemplars=tuple(
                Exemplar(
                    labels=labels(exemplar.labels_refs),
                    bits=bits(exemplar.value),
                    ms=exemplar.timestamp,
                )
                for exemplar in series.exemplars
            ),
            metadata=Metadata(
                kind=series.metadata.type,
                help=request.symbols[series.metadata.help_ref],
                unit=request.symbols[series.metadata.unit_ref],
            )
            if series.HasField("metadata")
            else None,
        )
        for series in request.timeseries
    ]


def _samples(samples: Any) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            ms=sample.timestamp,
            bits=bits(sample.value),
            start=getattr(sample, "start_timestamp", 0),
        )
        for sample in samples
    )


def _family(name: str, families: Mapping[str, Metadata]) -> Metadata | None:
    """Return the metadata of a series: its own, or that of the histogram or summary it is of."""
    if name in families:
        return families[name]
    for suffix in ("_bucket", "_sum", "_count"):
        found = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if found and found.kind in {3, 4, 5}:
            return found
    return None


def _of_metadata(series: Sequence[Series]) -> list[str]:
    found: dict[str, Metadata] = {}
    return [
        f"should: metadata of {each.name} differ: {each.metadata}, {found[each.name]}"
        for each in series
        if each.metadata and found.setdefault(each.name, each.metadata) != each.metadata
    ]


@asynccontextmanager
async def receiving(
    script: Sequence[backends.Answer | None] = (),
    *,
    policy: Callable[[Write], backends.Answer] = honest,
    utf8: bool = False,
    port: int = 0,
) -> AsyncIterator[Receiver]:
    """Serve on *port* of loopback, 0 for any that is free; with *utf8* all names will do."""
    receiver = Receiver("", deque(script), policy, utf8)
    clock = asyncio.get_running_loop().time

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        write = receiver.judge(request.method, headers, await request.read(), clock())
        receiver.writes.append(write)
        answer = receiver.script.popleft() if receiver.script else None
        if answer is None:
            answer = receiver.policy(write)
        write.answered = clock()
        match answer:
            case backends.Http():
                write.status = answer.status
                # What is answered to 2.0 without a word of what was written, is not taken.
                if 200 <= answer.status < 300 and (write.version == "1.0" or answer.headers):
                    receiver.take(write)
            case backends.BreakBody():
                write.status = 200
            case backends.Hang():
                write.answered = float("inf")
        return await backends.said(answer, request)

    async with http_server.serving(take, port=port) as url:
        receiver.url = f"{url}/api/v1/write"
        yield receiver

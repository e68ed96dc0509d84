"""Own metrics: plain integers in the code, read only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reading:
    """One family as it stands: a name, a sentence, and (labels, value) pairs.

    Counter names end in ``_total``. Labels are bounded: names of pipelines, members of enums.
    """

    kind: Literal["counter", "gauge"]
    name: str
    words: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


Source = Callable[[], Iterable[Reading]]


class Telemetry(Collector):
    """The own metrics of one process. Parts register a source; ``render`` reads all of them."""

    def __init__(self, *, process: bool = True) -> None:
        self._sources: list[Source] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        if process:
            ProcessCollector(registry=self._registry)

    def add(self, source: Source) -> None:
        """Ask *source* at every scrape."""
        self._sources.append(source)

    @override
    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for source in self._sources:
            for reading in source():
                family = families.get(reading.name)
                if family is None:
                    family = families[reading.name] = _family(reading)
                for labels, value in reading.samples:
                    suffix = "_total" if reading.kind == "counter" else ""
                    family.add_sample(family.name + suffix, dict(labels), value)
        yield from families.values()

    def render(self) -> bytes:
        """Return all metrics in the text exposition format 0.0.4."""
        return generate_latest(self._registry)


def _family(reading: Reading) -> Metric:
    if reading.kind == "counter":
        return CounterMetricFamily(reading.name, reading.words)
    return GaugeMetricFamily(reading.name, reading.words)

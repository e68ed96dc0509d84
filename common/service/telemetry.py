"""Own metrics: plain integers in the code, read only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PROCESS: Final[Mapping[str, Whole]] = {  # of prometheus_client's own; the others are sums
    "process_start_time_seconds": "min",
    "process_max_fds": "min",
}


Kind: TypeAlias = Literal["counter", "gauge"]
Whole: TypeAlias = Literal["sum", "max", "min"]
Label = TypeVar("Label", bound=str)


@dataclass(frozen=True, slots=True)
class Reading:
    """One family as it stands: a name, a sentence, and (labels, value) pairs.

    Counter names end in ``_total``. Labels are bounded: names of pipelines, members of enums.
    *whole* says what several processes that work as one say together: counters are always summed,
    gauges unless a sum has no meaning (ages, generations, flags).
    """

    kind: Kind
    name: str
    words: str
    samples: tuple[tuple[Mapping[str, str], float], ...]
    whole: Whole = "sum"


def single(kind: Kind, name: str, words: str, value: float, whole: Whole = "sum") -> Reading:
    """Return a family of one sample, without labels."""
    return Reading(kind, name, words, (({}, float(value)),), whole)


def labelled(
    kind: Kind, name: str, words: str, label: str, values: Mapping[Label, float]
) -> Reading:
    """Return a family of one sample for each of *values*, which *label* tells apart."""
    samples = tuple([({label: str(key)}, float(value)) for key, value in values.items()])
    return Reading(kind, name, words, samples)


Source = Callable[[], Iterable[Reading]]


class Telemetry(Collector):
    """The own metrics of one process. Parts register a source; ``render`` reads all of them."""

    def __init__(self, *, process: bool = True) -> None:
        self._sources: list[Source] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._process = ProcessCollector(registry=self._registry) if process else None

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

    def snapshot(self) -> tuple[Reading, ...]:
        """Return everything that `render` would say, as values for another process."""
        found = [reading for source in self._sources for reading in source()]
        found += map(_reading, self._process.collect() if self._process else ())
        return tuple(found)

    def render(self) -> bytes:
        """Return all metrics in the text exposition format 0.0.4."""
        return generate_latest(self._registry)


def _reading(family: Metric) -> Reading:
    counts = family.type == "counter"
    return Reading(
        "counter" if counts else "gauge",
        f"{family.name}_total" if counts else family.name,
        family.documentation,
        tuple((sample.labels, sample.value) for sample in family.samples),
        _PROCESS.get(family.name, "sum"),
    )


def _family(reading: Reading) -> Metric:
    if reading.kind == "counter":
        return CounterMetricFamily(reading.name, reading.words)
    return GaugeMetricFamily(reading.name, reading.words)

"""The obvious way from an exposition to OTLP: prometheus_client's parser and protobuf objects.

The parser differs from Prometheus' own, and so from ours: it takes whatever Python's ``float``
takes (underscores, signed NaN), negative and fractional timestamps, unknown TYPE words and repeated
labels; it renames counters without ``_total``. Use `samples` for bodies that avoid these, and
`request` on what our strict parser made of all others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from agent.exposition import model
from bench.references import exposition_messages as messages

Sample = tuple[str, Mapping[str, str], float, int | None]
_Key = tuple[messages.Metric, messages.Labels, int]
_KINDS = {"counter": "sum", "histogram": "histogram", "summary": "summary"}
_KINDS |= {"info": "updown", "stateset": "updown"}


def samples(body: bytes) -> list[Sample]:
    """Parse *body* into name, labels, value and timestamp in milliseconds."""
    found = []
    for family in parser.text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            stamp = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
            found.append((sample.name, sample.labels, sample.value, stamp))
    return found


@dataclass(kw_only=True)
class Rules:
    """What `agent.exposition.translate.Rules` say, and the format."""

    labels: Mapping[str, str] = field(default_factory=dict)
    honor_labels: bool = False
    prefixes: tuple[str, ...] = ()
    without: Sequence[tuple[str, str]] = ()
    classic: bool = False
    written: model.Format = model.Format.TEXT
    natives: Mapping[int, model.Native] = field(default_factory=dict)
    exemplars: Mapping[int, model.Exemplar] = field(default_factory=dict)
    reported: Sequence[tuple[str, str, float]] = ()
    """Names, helps and values of the series behind those of the exposition."""


Exemplified = tuple[str, Mapping[str, str], float, int | None, tuple[object, ...] | None]
Said = dict[str, tuple[str, str, str]]


def open_metrics(body: bytes) -> tuple[list[Exemplified], Said]:
    """Parse *body*, which must keep every rule of OpenMetrics 1.0: that parser is a strict one.

    Return samples like those of `samples`, each with the labels, value and timestamp of its
    exemplar, and the type, help and unit of each family.
    """
    found: list[Exemplified] = []
    families: Said = {}
    for family in openmetrics_parser.text_string_to_metric_families(body.decode()):
        families[family.name] = (family.type, family.documentation, family.unit)
        for sample in family.samples:
            example = sample.exemplar
            exemplar = example and (example.labels, example.value, _stamp(example.timestamp))
            stamp = _stamp(sample.timestamp)
            found.append((sample.name, sample.labels, sample.value, stamp, exemplar))
    return found, families


def _stamp(seconds: object) -> int | None:
    return None if seconds is None else int(float(seconds) * 1000)  # type: ignore[arg-type]


def request(
    exposed: Iterable[Sample],
    families: messages.Families,
    *,
    resource: Mapping[str, str],
    scope: tuple[str, str],
    labels: Mapping[str, str],
    time_ns: int,
    rules: Rules | None = None,
) -> metrics_service_pb2.ExportMetricsServiceRequest:
    """Translate samples whose histograms and summaries are sound; *families* has type and help."""
    whole = _Whole(families, rules or Rules(labels=labels), time_ns)
    for i, sample in enumerate(exposed):
        whole.take(i, sample)
    points = whole.points()
    reported = {name: ("gauge", described) for name, described, _ in whole.rules.reported}
    told = {**families, **{f"report of {name}": words for name, words in reported.items()}}
    return messages.framed(points, told, resource=resource, info=whole.info or {}, own=scope)


class _Whole:
    def __init__(self, families: messages.Families, rules: Rules, time_ns: int) -> None:
        self.families = families
        self.rules = rules
        self.time_ns = time_ns
        self.info: dict[str, str] | None = None
        self.own = tuple(sorted((k, v) for k, v in rules.labels.items() if v))
        self.seen: set[object] = {(name, self.own) for name, _, _ in rules.reported}
        self.had: Counter[tuple[object, ...]] = Counter()
        self.singles: dict[messages.Metric, list[tuple[messages.Labels, Any]]] = {}
        self.natives: dict[messages.Metric, list[tuple[messages.Labels, Any]]] = {}
        self.native_labels: set[tuple[str, messages.Labels]] = set()
        self.groups: dict[_Key, messages.Group] = {}
        self.created: dict[tuple[str, messages.Labels], float] = {}

    def take(self, i: int, sample: Sample) -> None:
        name, exposed, value, stamp = sample
        rules = self.rules
        full = _relabelled(exposed, rules.labels, honor_labels=rules.honor_labels)
        identity = (name, tuple(sorted(full.items())))
        part, metric, family, word = _role(name, self.families, rules.written)
        if part == "native" and i not in rules.natives:
            part, word = "number", "unknown"
        label = "le" if word == "histogram" else "quantile"
        if part == "step" and not _is_float(full.get(label, "")):
            part, metric, family, word = "number", name, name, "unknown"
        if part == "created":
            self.created.setdefault((family, identity[1]), value)
        elif self._unwanted(name, exposed):
            return
        elif part == "number" and name == "target_info":
            self._describe(full)
        elif part != "unsupported" and not (stamp is None and identity in self.seen):
            if stamp is None:
                self.seen.add(identity)
            time = self.time_ns if stamp is None else stamp * 1_000_000
            key = (metric, word, family, _KINDS.get(word, "gauge"))
            if part == "native":
                self._native(key, identity[1], rules.natives[i], time)
                return
            example = rules.exemplars.get(i)
            self.singles.setdefault(key, [])
            if part == "number":
                self._number(key, identity[1], value, time, example)
                return
            step = float(full.pop(label)) if part == "step" else None
            group = self._group(key, (part, step), tuple(sorted(full.items())), stamp)
            group.add(part, step or 0.0, value, time, example)

    def points(self) -> dict[messages.Metric, list[tuple[messages.Labels, Any]]]:
        found = {metric: [*those] for metric, those in self.singles.items()}
        # Repetitions stand behind all the others, as they come.
        for metric, attributes, nth in sorted(self.groups, key=lambda key: key[2] > 0):
            group = self.groups[metric, attributes, nth]
            native = not self.rules.classic and (metric[2], attributes) in self.native_labels
            if group.count is not None and not native:
                found[metric].append((attributes, group.point(metric[1])))
        for metric, natives in self.natives.items():
            found[metric] += natives
        for metric, those in found.items():
            for attributes, point in those:
                since = self.created.get((metric[2], attributes))
                if since is not None and metric[1] != "unknown":
                    point.start_time_unix_nano = messages.start(since, point.time_unix_nano)
        for name, _, value in self.rules.reported:
            point = metrics_pb2.NumberDataPoint(time_unix_nano=self.time_ns, as_double=value)
            found[name, "gauge", f"report of {name}", "gauge"] = [(self.own, point)]
        return found

    def _unwanted(self, name: str, exposed: Mapping[str, str]) -> bool:
        if self.rules.prefixes and not name.startswith(self.rules.prefixes):
            return True
        return any(exposed.get(label) == value for label, value in self.rules.without)

    def _describe(self, full: Mapping[str, str]) -> None:
        if self.info is None:
            told = {k: v for k, v in sorted(full.items()) if k not in ("job", "instance")}
            self.info = {k: v for k, v in told.items() if self.rules.labels.get(k) != v}

    def _native(
        self, key: messages.Metric, labels: messages.Labels, histogram: model.Native, time: int
    ) -> None:
        point = messages.native_point(histogram, time)
        if point is not None:
            kind = "histogram" if histogram.schema == -53 else "exponential"
            self.singles.setdefault((*key[:3], kind), [])
            self.natives.setdefault((*key[:3], kind), []).append((labels, point))
            self.native_labels.add((key[2], labels))

    def _number(
        self,
        key: messages.Metric,
        labels: messages.Labels,
        value: float,
        time: int,
        example: model.Exemplar | None,
    ) -> None:
        point = metrics_pb2.NumberDataPoint(time_unix_nano=time, as_double=value)
        if key[1] == "counter" and example is not None:
            point.exemplars.append(messages.exemplar(example))
        self.singles[key].append((labels, point))

    def _group(
        self,
        key: messages.Metric,
        spot: tuple[str, float | None],
        labels: messages.Labels,
        stamp: int | None,
    ) -> messages.Group:
        place = (key, spot, labels)
        if stamp is None:
            if place in self.seen:
                return messages.Group()
            self.seen.add(place)
        # Repetitions of a series have times of their own: the n-th belongs to the n-th point.
        nth = self.had[place]
        self.had[place] += 1
        return self.groups.setdefault((key, labels, nth), messages.Group())


def _relabelled(
    exposed: Mapping[str, str], labels: Mapping[str, str], *, honor_labels: bool
) -> dict[str, str]:
    if honor_labels:
        full = {**labels, **exposed}
        return {k: v for k, v in full.items() if v or k in ("job", "instance")}
    reserved = {"job", "instance", *labels}
    kept = {k: v for k, v in exposed.items() if v}
    full = {k: v for k, v in kept.items() if k not in reserved} | dict(labels)
    for k in sorted((k for k in kept if k in reserved), key=len):
        free = "exported_" + k
        while free in full or free in reserved:
            free = "exported_" + free
        full[free] = kept[k]
    return full


def _role(
    name: str, families: messages.Families, written: model.Format
) -> tuple[str, str, str, str]:
    # What the sample is, the name of its metric, the name of its family, and its type.
    word = families.get(name, ("", ""))[0]
    if word in ("counter", "gauge", "info", "stateset"):
        return "number", name, name, word
    if word == "histogram" and written is model.Format.PROTOBUF:
        return "native", name, name, word
    if word in ("summary", "gaugehistogram"):
        return "step" if word == "summary" else "unsupported", name, name, word
    for suffix, part, kinds in _PARTS if not word else ():
        family = name.removesuffix(suffix)
        kind = families.get(family, ("", ""))[0]
        of_text = suffix not in ("_created", "_info") and kind != "gaugehistogram"
        if family != name and kind in kinds and (of_text or written is not model.Format.TEXT):
            told = "unsupported" if kind == "gaugehistogram" else part
            return told, name if part == "number" else family, family, kind
    return "number", name, name, "unknown"


_PARTS = (
    ("_bucket", "step", ("histogram", "gaugehistogram")),
    ("_sum", "sum", ("histogram", "summary", "gaugehistogram")),
    ("_count", "count", ("histogram", "summary", "gaugehistogram")),
    ("_gsum", "", ("gaugehistogram",)),
    ("_gcount", "", ("gaugehistogram",)),
    ("_total", "number", ("counter",)),
    ("_info", "number", ("info",)),
    ("_created", "created", ("counter", "histogram", "summary")),
)


def _is_float(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False

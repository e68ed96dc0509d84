"""Rules of OpenMetrics 1.0 that Prometheus' parser leaves alone, and so does ours.

They are checked on what has been parsed, so that whatever the parser takes too much is explained.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from agent.exposition import model, openmetrics

END = "a body ends with # EOF"
COMMA = "no comma before a closing brace"
METADATA = "metadata of a family come once, before its samples"
NAMES = "names of families do not clash, with their suffixes"
INTERLEAVED = "families, and groups of labels in them, come in one piece"
SUFFIX = "samples have the suffix that their type demands"
LABELS = "samples have the label that their type demands, with a sound value"
VALUES = "values make sense for their type"
HISTOGRAM = "histograms are whole: rising buckets up to +Inf, count and sum together"
EXEMPLAR = "exemplars belong to counters and buckets, and are short"
TIMES = "timestamps of a group are all there or none, and never fall"
UNIT = "info and stateset have no unit"

_LONGEST = 128  # code points of an exemplar's names and values
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("", "_count", "_sum", "_created"),
    "info": ("_info",),
}
_COMMENT = re.compile(rb'^# (TYPE|HELP|UNIT) (?:"([^"]*)"|(\S+)) (.*)$', re.MULTILINE)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')


@dataclass(kw_only=True)
class _Sample:
    name: str
    labels: dict[str, str]
    value: float
    time: int
    exemplar: model.Exemplar | None
    suffix: str = ""


@dataclass(kw_only=True)
class _Family:
    name: str
    type: str = "unknown"
    said: set[str] = field(default_factory=set)
    samples: list[_Sample] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {self.name, *(self.name + suffix for suffix in self.suffixes)}

    @property
    def suffixes(self) -> tuple[str, ...]:
        return _SUFFIXES.get(self.type, ("",))

    def suffix(self, name: str) -> str | None:
        """Return how *name* ends if it is a sample of this family."""
        suffixes = (suffix for suffix in ("", *self.suffixes) if self.name + suffix == name)
        return next(suffixes, None)


def broken(body: bytes) -> set[str]:
    """Return the rules that *body* breaks, which `openmetrics.parse` takes."""
    if not body:
        return {END}
    found = set()
    if ",}" in _QUOTED.sub("", body.decode()):
        found.add(COMMA)
    families, misplaced = _families(body)
    found |= misplaced
    names = [name for family in families for name in sorted(family.names)]
    if len(names) != len(set(names)):
        found.add(INTERLEAVED if len(families) != len({f.name for f in families}) else NAMES)
    for family in families:
        found |= {rule for rule, holds in _holding(family) if not holds}
    return found


def _families(body: bytes) -> tuple[list[_Family], set[str]]:
    families: list[_Family] = []
    misplaced: set[str] = set()
    for word, name, event in _events(body):
        last = families[-1] if families else None
        if isinstance(event, _Sample):
            suffix = last.suffix(name) if last else None
            if last is None or suffix is None:
                last, suffix = _Family(name=name), ""
                families.append(last)
            event.suffix = suffix
            last.samples.append(event)
            continue
        if last is None or last.name != name:
            last = _Family(name=name)
            families.append(last)
        if last.samples or word in last.said:
            misplaced.add(METADATA)
        last.said.add(word)
        if word == "TYPE":
            last.type = event
        if word == "UNIT" and event:
            last.said.add("a unit")
    return families, misplaced


def _events(body: bytes) -> Iterator[tuple[str, str, _Sample | str]]:
    # What the lines say, in their order.
    found = openmetrics.parse(body, model.Limits())
    events: list[tuple[int, str, str, _Sample | str]] = [
        (said.start(), said[1].decode(), (said[2] or said[3]).decode(), said[4].decode())
        for said in _COMMENT.finditer(body)
    ]
    for i, at in enumerate(found.value_at.tolist()):
        name = found.names[i].decode()
        sample = _Sample(
            name=name,
            labels={k.decode(): v.decode() for k, v in found.labels[i]},
            value=float(found.values[i]),
            time=int(found.times[i]),
            exemplar=found.exemplars.get(i),
        )
        events.append((at, "", name, sample))
    for _, word, name, event in sorted(events, key=lambda event: event[0]):
        yield word, name, event


def _holding(family: _Family) -> Iterator[tuple[str, bool]]:
    yield UNIT, family.type not in ("info", "stateset") or "a unit" not in family.said
    groups: dict[tuple[tuple[str, str], ...], list[_Sample]] = defaultdict(list)
    order = []
    for sample in family.samples:
        yield SUFFIX, sample.suffix in family.suffixes
        yield LABELS, _is_labelled(family, sample)
        yield VALUES, _makes_sense(family, sample)
        yield EXEMPLAR, sample.exemplar is None or _may_exemplify(family, sample)
        apart = {"le", "quantile", family.name if family.type == "stateset" else ""}
        key = tuple(sorted((k, v) for k, v in sample.labels.items() if k not in apart))
        groups[key].append(sample)
        order.append(key)
    changes = sum(before != after for before, after in pairwise(order))
    yield INTERLEAVED, family.type == "info" or changes < max(1, len(groups))
    for group in groups.values():
        times = [sample.time for sample in group]
        yield TIMES, family.type == "info" or model.UNTIMED not in times or len(set(times)) == 1
        yield TIMES, family.type == "info" or times == sorted(times)
        if family.type in ("histogram", "gaugehistogram"):
            yield HISTOGRAM, _is_whole(group)


def _is_labelled(family: _Family, sample: _Sample) -> bool:
    if sample.suffix == "_bucket":
        bound = sample.labels.get("le", "NaN")
        return float(bound) == float(bound) and (float(bound) != float("inf") or bound == "+Inf")
    if family.type == "summary" and not sample.suffix:
        try:
            return 0 <= float(sample.labels["quantile"]) <= 1
        except (KeyError, ValueError):
            return False
    return family.type != "stateset" or family.name in sample.labels


def _makes_sense(family: _Family, sample: _Sample) -> bool:
    if family.type == "info":
        return sample.value == 1
    if family.type == "stateset":
        return sample.value in (0, 1)
    if family.type == "summary" and not sample.suffix:
        return not sample.value < 0  # NaN: nothing has been seen
    if sample.suffix == "_gsum":
        return sample.value >= 0 or _has_negative_bounds(family.samples)
    return not sample.suffix or sample.value >= 0


def _may_exemplify(family: _Family, sample: _Sample) -> bool:
    assert sample.exemplar is not None
    length = sum(len(text.decode()) for pair in sample.exemplar.labels for text in pair)
    buckets = family.type in ("histogram", "gaugehistogram") and sample.suffix == "_bucket"
    return length <= _LONGEST and (buckets or sample.suffix == "_total")


def _is_whole(group: list[_Sample]) -> bool:
    buckets = [sample for sample in group if sample.suffix == "_bucket"]
    bounds = [float(sample.labels.get("le", "NaN")) for sample in buckets]
    counts = [sample.value for sample in buckets]
    by_suffix = {sample.suffix.replace("_g", "_"): sample.value for sample in group}
    return (
        bounds[-1:] == [float("inf")]
        and bounds == sorted(bounds)
        and counts == sorted(counts)
        and ("_count" in by_suffix) == ("_sum" in by_suffix)
        and by_suffix.get("_count", counts[-1]) == counts[-1]
        and not ("_sum" in {sample.suffix for sample in group} and _has_negative_bounds(group))
    )


def _has_negative_bounds(samples: list[_Sample]) -> bool:
    return any(float(sample.labels.get("le", "0")) < 0 for sample in samples)

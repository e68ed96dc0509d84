"""What expositions say about their families, read the obvious way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from tests.fakes import metric_families
from tests.flow.scripted import OPEN_METRICS, Step

Told: TypeAlias = tuple[str, str, str]
"""Type, help and unit."""

_PARTS: Final = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
_SAID: Final = re.compile(r"#[ \t]+(TYPE|HELP|UNIT)[ \t]+([^ \t]+)[ \t](.*)")
_WORDS: Final = {
    metric_families.COUNTER: "counter",
    metric_families.GAUGE: "gauge",
    metric_families.SUMMARY: "summary",
    metric_families.UNTYPED: "unknown",
    metric_families.HISTOGRAM: "histogram",
}


def metadata(step: Step) -> Iterator[tuple[str, Told]]:
    """Yield the name and the metadata of each metric that a good answer has samples of."""
    if step.content_type.startswith("application/vnd.google.protobuf"):
        for family in metric_families.read(step.body):
            yield family.name.decode(), (_WORDS[family.type], family.help.decode(), "")
        return
    said: dict[str, dict[str, str]] = {"TYPE": {}, "HELP": {}, "UNIT": {}}
    names: dict[str, None] = {}
    for line in step.body.decode().split("\n"):
        if found := _SAID.match(line):
            said[found[1]][found[2]] = found[3]
        elif line.strip() and line[0] != "#":
            names[re.split(r"[ \t{]", line)[0]] = None
    strict = step.content_type == OPEN_METRICS
    for name in names:
        metric, family = _of(name, said["TYPE"], strict=strict)
        word = said["TYPE"].get(family, "unknown").strip().replace("untyped", "unknown")
        told = said["HELP"].get(family, ""), said["UNIT"].get(family, "")
        if metric and word != "gaugehistogram":
            yield metric, (word, _unescaped(told[0]), told[1])


def _of(name: str, types: dict[str, str], *, strict: bool) -> tuple[str, str]:
    """Return the metric and the family of a sample; no metric if it is none."""
    if strict:
        for suffix, word in (("_total", "counter"), ("_info", "info")):
            family = name.removesuffix(suffix)
            if family != name and types.get(family) == word:
                return "" if name == "target_info" else name, family
        if name.endswith("_created") and name.removesuffix("_created") in types:
            return "", name
    for word, suffixes in (*_PARTS.items(), ("gaugehistogram", ("_bucket", "_gcount", "_gsum"))):
        for suffix in suffixes:
            family = name.removesuffix(suffix)
            if family != name and types.get(family) == word and name not in types:
                return family, family
    return name, name


def _unescaped(text: str) -> str:
    return re.sub(r"\\\\|\\n", lambda found: "\n" if found[0] == "\\n" else "\\", text)

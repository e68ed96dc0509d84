"""Prometheus names for OTLP ones: metrics, units and labels in the alphabet of every Prometheus.

Sources: OpenTelemetry's "Prometheus and OpenMetrics compatibility" (metric metadata, metric
attributes) and the four translation strategies of Prometheus' OTLP receiver. Three deliberate
differences: what is a valid legacy name already is never touched without need, so that scraped data
returns with the names it was exposed under; a label that cannot be spelt keeps its value under a
made-up key; and a suffix is there already only where it is a word of its own (``subtotal`` has no
``total``, ``milliseconds`` no ``seconds``).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tebibytes",
    "kBy": "kilobytes",
    "KBy": "kilobytes",  # not UCUM, but what existing translators look for
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER: Final = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NOT_IN_TOKEN = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_METRIC = re.compile(r"[^a-zA-Z0-9_:]+")
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_UNDERSCORES = re.compile(r"_+")


class Naming(StrEnum):
    """How metric names are made."""

    SUFFIXES = "suffixes"
    """Escaped, with unit and type appended: UnderscoreEscapingWithSuffixes."""
    PLAIN = "plain"
    """Escaped, nothing appended: UnderscoreEscapingWithoutSuffixes."""
    UTF8_SUFFIXES = "utf8_suffixes"
    """Characters kept, unit and type appended: NoUTF8EscapingWithSuffixes."""
    UTF8 = "utf8"
    """As they came: NoTranslation."""


_UTF8: Final = frozenset({Naming.UTF8_SUFFIXES, Naming.UTF8})


class Kind(StrEnum):
    """What an OTLP metric is, as far as its name depends on it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    """A monotonic Sum."""
    SUM = "sum"
    """A Sum that may fall."""
    HISTOGRAM = "histogram"
    EXPONENTIAL = "exponential"
    """An ExponentialHistogram, which becomes a native one."""
    SUMMARY = "summary"


def metric_name(name: str, unit: str, kind: Kind, naming: Naming) -> str:
    """Translate a metric's name; ``""`` if not one character of it can be kept.

    *unit* is UCUM, as OTLP has it; it matters with suffixes only. With ``SUFFIXES`` and ``PLAIN``
    the result is a legacy Prometheus name, and *name* itself if naming is plain and it was one
    already; with the other two it has all characters that *name* has.
    """
    if naming is Naming.UTF8:
        return name
    if naming is Naming.UTF8_SUFFIXES:
        return _suffixed(name, unit, kind) if name else ""
    if naming is Naming.PLAIN:
        if _METRIC.fullmatch(name):
            return name
        plain = "_".join(filter(None, _NOT_IN_METRIC.split(name)))
        return _not_a_digit_first(plain) if plain.strip("_") else ""
    tokens = list(filter(None, _NOT_IN_TOKEN.split(name)))
    if not tokens:
        return ""
    for suffix in _unit_words(unit):
        words = suffix.split("_")
        if not _contains(tokens, words):
            tokens += words
    if kind is Kind.COUNTER:
        tokens = [*_without(tokens, "total"), "total"]
    if kind is Kind.GAUGE and unit == "1":
        # Gauges only: counters of things are often given the unit 1 by mistake, and are no ratio.
        tokens = [*_without(tokens, "ratio"), "ratio"]
    return _not_a_digit_first("_".join(tokens))


def unit_name(unit: str) -> str:
    """Translate a UCUM unit: ``m/s`` is ``meters_per_second``; ``""`` for none and for ``1``."""
    return "_".join(_unit_words(unit))


def label_name(key: str, naming: Naming) -> str:
    """Translate an attribute's key; never empty, and *key* itself if it is a valid label name.

    With the two UTF-8 namings every key but the empty one is.

    Every character that a label cannot have becomes an underscore; a result that would begin with a
    digit is prefixed with ``key_``, one that would begin with a single underscore with ``key``. Of
    a key without letters and digits at least ``key_`` is left: its values are not to be lost.
    """
    if _LABEL.fullmatch(key) or (key and naming in _UTF8):
        return key
    label = _NOT_IN_LABEL.sub("_", key)
    if not label.strip("_") or label[0].isdigit():
        return f"key_{label}"
    if label[0] == "_" and label[1] != "_":
        return f"key{label}"
    return label


def _suffixed(name: str, unit: str, kind: Kind) -> str:
    """Append unit, "per" and type to *name*, in this order, and each of them once."""
    suffixes = _units(unit)
    if kind is Kind.COUNTER:
        suffixes.append("total")
    if kind is Kind.GAUGE and unit == "1":
        suffixes.append("ratio")
    for suffix in reversed(suffixes):
        stem = name.removesuffix(suffix)
        # A name that is nothing but the suffix, or ends in a longer word, does not have it.
        if len(stem) not in {0, 1, len(name)} and not stem[-1].isalnum():
            name = stem[:-1]
    return "_".join([name, *suffixes])


def _unit_words(unit: str) -> list[str]:
    """Return the main word and the "per" words of *unit*, those that there are, escaped."""
    return [word for word in map(_spelt, _units(unit)) if word not in {"", "per"}]


def _units(unit: str) -> list[str]:
    """Return the main word and the "per" words of *unit*, those that there are."""
    main, _, per = unit.partition("/")
    main, per = main.strip(), per.strip()
    words = [
        _UNITS.get(main, main) if not _is_annotation(main) else "",
        f"per_{_PER.get(per, per)}" if per and not _is_annotation(per) else "",
    ]
    return [word for word in words if word]


def _is_annotation(part: str) -> bool:
    return "{" in part or "}" in part  # UCUM's {request}: a word for people


def _spelt(word: str) -> str:
    return _UNDERSCORES.sub("_", _NOT_IN_TOKEN.sub("_", word)).strip("_")


def _contains(tokens: list[str], words: list[str]) -> bool:
    n = len(words)
    return any(tokens[i : i + n] == words for i in range(len(tokens) - n + 1))


def _without(tokens: list[str], word: str) -> list[str]:
    return [token for token in tokens if token != word]


def _not_a_digit_first(name: str) -> str:
    return f"_{name}" if name[:1].isdigit() else name

"""Expositions in OpenMetrics that keep every rule of the specification, made up by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

_TEXTS = st.lists(
    st.sampled_from(["a", "é", " ", " # {", "{", "}", ",", "=", "\\\\", "\\n", '\\"', "\\q", "☃"]),
    max_size=4,
).map("".join)
_NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers(-9, 9).map(str)
)
_ANY = st.one_of(_NUMBERS, st.sampled_from(["NaN", "+Inf", "-Inf", "1e3", "007", "-0"]))
_COUNTS = st.integers(0, 9)
# Eighths of a second are milliseconds without a remainder, in decimals and in binary.
_STAMPS = st.integers(0, 16_000_000_000).map(lambda eighths: f" {eighths / 8!r}")
_MAYBE_STAMPS = st.one_of(st.just(""), _STAMPS)
_LABELS = st.lists(
    st.tuples(st.sampled_from(["l", "_x1", '"dotted.label"', "Z"]), _TEXTS),
    max_size=3,
    unique_by=lambda pair: pair[0],
)
_UNITS = st.sampled_from(["", "s", "seconds", "é"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Make a whole exposition, with families of every type."""
    lines: list[str] = []
    for number in range(draw(st.integers(0, 4))):
        lines += draw(_families(number))
    end = draw(st.sampled_from(["\n", ""]))
    return "".join(line + "\n" for line in lines).encode() + b"# EOF" + end.encode()


@st.composite
def _families(draw: st.DrawFn, number: int) -> list[str]:
    kind = draw(st.sampled_from(sorted(_SAMPLES)))
    unit = "" if kind in ("info", "stateset") else draw(_UNITS)
    name = (
        draw(st.sampled_from(["plain", "with.dots"])) + str(number) + (f"_{unit}" if unit else "")
    )
    shown = name if name.isascii() and "." not in name else f'"{name}"'
    said = [f"# TYPE {shown} {kind}"]
    if unit:
        said.append(f"# UNIT {shown} {unit}")
    if draw(st.booleans()):
        said.append(f"# HELP {shown} {draw(_TEXTS).strip()}")  # which prometheus_client does
    lines = list(draw(st.permutations(said)))
    for group in range(draw(st.integers(0, 3))):
        labels = [("group", str(group)), *draw(_LABELS)]
        # prometheus_client takes all the samples of an info for one group.
        stamp = draw(_MAYBE_STAMPS) if kind != "info" else ""
        for suffix, more, value, may_exemplify in draw(_SAMPLES[kind](name)):
            exemplar = draw(_exemplars()) if may_exemplify else ""
            lines.append(_series(name + suffix, [*labels, *more]) + f" {value}{stamp}{exemplar}")
    return lines


@st.composite
def _exemplars(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return ""
    # prometheus_client takes an escaped quote for the end of the label.
    labels = [(name, value.replace('\\"', "")) for name, value in draw(_LABELS)]
    inner = ",".join(f'{name}="{value}"' for name, value in labels)
    return f" # {{{inner}}} {draw(_ANY)}{draw(_MAYBE_STAMPS)}"


def _series(name: str, labels: list[tuple[str, str]]) -> str:
    pairs = [f'{label}="{value}"' for label, value in labels]
    if name.isascii() and "." not in name:
        return name + "{" + ",".join(pairs) + "}"
    return "{" + ",".join([f'"{name}"', *pairs]) + "}"


_Rows = list[tuple[str, list[tuple[str, str]], str, bool]]


@st.composite
def _counters(draw: st.DrawFn, _: str) -> _Rows:
    rows: _Rows = [("_total", [], str(draw(_COUNTS)), True)]
    if draw(st.booleans()):
        rows.append(("_created", [], "1700000000.25", False))
    return rows


@st.composite
def _gauges(draw: st.DrawFn, _: str) -> _Rows:
    return [("", [], draw(_ANY), False)]


@st.composite
def _histograms(draw: st.DrawFn, _: str) -> _Rows:
    rows, below = [], 0
    for bound in draw(st.sampled_from([("+Inf",), ("0.5", "+Inf"), ("1.0", "2.5", "+Inf")])):
        below += draw(_COUNTS)
        rows.append(("_bucket", [("le", bound)], str(below), True))
    if draw(st.booleans()):
        rows += [("_count", [], str(below), False), ("_sum", [], "2.5", False)]
    return rows


@st.composite
def _gauge_histograms(draw: st.DrawFn, name: str) -> _Rows:
    rows = draw(_histograms(name))
    called = {"_count": "_gcount", "_sum": "_gsum"}
    return [(called.get(suffix, suffix), more, value, may) for suffix, more, value, may in rows]


@st.composite
def _summaries(draw: st.DrawFn, _: str) -> _Rows:
    return [
        ("", [("quantile", "0.5")], str(draw(_COUNTS)), False),
        ("_count", [], str(draw(_COUNTS)), False),
        ("_sum", [], str(draw(_COUNTS)), False),
    ]


def _infos(_: str) -> st.SearchStrategy[_Rows]:
    return st.just([("_info", [("version", "1.2")], "1", False)])


@st.composite
def _state_sets(draw: st.DrawFn, name: str) -> _Rows:
    label = name if name.isascii() and "." not in name else f'"{name}"'
    return [("", [(label, state)], str(draw(st.integers(0, 1))), False) for state in ("on", "off")]


_SAMPLES = {
    "counter": _counters,
    "gauge": _gauges,
    "histogram": _histograms,
    "gaugehistogram": _gauge_histograms,
    "summary": _summaries,
    "info": _infos,
    "stateset": _state_sets,
    "unknown": _gauges,
}

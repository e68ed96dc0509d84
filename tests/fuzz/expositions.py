"""Hostile expositions of all formats: read strictly, leniently, and on the fast path."""

from __future__ import annotations

from functools import cache
from random import Random

from agent.exposition import delimited, model, openmetrics, series, text
from common.wire import errors
from tests.fakes import otlp_wire
from tests.fuzz import scrapes

_LIMITS = model.Limits(samples=50, labels=20, label_name_bytes=100, label_value_bytes=200)
_PARSERS = {model.Format.TEXT: text.parse, model.Format.OPEN_METRICS: openmetrics.parse}
_TEXT = b"""\
# HELP jobs_total Done, \\\\ and\\nover.
# TYPE jobs_total counter
jobs_total{queue="a",worker="1"} 17
jobs_total{queue="b\\"",worker="2"} 2.5e+07 1700000000000

# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 2.25
wait_seconds_count 3
{"two
lines",l="x"} NaN
"""
_OPEN_METRICS = b"""\
# TYPE jobs counter
# UNIT jobs\x20
# HELP jobs Done, \\"and\\" over.
jobs_total{queue="a",worker="1"} 17 # {trace_id="4bf92f35"} 0.5 1700000000.25
jobs_total{queue="b\\"",worker="2"} 2.5e+07 1700000000.125
jobs_created{queue="a",worker="1"} 1690000000.5
wait_seconds_bucket{le="0.5"} 1 # {} 1
wait_seconds_bucket{le="+Inf"} 3 1.5 # {a=" # {",b="c"} 2
{"two
lines","a b"="x"} NaN
# EOF
"""
_BODIES = {model.Format.TEXT: _TEXT, model.Format.OPEN_METRICS: _OPEN_METRICS}
_PIECES = (
    b"a", b"_1", b"{", b"}", b'"', b"\\", b"=", b",", b" ", b"\t", b"\n", b"\r", b"#", b" # {",
    b"# HELP a ", b"# TYPE a gauge\n", b"# UNIT a_s s\n", b"# EOF\n", b"1", b".5", b"e9", b"NaN",
    b"-Inf", b"\0", b"\xff", b"\xc3\xa9", b'{b="c"}', b"le", b"-", b"a 1\n", b'{"x.y"} 1\n',
    b"0" * 400, b' # {t="u"} 1 2\n', b"9" * 20, b'x{a="1",a="1"} 1\n', b"1e999", b"? \n" * 60,
    b"a 1\n" * 60,
)  # fmt: skip


@cache
def _known(form: model.Format, *, drop_lines: bool) -> tuple[model.Exposition, series.Layout]:
    learnt = _PARSERS[form](_BODIES[form], _LIMITS, drop_lines=drop_lines)
    return learnt, series.Layout.learn(_BODIES[form], learnt)


def check(random: Random) -> str:
    """Read one made-up body in every way; return what is wrong, in words."""
    form = random.choice(list(model.Format))
    return _check_protobuf(random) if form is model.Format.PROTOBUF else _check_text(random, form)


def _check_text(random: Random, form: model.Format) -> str:
    """Read one body strictly and leniently, and both on the fast path of a sound one."""
    body = _draw(random, form)
    strict = _parsed(body, form, drop_lines=False)
    lenient = _parsed(body, form, drop_lines=True)
    if isinstance(lenient, errors.Malformed):
        return f"{form}: {body!r}: left out nothing: {lenient}"
    if isinstance(strict, errors.Malformed):
        if not str(strict).startswith("line "):
            return f"{form}: {body!r}: no line in {strict}"
        if isinstance(lenient, model.Exposition) and lenient.complaint != str(strict):
            return f"{form}: {body!r}: {strict}, but {lenient.complaint} left out"
    for drop_lines, found in ((False, strict), (True, lenient)):
        learnt, layout = _known(form, drop_lines=drop_lines)
        readings = layout.read(body)
        if readings is None:
            continue
        if not isinstance(found, model.Exposition):
            return f"{form}: {body!r}: the fast path takes it: {found}"
        if (
            found.series != learnt.series
            or found.families != learnt.families
            or found.values.tobytes() != readings.values.tobytes()
            or found.times.tolist() != readings.times.tolist()
            or repr(sorted(found.exemplars.items())) != repr(sorted(readings.exemplars.items()))
        ):
            return f"{form}: {body!r}: the fast path reads something else"
    return ""


def _check_protobuf(random: Random) -> str:
    """Read one body, mostly a damaged one, alone and behind one that was sound."""
    body = scrapes.protobuf(random.randrange(scrapes.BODIES))
    known = scrapes.protobuf(random.randrange(scrapes.BODIES))
    if random.random() < 0.1:
        body = random.randbytes(random.randrange(60))
    elif random.random() < 0.9:
        body = otlp_wire.damaged(body, random)
    classic = random.random() < 0.5
    reader = delimited.Reader(_LIMITS, classic=classic)
    reader.read(known)
    alone, behind = (
        _read_protobuf(read, body) for read in (delimited.Reader(_LIMITS, classic=classic), reader)
    )
    if alone != behind:
        return f"{body!r} behind {known!r}: {behind}, alone {alone}"
    if isinstance(alone, str) and not alone.startswith("family at byte "):
        return f"{body!r}: no place in {alone}"
    return ""


def _read_protobuf(reader: delimited.Reader, body: bytes) -> str | list[str]:
    try:
        found = reader.read(body)
    except (errors.Malformed, errors.TooLarge) as error:
        return str(error)
    columns = found.names, found.labels, found.values, found.times
    if len(set(map(len, columns))) > 1:
        return f"columns of {list(map(len, columns))} rows"
    plain = found.values.tolist(), found.times.tolist()
    return [
        repr(each)
        for each in (*columns[:2], *plain, found.families, found.exemplars, found.natives)
    ]


def _draw(random: Random, form: model.Format) -> bytes:
    if random.random() < 0.3:
        return b"".join(random.choices(_PIECES, k=random.randrange(12)))
    body = _BODIES[form]
    if random.random() < 0.3:
        return otlp_wire.damaged(body, random)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(body) + 1)
        body = body[:at] + random.choice(_PIECES) + body[at + random.randrange(4) :]
    return body


def _parsed(
    body: bytes, form: model.Format, *, drop_lines: bool
) -> model.Exposition | errors.Malformed | errors.TooLarge:
    try:
        return _PARSERS[form](body, _LIMITS, drop_lines=drop_lines)
    except (errors.Malformed, errors.TooLarge) as error:
        return error

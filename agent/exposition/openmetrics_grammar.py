"""The tokens of OpenMetrics 1.0 text, read one at a time and with care.

The grammar is that of Prometheus' own lexer, which is laxer than the specification: exactly one
space stands between tokens and none inside braces, but suffixes, the order of families and the
length of exemplars are not looked at. It is stricter than that lexer where that one loses track: a
NUL has no meaning but in HELP texts and label values. Offsets are bytes from the start of the body.
"""

from __future__ import annotations

import math
import re

from agent.exposition import grammar, model, numbers

EOF = b"# EOF"
EXEMPLAR = b" # {"  # how one begins

_METRIC_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_LABEL_NAME = re.compile(rb"[a-zA-Z_][a-zA-Z0-9_]*+")
# A name may span lines, a value may not; a value may have a NUL, unless it is an exemplar's.
_QUOTED_NAME = re.compile(rb'"([^\\"\0]*+(?:\\[^\n\0][^\\"\0]*+)*)"')
_QUOTED_IN_EXEMPLAR = re.compile(rb'"([^\\"\n\0]*+(?:\\[^\n\0][^\\"\n\0]*+)*)"')
_QUOTED = re.compile(rb'"([^\\"\n]*+(?:\\[^\n][^\\"\n]*+)*)"')
_VALUE = re.compile(rb" ([^ \n]++)")
_TAIL = re.compile(rb" ([^ \n]++)(?: ([^ \n]++))?\n")
_METADATA = re.compile(rb"# (HELP|TYPE|UNIT) ")
_TEXT = re.compile(rb" ([^\n]*+)\n")
_TYPES = frozenset(
    (
        b"counter", b"gauge", b"histogram", b"gaugehistogram", b"summary", b"info", b"stateset",
        b"unknown",
    )
)  # fmt: skip

# The common form of what follows a value: labels without escapes, and almost always a time.
_EXEMPLAR = re.compile(
    rb' # \{((?:[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\\n\0]*+"(?:,|(?=\})))*)\}'
    rb" ([^ \n]++)(?: ([^ \n]++))?\n"
)
_BEYOND = 2.0**63


def milliseconds(text: bytes) -> int:
    """Read a timestamp in seconds, fractions of a millisecond cut off.

    Raises ``ValueError`` with a reason. A time beyond 64 bits becomes the earliest there is, as Go
    has it on amd64: like Prometheus we take it, and then find it out of bounds. So is a millisecond
    before 1970, which must not become `model.UNTIMED`.
    """
    seconds = numbers.number(text)
    if not math.isfinite(seconds):
        raise ValueError("the timestamp is not finite")
    thousandfold = seconds * 1000
    if not -_BEYOND <= thousandfold < _BEYOND:
        return -int(_BEYOND)
    found = int(thousandfold)
    return found if found != model.UNTIMED else found - 1


def comment(body: bytes, at: int) -> grammar.Metadata:
    """Read the comment at *at*, a ``#``; raises `errors.Malformed` unless it says something."""
    found = _METADATA.match(body, at)
    if found is None:
        grammar.refuse(body, at, "expected # HELP, # TYPE, # UNIT or # EOF")
    keyword = found[1]
    plain = _METRIC_NAME.match(body, found.end())
    quoted = _QUOTED_NAME.match(body, found.end())
    name = plain or quoted
    if name is None:
        grammar.refuse(body, found.end(), f"expected a metric name after {keyword.decode()}")
    rest = _TEXT.match(body, name.end())
    if rest is None:
        grammar.refuse(body, name.end(), "expected a space, then text that ends with its line")
    text = rest[1]
    if keyword == b"HELP":
        text = grammar.unescape(text)
    elif keyword == b"UNIT":
        raw = quoted[1] if quoted else name[0]
        if text and not raw.endswith(b"_" + text):
            grammar.refuse(body, rest.start(1), "the unit is no suffix of the metric name")
    elif text not in _TYPES:
        grammar.refuse(
            body, rest.start(1), f"expected one of {b', '.join(sorted(_TYPES)).decode()}"
        )
    return grammar.Metadata(
        keyword, grammar.unescape(quoted[1]) if quoted else name[0], text, rest.end()
    )


def sample(body: bytes, at: int) -> tuple[grammar.Sample, model.Exemplar | None]:
    """Read the sample at *at*, the start of a line, and its exemplar; raises `errors.Malformed`."""
    start = at
    plain = _METRIC_NAME.match(body, at)
    name = plain[0] if plain else None
    at = plain.end() if plain else at
    labels: grammar.Labels = ()
    if body[at : at + 1] == b"{":
        name, labels, at = _braces(body, at + 1, name)
    elif name is None:
        grammar.refuse(body, at, "expected a metric name")
    if not name:
        grammar.refuse(body, start, "the sample has no metric name")
    value = _VALUE.match(body, at)
    if value is None:
        grammar.refuse(body, at, "expected a space and a value")
    at = value.end()
    timestamp = None if body.startswith(EXEMPLAR, at) else _VALUE.match(body, at)
    if timestamp is not None:
        at = timestamp.end()
    stamp = timestamp[1] if timestamp else None
    if body.startswith(EXEMPLAR, at):
        found, at = exemplar(body, at)
        return grammar.Sample(name, labels, value[1], value.start(1), stamp, at), found
    if body[at : at + 1] != b"\n":
        grammar.refuse(body, at, "expected a timestamp, an exemplar or the end of the line")
    return grammar.Sample(name, labels, value[1], value.start(1), stamp, at + 1), None


def exemplar(body: bytes, at: int) -> tuple[model.Exemplar, int]:
    """Read the exemplar at *at*, ``" # {"``, to the end of its line; return it and where that is.

    Its escapes are resolved, which Prometheus forgets. A repeated label has its last value. Raises
    `errors.Malformed`.
    """
    common = _EXEMPLAR.match(body, at)
    if common is not None:
        labels, value, stamp = grammar.pairs(common[1]), common[2], common[3]
        value_at, end = common.start(2), common.end()
    else:
        labels, end = _exemplar_labels(body, at + len(EXEMPLAR))
        tail = _TAIL.match(body, end)
        if tail is None:
            grammar.refuse(body, end, "expected value and timestamp of an exemplar, a space before")
        value, stamp = tail[1], tail[2]
        value_at, end = tail.start(1), tail.end()
    if not grammar.is_utf8(body[at:end]):
        grammar.refuse(body, at, "the exemplar is not UTF-8")
    try:
        time = model.UNTIMED if stamp is None else milliseconds(stamp)
        if len(labels) > 1:
            labels = tuple(dict(labels).items())
        read = model.Exemplar(labels, numbers.number(value), time)
    except ValueError as reason:
        grammar.refuse(body, value_at, f"in an exemplar: {reason}")
    return read, end


def _exemplar_labels(body: bytes, at: int) -> tuple[grammar.Labels, int]:
    labels: list[tuple[bytes, bytes]] = []
    while body[at : at + 1] != b"}":
        label, at = _label(body, at, _QUOTED_IN_EXEMPLAR, _QUOTED_IN_EXEMPLAR)
        labels.append(label)
    return tuple(labels), at + 1


def _braces(body: bytes, at: int, name: bytes | None) -> tuple[bytes | None, grammar.Labels, int]:
    # '{' ((string | label) (',' label)* ','?)? '}', where a lone string is the metric name.
    labels: list[tuple[bytes, bytes]] = []
    while body[at : at + 1] != b"}":
        alone = _QUOTED_NAME.match(body, at)
        if alone is not None and body[alone.end() : alone.end() + 1] in (b",", b"}"):
            if name is not None:
                grammar.refuse(body, at, "the metric name is set already")
            name = grammar.unescape(alone[1])
            at = alone.end() + (body[alone.end() : alone.end() + 1] == b",")
        else:
            label, at = _label(body, at, _QUOTED_NAME, _QUOTED)
            labels.append(label)
    return name, tuple(labels), at + 1


def _label(
    body: bytes, at: int, quoted_name: re.Pattern[bytes], quoted_value: re.Pattern[bytes]
) -> tuple[tuple[bytes, bytes], int]:
    # label '=' string, and a comma unless a closing brace follows.
    quoted = quoted_name.match(body, at)
    found = quoted or _LABEL_NAME.match(body, at)
    if found is None:
        grammar.refuse(body, at, "expected a label name")
    after = found.end()
    if body[after : after + 1] != b"=":
        grammar.refuse(body, after, 'expected "=" after the label name')
    value = quoted_value.match(body, after + 1)
    if value is None:
        grammar.refuse(body, after + 1, "expected a label value in double quotes")
    name = grammar.unescape(quoted[1]) if quoted else found[0]
    at = value.end()
    following = body[at : at + 1]
    if following not in (b",", b"}"):
        grammar.refuse(body, at, "expected a comma or a closing brace")
    return (name, grammar.unescape(value[1])), at + (following == b",")

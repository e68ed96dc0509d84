"""The Prometheus text format 0.0.4: by default a body is read whole, or refused whole.

OpenMetrics and the protobuf format are other grammars with the same result, `model.Exposition`;
they stand beside this module. What may be negotiated as 1.0.0 is the same grammar.
"""

from __future__ import annotations

import re

from agent.exposition import columns, grammar, model

# The common form of a sample: labels without escapes, no blanks inside the braces. What does not
# match, `grammar` reads; the quantifiers are as they are for the reason given there.
_SAMPLE = re.compile(
    rb"([a-zA-Z_:][a-zA-Z0-9_:]*+)[ \t]*+"
    rb'(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\]*+",?+)*)\}[ \t]*+)?'
    rb"([^{ \t\n]++)[ \t]*+(?:([0-9]++)[ \t]*+)?(?:\n|\Z)"
)


def parse(body: bytes, limits: model.Limits, *, drop_lines: bool = False) -> model.Exposition:
    """Parse *body*, an exposition in text format 0.0.4.

    Raises `errors.Malformed` with the line (from 1), the byte offset and the offending text, and
    `errors.TooLarge` with the value and the limit. With *drop_lines* a line that cannot be read is
    left out and counted instead; limits fail as ever. Repeated series are not an error here: the
    same series can be spelt in several ways, and target labels change it further.
    """
    sets = columns.Sets()
    found = columns.Columns(body, limits)
    return found.read(
        lambda into, at: _lines(into, sets, at),
        grammar.milliseconds,
        model.Format.TEXT,
        drop_lines=drop_lines,
    )


def _lines(into: columns.Columns, sets: columns.Sets, at: int) -> None:
    body, common, known = into.body, _SAMPLE.match, sets.known
    names, every, texts, value_at = into.names, into.labels, into.texts, into.value_at
    size = len(body)
    while at < size:
        found = common(body, at)
        if found is None:
            at = _uncommon(into, at)
            continue
        name, inner, text, timestamp = found.groups()
        labels = known.get(inner)
        if labels is None:
            into.line_at, into.behind = at, found.end()
            labels = sets.split(inner)
            into.check_labels(labels, found.start(2))
            known[inner] = labels
        if timestamp is not None:
            into.stamps[len(names)] = timestamp
        names.append(name)
        every.append(labels)
        texts.append(text)
        value_at.append(found.start(3))
        at = found.end()


def _uncommon(into: columns.Columns, line_at: int) -> int:
    body = into.body
    into.line_at = line_at
    at = grammar.blanks(body, line_at)
    first = body[at : at + 1]
    if first == b"\n":
        return at + 1
    if first in (b"", b"\0"):
        return len(body)  # a NUL at the start of a line ends the input
    if first == b"#":
        found = grammar.comment(body, at)
        if isinstance(found, grammar.Metadata):
            into.describe(found, at)
            return found.next
        return found
    if at > line_at and first != b"{":
        # The format's description ignores these blanks; Prometheus refuses them, or, since it
        # takes any UTF-8 for a name, makes them part of the name.
        grammar.refuse(body, at, "blanks before the metric name")
    return into.add(grammar.sample(body, at), at)

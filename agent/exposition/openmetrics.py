"""OpenMetrics 1.0 text, as Prometheus reads it: more than the specification allows."""

from __future__ import annotations

import re

from agent.exposition import columns, grammar, model, openmetrics_grammar as tokens

# The common form of a sample: labels without escapes. What does not match, `openmetrics_grammar`
# reads; the quantifiers are as they are for the reason given in `grammar`. An exemplar behind the
# sample is not part of it.
_SAMPLE = re.compile(
    rb"([a-zA-Z_:][a-zA-Z0-9_:]*+)"
    rb'(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\\n]*+"(?:,|(?=\})))*)\})?'
    rb" ([^ \n]++)(?: ([^# \n][^ \n]*+))?(?:\n|(?= # \{))"
)
_NEWLINE = ord("\n")


def parse(body: bytes, limits: model.Limits, *, drop_lines: bool = False) -> model.Exposition:
    """Parse *body*, an exposition in OpenMetrics 1.0 text; an empty one needs no end.

    Raises `errors.Malformed` with the line (from 1), the byte offset and the offending text, and
    `errors.TooLarge` with the value and the limit. With *drop_lines* a line that cannot be read is
    left out and counted instead, a missing end as one; limits fail as ever. Samples called
    ``_created`` are samples like others.
    """
    sets = columns.Sets()
    found = columns.Columns(body, limits)
    return found.read(
        lambda into, at: _lines(into, sets, at),
        tokens.milliseconds,
        model.Format.OPEN_METRICS,
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
            into.line_at = at
            labels = sets.split(inner)
            into.check_labels(labels, found.start(2))
            known[inner] = labels
        end = found.end()
        if body[end - 1] != _NEWLINE:
            into.line_at = at
            into.exemplars[len(names)], end = tokens.exemplar(body, end)
        at = end
        if timestamp is not None:
            into.stamps[len(names)] = timestamp
        names.append(name)
        every.append(labels)
        texts.append(text)
        value_at.append(found.start(3))
    if at == size > 0:
        into.line_at, into.behind = size, size + 1  # a complaint that is made once
        grammar.refuse(body, size, "expected # EOF at the end of the body")


def _uncommon(into: columns.Columns, at: int) -> int:
    body = into.body
    into.line_at = at
    if body.startswith(b"#", at):
        if body.startswith(tokens.EOF, at):
            return _end(body, at)
        metadata = tokens.comment(body, at)
        into.describe(metadata, at)
        return metadata.next
    sample, exemplar = tokens.sample(body, at)
    return into.add(sample, at, exemplar)


def _end(body: bytes, at: int) -> int:
    # Beyond the body, which tells an end that was said from one that came.
    behind = at + len(tokens.EOF)
    behind += body[behind : behind + 1] == b"\n"
    if behind < len(body):
        grammar.refuse(body, at, "# EOF is not the end of the body")
    return len(body) + 1

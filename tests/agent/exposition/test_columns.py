"""Columns: what every text format asks of its samples, and what becomes of lines that fail it."""

import pytest

from agent.exposition import columns, grammar, model
from common.wire import errors


def one_sample_a_line(into: columns.Columns, at: int) -> None:
    """Read ``label value`` and ``!``, which no limit allows."""
    while at < len(into.body):
        into.line_at = at
        end = grammar.next_line(into.body, at)
        label, _, value = into.body[at : end - 1].partition(b" ")
        if label == b"!":
            raise errors.TooLarge("!")
        into.check_labels(((label, b"x"),), at)
        if value.endswith(b"@"):
            into.stamps[len(into.names)] = value
        into.names.append(b"a")
        into.labels.append(((label, b"x"),))
        into.texts.append(value.rstrip(b"@"))
        into.value_at.append(at + len(label) + 1)
        at = end


def no_time(_: bytes) -> int:
    raise ValueError("no time")


def read(body: bytes, *, drop_lines: bool = False) -> model.Exposition:
    found = columns.Columns(body, model.Limits())
    return found.read(one_sample_a_line, no_time, model.Format.TEXT, drop_lines=drop_lines)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"b 1\nc x\n__name__ 1\n", "line 2, byte 6: not a number, at 'x'"),
        (b"b 1\nc 2@\n__name__ 1\n", "line 2, byte 6: no time, at '2@'"),
        (b"b 1\nc 2@\nd x\n", "line 2, byte 6: no time, at '2@'"),
        (b"b 1\nc x@\nd x\n", "line 2, byte 6: not a number, at 'x@'"),
        (b"b 1\nc x\n! 1\n", "line 2, byte 6: not a number, at 'x'"),
    ],
)
def test_the_first_error_is_shown_though_numbers_are_read_last(body: bytes, message: str) -> None:
    with pytest.raises(errors.Malformed) as refused:
        read(body)
    assert str(refused.value) == message


def test_columns_lose_the_same_lines() -> None:
    found = read(b"b x\nc 1\n__name__ 2\nd 3@\ne 4\n", drop_lines=True)
    assert found.labels == [((b"c", b"x"),), ((b"e", b"x"),)]
    assert found.values.tolist() == [1, 4]
    assert found.times.tolist() == [model.UNTIMED] * 2
    assert found.value_at.tolist() == [6, 26]
    assert (found.skipped, found.complaint) == (3, "line 1, byte 2: not a number, at 'x'")


def test_limits_fail_whatever_came_before() -> None:
    with pytest.raises(errors.TooLarge):
        read(b"b x\n! 1\n", drop_lines=True)


def test_sets_split_as_pairs_do() -> None:
    sets = columns.Sets()
    for inner in (b'a="1"', b'a="1",b="2"', b'a="1",b="2",', b'a=",",b=","', b'a="",b=""', b'a=""'):
        assert sets.split(inner) == grammar.pairs(inner)
        assert sets.split(inner) == grammar.pairs(inner)

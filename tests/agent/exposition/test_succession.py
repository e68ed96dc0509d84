"""One scrape after the other: what is new, what is gone, and what is taken back."""

import pytest

from agent.exposition import metrics, model, staleness, succession, template, text, translate

ORIGIN = metrics.Origin.of(job="j", instance="i", scope=("a", "1"), attributes={}, labels={})


def written(body: bytes) -> template.Template:
    read = text.parse(body, model.Limits())
    translation = translate.translate(read, translate.Rules(report=((b"up", b""),)))
    return template.Template.of(translation, ORIGIN, read.times, ())


def turned(
    sent: succession.Succession, now: template.Template, *, something: bool = True
) -> tuple[int, int]:
    """Turn to *now*; return how many series are new, and how many markers there are."""
    difference, marked = sent.turn(now, None, 1)
    assert bool(marked) == bool(difference.points)
    return sent.count(now, difference, something=something), difference.points


def test_the_first_scrape_is_all_new_and_the_same_again_is_not() -> None:
    sent, one = succession.Succession(), written(b"a 1\nb 1\n")
    assert sent.live is None
    assert turned(sent, one) == (2, 0)
    assert turned(sent, one) == (0, 0)
    assert sent.live is one


def test_a_difference_that_is_known_is_not_looked_for() -> None:
    sent, one, other = succession.Succession(), written(b"a 1\n"), written(b"b 1\n")
    sent.turn(one, None, 1)
    assert sent.turn(other, staleness.NOTHING, 1) == (staleness.NOTHING, b"")
    assert sent.live is other


def test_what_said_nothing_marks_all_and_makes_nothing_old() -> None:
    sent, one, nothing = succession.Succession(), written(b"a 1\nb 1\n"), written(b"")
    turned(sent, one)
    assert turned(sent, nothing, something=False) == (0, 2)
    assert turned(sent, written(b"a 1\nc 1\n")) == (1, 0)


def test_what_was_not_sent_is_marked_again_and_new_again() -> None:
    sent, one, other = succession.Succession(), written(b"a 1\n"), written(b"b 1\n")
    turned(sent, one)
    assert turned(sent, other) == (1, 1)
    sent.revert()
    assert sent.live is one
    assert turned(sent, other) == (1, 1)


@pytest.mark.parametrize("track", [False, True])
def test_series_with_timestamps_are_new_but_marked_by_choice_only(*, track: bool) -> None:
    sent = succession.Succession(track_timestamps=track)
    turned(sent, written(b"a 1 1700000000000\n"))
    assert turned(sent, written(b"b 1 1700000000000\n")) == (1, int(track))


def test_in_the_end_everything_is_marked_and_forgotten() -> None:
    sent = succession.Succession()
    assert sent.end(1) == (staleness.NOTHING, b"")
    turned(sent, written(b"a 1\nb 1\n"))
    difference, marked = sent.end(1)
    assert (difference.points, bool(marked)) == (3, True)
    assert sent.live is None
    assert turned(sent, written(b"a 1\n")) == (1, 0)

"""Drafts: samples find the point that they are a part of."""

from agent.exposition import drafts
from agent.exposition.roles import Part

A, B = ((b"a", b"1"),), ((b"a", b"2"),)
UNTIMED = [False] * 9


def test_samples_of_the_same_labels_make_one_whole_in_order_of_their_steps() -> None:
    draft = drafts.Draft()
    for sample, (labels, spot) in enumerate(
        [(A, 2.0), (A, Part.COUNT), (B, Part.COUNT), (A, 1.0), (A, Part.SUM)]
    ):
        assert draft.add(labels, spot, sample, UNTIMED)
    assert list(draft.wholes()) == [
        drafts.Whole(A, 1, 4, ((1.0, 3), (2.0, 0))),
        drafts.Whole(B, 2, None, ()),
    ]


def test_without_a_count_there_is_no_whole() -> None:
    draft = drafts.Draft()
    draft.add(A, Part.SUM, 0, UNTIMED)
    assert list(draft.wholes()) == [None]


def test_what_is_there_is_not_there_again_but_at_another_time() -> None:
    draft = drafts.Draft()
    timed = [True, True, False, False]
    told = [draft.add(A, Part.COUNT, sample, timed) for sample in range(4)]
    assert told == [True, True, True, False]
    assert [whole.counted for whole in draft.wholes() if whole] == [0, 1, 2]


def test_what_is_left_out_is_left_out_at_all_times_and_counted() -> None:
    draft = drafts.Draft()
    timed = [True] * 5
    for sample, (labels, spot) in enumerate(
        [(A, Part.COUNT), (A, Part.COUNT), (A, 1.0), (B, Part.COUNT)]
    ):
        draft.add(labels, spot, sample, timed)
    assert draft.leave_out({A, ((b"a", b"3"),)}) == 3
    assert [whole.labels for whole in draft.wholes() if whole] == [B]

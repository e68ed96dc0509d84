"""A shape is found again whatever is in its slots, and never for a piece that differs elsewhere."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings, strategies as st

from common.wire import shapes

SEED = 0x5EED
SIZES = [64, 200, shapes.DENSE + 3]  # masks of the last are kept as bits


def piece(size: int, slots: Sequence[int], fill: int, text: bytes = b"abcdefg") -> bytes:
    """Make a piece of *text* with all slots full of the byte *fill*."""
    made = bytearray((text * (size // len(text) + 1))[:size])
    for slot in slots:
        made[slot : slot + 8] = bytes([fill]) * 8
    return bytes(made)


def knowing(slots: Sequence[int], cost: int = 10, max_bytes: int = 1 << 20) -> shapes.Shapes[bytes]:
    def learn(piece: bytes) -> shapes.Lesson[bytes]:
        return shapes.Lesson(slots=slots, value=piece[-3:], cost=cost)

    return shapes.Shapes(max_bytes, SEED, learn)


def taught(subject: shapes.Shapes[bytes], *pieces: bytes, key: object = "k") -> list[bytes | None]:
    """Do what callers do: find, and note what was not found."""
    found = []
    for each in pieces:
        found.append(subject.find(each, key))
        if found[-1] is None:
            subject.note(each, key)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_the_third_of_a_shape_is_found_whatever_its_slots_hold(size: int) -> None:
    slots = [0, 9, 40]
    bodies = [piece(size, slots, n) for n in range(4)]
    subject = knowing(slots)
    assert taught(subject, *bodies) == [None, None, bodies[0][-3:], bodies[0][-3:]]
    assert (subject.hits, subject.misses, subject.lessons) == (2, 2, 1)


def test_a_shape_without_slots_is_found_when_it_is_the_same() -> None:
    subject = knowing(())
    assert taught(subject, *[piece(20, (), 0)] * 3)[2] is not None
    assert subject.find(piece(20, (), 0, b"abcdefh"), "k") is None


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_outside_the_slots_counts(size: int) -> None:
    slots = [0, 9, size - 8]
    subject = knowing(slots)
    taught(subject, *[piece(size, slots, n) for n in range(3)])
    inside = {n for slot in slots for n in range(slot, slot + 8)}
    body = piece(size, slots, 9)
    for at in range(size):
        assert subject.find(body, "k") is not None  # or else its key would be given up in time
        other = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert (subject.find(other, "k") is not None) == (at in inside), at


def test_length_and_key_are_part_of_a_shape() -> None:
    subject, body = knowing([0]), piece(20, [0], 1)
    taught(subject, body, body)
    assert subject.find(body, "k") is not None
    assert subject.find(body, "other") is None
    assert subject.find(body + b"x", "k") is None


def test_texts_that_differ_with_slots_in_the_same_places_are_known_side_by_side() -> None:
    subject = knowing([0])
    bodies = [piece(20, [0], 1, text) for text in (b"abcdefg", b"tuvwxyz")]
    taught(subject, *bodies, *bodies)
    assert [subject.find(body, "k") for body in bodies] == [body[-3:] for body in bodies]


def test_slots_in_other_places_are_other_shapes() -> None:
    places = {b"a": [0], b"b": [1, 11]}
    subject: shapes.Shapes[bytes] = shapes.Shapes(
        1 << 20,
        SEED,
        lambda piece: shapes.Lesson(slots=places[piece[-1:]], value=piece[-1:], cost=1),
    )
    bodies = {end: piece(20, slots, 7)[:-1] + end for end, slots in places.items()}
    taught(subject, *bodies.values(), *bodies.values())
    for end, slots in places.items():
        assert subject.find(piece(20, slots, 3)[:-1] + end, "k") == end


def test_shapes_that_always_change_get_few_lessons() -> None:
    subject = knowing([0])
    taught(subject, *[piece(20, [0], 1, b"text%03d" % n) for n in range(100)])
    assert (subject.hits, subject.lessons) == (0, shapes.LESSONS)
    assert subject.find(piece(20, [0], 1, b"text099"), "k") is None


def test_shapes_that_come_again_are_learnt_however_many_they_are() -> None:
    subject = knowing([0])
    bodies = [piece(20, [0], 1, b"text%03d" % n) for n in range(150)]
    for _ in range(3 * shapes.RETRY):
        taught(subject, *bodies)
    assert [subject.find(body, "k") for body in bodies] == [body[-3:] for body in bodies]


def test_lessons_that_were_of_use_earn_more_of_them() -> None:
    subject = knowing([0])
    same = piece(20, [0], 1)
    taught(subject, *[same] * (3 * shapes.HITS_PER_LESSON + 2))
    taught(subject, *[piece(20, [0], 1, b"text%03d" % n) for n in range(100)])
    assert subject.lessons == shapes.LESSONS + 3


def test_lessons_of_no_use_take_a_bounded_part_of_what_was_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shapes, "CREDIT", 40)
    subject = knowing([0])
    for n in range(400):
        taught(subject, piece(20, [0], 1), piece(20, [0], 1), key=n)
    assert abs(subject.lessons - 800 // shapes.NOTED_PER_LEARNT - 2) <= 1


def test_lessons_that_were_of_use_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "CREDIT", 40)
    subject = knowing([0])
    for n in range(400):
        taught(subject, *[piece(20, [0], 1)] * 4, key=n)
    assert subject.lessons == 400


def test_keys_that_never_were_of_use_get_a_chance_now_and_then() -> None:
    subject = knowing([0])
    many = shapes.MISSES_PER_LESSON + shapes.LESSONS + 1
    taught(subject, *[piece(20, [0], 1, b"text%03d" % n) for n in range(many)])
    assert subject.lessons == shapes.LESSONS
    taught(subject, piece(20, [0], 1, b"another"))
    assert subject.lessons == shapes.LESSONS + 1


def test_what_is_not_worth_a_lesson_is_not_asked_about_for_ever() -> None:
    asked = []
    subject: shapes.Shapes[None] = shapes.Shapes(1 << 20, SEED, asked.append)
    for _ in range(20):
        assert subject.find(b"x" * 20, "k") is None
        subject.note(b"x" * 20, "k")
    assert len(asked) == shapes.LESSONS


def test_values_of_a_mask_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "VALUES", 4)
    subject = knowing([0])
    bodies = [piece(20, [0], 1, b"text%03d" % n) for n in range(20)]
    for body in bodies:
        taught(subject, *[body] * 40)
    bound = shapes.KEY_BYTES + shapes.MASK_BYTES + 21 + 4 * (2 * shapes.SHAPE_BYTES + 10)
    assert subject.memo.size <= bound
    assert [subject.find(body, "k") is None for body in bodies] == [True] * 16 + [False] * 4


def test_keys_that_are_given_up_are_tried_again_now_and_then() -> None:
    subject, same = knowing([0]), piece(20, [0], 1)
    taught(subject, same, same, *[piece(20, [0], 1, b"text%03d" % n) for n in range(60)])
    found = [subject.find(same, "k") for _ in range(shapes.RETRY + 1)]
    assert found[0] is None
    assert found[-1] == same[-3:]


@given(st.integers(0, 3), st.integers(0, 30_000))
def test_memory_is_bounded(many: int, cost: int) -> None:
    subject = knowing([0, 8], cost, max_bytes=20_000)
    for n in range(20 * many):
        body = piece(100, [0, 8], 1)
        taught(subject, body, body, key=("key", n))
        assert subject.memo.size <= 20_000


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_tells_what_a_comparison_outside_the_slots_would_tell(data: st.DataObject) -> None:
    size = data.draw(st.integers(8, 60))
    starts = st.lists(st.integers(0, size - 8), max_size=4)
    texts = st.binary(min_size=size, max_size=size).map(
        lambda text: bytes(byte & 1 for byte in text)
    )
    slots = data.draw(starts)
    subject = knowing(slots)
    first, second = data.draw(texts), data.draw(texts)
    taught(subject, first, first)

    def blanked(text: bytes) -> bytes:
        return piece(size, slots, 0, text)

    assert (subject.find(second, "k") is not None) == (blanked(first) == blanked(second))

"""What is learnt of a shape by marking its numbers, and what is not learnt at all."""

import pytest

from common.wire import otlp, remote_write, remote_write_recipe, remote_write_units
from common.wire.remote_write import Drop, Options
from common.wire.remote_write_requests import Request
from tests.common.wire import test_remote_write as plain
from tests.common.wire.test_remote_write import MIB, NOW, T
from tests.common.wire.test_remote_write_units import SEED, frame_of, row


def conversion(frame):
    converter = remote_write.Converter(Options(target_info=False), MIB)
    converted = converter.convert(otlp.Encoded(b"\x0a" + _sized(frame)), NOW)
    return converted.requests, converted.dropped


def _sized(frame):
    from common.wire import protobuf

    return protobuf.varint(len(frame)) + frame


def learn(frame, convert=conversion, max_bytes=MIB):
    walked = remote_write_units.walk(frame, SEED)
    lesson = remote_write_recipe.learn(frame, walked, convert, max_bytes, SEED, started=False)
    return None if lesson is None else lesson[0]


def test_a_recipe_has_a_hole_for_each_value_and_knows_its_place():
    recipe = learn(frame_of(row()))
    assert (recipe.points, len(recipe.holes), recipe.whole) == (4, 4, True)
    assert recipe.ends == (4, 4, 4, 4)
    assert all(recipe.template.series[at : at + 8] == bytes(8) for at in recipe.holes.tolist())


def test_senders_that_list_their_points_otherwise_have_the_same_template():
    points = row().gauge.data_points
    mixed = plain.gauge("load", *[points[n] for n in (2, 0, 3, 1)])
    one, other = learn(frame_of(row())), learn(frame_of(mixed))
    assert other.template.series == one.template.series
    assert remote_write_recipe.sharing(other, one.template).template is one.template


def test_stale_markers_are_no_holes():
    stale = plain.number(None, at=T, pairs=[("a", "b")], flags=1)
    stale.as_double = 5
    recipe = learn(frame_of(plain.gauge("load", stale)))
    assert len(recipe.values) == 0
    assert len(recipe.holes) == 1


def test_what_is_dropped_for_its_shape_is_part_of_the_recipe():
    recipe = learn(frame_of(row(), plain.sum_of("delta", temporality=1)))
    assert recipe.whole
    assert recipe.dropped == ((Drop.DELTA_UNSUPPORTED, 1),)


def test_a_frame_with_more_than_units_is_not_known_whole():
    odd = plain.gauge("odd", plain.number(1.0, at=0))
    assert not learn(frame_of(row(), odd)).whole


@pytest.mark.parametrize(
    "frame",
    [
        frame_of(plain.gauge("load", plain.number(), plain.number())),  # two points of one series
        frame_of(plain.sum_of("delta", temporality=1)),  # nothing left
        frame_of(plain.gauge("load", plain.number(at=0))),  # no unit
        frame_of(row(), plain.gauge("load", plain.number(2.0, pairs=[("n", "001")]))),
    ],
)
def test_what_cannot_be_explained_by_its_marks_is_not_learnt(frame):
    assert learn(frame) is None


def test_a_template_that_would_not_fit_a_request_is_not_learnt():
    assert learn(frame_of(row()), max_bytes=100) is None


def test_a_conversion_that_makes_something_else_of_a_value_is_not_learnt():
    def doubled(frame):
        (request,), dropped = conversion(frame)
        body = bytes(request.body).replace(b"\x00\x00\xf0\x41", b"\x00\x00\x00\x42")
        return (Request(body=body, points=request.points, samples=request.samples),), dropped

    assert learn(frame_of(row()), doubled) is None

"""Little is kept of an object, and equal points once."""

import pytest

from agent.runtime import cluster_facts
from agent.runtime.cluster_facts import Facts
from agent.runtime.writing import Metric, Point


@pytest.mark.parametrize(("image", "name", "tag"), [
    ("nginx", "nginx", "latest"), ("nginx:1.25", "nginx", "1.25"),
    ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
    ("localhost:5000/a/b:v1", "localhost:5000/a/b", "v1"),
    ("a/b@sha256:00", "a/b", ""), ("a/b:v1@sha256:00", "a/b", "v1"), ("", "", ""),
])  # fmt: skip
def test_images(image: str, name: str, tag: str) -> None:
    assert cluster_facts.image_name(image) == (name, tag)


def test_an_object_is_known_by_its_uid_or_else_by_all_that_it_says() -> None:
    assert Facts("ns", ("uid", "a", "ns"), ()).key == "uid"
    assert Facts("ns", ("", "a", "ns"), ()).key != Facts("other", ("", "a", "other"), ()).key


def test_equal_points_are_one_object() -> None:
    metric = Metric("m", "", "words")
    first, second = ((Point(metric, value),) for value in (1, 1))
    assert first is not second
    assert cluster_facts.one_of(first) is cluster_facts.one_of(second)

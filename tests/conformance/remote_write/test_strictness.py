"""The receiver that the cases rely on finds what is wrong with a request, or they prove nothing."""

import cramjam
import pytest

from tests.fakes import remote_write_v1
from tests.fakes.remote_write_v1 import HEADERS, WriteRequest

HEAD = {**HEADERS, "user-agent": "test/1"}
NAMED = (("__name__", "up"), ("job", "j"))
FINE = [(NAMED, [(1000, 1.0), (2000, 2.0)])]


def request(series, metadata=()) -> bytes:
    made = WriteRequest()
    for labels, samples in series:
        one = made.timeseries.add()
        for name, value in labels:
            one.labels.add(name=name, value=value)
        for at, value in samples:
            one.samples.add(timestamp=at, value=value)
    for family in metadata:
        made.metadata.add(type=1, metric_family_name=family)
    return made.SerializeToString()


def squeezed(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def problems(body: bytes, method: str = "POST", headers=HEAD) -> list[str]:
    return [*remote_write_v1.judged(method, headers, body, 0.0).problems]


def test_nothing_is_wrong_with_a_good_request() -> None:
    assert problems(squeezed(request(FINE))) == []
    assert problems(squeezed(request([], ["up"]))) == []
    again = [(NAMED, [(1000, 1.0)]), (NAMED, [(2000, 1.0)])]
    assert problems(squeezed(request(again))) == []


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        ((("job", "j"), ("__name__", "up")), "not in order"),
        ((("__name__", "up"), ("job", "j"), ("job", "k")), "repeated"),
        ((("__name__", "up"), ("job", "")), "empty"),
        ((("", "x"), ("__name__", "up")), "empty"),
        ((("job", "j"),), "no __name__"),
        ((("__name__", "a.b"),), "no name of a metric"),
        ((("__name__", "up"), ("a.b", "x")), "no name of a label"),
    ],
)
def test_labels(labels, word: str) -> None:
    found = problems(squeezed(request([(labels, [(1, 1.0)])])))
    assert [problem for problem in found if word in problem]


@pytest.mark.parametrize(
    ("series", "word"),
    [
        ([(NAMED, [(2000, 1.0), (1000, 1.0)])], "not in order"),
        ([(NAMED, [(1000, 1.0), (1000, 1.0)])], "not in order"),
        ([(NAMED, [(2000, 1.0)]), (NAMED, [(1000, 1.0)])], "back in time"),
        ([(NAMED, [])], "none of"),
        ([], "holds nothing"),
    ],
)
def test_samples(series, word: str) -> None:
    found = problems(squeezed(request(series)))
    assert [problem for problem in found if word in problem]


@pytest.mark.parametrize(
    "body",
    [
        request(FINE),  # not compressed
        bytes(cramjam.snappy.compress(request(FINE))),  # snappy's format of streams
        squeezed(b"\xff" + request(FINE)),
        squeezed(request(FINE) + b"\x22\x00"),  # field 4, which there is none of
    ],
)
def test_bodies(body: bytes) -> None:
    assert len(problems(body)) == 1


@pytest.mark.parametrize("name", HEAD)
def test_headers(name: str) -> None:
    without = {key: value for key, value in HEAD.items() if key != name}
    assert len(problems(squeezed(request(FINE)), headers=without)) == 1
    assert len(problems(squeezed(request(FINE)), headers={**HEAD, name: "odd"})) == 1


def test_methods() -> None:
    assert problems(squeezed(request(FINE)), method="PUT") == ["method: PUT"]

"""Logs are JSON lines away from a terminal, and no warning comes a thousand times."""

import io
import json
import logging

import pytest

from common.service import logs


@pytest.fixture(autouse=True)
def root():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_json_with_its_extras() -> None:
    out = io.StringIO()
    logs.configure("info", now=lambda: 0.0, stream=out)
    logging.getLogger("x").info("hello %s", "you", extra={"pipeline": "p"})
    line = json.loads(out.getvalue())
    assert (line["msg"], line["level"], line["logger"], line["pipeline"]) == (
        "hello you",
        "info",
        "x",
        "p",
    )


def test_on_a_terminal_words_are_printed() -> None:
    out = io.StringIO()
    logs.configure("info", now=lambda: 0.0, stream=out, json=False)
    logging.getLogger("x").error("lost", extra={"points": 3})
    assert "error   lost  points=3" in out.getvalue()


def test_the_same_warning_is_held_back_and_counted() -> None:
    out, now = io.StringIO(), [0.0]
    logs.configure("info", now=lambda: now[0], stream=out)
    for n in range(5):
        logging.getLogger("x").warning("again %d", n)
    now[0] = 11.0
    logging.getLogger("x").warning("again %d", 5)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["msg"], line.get("repeated")) for line in lines] == [
        ("again 0", None),
        ("again 5", 4),
    ]


def test_an_exception_is_inside_the_line() -> None:
    out = io.StringIO()
    logs.configure("info", now=lambda: 0.0, stream=out)
    error = OSError("boom")
    logging.getLogger("x").error("failed", exc_info=error)
    assert "OSError: boom" in json.loads(out.getvalue())["exception"]


def test_what_is_not_text_is_escaped_and_not_the_end_of_the_line() -> None:
    out = io.StringIO()
    logs.configure("info", now=lambda: 0.0, stream=out)
    logging.getLogger("x").warning("no such file", extra={"path": "here/\udcff"})
    assert json.loads(out.getvalue())["path"] == "here/\udcff"


def test_a_worker_says_in_every_line_which_it_is() -> None:
    out = io.StringIO()
    logs.configure("info", now=lambda: 0.0, stream=out, fields={"worker": 3})
    logging.getLogger("x").info("one")
    logging.getLogger("y").warning("two")
    assert [json.loads(line)["worker"] for line in out.getvalue().splitlines()] == [3, 3]

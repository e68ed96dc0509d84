"""The token is the one in the file, also after it was replaced."""

import logging
from pathlib import Path

import pytest

from agent import token
from tests.fakes.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def test_no_file_is_no_token(clock: Clock) -> None:
    assert token.TokenFile("", clock)() == ""


def test_a_replaced_file_is_noticed_within_a_second(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "token"
    replace(path, "first\n")
    asked = token.TokenFile(str(path), clock)
    assert asked() == "first"
    replace(path, "second")
    clock.now = 0.5
    assert asked() == "first"  # it does not look at every request
    clock.now = 1.0
    assert asked() == "second"


def test_a_file_that_is_away_for_a_moment_keeps_its_token(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "token"
    replace(path, "first")
    asked = token.TokenFile(str(path), clock)
    asked()
    path.unlink()
    clock.now = 1.0
    with caplog.at_level(logging.WARNING):
        assert asked() == "first"
    assert "the last token is kept" in caplog.text
    assert "first" not in caplog.text
    path.write_bytes(b"\xff")
    clock.now = 2.0
    assert asked() == "first"
    replace(path, "second")
    clock.now = 3.0
    assert asked() == "second"


def test_a_file_that_is_no_token_is_not_read_whole(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "token"
    replace(path, "x" * 100_000)
    assert len(token.TokenFile(str(path), clock)()) == token.MAX_BYTES


def test_it_counts_what_it_took_and_what_it_could_not_read(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "token"
    asked = token.TokenFile(str(path), clock)
    asked()
    assert (asked.reloads, asked.failures) == (0, 1)
    assert asked.trouble == "No such file or directory"
    for second, text in enumerate(("first", "second"), 1):
        replace(path, text)
        clock.now = float(second)
        asked()
    assert (asked.reloads, asked.failures, asked.trouble) == (1, 1, "")
    path.write_bytes(b"secret\xff")
    clock.now = 3.0
    assert asked() == "second"
    assert asked.trouble == "it is not UTF-8"

"""A measurement of the throughput fails when a point was lost on the way."""

import json
from pathlib import Path

import pytest

from bench import agent_rows

WORDS = {"msg": "stopped", "scraped": 10, "delivered": 10, "lost": {}, "held": 0}


def test_the_last_words_are_those_of_the_latest_program(tmp_path: Path) -> None:
    log = tmp_path / "errors.txt"
    lines = [WORDS | {"scraped": 1}, {"msg": "listening"}, WORDS]
    log.write_text("Traceback\n" + "\n".join(map(json.dumps, lines)) + "\n")
    assert agent_rows.last_words(log) == WORDS


def test_all_that_was_scraped_has_arrived() -> None:
    agent_rows.balanced("agent-500", WORDS, 10)


@pytest.mark.parametrize(
    ("words", "arrived"),
    [
        ({}, 9),
        ({}, 11),
        ({"delivered": 9}, 10),
        ({"scraped": 11}, 10),
        ({"scraped": 11, "lost": {"inbox_full": 1}}, 10),
    ],
)
def test_a_point_lost_between_scrape_and_backend_fails_the_row(
    words: dict[str, object], arrived: int
) -> None:
    with pytest.raises(RuntimeError, match="agent-500: not everything arrived"):
        agent_rows.balanced("agent-500", WORDS | words, arrived)

"""headgate ledger asks a program over HTTP, and says by its exit code whether all is well."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from cli import asking, looking
from cli.main import main
from tests.cli.answering import Program, programs

pytestmark = pytest.mark.wallclock

GOOD = {
    "pipelines": {
        "shop": {
            "received": 7, "recovered": 0, "filtered": 0, "delivered": 5, "dropped": 2, "held": 0,
            "balance": 0, "filtered_by": {}, "dropped_by": {"refused": 2},
        }
    },
    "balance": 0,
    "mismatches": 0,
    "something_new": [1],
}  # fmt: skip
BAD = {**GOOD, "pipelines": {"shop": {**GOOD["pipelines"]["shop"], "received": 9}}}


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    with programs() as start:
        yield start


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ledger", *arguments])


def test_all_accounted_for_is_0_and_a_table(program) -> None:
    at = program(GOOD)
    done = run(at.url)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == ["shop", "7", "5", "0", "2", "0", "0"]
    assert "refused" in done.stdout
    assert "\x1b" not in done.stdout, "no terminal, no colours"
    assert at.asked == ["/debug/ledger"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", "/debug/ledger"),
        ("/debug/ledger", "/debug/ledger"),
        ("/debug/ledger/", "/debug/ledger"),
        ("/proxy/pods/a:8888", "/proxy/pods/a:8888/debug/ledger"),
    ],
)
def test_the_url_may_have_a_path(program, path: str, asked: str) -> None:
    at = program(GOOD)
    assert run(at.url + path).exit_code == 0
    assert at.asked == [asked]


def test_an_account_that_is_off_is_1(program) -> None:
    done = run(program(BAD).url)
    assert (done.exit_code, done.stdout.splitlines()[1].split()[-1]) == (1, "2")


def test_machines_get_the_whole_page_and_the_verdict(program) -> None:
    for page, code in ((GOOD, 0), (BAD, 1)):
        done = run(program(page).url, "--json")
        assert done.exit_code == code
        assert json.loads(done.stdout) == {**page, "balanced": not code}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"nothing here", 404, "answers 404 Not Found; is it the admin address?"),
        (GOOD, 302, "answers 302 Found"),
        (b"<html>", 200, "says something else than a ledger"),
        ({"status": "starting"}, 200, "has it started"),
        ({"pipelines": {"shop": {"received": "7"}}}, 200, "$.pipelines[...].received"),
        ([], 200, "says something else than a ledger"),
    ],
)
def test_what_is_no_ledger_is_1_and_said_in_words(program, body, status: int, words: str) -> None:
    at = program(body, status=status)
    done = run(at.url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {at.url}/debug/ledger ")
    assert words in done.stderr


def test_a_page_without_end_is_not_read_to_it(program, monkeypatch) -> None:
    monkeypatch.setattr(asking, "MAX_BYTES", 1000)
    done = run(program(b" " * 1001).url)
    assert (done.exit_code, "sends more than 1000 bytes" in done.stderr) == (1, True)


def test_who_does_not_answer_is_not_waited_for(program) -> None:
    done = run(program(None).url, "--timeout", "0.1")
    assert (done.exit_code, "does not answer within 0.1 s" in done.stderr) == (1, True)


def test_where_nobody_listens_is_said_without_secrets(program) -> None:
    at = program(GOOD)
    at.server_close()
    done = run(at.url.replace("//", "//me:secret@"))
    assert (done.exit_code, "cannot be asked" in done.stderr) == (1, True)
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("127.0.0.1:8888",), ("http://a", "--watch", "0")])
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def look_times(monkeypatch, times: int) -> None:
    """Let --watch look *times* times, ten seconds apart."""
    now = [100.0]

    def sleep(seconds: float) -> None:
        nonlocal times
        times -= 1
        if not times:
            raise KeyboardInterrupt
        now[0] += seconds

    monkeypatch.setattr(looking.time, "sleep", sleep)
    monkeypatch.setattr(looking.time, "monotonic", lambda: now[0])


MORE = {**GOOD, "pipelines": {"shop": {**GOOD["pipelines"]["shop"], "received": 57, "held": 50}}}


def test_watching_shows_rates_until_it_is_interrupted(program, monkeypatch) -> None:
    look_times(monkeypatch, 2)
    done = run(program(GOOD, MORE).url, "--watch", "10")
    assert done.exit_code == 0
    assert done.stdout.count("balance") == 2
    assert "5/s" in done.stdout.split()


def test_the_last_look_decides(program, monkeypatch) -> None:
    look_times(monkeypatch, 3)
    done = run(program(GOOD, GOOD, BAD).url, "--watch", "10", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.exit_code, [each["balanced"] for each in said]) == (1, [True, True, False])
    assert [each.get("per_second", {}).get("shop", {}).get("received") for each in said] == [
        None, 0.0, 0.2,
    ]  # fmt: skip


def test_on_a_terminal_there_are_colours_unless_they_are_not_wanted(program, monkeypatch) -> None:
    at = program(BAD)
    monkeypatch.setattr(looking, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    red = CliRunner().invoke(main, ["ledger", at.url], color=True)
    assert "\x1b[31m" in red.stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(main, ["ledger", at.url], color=True).stdout

"""headgate agent targets asks an agent over HTTP; a script may stop where something fails."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from cli import looking
from cli.main import main
from tests.cli.answering import Program, programs

pytestmark = pytest.mark.wallclock

PAGE = {
    "node": "n1",
    "counts": {"failing": 1, "pending": 0, "up": 1, "skipped": 1},
    "active": [
        {"subject": "shop/b", "url": "http://b/", "state": "failing", "error": "line 2: no"},
        {"subject": "shop/a", "url": "http://a/", "state": "up", "something_new": [1]},
    ],
    "skipped": [{"subject": "shop/c", "why": "no IP yet", "asked": False}],
}
GOOD = {**PAGE, "active": [PAGE["active"][1]]}


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    with programs() as start:
        yield start


def run(*arguments: str, **how) -> Result:
    return CliRunner().invoke(main, ["agent", "targets", *arguments], **how)


def test_failing_targets_are_shown_with_their_errors(program) -> None:
    at = program(PAGE)
    done = run("--url", at.url)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "line 2: no" in done.stdout
    assert "1 failing · 0 pending · 1 up · 1 skipped on n1" in done.stdout
    assert "\x1b" not in done.stdout, "no terminal, no colours"
    assert at.asked == ["/targets?json=1"]


def test_lines_are_whole_where_no_terminal_cuts_them(program, monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = {**GOOD["active"][0], "url": "http://a/" + "x" * 300}
    assert long["url"] in run("--url", program({**GOOD, "active": [long]}).url).stdout


def test_a_subject_is_asked_for_and_a_state_is_chosen(program) -> None:
    at = program(PAGE)
    done = run("--url", f"{at.url}/proxy/x:8888/", "--subject", "shop/b", "--state", "failing")
    assert at.asked == ["/proxy/x:8888/targets?json=1&subject=shop/b"]
    assert "shop/b" in done.stdout
    assert "shop/a" not in done.stdout


def test_machines_get_the_page_as_it_is_or_narrowed(program) -> None:
    at = program(PAGE)
    assert json.loads(run("--url", at.url, "--json").stdout) == PAGE
    narrowed = json.loads(run("--url", at.url, "--json", "--state", "up").stdout)
    assert (narrowed["active"], narrowed["skipped"]) == ([PAGE["active"][1]], [])
    both = json.loads(run("--url", at.url, "--json", "--state", "skipped").stdout)
    assert (both["active"], both["skipped"]) == ([], PAGE["skipped"])


@pytest.mark.parametrize(
    ("page", "states", "code"),
    [
        (PAGE, ["failing"], 1),
        (GOOD, ["failing"], 0),
        (PAGE, ["pending"], 0),
        (PAGE, ["pending", "failing"], 1),
        (PAGE, ["skipped"], 0),
        ({**PAGE, "skipped": [{"subject": "c", "why": "no"}]}, ["skipped"], 1),
    ],
)
def test_a_script_may_fail_on_a_state(program, page, states: list[str], code: int) -> None:
    wanted = [word for state in states for word in ("--fail-on", state)]
    assert run("--url", program(page).url, *wanted).exit_code == code


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"nothing here", 404, "answers 404 Not Found; is it the admin address?"),
        ({"status": "starting"}, 200, "says something else than targets"),
        (b"<html>", 200, "is it an agent's address?"),
    ],
)
def test_what_is_no_page_of_targets_is_1_and_said(program, body, status: int, words: str) -> None:
    at = program(body, status=status)
    done = run("--url", at.url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {at.url}/targets ")
    assert words in done.stderr


def test_where_nobody_listens_is_1(program) -> None:
    at = program(PAGE)
    at.server_close()
    done = run("--url", at.url.replace("//", "//me:secret@"))
    assert (done.exit_code, "cannot be asked" in done.stderr) == (1, True)
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "127.0.0.1:8888"),
        ("--state", "down"),
        ("--watch", "0"),
        ("--fail-on", "x"),
        ("y",),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_watching_redraws_until_it_is_interrupted_and_the_last_look_decides(
    program, monkeypatch
) -> None:
    left = [2]

    def sleep(seconds: float) -> None:
        assert seconds == 5
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(looking.time, "sleep", sleep)
    done = run("--url", program(PAGE, GOOD).url, "--watch", "5", "--fail-on", "failing")
    assert done.exit_code == 0
    assert done.stdout.count("STATE ") == 2


def test_on_a_terminal_there_are_colours_unless_they_are_not_wanted(program, monkeypatch) -> None:
    at = program(PAGE)
    monkeypatch.setattr(looking, "is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in run("--url", at.url, color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("--url", at.url, color=True).stdout


def test_an_agent_that_is_to_run_needs_its_configuration_and_commands_need_none(tmp_path) -> None:
    bare = CliRunner().invoke(main, ["agent"])
    assert (bare.exit_code, "Missing option '--config'" in bare.output) == (2, True)
    config = tmp_path / "agent.yaml"
    config.write_text("{}")
    both = CliRunner().invoke(main, ["agent", "--config", str(config), "targets"])
    assert (both.exit_code, "--config runs an agent" in both.output) == (2, True)
    unknown = CliRunner().invoke(main, ["agent", "nonsense"])
    assert (unknown.exit_code, "No such command" in unknown.output) == (2, True)

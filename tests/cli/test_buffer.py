"""headgate buffer lists, checks, sends and deletes; what is in use stays as it is."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from common.buffer import log
from common.config import outputs
from common.wire import compression
from tests.fakes import backends, points

SETTINGS = outputs.Buffer(dir="-", segment_bytes=1 << 16, max_bytes=1 << 24)
WIDTH = 3000  # a hundred bodies of three kilobytes take several segments


def run(*arguments: object, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["buffer", *map(str, arguments)], input=answer)


async def fill(folder: Path, *, settled: int = 0, count: int = 100) -> None:
    async with log.opening(folder, SETTINGS, lost=print, failed=print) as it:
        for n in range(count):
            it.append(points.request([n, n + 0.5], width=WIDTH // 2), 2, in_hand=True)
        await it.flush()
        for number in range(1, settled + 1):
            it.settle(number)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Two workers' logs of one pipeline; of the first, 30 records of 100 are settled."""
    asyncio.run(fill(tmp_path / "shop" / "0", settled=30))
    asyncio.run(fill(tmp_path / "shop" / "1", count=3))
    return tmp_path


@contextmanager
def backend(serving: Any) -> Iterator[backends.Backend]:
    """Serve in a thread, since the command under test has the main one for its own loop."""
    there: list[backends.Backend] = []
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving as it:
            there.append(it)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield there[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_ls_says_what_is_there(filled: Path) -> None:
    logs = json.loads(run("ls", filled, "--json").output)["logs"]
    assert [Path(row["folder"]).relative_to(filled).as_posix() for row in logs] == [
        "shop/0",
        "shop/1",
    ]
    assert [row["points"] for row in logs] == [140, 6]
    assert logs[0]["segments"] > 2
    assert logs[1]["records"] == 3
    assert logs[0]["oldest"] <= logs[0]["newest"]
    lines = run("ls", filled / "shop").output.splitlines()
    assert lines[0].split() == [
        "FOLDER",
        "SEGMENTS",
        "BYTES",
        "RECORDS",
        "POINTS",
        "OLDEST",
        "NEWEST",
    ]
    assert lines[1].split()[4] == "140"


@pytest.mark.parametrize("command", ["ls", "verify", "replay", "purge"])
def test_every_command_has_help_with_examples(command: str) -> None:
    group = run("--help")
    assert group.exit_code == 0
    assert f"\n  {command} " in group.output
    done = run(command, "--help")
    assert done.exit_code == 0
    assert done.output.startswith("Usage: ")
    assert f"headgate buffer {command} " in done.output, "an example"
    assert " DIR" in done.output.splitlines()[0]


def test_ls_of_nothing_says_so(tmp_path: Path) -> None:
    assert "no logs" in run("ls", tmp_path).output


def test_verify_finds_nothing_wrong_with_what_is_whole(filled: Path) -> None:
    done = run("verify", filled)
    assert (done.exit_code, "2 logs" in done.output, "all valid" in done.output) == (0, True, True)


def test_verify_says_what_is_damaged_and_where(filled: Path) -> None:
    segment = sorted((filled / "shop" / "0").glob("*.seg"))[-2]
    data = bytearray(segment.read_bytes())
    data[5000] ^= 1
    segment.write_bytes(data)
    done = run("verify", filled)
    assert (done.exit_code, segment.name in done.output, "1 damaged" in done.output) == (
        1,
        True,
        True,
    )
    (damage,) = json.loads(run("verify", filled, "--json").output)["damage"]
    assert damage["offset"] < 5000
    assert damage["record"] > 30


def test_a_torn_tail_is_no_damage(filled: Path) -> None:
    segment = max((filled / "shop" / "0").glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-100])
    assert run("verify", filled).exit_code == 0


@pytest.mark.wallclock
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_replay_sends_what_was_not_delivered_and_changes_nothing(
    filled: Path, protocol: str
) -> None:
    serving = backends.otlp_grpc() if protocol == "grpc" else backends.http()
    with backend(serving) as it:
        for _ in range(2):
            done = run("replay", filled, "--to", it.url, "--protocol", protocol, "--json")
            said = json.loads(done.stdout.splitlines()[-1])
            assert (done.exit_code, said["delivered"], said["left"]) == (0, 146, 0)
        bodies = [inflated(one, protocol) for one in it.received]
        values = points.values(*bodies)
        assert values[:140] == [n + half for n in range(30, 100) for half in (0, 0.5)]
        assert values[146:] == values[:146]


def inflated(received: backends.Received, protocol: str) -> bytes:
    if protocol == "grpc":
        return received.body
    return compression.inflate(received.body, received.headers["content-encoding"], 1 << 26)


@pytest.mark.wallclock
def test_replay_of_all_sends_what_was_delivered_too_and_settle_remembers(filled: Path) -> None:
    with backend(backends.otlp_grpc()) as it:
        everything = run("replay", filled / "shop" / "1", "--to", it.url, "--all", "--settle")
        assert "6 points delivered" in everything.output
        assert "0 points delivered" in run("replay", filled / "shop" / "1", "--to", it.url).output
        again = run("replay", filled / "shop" / "1", "--to", it.url, "--all")
        assert "6 points delivered" in again.output
        nothing = run("replay", filled, "--to", it.url, "--from", "-0s")
        assert "0 points delivered" in nothing.output
        recent = run("replay", filled, "--to", it.url, "--from", "-1h")
        assert "140 points delivered" in recent.output


@pytest.mark.wallclock
def test_replay_writes_to_prometheus_as_well(filled: Path) -> None:
    with backend(backends.http()) as it:
        url = f"{it.url}/api/v1/write"
        done = run("replay", filled / "shop" / "1", "--to", url, "--protocol", "remote-write")
        # All points are of one series and one moment, which remote write takes once.
        assert "1 points delivered, 5 unsendable: duplicate" in done.output
        assert [one.path for one in it.received] == ["/api/v1/write"]


@pytest.mark.wallclock
def test_replay_says_what_was_refused_and_what_is_left(filled: Path) -> None:
    shop = filled / "shop" / "1"
    with backend(backends.http([backends.Http(status=400), backends.Http(status=503)])) as it:
        refused = run("replay", shop, "--to", it.url, "--protocol", "http", "--settle")
        assert (refused.exit_code, "6 refused" in refused.output) == (1, True)
        left = run("replay", shop, "--to", it.url, "--protocol", "http", "--patience", 0)
        assert (left.exit_code, "6 left" in left.output, "503" in left.output) == (1, True, True)
        assert (
            "6 points delivered" in run("replay", shop, "--to", it.url, "--protocol", "http").output
        )


@pytest.mark.wallclock
def test_replay_halves_what_is_too_big(filled: Path) -> None:
    with backend(backends.http()) as it:
        it.max_bytes = 180  # compressed; one request of all would be larger
        done = run("replay", filled / "shop" / "1", "--to", it.url, "--protocol", "http")
        assert "6 points delivered" in done.output
        assert len(it.received) > 1


def test_replay_explains_bad_words(filled: Path) -> None:
    assert "is no age" in run("replay", filled, "--to", "http://h:1", "--from", "1h").output
    done = run("replay", filled, "--to", "nowhere")
    assert (done.exit_code, "endpoint" in done.output) == (1, True)


def test_purge_asks_and_deletes(filled: Path) -> None:
    done = run("purge", filled / "shop" / "0", answer="n\n")
    assert (done.exit_code, "140 undelivered points" in done.output) == (1, True)
    assert run("verify", filled).exit_code == 0
    assert run("purge", filled / "shop" / "0", answer="y\n").exit_code == 0
    assert [row["points"] for row in json.loads(run("ls", filled, "--json").output)["logs"]] == [6]
    assert run("purge", filled, "--yes").exit_code == 0
    assert "no logs" in run("purge", filled).output


async def test_what_is_in_use_is_listed_and_otherwise_left_alone(tmp_path: Path) -> None:
    async with log.opening(tmp_path / "a", SETTINGS, lost=print, failed=print) as it:
        it.append(points.request([1]), 1, in_hand=True)
        await it.flush()
        (row,) = json.loads((await asyncio.to_thread(run, "ls", tmp_path, "--json")).output)["logs"]
        assert (row["in_use"], row["points"]) == (True, 1)
        for command in (["verify"], ["purge", "--yes"], ["replay", "--to", "http://h:1"]):
            done = await asyncio.to_thread(run, *command, tmp_path)
            assert (done.exit_code, "in use by a running gateway" in done.output) == (1, True)
        assert it.points == 1

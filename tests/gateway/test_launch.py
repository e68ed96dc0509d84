"""Which process is started, and what it need not import."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway import app, launch
from gateway.workers import messages, seat as worker, supervisor

SEAT = messages.Seat(number=1, workers=2, channel=3, grpc="h:1", http="h:2")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been started."""
    found: list[str] = []

    def note(name: str):
        async def serve(*_: object, **__: object) -> int:
            found.append(name)
            return 7

        return serve

    monkeypatch.setattr(app, "serve", note("alone"))
    monkeypatch.setattr(supervisor, "supervise", note("supervisor"))
    monkeypatch.setattr(worker, "work", note("worker"))
    return found


@pytest.mark.parametrize(
    ("document", "flag", "seat", "kind"),
    [
        ("pipelines: []", None, None, "alone"),
        ("workers: 2", None, None, "supervisor"),
        ("workers: 2", 1, None, "alone"),
        ("pipelines: []", 4, None, "supervisor"),
        ("workers: 2", None, SEAT, "worker"),
    ],
)
async def test_the_flag_wins_over_the_document(
    tmp_path: Path,
    started: list[str],
    *,
    document: str,
    flag: int | None,
    seat: messages.Seat | None,
    kind: str,
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(document)
    code = await launch.serve(file, command=("x",), workers=flag, seat=seat, environ={})
    assert (code, started) == (7, [kind])


def test_a_seat_is_read_as_it_is_written() -> None:
    assert launch.seat(msgspec.json.encode(SEAT).decode()) == SEAT


@pytest.mark.wallclock
def test_a_supervisor_does_not_import_what_only_workers_need() -> None:
    code = (
        "import sys, gateway.launch, gateway.workers.supervisor\n"
        "others = ('grpc', 'numpy', 'gateway.app', 'google.protobuf', 'kubernetes_asyncio')\n"
        "print([m for m in others if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=15
    )
    assert done.stdout.strip() == "[]"

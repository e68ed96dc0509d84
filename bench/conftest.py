"""Guards that survive a noisy runner: ratios of minima over short rounds, and exact work counts."""

import gc
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns

import pytest

BUDGETS = Path(__file__).parent / "budgets.json"
TURN_NS = 500_000_000
ROUND_NS = 300_000  # well inside one scheduler slice, so some rounds always run undisturbed
SLACK = 1.5
TURNS = 4
MEASURED = pytest.StashKey[dict[str, dict[str, float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-budgets", action="store_true", help="measure the guards' budgets anew"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}


def pytest_sessionfinish(session: pytest.Session) -> None:
    measured = session.config.stash[MEASURED]
    if session.config.getoption("--write-budgets") and measured:
        budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
        BUDGETS.write_text(json.dumps(dict(sorted((budgets | measured).items())), indent=2) + "\n")


def best_ns(call: Callable[[], object], rounds: int = 200) -> float:
    """Return the fastest per-call time over many short rounds, half a second at most."""
    start = perf_counter_ns()
    call()
    loops = max(1, ROUND_NS // max(1, perf_counter_ns() - start))
    best = float("inf")
    deadline = perf_counter_ns() + TURN_NS
    for _ in range(rounds):
        start = perf_counter_ns()
        for _ in range(loops):
            call()
        end = perf_counter_ns()
        best = min(best, (end - start) / loops)
        if end > deadline:
            break
    return best


def opcodes(call: Callable[[], object]) -> int:
    """Count the bytecodes *call* executes: the same on every machine with the same Python."""
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    call()  # memos are warm, imports are done
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count


@pytest.fixture
def guard(benchmark, request) -> Iterator[Callable[..., None]]:
    """Benchmark *subject*; fail if it lost ground to *reference* or does more work."""

    def check(subject: Callable[[], object], *, reference: Callable[[], object]) -> None:
        name = request.node.name
        gc.disable()
        try:
            benchmark.pedantic(subject, rounds=20, iterations=5, warmup_rounds=2)
            # In turns, so that a busy moment of the machine meets both.
            turns = [(best_ns(subject), best_ns(reference)) for _ in range(TURNS)]
            ratio = min(ours for ours, _ in turns) / min(theirs for _, theirs in turns)
        finally:
            gc.enable()
        work = opcodes(subject)
        benchmark.extra_info.update(ratio=round(ratio, 4), opcodes=work)
        if request.config.getoption("--write-budgets"):
            request.config.stash[MEASURED][name] = {"ratio": round(ratio, 4), "opcodes": work}
            return
        budget = json.loads(BUDGETS.read_text())[name]
        assert work <= budget["opcodes"] * 1.02, f"{work} bytecodes, budget {budget['opcodes']}"
        assert ratio <= budget["ratio"] * SLACK, (
            f"ratio {ratio:.4f}, budget {budget['ratio']} x {SLACK}"
        )

    return check

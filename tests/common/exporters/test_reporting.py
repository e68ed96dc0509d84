"""One line per change, few lines about losses, and every lost point in one of them."""

import logging

from common.exporters.reporting import Reporter
from common.service import logs
from common.service.ledger import DropReason


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_change_of_state_is_one_warning_with_the_reason(caplog) -> None:
    clock = Clock()
    reporter = Reporter("shop", clock)
    assert reporter.condition.state == "idle"
    reporter.worked()
    for why in ("first", "second"):
        clock.now += 1
        reporter.failed(why)
    assert reporter.failing
    assert (reporter.condition.since, reporter.condition.last_error) == (101.0, "second")
    clock.now += 3
    reporter.worked()
    reporter.worked()
    assert (reporter.condition.state, reporter.condition.last_error) == ("delivering", "second")
    assert [(line.levelname, line.getMessage(), line.destination) for line in caplog.records] == [
        ("WARNING", "destination is failing", "shop"),
        ("WARNING", "destination works again", "shop"),
    ]
    assert caplog.records[0].why == "first"
    assert caplog.records[1].failing_seconds == 4.0


def test_losses_are_told_once_in_eleven_seconds_for_each_reason_and_add_up(caplog) -> None:
    clock = Clock()
    reporter = Reporter("shop", clock)
    for second in range(25):
        clock.now = 100.0 + second
        reporter.lost(2, DropReason.INBOX_FULL, "full")
    reporter.lost(7, DropReason.TOO_OLD, "dead")
    reporter.close()
    told = [(line.getMessage(), line.points) for line in caplog.records]
    assert told == [
        ("points lost: inbox_full", 2),
        ("points lost: inbox_full", 22),
        ("points lost: inbox_full", 22),
        ("points lost: too_old", 7),
        ("points lost: inbox_full, until the end", 4),
    ]
    assert {line.levelname for line in caplog.records} == {"ERROR"}


class Heard(logging.Handler):
    """Hears what the log lets through, each line a little less late than the one before."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.points, self.late = 0, 0.05
        self.addFilter(logs.RateLimit(lambda: clock.now + self.late))

    def emit(self, record: logging.LogRecord) -> None:
        self.points += record.points
        self.late /= 2


def test_the_rate_limit_of_the_log_swallows_no_loss() -> None:
    clock = Clock()
    heard, log = Heard(clock), logging.getLogger("headgate.exporters.rated")
    log.addHandler(heard)
    reporter = Reporter("rated", clock)
    for second in range(58):
        clock.now = 100.0 + second
        reporter.lost(1, DropReason.INBOX_FULL, "full")
    reporter.close()
    log.removeHandler(heard)
    assert heard.points == 58


def test_a_warning_of_the_backend_is_passed_on(caplog) -> None:
    Reporter("shop", Clock()).worked("use deltas")
    assert [(line.levelname, line.why) for line in caplog.records] == [("WARNING", "use deltas")]


def test_each_destination_has_its_own_logger_so_that_one_does_not_silence_another(caplog) -> None:
    for name in ("shop", "bank"):
        Reporter(name, Clock()).failed("down")
    assert len({line.name for line in caplog.records}) == 2

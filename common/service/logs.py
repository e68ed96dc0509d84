"""Logs: words on a terminal, JSON lines everywhere else, and no line a thousand times."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec
from typing_extensions import override

LEVELS = ("debug", "info", "warning", "error")
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``ts``, ``level``, ``logger``, ``msg`` and the ``extra`` fields."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line.update((k, v) for k, v in record.__dict__.items() if k not in _PLAIN)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return msgspec.json.encode(line, enc_hook=str).decode()
        except UnicodeEncodeError:  # surrogates, as in a path or header that is not UTF-8
            return json.dumps(line, default=str)


class HumanFormatter(logging.Formatter):
    """Time, level and words, with the extras behind."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        extras = " ".join(f"{k}={v}" for k, v in record.__dict__.items() if k not in _PLAIN)
        text = f"{at} {record.levelname.lower():<7} {record.getMessage()}"
        text = f"{text}  {extras}" if extras else text
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class RateLimit(logging.Filter):
    """Let the same warning through once per *period* and say how often it was held back.

    "The same" is logger, level and unformatted message. At most *most* messages are remembered.
    """

    def __init__(self, now: Callable[[], float], period: float = 10.0, most: int = 1000) -> None:
        super().__init__()
        self._now, self._period, self._most = now, period, most
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, record.levelno, str(record.msg))
        now = self._now()
        since, held = self._seen.get(key, (-self._period, 0))
        if now - since < self._period:
            self._seen[key] = (since, held + 1)
            return False
        if held:
            record.repeated = held
        if len(self._seen) >= self._most:
            self._seen.clear()
        self._seen[key] = (now, 0)
        return True


class Fields(logging.Filter):
    """Add the same fields to every line, as the number of the worker that writes it."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__()
        self._fields = dict(fields)

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(self._fields)
        return True


def configure(
    level: str,
    *,
    now: Callable[[], float],
    stream: TextIO | None = None,
    json: bool | None = None,
    fields: Mapping[str, object] | None = None,
) -> None:
    """Send logs of at least *level* to *stream* (standard error); as JSON unless on a terminal.

    Every line has the extra *fields*.
    """
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    as_json = not stream.isatty() if json is None else json
    handler.setFormatter(JsonFormatter() if as_json else HumanFormatter())
    handler.addFilter(RateLimit(now))
    if fields:
        handler.addFilter(Fields(fields))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())

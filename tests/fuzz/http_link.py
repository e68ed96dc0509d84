"""One HTTP/1.1 connection: many requests in one write, their answers told apart strictly."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fuzz.http_cases import HttpCase

SILENT, GARBAGE, OPEN, MORE = "silent", "garbage", "open", "more"
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)\r$")
_CLOSE = re.compile(rb"(?im)^connection:[ \t]*close\r$")
MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Response:
    status: str
    body: bytes
    closes: bool  # says so


class HttpLink(asyncio.Protocol):
    """Reads answers; every one ends with its Content-Length, as ours all do."""

    def __init__(self) -> None:
        self.responses: deque[Response] = deque()
        self.methods: deque[bytes] = deque()  # of requests without an answer yet
        self.garbage = b""
        self.closed = False
        self._buffer = b""
        self._changed: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and not self.garbage and self._one():
            pass
        self._wake()

    def _one(self) -> bool:
        match = _HEAD.match(self._buffer)
        if match is None:
            if b"\r\n\r\n" in self._buffer or len(self._buffer) > MAX_ANSWER:
                self.garbage = self._buffer[:200]
            return False
        status, fields = match[1].decode(), match[2]
        length = _LENGTH.search(fields)
        interim = status[0] == "1"
        empty = interim or status in {"204", "304"}
        if not empty and length is None:
            self.garbage = self._buffer[:200]
            return False
        if not empty and self.methods and self.methods[0] == b"HEAD":
            empty = True
        end = match.end() + (0 if empty or length is None else int(length[1]))
        if len(self._buffer) < end:
            return False
        body = self._buffer[match.end() : end]
        self._buffer = self._buffer[end:]
        if not interim:
            if self.methods:
                self.methods.popleft()
            self.responses.append(Response(status, body, bool(_CLOSE.search(fields))))
        return True

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def wait_for(self, count: int, seconds: float) -> None:
        """Return when there are *count* answers, the connection ended, or *seconds* are over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while len(self.responses) < count and not self.closed and not self.garbage:
            self._changed = loop.create_future()
            try:
                async with asyncio.timeout_at(end):
                    await self._changed
            except TimeoutError:
                return

    async def wait_for_end(self, seconds: float) -> bool:
        """Say whether the connection ended within *seconds*."""
        await self.wait_for(1 << 30, seconds)
        return self.closed

    def reset(self) -> None:
        """End the connection with a RST."""
        sock = self.transport.get_extra_info("socket")
        if not self.closed and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.transport.abort()


Outcome = tuple[HttpCase, str, Response | None]


async def connect(port: int, source: str) -> HttpLink:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(HttpLink, "127.0.0.1", port, local_addr=(source, 0))
    return link


async def run(
    link: HttpLink, cases: Sequence[HttpCase], bound: float
) -> tuple[list[Outcome], list[HttpCase]]:
    """Send *cases*, those that keep the connection in one go, then the last if it may not.

    Returns what became of them, and those that were never looked at because the server closed the
    connection in good order or broke it off before; the caller sends them again, elsewhere.
    """
    kept, last = (list(cases), None) if cases[-1].ending == "keep" else (cases[:-1], cases[-1])
    found, left = await _pipelined(link, kept, bound) if kept else ([], [])
    if last is None:
        return found, left
    if link.closed or link.transport.is_closing():
        return found, [*left, last]
    found.append(await _alone(link, last, bound))
    return found, left


async def _pipelined(
    link: HttpLink, cases: Sequence[HttpCase], bound: float
) -> tuple[list[Outcome], list[HttpCase]]:
    assert not link.responses, "answers nobody waited for"
    await _write(link, cases)
    await link.wait_for(len(cases), bound)
    found: list[Outcome] = []
    closing = False
    for case in cases:
        if not link.responses:
            break
        response = link.responses.popleft()
        found.append((case, response.status, response))
        closing = closing or response.closes
    left = list(cases[len(found) :])
    if link.responses:
        found[-1] = (cases[-1], f"{found[-1][1]}+{MORE}", found[-1][2])
        closing = True
    elif link.garbage:
        found.append((left.pop(0), GARBAGE, Response("", link.garbage, closes=True)))
    elif left and not link.closed:
        found.append((left.pop(0), SILENT, None))
    elif len(left) == 1 and len(cases) == 1 and not closing:
        found.append((left.pop(), "close", None))
    if left or closing or found[-1][1] in {SILENT, GARBAGE}:
        link.transport.abort()
    return found, left


async def _alone(link: HttpLink, case: HttpCase, bound: float) -> Outcome:
    """Send a case behind which the connection need not go on, and end the connection."""
    await _write(link, [case])
    if case.finish == "rst":
        link.reset()
    elif case.finish == "fin" and not link.closed:
        link.transport.write_eof()
    await link.wait_for(1, bound)
    response = link.responses.popleft() if link.responses else None
    if response is not None:
        outcome = response.status
        if case.ending == "must" and not await link.wait_for_end(bound):
            outcome += f"+{OPEN}"
        if link.responses:
            outcome += f"+{MORE}"
    elif link.garbage:
        outcome, response = GARBAGE, Response("", link.garbage, closes=True)
    else:
        outcome = "close" if link.closed else SILENT
    link.transport.abort()
    return case, outcome, response


async def _write(link: HttpLink, cases: Sequence[HttpCase]) -> None:
    link.methods.extend(case.method for case in cases)
    data = b"".join([case.data for case in cases])
    steps = max(case.pieces for case in cases)
    step = len(data) // steps + 1
    for at in range(0, len(data), step):
        link.transport.write(data[at : at + step])
        if steps > 1:
            await asyncio.sleep(0)

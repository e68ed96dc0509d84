"""Whole messages in order, and a plain end when the other side is gone."""

import socket

import pytest

from gateway.workers import channel, messages

pytestmark = pytest.mark.wallclock


async def test_messages_arrive_whole_and_in_order() -> None:
    ours, theirs = socket.socketpair()
    answers = [messages.framed(messages.Answer(n, bytes(n * 50_000))) for n in range(5)]
    async with channel.line(theirs) as there:
        async with channel.line(ours) as here:
            here.tell(*answers[:3])
            for answer in answers[:3]:
                assert await there.hear() == answer[messages.HEAD :]
            here.tell(*answers[3:4])
        assert await there.hear() == answers[3][messages.HEAD :], "told before it was left"
        assert await there.hear() is None


async def test_telling_somebody_who_is_gone_is_no_error() -> None:
    ours, theirs = socket.socketpair()
    async with channel.line(ours) as here:
        theirs.close()
        await here.tell_all([bytes(1 << 20)] * 8)
        here.tell(b"more")
        assert await here.hear() is None


async def test_half_a_message_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    async with channel.line(ours) as here:
        theirs.sendall(messages.framed(messages.Answer(1, b"x"))[:-1])
        theirs.close()
        assert await here.hear() is None


async def test_a_length_beyond_all_bounds_is_a_bug() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        async with channel.line(ours) as here:
            theirs.sendall(b"\xff\xff\xff\xff")
            with pytest.raises(RuntimeError, match="BUG"):
                await here.hear()


async def test_one_that_does_not_listen_does_not_keep_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LINGER", 0.05)
    ours, theirs = socket.socketpair()
    with theirs:
        async with channel.line(ours) as here:
            here.tell(bytes(8 << 20))
            assert here.waiting > 0

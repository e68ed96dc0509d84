"""The inbox is bounded in bytes, keeps order, and closes."""

import asyncio

from hypothesis import given, strategies as st

from common.service.inbox import Inbox


async def test_a_full_inbox_says_no_instead_of_waiting() -> None:
    inbox = Inbox[str](max_bytes=3)
    assert [inbox.offer("x", 1) for _ in range(4)] == [True, True, True, False]
    assert (inbox.size, inbox.refused, len(inbox)) == (3, 1, 3)


async def test_an_item_larger_than_the_bound_is_taken_only_when_nothing_waits() -> None:
    inbox = Inbox[str](max_bytes=3)
    assert inbox.offer("big", 10)
    assert not inbox.offer("x", 1)


async def test_a_closed_inbox_is_drained_and_then_ends() -> None:
    inbox = Inbox[str](max_bytes=3)
    assert inbox.offer("a", 1)
    inbox.close()
    assert not inbox.offer("b", 1)
    assert [await inbox.take(), await inbox.take()] == ["a", None]


async def test_a_waiting_consumer_wakes_when_an_item_comes_and_when_it_closes() -> None:
    inbox = Inbox[str](max_bytes=3)
    taken: list[str | None] = []

    async def consume() -> None:
        while (item := await inbox.take()) is not None:
            taken.append(item)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(consume())
        await asyncio.sleep(1)
        assert inbox.offer("a", 1)
        await asyncio.sleep(1)
        assert taken == ["a"]
        inbox.close()


@given(st.lists(st.one_of(st.integers(1, 9), st.none())), st.integers(1, 20))
def test_size_is_always_what_waits(script: list[int | None], bound: int) -> None:
    async def play() -> None:
        inbox = Inbox[int](max_bytes=bound)
        waiting: list[int] = []
        for step in script:
            if step is None:
                assert inbox.take_nowait() == (waiting.pop(0) if waiting else None)
            elif inbox.offer(step, step):
                waiting.append(step)
            else:
                assert sum(waiting) + step > bound
            assert inbox.size == sum(waiting)

    asyncio.run(play())

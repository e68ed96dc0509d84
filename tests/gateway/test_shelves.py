"""A buffer is lent from one destination to the next, and what others left is taken over."""

import asyncio
from pathlib import Path

import pytest

from common.config.outputs import Buffer
from common.service.settings import SettingsError
from common.service.telemetry import Telemetry
from gateway import shelves
from tests.fakes import points

pytestmark = pytest.mark.wallclock

BODY = points.request([1.0, 2.0, 3.0])


def settings(folder: Path, **more) -> Buffer:
    return Buffer(dir=str(folder), segment_bytes=1 << 16, **more)


def put(tenant: shelves.Tenant, *, in_hand: bool = False) -> int:
    return tenant.log.append(BODY, 3, (), in_hand=in_hand, written=None)


def nothing(*_: object) -> None:
    pytest.fail("nothing should be lost")


async def test_what_is_left_is_found_again_and_counted_once(tmp_path) -> None:
    async with shelves.keeping(0, 0) as kept, kept.lease("shop", settings(tmp_path)) as tenant:
        assert (tenant.recovered, tenant.log.points) == (0, 0)
        put(tenant)
        put(tenant, in_hand=True)
        await tenant.log.flush()
    async with shelves.keeping(0, 0) as kept:
        async with kept.lease("shop", settings(tmp_path)) as tenant:
            assert (tenant.recovered, tenant.log.points) == (6, 6)
        async with kept.lease("shop", settings(tmp_path)) as tenant:
            for record in await tenant.log.take(1 << 20, newest=False):
                tenant.log.settle(record.number)
        async with kept.lease("shop", settings(tmp_path)) as tenant:
            assert (tenant.recovered, tenant.log.points) == (0, 0)


async def test_the_next_destination_may_append_at_once_and_take_when_the_first_has_ended(
    tmp_path,
) -> None:
    leave = asyncio.Event()
    ready = asyncio.Event()

    async def first(kept: shelves.Shelves) -> None:
        async with kept.lease("shop", settings(tmp_path)) as tenant:
            await tenant.turn()
            put(tenant, in_hand=True)
            ready.set()
            await tenant.wanted.wait()
            await leave.wait()
            tenant.log.give_back()

    async with shelves.keeping(0, 0) as kept, asyncio.TaskGroup() as tasks:
        tasks.create_task(first(kept))
        await ready.wait()
        async with kept.lease("shop", settings(tmp_path, max_bytes=1 << 20)) as tenant:
            assert tenant.recovered == 0
            put(tenant)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await tenant.turn()
            leave.set()
            await tenant.turn()
            await tenant.log.flush()
            assert [r.number for r in await tenant.log.take(1 << 20, newest=False)] == [1, 2]


async def test_a_destination_that_never_moved_in_is_not_waited_for_any_more(tmp_path) -> None:
    async with shelves.keeping(0, 0) as kept, kept.lease("shop", settings(tmp_path)) as tenant:
        async with kept.lease("shop", settings(tmp_path)):
            assert tenant.wanted.is_set()
        assert not tenant.wanted.is_set(), "it would stop sending at its end, instead of draining"
        async with kept.lease("shop", settings(tmp_path)):
            assert tenant.wanted.is_set()


async def test_losses_are_told_to_the_newest_destination(tmp_path) -> None:
    told: list[tuple[int, str]] = []
    small = settings(tmp_path, max_bytes=1 << 17)
    big = points.request([1.0] * 100, width=400)
    async with shelves.keeping(0, 0) as kept, kept.lease("shop", small) as tenant:
        tenant.listen(lambda points, reason, _: told.append((points, reason)), nothing)
        for _ in range(8):
            tenant.log.append(big, 100, (), in_hand=False, written=None)
        await tenant.log.flush()
        await asyncio.sleep(0.05)
    assert {reason for _, reason in told} == {"buffer_full"}
    assert sum(points for points, _ in told) % 100 == 0


async def test_what_workers_left_that_are_no_more_is_taken_over(tmp_path) -> None:
    for number in (1, 2, 3, 4):
        async with (
            shelves.keeping(number, 4) as kept,
            kept.lease("shop", settings(tmp_path)) as tenant,
        ):
            put(tenant)
            await tenant.log.flush()
    found = []
    for number in (1, 2):
        async with (
            shelves.keeping(number, 2) as kept,
            kept.lease("shop", settings(tmp_path)) as tenant,
        ):
            found.append(tenant.log.points)
            assert tenant.recovered == tenant.log.points
    assert found == [6, 6]
    assert sorted(each.name for each in (tmp_path / "shop").iterdir()) == ["1", "2"]
    async with shelves.keeping(0, 0) as kept, kept.lease("shop", settings(tmp_path)) as tenant:
        assert (tenant.log.points, tenant.recovered) == (12, 12)
    assert [each.name for each in (tmp_path / "shop").iterdir()] == ["0"]


async def test_a_directory_that_cannot_be_used_is_a_problem_of_the_settings(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    async with shelves.keeping(0, 0) as kept:
        with pytest.raises(SettingsError, match=r"buffer\.dir: cannot use .*file"):
            async with kept.lease("shop", settings(tmp_path / "file")):
                pytest.fail("entered")
        async with kept.lease("shop", settings(tmp_path / "other")) as tenant:
            assert tenant.log.points == 0


async def test_two_processes_do_not_share_a_buffer(tmp_path) -> None:
    async with (
        shelves.keeping(0, 0) as one,
        shelves.keeping(0, 0) as other,
        one.lease("shop", settings(tmp_path)),
    ):
        with pytest.raises(SettingsError, match=r"buffer\.dir"):
            async with other.lease("shop", settings(tmp_path)):
                pytest.fail("entered")


async def test_its_own_metrics_and_page(tmp_path) -> None:
    async with shelves.keeping(0, 0) as kept, kept.lease("shop", settings(tmp_path)) as tenant:
        put(tenant)
        await tenant.log.flush()
        telemetry = Telemetry(process=False)
        telemetry.add(kept.readings)
        shown = telemetry.render().decode()
        assert 'headgate_gateway_buffer_points{pipeline="shop"} 3.0' in shown
        assert 'headgate_gateway_buffer_failing{pipeline="shop"} 0.0' in shown
        assert 'headgate_gateway_buffer_write_errors_total{pipeline="shop"} 0.0' in shown
        assert kept.page()["shop"]["points"] == 3

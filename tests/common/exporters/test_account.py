"""Every verdict books every point of its request once, and nothing else."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from common.exporters import loads
from common.exporters.account import Account
from common.exporters.loads import Piece, Receipt
from common.exporters.outcomes import Delivered, Refused, Retry, TooBig
from common.exporters.reporting import Reporter
from common.service.ledger import DropReason, Ledger
from common.wire import otlp


def opened(memory: int, disk: int = 0) -> tuple[Account, Ledger, loads.Load]:
    """Return an account that has a load of points of both kinds."""
    ledger = Ledger("p")
    account = Account(ledger, Reporter("shop", asyncio.get_running_loop().time))
    ledger.receive(memory + disk, {})
    account.take(memory)
    pieces = [Piece(otlp.Encoded(b"m"), memory, 0.0)]
    if disk:
        pieces.append(Piece(otlp.Encoded(b"d"), disk, 0.0, Receipt(1, disk, disk)))
    return account, ledger, loads.load(pieces, ())


@pytest.mark.parametrize(
    ("verdict", "delivered", "dropped"),
    [
        (Delivered(), 5, {}),
        (Delivered(2, "too new"), 3, {DropReason.REJECTED_BY_BACKEND: 2}),
        (Delivered(99, "a lie"), 0, {DropReason.REJECTED_BY_BACKEND: 5}),
        (Retry("down"), 0, {DropReason.TOO_OLD: 5}),
        (Refused("bad"), 0, {DropReason.REFUSED: 5}),
        (TooBig("large"), 0, {DropReason.TOO_LARGE: 5}),
    ],
)
async def test_the_last_word_on_a_request_decides(verdict, delivered, dropped) -> None:
    account, ledger, load = opened(5)
    account.book(load, 5, verdict)
    assert ledger.delivered == delivered
    assert {reason: n for reason, n in ledger.dropped.items() if n} == dropped
    assert (account.held, ledger.held, load.left, ledger.balance()) == (0, 0, 0, 0)


async def test_what_a_disk_has_is_not_what_only_memory_has() -> None:
    account, ledger, load = opened(2, 3)
    assert (load.left, load.unbacked, account.held) == (5, 2, 2)
    account.book(load, 1, Delivered())
    assert (load.left, load.unbacked, account.held) == (4, 1, 1)
    account.book(load, 4, Refused("bad"))
    assert (load.left, load.unbacked, account.held, ledger.held) == (0, 0, 0, 0)


async def test_points_of_no_load_are_lost_from_memory_or_from_disk() -> None:
    account, ledger, _ = opened(4)
    account.lose(4, DropReason.SHUTDOWN, "the end")
    account.recover(3)
    account.store(3)
    account.lose_stored(3, DropReason.BUFFER_FULL, "no room")
    assert (ledger.received, ledger.held, account.held) == (7, 0, 0)
    assert ledger.dropped[DropReason.SHUTDOWN] == 4
    assert ledger.dropped[DropReason.BUFFER_FULL] == 3
    assert ledger.balance() == 0


async def test_no_points_lost_is_no_news(caplog) -> None:
    account, _, load = opened(1)
    account.drop(load, 0, DropReason.REFUSED, "nothing")
    assert caplog.records == []


FATES = st.one_of(
    st.builds(Delivered, st.integers(0, 9)), st.just(Retry("x")), st.just(Refused("x")),
    st.just(TooBig("x")),
)  # fmt: skip


@given(st.integers(0, 20), st.integers(0, 20), st.lists(st.tuples(st.integers(0, 9), FATES)))
async def test_it_balances_whatever_the_verdicts(memory: int, disk: int, verdicts: list) -> None:
    account, ledger, load = opened(memory, disk)
    for points, verdict in verdicts:
        account.book(load, min(points, load.left), verdict)
        assert ledger.balance() == 0
        assert ledger.held == load.left >= account.held == load.unbacked >= 0

"""Accounts that do not balance: a bug of ours, said in words and counted."""

from __future__ import annotations

from collections.abc import Iterable

from common.service.ledger import Ledger
from common.service.telemetry import Reading, single


def off(ledgers: Iterable[Ledger]) -> list[str]:
    """Return a sentence for each account that is off."""
    return [
        f"pipeline {ledger.pipeline}: the ledger is off by {ledger.balance()} points"
        for ledger in ledgers
        if ledger.balance()
    ]


def reading(mismatches: int) -> Reading:
    """Return how often one was, which is looked for once a second."""
    words = "Times an account did not balance: must stay 0."
    return single("counter", "headgate_ledger_mismatch_total", words, mismatches)

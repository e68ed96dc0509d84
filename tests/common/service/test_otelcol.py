"""Accounts by the names of OpenTelemetry Collectors: alert rules find what they look for."""

import pytest

from common.service import otelcol
from common.service.ledger import DropReason, Ledger
from common.service.telemetry import Telemetry

SHOP = {"exporter": "otlp_grpc/metricpipeline-shop"}


def values(*ledgers: Ledger) -> dict[str, float]:
    return {
        reading.name.removeprefix("otelcol_exporter_").removesuffix("_metric_points_total"): value
        for reading in otelcol.readings(ledgers)
        for labels, value in reading.samples
        if labels == SHOP
    }


def shop() -> Ledger:
    return Ledger("shop", exporter=SHOP["exporter"])


def test_every_reason_is_counted_once_but_for_the_one_that_is_no_failure() -> None:
    assert set(otelcol.FAILURES) == set(DropReason)
    assert [why for why, failure in otelcol.FAILURES.items() if failure is None] == [
        DropReason.BASELINE
    ]


@pytest.mark.parametrize("reason", DropReason)
def test_a_loss_counts_where_a_collector_counts_it(reason: DropReason) -> None:
    ledger = shop()
    ledger.receive(9, {})
    ledger.drop(4, reason)
    ledger.deliver(3)
    found = values(ledger)
    assert found.pop("sent") == 3
    no_room = {"inbox_full", "buffer_full", "buffer_failed", "buffer_expired"}
    if reason == "baseline":
        assert found == {"enqueue_failed": 0, "send_failed": 0}
    elif reason in no_room:
        assert found == {"enqueue_failed": 4, "send_failed": 0}
    else:
        assert found == {"enqueue_failed": 0, "send_failed": 4}


def test_a_new_account_has_its_series_so_that_the_first_loss_is_a_rate() -> None:
    assert values(shop()) == {"sent": 0, "enqueue_failed": 0, "send_failed": 0}


def test_an_account_without_such_a_name_is_not_told() -> None:
    assert list(otelcol.readings([Ledger("shop")])) == []


def test_the_names_are_those_of_the_rules() -> None:
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: otelcol.readings([shop()]))
    shown = telemetry.render().decode().splitlines()
    for name in ("sent", "send_failed", "enqueue_failed"):
        full = f"otelcol_exporter_{name}_metric_points_total"
        assert f'{full}{{exporter="otlp_grpc/metricpipeline-shop"}} 0.0' in shown
        assert f"# TYPE {full} counter" in shown

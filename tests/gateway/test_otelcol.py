"""Names that alert rules can take apart, series that are there from the start, and never fall."""

import re

import pytest

from common.config.gateway import Gateway, Pipeline
from common.config.outputs import OtlpOutput, Output, RemoteWriteOutput
from common.config.shared import Admin
from common.service.ledger import DropReason, Ledger
from gateway import otelcol
from gateway.accounts import MERGED, Accounts
from gateway.receivers import door
from gateway.workers import merging

# How the rules find out whose exporter it is: `spec` of the labels that they are relabelled by.
RULE = re.compile(r"(?:otlp_grpc|otlp_http|prometheusremotewrite)/(metric)pipeline-(.+)")

OUTPUTS = {
    "otlp_grpc": Output(otlp=OtlpOutput(endpoint="http://b:4317")),
    "otlp_http": Output(otlp=OtlpOutput(endpoint="http://b:4318", protocol="http")),
    "prometheusremotewrite": Output(remote_write=RemoteWriteOutput(url="http://b/write")),
}


def config(kind: str = "otlp_grpc", *names: str, on: bool = True) -> Gateway:
    pipelines = tuple(Pipeline(name=name, output=OUTPUTS[kind]) for name in names)
    return Gateway(pipelines=pipelines, admin=Admin(otelcol_metrics=on))


def shown(accounts: Accounts) -> dict[tuple[str, str], float]:
    return {
        (reading.name.removeprefix("otelcol_exporter_"), labels["exporter"]): value
        for reading in accounts.readings()
        if reading.name.startswith("otelcol_")
        for labels, value in reading.samples
    }


SENT = "sent_metric_points_total"


@pytest.mark.parametrize("kind", OUTPUTS)
def test_the_label_has_the_kind_and_the_name(kind: str) -> None:
    label = otelcol.exporter(config(kind, "my-shop").pipelines[0])
    assert label == f"{kind}/metricpipeline-my-shop"
    found = RULE.fullmatch(label)
    assert found
    assert found[2] == "my-shop"


def test_every_pipeline_has_its_series_from_the_start() -> None:
    accounts = Accounts()
    otelcol.name(accounts, config("otlp_grpc", "a", "b"))
    found = shown(accounts)
    assert set(found.values()) == {0.0}
    assert len(found) == 6


def test_nothing_is_told_where_nobody_wants_it() -> None:
    accounts = Accounts()
    otelcol.name(accounts, config("otlp_grpc", "a", on=False))
    assert shown(accounts) == {}


def test_counters_outlive_their_pipeline_and_a_change_of_its_kind() -> None:
    accounts = Accounts()
    otelcol.name(accounts, config("otlp_grpc", "a"))
    accounts.of("a").receive(9, {})
    accounts.of("a").deliver(5)
    otelcol.name(accounts, config("otlp_grpc"))
    accounts.keep(())
    assert shown(accounts)[SENT, "otlp_grpc/metricpipeline-a"] == 5
    otelcol.name(accounts, config("prometheusremotewrite", "a"))
    accounts.of("a").deliver(1)
    assert shown(accounts)[SENT, "prometheusremotewrite/metricpipeline-a"] == 6


def test_accounts_that_were_merged_are_nobodys() -> None:
    accounts = Accounts()
    merged = accounts.of(MERGED)
    merged.include(Ledger("a", delivered=5, exporter="otlp_grpc/metricpipeline-a"))
    assert (merged.delivered, merged.exporter) == (5, "")


def test_workers_sum_and_what_is_lost_with_one_failed_to_be_sent() -> None:
    label = "otlp_grpc/metricpipeline-a"
    carried = merging.Carried()
    gone = Ledger("a", received=10, delivered=4, held=6, exporter=label)
    carried.carry([], [gone], 0)
    live = [Ledger("a", received=3, delivered=3, exporter=label)]
    found = shown(merging.accounts([carried.accounts, live], 0))
    assert found[SENT, label] == 7
    assert found["send_failed_metric_points_total", label] == 6
    assert carried.accounts.of("a").dropped[DropReason.WORKER_LOST] == 6


def test_points_refused_are_told_by_door() -> None:
    doors = (door.Traffic("grpc"), door.Traffic("http"))
    doors[1].refused_points = 7
    assert list(otelcol.refused(Admin(otelcol_metrics=False), doors)) == []
    (reading,) = otelcol.refused(Admin(), doors)
    assert reading.name == "otelcol_receiver_refused_metric_points_total"
    assert reading.samples == (
        ({"receiver": "otlp", "transport": "grpc"}, 0.0),
        ({"receiver": "otlp", "transport": "http"}, 7.0),
    )

"""A pipeline's configuration becomes a destination, and the destination tells how it is."""

from contextlib import asynccontextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from common.config import gateway
from common.service.ledger import DropReason, Ledger
from common.service.settings import SettingsError
from common.service.telemetry import Telemetry
from common.wire import otlp
from gateway import destinations, shelves
from gateway.handover import Handover
from gateway.pipelines import Running
from gateway.receivers import door, otlp_grpc
from tests.fakes import backends
from tests.gateway import samples

DELTA, CUMULATIVE = 1, 2

OUTPUTS = {
    "otlp": gateway.Output(otlp=gateway.OtlpOutput(endpoint="http://127.0.0.1:1")),
    "http": gateway.Output(otlp=gateway.OtlpOutput(endpoint="http://127.0.0.1:1", protocol="http")),
    "remote write": gateway.Output(
        remote_write=gateway.RemoteWriteOutput(url="http://127.0.0.1:1")
    ),
}


@asynccontextmanager
async def entering(config: gateway.Pipeline, ledger: Ledger):
    async with (
        shelves.keeping(0, 0) as kept,
        destinations.entering(config, ledger, shelves=kept, handover=Handover()) as destination,
    ):
        yield destination


@pytest.mark.wallclock
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
async def test_every_kind_of_output_can_be_entered_and_left(output: gateway.Output) -> None:
    config = gateway.Pipeline(name="a", output=output)
    async with entering(config, Ledger("a")) as destination:
        assert destination.bytes_held == 0


async def test_certificates_that_are_not_there_are_the_users_to_mend() -> None:
    tls = gateway.shared.Tls(ca_file="/nothing/here")
    output = gateway.Output(otlp=gateway.OtlpOutput(endpoint="https://b:1", tls=tls))
    config = gateway.Pipeline(name="a", output=output)
    async with shelves.keeping(0, 0) as kept:
        with pytest.raises(SettingsError, match=r"output\.otlp\.tls"):
            async with destinations.entering(
                config, Ledger("a"), shelves=kept, handover=Handover()
            ):
                pytest.fail("entered")


@pytest.mark.wallclock
async def test_a_destination_delivers_and_is_seen_from_outside() -> None:
    sink, ledger = samples.Remembering(), Ledger("a")
    serving = otlp_grpc.serving("127.0.0.1:0", samples.terms(sink), door.Traffic("grpc"))
    async with serving as bound:
        config = gateway.Pipeline(
            name="a",
            output=gateway.Output(otlp=gateway.OtlpOutput(endpoint=f"http://{bound}")),
            batch=gateway.shared.Batching(linger=0),
        )
        async with entering(config, ledger) as destination:
            running: destinations.Entered = Running(
                config=config, ledger=ledger, destination=destination, leave=None
            )
            ledger.receive(3, {})
            assert running.has_room(config.queue_bytes)
            assert running.offer(otlp.Encoded(samples.request(points=3)), 3)
            assert not running.has_room(config.queue_bytes)
            telemetry = Telemetry(process=False)
            telemetry.add(lambda: destinations.readings([running]))
            size = destination.bytes_held
            shown = telemetry.render().decode()
            assert f'headgate_gateway_queue_bytes{{pipeline="a"}} {float(size)}' in shown
            assert 'headgate_gateway_destination_failing{pipeline="a"} 0.0' in shown
            for counted in ("tokens", "certificate_reloads"):
                name = f"headgate_gateway_destination_{counted}_total"
                for outcome in ("ok", "failed"):
                    assert f'{name}{{outcome="{outcome}",pipeline="a"}} 0.0' in shown
            assert destinations.page([running])["a"]["points_held"] == 3
            await sink.reached.wait()
    assert (ledger.delivered, ledger.held) == (3, 0)
    assert samples.names(sink.taken[0][0]) == ["requests"]


@pytest.mark.wallclock
async def test_what_is_remembered_of_series_is_seen_from_outside() -> None:
    output = gateway.Output(
        otlp=gateway.OtlpOutput(endpoint="http://127.0.0.1:1", temporality="delta")
    )
    config = gateway.Pipeline(name="a", output=output)
    async with entering(config, Ledger("a")) as destination:
        running: destinations.Entered = Running(
            config=config, ledger=Ledger("a"), destination=destination, leave=None
        )
        telemetry = Telemetry(process=False)
        telemetry.add(lambda: destinations.readings([running]))
        shown = telemetry.render().decode()
    assert 'headgate_gateway_series{pipeline="a"} 0.0' in shown
    assert 'headgate_gateway_series_forgotten_total{pipeline="a",why="expired"} 0.0' in shown


def total(value: int, at: int) -> otlp.Encoded:
    """Return a request with the total of a counter that began at second 5 of 1970."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="sold")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, CUMULATIVE
    second = 10**9
    metric.sum.data_points.add(
        as_int=value, time_unix_nano=at * second, start_time_unix_nano=5 * second
    )
    return otlp.Encoded(request.SerializeToString())


@pytest.mark.wallclock
@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("temporality", ["preserve", "delta"])
async def test_totals_arrive_as_the_backend_wants_them(protocol: str, temporality: str) -> None:
    ledger = Ledger("a")
    serving = backends.otlp_grpc if protocol == "grpc" else backends.http
    async with serving() as backend:
        config = gateway.Pipeline(
            name="a",
            output=gateway.Output(
                otlp=gateway.OtlpOutput(
                    endpoint=backend.url,
                    protocol=protocol,
                    temporality=temporality,
                    compression="none",
                )
            ),
            batch=gateway.shared.Batching(linger=0.01),
        )
        async with entering(config, ledger) as destination:
            for at, value in ((10, 5), (20, 7), (30, 3)):  # the last was reset
                ledger.receive(1, {})
                assert destination.offer(total(value, at), 1)
            assert ledger.balance() == 0
    arrived = [
        (point.as_int, metric.sum.aggregation_temporality)
        for each in backend.received
        for frame in ExportMetricsServiceRequest.FromString(each.body).resource_metrics
        for scope in frame.scope_metrics
        for metric in scope.metrics
        for point in metric.sum.data_points
    ]
    if temporality == "delta":
        assert arrived == [(2, DELTA), (3, DELTA)]
        assert (ledger.delivered, ledger.dropped[DropReason.BASELINE]) == (2, 1)
    else:
        assert arrived == [(5, CUMULATIVE), (7, CUMULATIVE), (3, CUMULATIVE)]
        assert (ledger.delivered, sum(ledger.dropped.values())) == (3, 0)
    assert (ledger.held, ledger.balance()) == (0, 0)

"""Every door counts what passes it, with codes from a fixed list."""

from common.service.telemetry import Telemetry
from gateway.receivers import door
from gateway.receivers.admission import Admission


def test_doors_and_admission_are_own_metrics() -> None:
    traffic, admission = (door.Traffic("grpc"), door.Traffic("http")), Admission(10)
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: door.readings(traffic, admission))
    for code in ("ok", "ok", "unavailable"):
        traffic[0].answered(code)
    traffic[1].wire_bytes, traffic[1].inflated_bytes = 5, 50
    assert admission.admit(8)
    assert not admission.admit(8)
    shown = telemetry.render().decode()
    for line in (
        'headgate_gateway_requests_total{code="ok",transport="grpc"} 2.0',
        'headgate_gateway_requests_total{code="unavailable",transport="grpc"} 1.0',
        'headgate_gateway_received_wire_bytes_total{transport="http"} 5.0',
        'headgate_gateway_received_inflated_bytes_total{transport="http"} 50.0',
        "headgate_gateway_in_flight_bytes 8.0",
        'headgate_gateway_overload_refusals_total{cause="bytes"} 1.0',
    ):
        assert line in shown

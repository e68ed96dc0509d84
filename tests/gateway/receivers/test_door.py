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
    traffic[0].connections, traffic[0].refused_connections, traffic[1].aged = 3, 2, 1
    traffic[0].attacked("pings")
    traffic[0].timed_out("idle")
    traffic[0].timed_out("idle")
    assert admission.admit(8)
    assert not admission.admit(8)
    traffic[1].connections, traffic[1].refused_connections = 3, 2
    traffic[1].heads_parsed, traffic[1].heads_forgotten = 7, 1
    traffic[1].waiting = 2
    traffic[0].not_written("late")
    traffic[1].hostile["malformed_head"] = traffic[1].timeouts["body"] = 4
    shown = telemetry.render().decode()
    for line in (
        'headgate_gateway_requests_total{code="ok",transport="grpc"} 2.0',
        'headgate_gateway_requests_total{code="unavailable",transport="grpc"} 1.0',
        'headgate_gateway_received_wire_bytes_total{transport="http"} 5.0',
        'headgate_gateway_received_inflated_bytes_total{transport="http"} 50.0',
        'headgate_gateway_connections{transport="grpc"} 3.0',
        'headgate_gateway_refused_connections_total{transport="grpc"} 2.0',
        'headgate_gateway_aged_connections_total{transport="http"} 1.0',
        'headgate_gateway_hostile_total{kind="pings",transport="grpc"} 1.0',
        'headgate_gateway_timeouts_total{kind="idle",transport="grpc"} 2.0',
        "headgate_gateway_in_flight_bytes 8.0",
        'headgate_gateway_overload_refusals_total{cause="bytes"} 1.0',
        'headgate_gateway_connections{transport="http"} 3.0',
        'headgate_gateway_refused_connections_total{transport="http"} 2.0',
        'headgate_gateway_heads_parsed_total{transport="http"} 7.0',
        'headgate_gateway_heads_forgotten_total{transport="http"} 1.0',
        'headgate_gateway_hostile_total{kind="malformed_head",transport="http"} 4.0',
        'headgate_gateway_timeouts_total{kind="body",transport="http"} 4.0',
        'headgate_gateway_waiting_requests{transport="http"} 2.0',
        'headgate_gateway_unwritten_requests_total{kind="late",transport="grpc"} 1.0',
        'headgate_gateway_unwritten_requests_total{kind="failed",transport="grpc"} 0.0',
    ):
        assert line in shown


def test_connections_are_told_by_transport_and_kind() -> None:
    traffic = door.Traffic("grpc")
    traffic.connections, traffic.refused_connections, traffic.tls_reload_errors = 3, 4, 5
    traffic.hostile["proxy_header"] = 6
    traffic.timeouts["tls_handshake"] = 7
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: door.readings((traffic, door.Traffic("http")), Admission(10)))
    shown = telemetry.render().decode()
    for line in (
        'headgate_gateway_connections{transport="grpc"} 3.0',
        'headgate_gateway_connections{transport="http"} 0.0',
        'headgate_gateway_refused_connections_total{transport="grpc"} 4.0',
        'headgate_gateway_tls_reload_errors_total{transport="grpc"} 5.0',
        'headgate_gateway_hostile_total{kind="proxy_header",transport="grpc"} 6.0',
        'headgate_gateway_timeouts_total{kind="tls_handshake",transport="grpc"} 7.0',
    ):
        assert line in shown.splitlines()
    assert "tls_not_after_seconds{" not in shown
    traffic.tls_not_after = 1.5
    shown = telemetry.render().decode()
    assert 'headgate_gateway_tls_not_after_seconds{transport="grpc"} 1.5' in shown

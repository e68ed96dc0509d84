"""What stands between doors and queues is seen from outside."""

from common.enrichment import attributes, enricher, pods
from common.service.telemetry import Telemetry
from common.wire import layout
from gateway import intake, readings
from gateway.receivers.trust import Trust, standing
from tests.gateway import samples


def test_intake_and_enrichment_are_own_metrics() -> None:
    completing = enricher.Enricher(attributes.Rules(), pods.PodIndex(), 1 << 20)
    heart, trust = intake.Intake(completing), Trust("secret")
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: readings.of_intake(heart, trust, draining=3))
    telemetry.add(lambda: readings.of_enricher(completing))
    standing(trust, Trust(), "Bearer other")
    for _ in range(2):
        heart.take(samples.request(points=4), None, trusted=False)
    heart.take(samples.request(("",), points=3), None, trusted=False)
    shown = telemetry.render().decode()
    for line in (
        "headgate_gateway_points_taken_total 0.0",
        "headgate_gateway_points_unrouted_total 8.0",
        'headgate_gateway_points_rejected_total{reason="unnamed"} 3.0',
        "headgate_gateway_token_mismatches_total 1.0",
        "headgate_gateway_destinations_draining 3.0",
        'headgate_gateway_enrichment_misses_total{cause="not_synced"} 2.0',
        'headgate_gateway_enrichment_hits_total{by="uid"} 0.0',
        "headgate_gateway_enrichment_memo_hits_total 1.0",
        "headgate_gateway_enrichment_memo_limit_bytes 1.048576e+06",
    ):
        assert line in shown


def test_what_is_known_of_shapes_is_an_own_metric() -> None:
    recogniser = layout.Recogniser(1 << 20, 1)
    telemetry = Telemetry(process=False)
    telemetry.add(lambda: readings.of_recogniser(recogniser))
    for _ in range(3):
        recogniser.frames(samples.request(points=50))
    shown = telemetry.render().decode()
    for line in (
        "headgate_gateway_frames_recognised_total 1.0",
        "headgate_gateway_frames_parsed_total 2.0",
        "headgate_gateway_metrics_recognised_total 0.0",
        "headgate_gateway_layout_lessons_total 1.0",
        "headgate_gateway_layout_memo_limit_bytes 1.048576e+06",
    ):
        assert line in shown

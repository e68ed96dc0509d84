"""Own metrics, as values for another process."""

from enum import StrEnum

from common.service.telemetry import Reading, Telemetry, labelled, single


class Outcome(StrEnum):
    UP = "up"
    FAILING = "failing"


def test_a_snapshot_has_what_is_rendered() -> None:
    own = Telemetry()
    said = (
        Reading("counter", "headgate_x_total", "Things.", (({"pipeline": "p"}, 7.0),)),
        Reading("gauge", "headgate_y_bytes", "Bytes.", (({}, 2.0),), "max"),
    )
    own.add(lambda: said)
    snapshot = own.snapshot()
    assert snapshot[:2] == said
    names = {reading.name: reading for reading in snapshot}
    assert names["process_cpu_seconds_total"].kind == "counter"
    assert names["process_resident_memory_bytes"].samples[0][1] > 1 << 20
    shown = own.render().decode()
    for reading in snapshot:
        assert f"\n{reading.name}" in shown


def test_what_cannot_be_summed_of_several_processes_is_not() -> None:
    whole = {reading.name: reading.whole for reading in Telemetry().snapshot()}
    assert whole["process_start_time_seconds"] == "min"
    assert whole["process_max_fds"] == "min"
    assert whole["process_resident_memory_bytes"] == "sum"


def test_without_a_process_there_is_only_what_sources_say() -> None:
    assert Telemetry(process=False).snapshot() == ()


def test_families_of_one_sample_or_of_one_label_are_made_at_once() -> None:
    assert single("gauge", "headgate_y_bytes", "Bytes.", 2, "max") == Reading(
        "gauge", "headgate_y_bytes", "Bytes.", (({}, 2.0),), "max"
    )
    found = labelled("gauge", "headgate_x", "Xs.", "state", {Outcome.UP: 1, Outcome.FAILING: 0})
    assert found.samples == (({"state": "up"}, 1.0), ({"state": "failing"}, 0.0))
    assert all(type(key) is str for labels, _ in found.samples for key in labels.values())

"""Guards of the agent's hot path: numbers of a known exposition, and the request they go into."""

import numpy as np

from agent.exposition import (
    metrics,
    model,
    openmetrics,
    series,
    target_state,
    template,
    text,
    translate,
)
from bench.references import exposition as reference

NOW = 1_700_000_000_000_000_000
ORIGIN = metrics.Origin.of(
    job="shop", instance="10.0.0.1:8080", scope=("agent", "1"), attributes={}, labels={}
)


def body(shift: int) -> bytes:
    lines = []
    for family in range(20):
        name = f"demo_requests_{family}_total"
        lines += [f"# HELP {name} Requests served.", f"# TYPE {name} counter"]
        for i in range(50):
            value = (family * 50 + i) * 1.25 + (shift if i % 2 else 0)
            lines.append(f'{name}{{code="200",method="get",path="/api/v1/items/{i}"}} {value}')
    return "\n".join((*lines, "")).encode()


def open_metrics(shift: int) -> bytes:
    """Return counters, and histograms of which some buckets have an exemplar."""
    lines = []
    for family in range(10):
        name = f"demo_requests_{family}"
        lines += [f"# TYPE {name} counter", f"# HELP {name} Requests served."]
        for i in range(50):
            value = family * 50 + i + (shift if i % 2 else 0)
            lines.append(
                f'{name}_total{{code="200",method="get",path="/api/v1/items/{i}"}} {value}'
            )
    for family in range(10):
        name = f"demo_latency_{family}_seconds"
        lines += [f"# TYPE {name} histogram", f"# UNIT {name} seconds"]
        for i in range(50 // 13):
            for n, bound in enumerate((*range(1, 11), "+Inf")):
                count = (n + 1) * (shift + 1)
                line = f'{name}_bucket{{path="/api/v1/items/{i}",le="{bound}"}} {count}'
                if n == 5:
                    line += f' # {{trace_id="4bf92f3577b34da6a3ce929d0e0e{shift:04}"}} 5.25 1.5e9'
                lines.append(line)
            lines.append(f'{name}_count{{path="/api/v1/items/{i}"}} {11 * (shift + 1)}')
            lines.append(f'{name}_sum{{path="/api/v1/items/{i}"}} {2.5 * shift}')
    return "\n".join((*lines, "# EOF", "")).encode()


def test_exposition_parse_open_metrics_known(guard) -> None:
    first, second = open_metrics(0), open_metrics(7)
    layout = series.Layout.learn(first, openmetrics.parse(first, model.Limits()))
    readings = layout.read(second)
    assert readings is not None
    samples, _ = reference.open_metrics(second)
    assert readings.values.tolist() == [value for _, _, value, _, _ in samples]
    assert len(readings.exemplars) == sum(exemplar is not None for *_, exemplar in samples) == 30
    guard(lambda: layout.read(second), reference=lambda: reference.open_metrics(second))


def test_exposition_parse_open_metrics_unknown(guard) -> None:
    second = open_metrics(7)
    limits = model.Limits()
    assert len(openmetrics.parse(second, limits).names) == len(reference.open_metrics(second)[0])
    guard(
        lambda: openmetrics.parse(second, limits), reference=lambda: reference.open_metrics(second)
    )


def test_exposition_parse_known_layout(guard) -> None:
    first, second = body(0), body(7)
    layout = series.Layout.learn(first, text.parse(first, model.Limits()))
    readings = layout.read(second)
    assert readings is not None
    assert readings.values.tolist() == [value for _, _, value, _ in reference.samples(second)]
    guard(lambda: layout.read(second), reference=lambda: reference.samples(second))


def test_exposition_parse_known_layout_with_timestamps(guard) -> None:
    first, second = (body(n).replace(b"5\n", b"5 170000000000%d\n" % n) for n in (0, 7))
    layout = series.Layout.learn(first, text.parse(first, model.Limits()))
    readings = layout.read(second)
    assert readings is not None
    assert set(readings.times.tolist()) == {model.UNTIMED, 1700000000007}
    assert readings.values.tolist() == [value for _, _, value, _ in reference.samples(second)]
    guard(lambda: layout.read(second), reference=lambda: reference.samples(second))


def test_exposition_parse_unknown(guard) -> None:
    second = body(7)
    limits = model.Limits()
    assert len(text.parse(second, limits).series) == len(reference.samples(second))
    guard(lambda: text.parse(second, limits), reference=lambda: reference.samples(second))


def test_template_poke(guard) -> None:
    exposition = text.parse(body(0), model.Limits())
    translation = translate.translate(exposition, translate.Rules(labels=ORIGIN.labels))
    poked = template.Template.of(translation, ORIGIN, exposition.times, ())
    values = np.concatenate((exposition.values, np.zeros(5)))
    exposed = reference.samples(body(0))
    families = {
        name.decode(): (f.type.decode(), f.help.decode()) for name, f in exposition.families.items()
    }
    guard(
        lambda: poked.poke(values, exposition.times, NOW),
        reference=lambda: reference.request(
            exposed, families, resource={}, scope=("agent", "1"), labels={}, time_ns=NOW
        ).SerializeToString(),
    )


def test_exposition_accept_known(guard) -> None:
    second = body(7)
    state = target_state.TargetState(ORIGIN, target_state.Terms())
    state.accept(body(0), NOW, 0.1)
    assert state.accept(second, NOW, 0.1).known
    guard(lambda: state.accept(second, NOW, 0.1), reference=lambda: reference.samples(second))

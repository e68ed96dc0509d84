"""Guards of the agent's hot path: numbers of a known exposition, and the request they go into."""

import numpy as np

from agent.exposition import metrics, model, series, target_state, template, text, translate
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


def test_exposition_parse_known_layout(guard) -> None:
    first, second = body(0), body(7)
    layout = series.Layout.learn(first, text.parse(first, model.Limits()))
    readings = layout.read(second)
    assert readings is not None
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

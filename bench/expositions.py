"""Expositions as targets write them, half of the values changing from one to the next."""

from collections.abc import Callable
from itertools import chain

from agent.exposition import model
from tests.fakes import metric_families as made

FAMILY = 100  # samples of a family
CHURN = 100  # one series of so many is gone at the next scrape, and another one in its place
KEY = b"device"  # a label's name: once in every sample, whichever protocol carries it
CONTENT_TYPES = {
    model.Format.TEXT: "text/plain; version=0.0.4",
    model.Format.OPEN_METRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    model.Format.PROTOBUF: "application/vnd.google.protobuf; "
    "proto=io.prometheus.client.MetricFamily; encoding=delimited",
}
EXEMPLAR = ' # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.25 1700000000.5'


def stable(samples: int, target: int, form: model.Format) -> Callable[[], bytes]:
    """Return what makes the bodies of a target whose series stay."""
    make = {
        model.Format.TEXT: text,
        model.Format.OPEN_METRICS: open_metrics,
        model.Format.PROTOBUF: protobuf,
    }[form]
    bodies: list[bytes] = []
    asked = -1

    def following() -> bytes:
        nonlocal asked
        asked += 1
        if len(bodies) < 4:
            bodies.append(make(samples, asked, target))
        return bodies[asked % 4]

    return following


def text(samples: int, generation: int, target: int) -> bytes:
    """Return *samples* samples of which half change with *generation*."""
    lines = []
    for family in range(max(1, samples // FAMILY)):
        name = f"bench_metric_{family}_total"
        lines += [f"# HELP {name} A counter of the bench.", f"# TYPE {name} counter"]
        lines += [
            f"{name}{{{_labels(n, target)}}} {_value(n, generation)}"
            for n in range(min(FAMILY, samples))
        ]
    return ("\n".join(lines) + "\n").encode()


def open_metrics(samples: int, generation: int, target: int) -> bytes:
    """Return the same in OpenMetrics, one counter of a family with an exemplar."""
    lines = []
    for family in range(max(1, samples // FAMILY)):
        name = f"bench_metric_{family}"
        lines += [f"# TYPE {name} counter", f"# HELP {name} A counter of the bench."]
        lines += [
            f"{name}_total{{{_labels(n, target)}}} {_value(n, generation)}{EXEMPLAR * (n == 50)}"
            for n in range(min(FAMILY, samples))
        ]
    return ("\n".join([*lines, "# EOF"]) + "\n").encode()


def protobuf(samples: int, generation: int, target: int) -> bytes:
    """Return the same in Prometheus' protobuf format."""
    return made.body(
        made.family(
            f"bench_metric_{family}_total",
            made.COUNTER,
            *[
                made.metric(
                    {"device": f"eth{n % 7}", "mode": f"mode{n}", "target": f"t{target}"},
                    counter=made.make("Counter", value=float(_value(n, generation))),
                )
                for n in range(min(FAMILY, samples))
            ],
            help=b"A counter of the bench.",
        )
        for family in range(max(1, samples // FAMILY))
    )


class Churning:
    """The bodies of a target of which one series in `CHURN` is another one at every scrape.

    Those that go are spread evenly over the families, those that come have names of pods, of
    several lengths, so that no line is as wide as the one that it takes the place of.
    """

    def __init__(self, samples: int, target: int) -> None:
        self._target, self._asked, self._come = target, 0, 0
        self._families = [
            [_labels(n, target) for n in range(min(FAMILY, samples))]
            for _ in range(max(1, samples // FAMILY))
        ]

    def __call__(self) -> bytes:
        """Return the next body."""
        if self._asked:
            for labels in self._families:
                for first in range(0, len(labels), CHURN):
                    gone = first + (37 * self._asked + self._come) % min(CHURN, len(labels))
                    del labels[gone]
                    labels.insert((gone * 7) % (len(labels) + 1), self._fresh())
        self._asked += 1
        values = [_value(n, self._asked) for n in range(FAMILY)]
        lines = chain.from_iterable(
            (
                f"# HELP bench_metric_{family}_total A counter of the bench.",
                f"# TYPE bench_metric_{family}_total counter",
                *[
                    f"bench_metric_{family}_total{{{of}}} {value}"
                    for of, value in zip(labels, values, strict=False)
                ],
            )
            for family, labels in enumerate(self._families)
        )
        return ("\n".join(lines) + "\n").encode()

    def _fresh(self) -> str:
        self._come += 1
        pod = f"{'checkout-' * (1 + self._come % 3)}{self._come * 2654435761 % 10**9:x}"
        return f'device="eth{self._come % 7}",pod="{pod}",target="t{self._target}"'


def _labels(n: int, target: int) -> str:
    return f'device="eth{n % 7}",mode="mode{n}",target="t{target}"'


def _value(n: int, generation: int) -> str:
    return f"{1000 * n + (generation % 4 * 7 if n % 2 else 0)}.25"

"""What the terminal shows: plain values in, lines out. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BOLD, DIM, RED, GREEN, YELLOW, RESET = (
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[0m",
)
COLOURS = {"up": GREEN, "failing": RED, "skipped": YELLOW, "pending": DIM}
SHOWN = (
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.deployment.name",
    "k8s.node.name",
    "service.name",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line of the targets table; state is up, failing, pending or skipped."""

    state: str
    workload: str
    url: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One point as it arrived: resource attributes, the point's own labels, the value in words."""

    pipeline: str
    metric: str
    resource: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is shown at one moment."""

    seconds: float
    headline: Sequence[str]
    targets: Sequence[Target]
    pipelines: Mapping[str, Mapping[str, int]]
    examples: Sequence[Example]
    trouble: Sequence[str] = ()
    phase: str = "running"


def render(scene: Scene, width: int, height: int, *, colour: bool) -> list[str]:
    """Lay *scene* out in at most *height* lines of at most *width* columns each."""

    def paint(text: str, code: str) -> str:
        return f"{code}{text}{RESET}" if colour and text else text

    lines = [
        paint(clip(line, width), BOLD if i == 0 else DIM) for i, line in enumerate(scene.headline)
    ]
    lines += [paint(clip(f"! {line}", width), RED) for line in scene.trouble]
    lines.append("")
    columns = ("received", "filtered", "delivered", "held", "dropped", "arrived")
    rows = [
        (name, *(f"{figures.get(c, 0):,}" for c in columns))
        for name, figures in scene.pipelines.items()
    ]
    table = tabulate(("PIPELINE", *(c.upper() for c in columns)), rows, width, right=range(1, 7))
    lines += [paint(table[0], BOLD), *table[1:], ""]

    counts = {state: sum(t.state == state for t in scene.targets) for state in COLOURS}
    tally = " · ".join(f"{counts[state]} {state}" for state in ("up", "failing", "skipped"))
    lines.append(paint(clip(f"TARGETS  {tally}", width), BOLD))
    rows = [(t.state, t.workload, t.url or t.why) for t in scene.targets]
    for row, target in zip(tabulate(None, rows, width - 2), scene.targets, strict=True):
        lines.append("  " + paint(row, COLOURS.get(target.state, "")))
        if target.url and target.why:
            lines.append(paint(clip(f"           {target.why}", width), COLOURS[target.state]))

    lines += ["", paint(clip("ARRIVED LATELY", width), BOLD)]
    room = max(0, height - len(lines) - 1)
    lines += (
        [clip("  " + words(example), width) for example in scene.examples[-room:]] if room else []
    )
    return lines[:height]


def words(example: Example) -> str:
    """One point in one line: pipeline, metric, labels, value, and whose it is."""
    labels = ",".join(f"{k}={v}" for k, v in example.labels)
    resource = dict(example.resource)
    whose = " ".join(resource[key] for key in SHOWN if resource.get(key))
    return f"{example.pipeline}  {example.metric}{{{labels}}} {example.value}  {whose}".rstrip()


def tabulate(
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    width: int,
    right: Iterable[int] = (),
) -> list[str]:
    """Align *rows* in columns; the last column gives way where the terminal is narrow."""
    everything = [*([header] if header else []), *rows]
    if not everything:
        return []
    to_right = set(right)
    widths = [max(columns_of(row[i]) for row in everything) for i in range(len(everything[0]))]
    lines = []
    for row in everything:
        cells = [
            pad(cell, w, right=i in to_right)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(clip("  ".join(cells).rstrip(), width))
    return lines


def columns_of(text: str) -> int:
    """Return how many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def pad(text: str, width: int, *, right: bool) -> str:
    """Fill *text* with spaces up to *width* columns."""
    space = " " * max(0, width - columns_of(text))
    return space + text if right else text + space


def clip(text: str, width: int) -> str:
    """Cut *text* to *width* columns with an ellipsis; control characters are taken out."""
    text = "".join(c if c.isprintable() else " " for c in text)
    if columns_of(text) <= width:
        return text
    while text and columns_of(text) > width - 1:
        text = text[:-1]
    return f"{text}…"

"""All that follows from a body without its numbers: learnt once, used for as long as it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from agent.exposition import (
    checks,
    grammar,
    keyed,
    lines,
    metrics,
    model,
    points,
    roles,
    series,
    template,
    translate,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What a target exposed, but for the numbers."""

    form: model.Format
    exposition: model.Exposition | None
    """What it was learnt from, kept where there is no text to compare with."""
    layout: series.Layout | keyed.Keyed | None
    words: keyed.Keyed | None
    """The lines of the text, until it changes for the first time; None where that is not simple."""
    families: Mapping[bytes, model.Family]
    template: template.Template
    checks: checks.Checks
    faults: Mapping[int, translate.Drop]  # the points that the template leaves out
    info: grammar.Labels  # of target_info
    samples: int  # that count: all but created timestamps
    filtered: int
    hidden: int
    duplicates: int
    dropped: Mapping[translate.Drop, int]  # whatever the numbers are
    skipped: int = 0
    complaint: str = ""
    known: _Known = field(default_factory=lambda: _Known())  # noqa: PLW0108 - it is defined below

    @property
    def held_bytes(self) -> int:
        """Return about how much memory this occupies."""
        held = self.template.held_bytes + self.known.held_bytes
        if self.layout is not None:
            held += self.layout.held_bytes
        return held + (0 if self.words is None else self.words.held_bytes)


class _Known:
    # Hashes of the single series of a shape, made when they are first asked for. Two series of one
    # hash would only cost a shape learnt anew.
    __slots__ = ("_hashes",)

    def __init__(self) -> None:
        self._hashes: set[int] | None = None

    @property
    def held_bytes(self) -> int:
        return 0 if self._hashes is None else 64 * len(self._hashes)

    def of(self, written: template.Template) -> set[int]:
        """Return them; it is the caller's to keep them true."""
        if self._hashes is None:
            self._hashes = {
                hash_of(key)
                for key, wrapping in written.tracked(timed=True).items()
                if wrapping.kind in points.LONE
            }
        return self._hashes


def hash_of(key: template.Key) -> int:
    """Return the hash of a single series: that of its `staleness.Single`."""
    name, _, payload, scope = key
    return hash((name, points.identity(payload), scope))


def learn(
    exposition: model.Exposition,
    found: lines.Lines | None,
    origin: metrics.Origin,
    rules: translate.Rules,
    time_ns: int,
    *,
    honor_timestamps: bool = True,
) -> Shape:
    """Learn the shape of *exposition*, of the text *found* if it is one, as of *time_ns*."""
    read = exposition
    if not honor_timestamps:
        exposition = replace(read, times=np.full_like(read.times, model.UNTIMED))
    translation = translate.translate(exposition, rules)
    checked = checks.Checks.of(translation, exposition.times)
    readings = readings_of(exposition)
    faults = checked.find(readings, time_ns // model.MILLISECOND)
    written = template.Template.of(
        translation, origin.with_info(translation.info), exposition.times, faults
    )
    return Shape(
        form=exposition.format,
        exposition=read if found is None else None,
        layout=None if found is None else series.Layout.learn_lines(found, read),
        words=None if found is None else _keyed(found, read),
        families=exposition.families,
        template=written,
        checks=checked,
        faults=faults,
        info=translation.info,
        samples=len(exposition.names) - translation.hidden,
        filtered=translation.filtered,
        hidden=translation.hidden,
        duplicates=translation.duplicates,
        dropped=translation.dropped,
        skipped=exposition.skipped,
        complaint=exposition.complaint,
    )


def _keyed(found: lines.Lines, read: model.Exposition) -> keyed.Keyed | None:
    # Samples that are neither points nor left out; comments of which not each is a line.
    if roles.TARGET in read.names or series.spans_lines(read):
        return None
    sample_lines = np.searchsorted(found.starts, read.value_at, side="right") - 1
    if not (found.keys()[sample_lines] == read.value_at).all():
        return None
    return keyed.Keyed.of(found, sample_lines.astype(np.int32))


def readings_of(exposition: model.Exposition) -> series.Readings:
    """Return the numbers of an exposition."""
    return series.Readings(
        values=exposition.values,
        times=exposition.times,
        exemplars=exposition.exemplars,
        natives=exposition.natives,
    )

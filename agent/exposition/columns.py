"""What a text is read into, line by line, and what is asked of its samples in every text format."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from agent.exposition import grammar, model, numbers
from common.wire import errors

Lines: TypeAlias = Callable[["Columns", int], None]
"""Reads all lines from the one that begins at a byte on; raises what `Columns` raises."""


class Columns:
    """The samples of one body, in columns that grow.

    A format appends to ``names``, ``labels``, ``texts`` and ``value_at`` alike, to ``stamps`` and
    ``exemplars`` by the number of the sample, and describes ``families``. Before anything of a line
    can be refused it sets ``line_at``, and ``behind`` once it knows where a sample ends.
    """

    __slots__ = (
        "_limits", "_suspect", "behind", "body", "exemplars", "families", "labels", "line_at",
        "names", "stamps", "texts", "value_at",
    )  # fmt: skip

    def __init__(self, body: bytes, limits: model.Limits) -> None:
        self.body = body
        self._limits = limits
        # Checked once for the whole; only a body that fails is checked string by string, because
        # bytes that are not UTF-8 are allowed in the comments of one format.
        self._suspect = not grammar.is_utf8(body)
        self.names: list[bytes] = []
        self.labels: list[grammar.Labels] = []
        self.texts: list[bytes] = []
        self.value_at: list[int] = []
        self.stamps: dict[int, bytes] = {}
        self.exemplars: dict[int, model.Exemplar] = {}
        self.families: dict[bytes, model.Family] = {}
        self.line_at = 0
        self.behind = 0

    def add(self, sample: grammar.Sample, at: int, exemplar: model.Exemplar | None = None) -> int:
        """Check and append *sample*, read at byte *at*; return where the next line begins."""
        self.behind = sample.next
        self.check_utf8(sample.name, at, "metric name")
        self.check_labels(sample.labels, at)
        number = len(self.names)
        if sample.timestamp is not None:
            self.stamps[number] = sample.timestamp
        if exemplar is not None:
            self.exemplars[number] = exemplar
        self.names.append(sample.name)
        self.labels.append(sample.labels)
        self.texts.append(sample.value)
        self.value_at.append(sample.value_at)
        return sample.next

    def check_labels(self, labels: grammar.Labels, at: int) -> None:
        """Refuse *labels*, read at byte *at*, that no series may have, or that exceed a limit."""
        names = dict(labels)
        if len(names) != len(labels) or b"__name__" in names or b"" in names:
            grammar.refuse(self.body, at, "a label name is empty, reserved or repeated")
        if self._suspect:
            for name, value in labels:
                self.check_utf8(name, at, "label name")
                self.check_utf8(value, at, "label value")
        limits = self._limits
        if 0 < limits.labels < len(labels):
            self._too_large(at, f"{len(labels)} labels", limits.labels)
        if limits.label_name_bytes:
            longest = max(map(len, names), default=0)
            if longest > limits.label_name_bytes:
                self._too_large(at, f"a label name of {longest} bytes", limits.label_name_bytes)
        if limits.label_value_bytes:
            longest = max(map(len, names.values()), default=0)
            if longest > limits.label_value_bytes:
                self._too_large(at, f"a label value of {longest} bytes", limits.label_value_bytes)

    def check_utf8(self, text: bytes, at: int, what: str) -> None:
        """Refuse *text*, called *what*, unless it is UTF-8."""
        if self._suspect and not grammar.is_utf8(text):
            grammar.refuse(self.body, at, f"the {what} is not UTF-8")

    def describe(self, metadata: grammar.Metadata, at: int) -> None:
        """Note what a comment at byte *at* says about a family; the last word counts."""
        self.check_utf8(metadata.name, at, "metric name")
        known = self.families.get(metadata.name, model.Family())
        if metadata.keyword == b"HELP":
            self.check_utf8(metadata.text, at, "help")
            self.families[metadata.name] = known._replace(help=metadata.text)
        elif metadata.keyword == b"UNIT":
            self.families[metadata.name] = known._replace(unit=metadata.text)
        else:
            self.families[metadata.name] = known._replace(type=metadata.text)

    def read(
        self,
        lines: Lines,
        milliseconds: Callable[[bytes], int],
        form: model.Format,
        *,
        drop_lines: bool,
    ) -> model.Exposition:
        """Let *lines* read the whole body, then turn the texts of numbers and times into such.

        Raises `errors.Malformed` at the first error, unless *drop_lines* leaves such lines out, and
        `errors.TooLarge` at a limit in any case. Linear in the size of the body.
        """
        self._limits.check_lines(self.body)
        skipped, first, first_line_at = self._all(lines, milliseconds, drop_lines=drop_lines)
        values, times, faults = self._numbers(milliseconds)
        if faults:
            fault = self._fault(faults)
            if not drop_lines:
                raise fault
            if first is None or fault.at < first_line_at:
                first = fault
            skipped += len(faults)
            values, times = self._without(faults, values, times)
        if 0 < self._limits.samples < len(self.names):
            raise model.TooMany(len(self.names), self._limits.samples)
        return model.Exposition(
            format=form,
            names=self.names,
            labels=self.labels,
            values=values,
            times=times,
            value_at=np.array(self.value_at, np.int64),
            families=self.families,
            exemplars=self.exemplars,
            skipped=skipped,
            complaint="" if first is None else str(first),
        )

    def _all(
        self, lines: Lines, milliseconds: Callable[[bytes], int], *, drop_lines: bool
    ) -> tuple[int, grammar.Refused | None, int]:
        # How many lines were left out, what was wrong with the first, and where it begins.
        skipped, first, first_line_at = 0, None, 0
        at = 0
        while True:
            try:
                lines(self, at)
            except grammar.Refused as refused:
                if not drop_lines:
                    self._raise_an_earlier_one(milliseconds)
                    raise
                skipped += 1
                if first is None:
                    first, first_line_at = refused, self.line_at
                # A sample that was read to its end may span lines; of others only one is known.
                at = max(self.behind, grammar.next_line(self.body, self.line_at))
            except errors.TooLarge:
                if not drop_lines:
                    self._raise_an_earlier_one(milliseconds)
                raise
            else:
                return skipped, first, first_line_at

    def _raise_an_earlier_one(self, milliseconds: Callable[[bytes], int]) -> None:
        # Numbers are read last, all at once; the first error is the one to show.
        _, _, faults = self._numbers(milliseconds)
        if faults:
            raise self._fault(faults)

    def _fault(self, faults: dict[int, str]) -> grammar.Refused:
        sample = min(faults)
        return grammar.Refused(self.body, self.value_at[sample], faults[sample])

    def _numbers(
        self, milliseconds: Callable[[bytes], int]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], dict[int, str]]:
        # Values, times, and what is wrong with samples that have none.
        faults: dict[int, str] = {}
        try:
            values = numbers.numbers(self.texts)
        except ValueError:
            values = np.zeros(len(self.texts))
            for i, text in enumerate(self.texts):
                try:
                    values[i] = numbers.number(text)
                except ValueError as reason:
                    faults[i] = str(reason)
        times = np.full(len(self.names), model.UNTIMED, np.int64)
        known: dict[bytes, int] = {}  # targets with timestamps tend to have one for everything
        for i, text in self.stamps.items():
            if text not in known:
                try:
                    known[text] = milliseconds(text)
                except ValueError as reason:
                    faults.setdefault(i, str(reason))
                    continue
            times[i] = known[text]
        return values, times, faults

    def _without(
        self,
        faults: dict[int, str],
        values: npt.NDArray[np.float64],
        times: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        kept = [i for i in range(len(self.names)) if i not in faults]
        self.names = [self.names[i] for i in kept]
        self.labels = [self.labels[i] for i in kept]
        self.value_at = [self.value_at[i] for i in kept]
        self.exemplars = {n: self.exemplars[i] for n, i in enumerate(kept) if i in self.exemplars}
        return values[kept], times[kept]

    def _too_large(self, at: int, what: str, limit: int) -> NoReturn:
        raise errors.TooLarge(
            f"line {grammar.line(self.body, at)}, byte {at}: {what} over the limit of {limit}; "
            "shorten the labels or raise the limit"
        )


class Sets:
    """Label sets in the common form, by their text: labels without escapes, no blanks between."""

    __slots__ = ("_parts", "known")

    def __init__(self) -> None:
        # They come back in one family after the other.
        self.known: dict[bytes | None, grammar.Labels] = {None: (), b"": ()}
        # All labels of a set but the last, without the closing quote, and the last: both come back
        # in the buckets of a histogram.
        self._parts: dict[bytes, grammar.Labels] = {}

    def split(self, inner: bytes) -> grammar.Labels:
        """Split what stands between braces; the caller puts it into ``known`` when it is sound."""
        # A quote before a comma ends a value, or, behind an equals sign, perhaps begins one.
        head, _, last = inner.rpartition(b'",')
        if not last or not head or head.endswith(b"="):
            return grammar.pairs(inner)
        parts = self._parts
        before, behind = parts.get(head), parts.get(last)
        if before is None:
            before = parts[head] = grammar.pairs(head + b'"')
        if behind is None:
            behind = parts[last] = grammar.pairs(last)
        return before + behind

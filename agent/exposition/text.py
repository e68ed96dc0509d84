"""A strict parser of the Prometheus text format 0.0.4: a body is read whole, or refused whole.

OpenMetrics and the protobuf format are other grammars with the same result, `model.Exposition`;
they stand beside this module.
"""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from agent.exposition import grammar, model, numbers
from common.wire import errors

# The common form of a sample: labels without escapes, no blanks inside the braces. What does not
# match, `grammar` reads; the quantifiers are as they are for the reason given there.
_SAMPLE = re.compile(
    rb"([a-zA-Z_:][a-zA-Z0-9_:]*+)[ \t]*+"
    rb'(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\]*+",?+)*)\}[ \t]*+)?'
    rb"([^{ \t\n]++)[ \t]*+(?:([0-9]++)[ \t]*+)?(?:\n|\Z)"
)
_PAIR = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*+)="([^"]*+)"')


def parse(body: bytes, limits: model.Limits) -> model.Exposition:
    """Parse *body*, an exposition in text format 0.0.4.

    Raises `errors.Malformed` with the line (from 1), the byte offset and the offending text, and
    `errors.TooLarge` with the value and the limit. Repeated series are not an error here: the same
    series can be spelt in several ways, and target labels change it further.
    """
    return _Reader(body, limits).read()


class _Reader:
    """One pass over one body."""

    __slots__ = (
        "_body", "_limits", "_parts", "_sets", "_suspect", "families", "labels", "names", "stamps",
        "texts", "value_at",
    )  # fmt: skip

    def __init__(self, body: bytes, limits: model.Limits) -> None:
        self._body = body
        self._limits = limits
        # Checked once for the whole; only a body that fails is checked string by string, because
        # bytes that are not UTF-8 are allowed in comments.
        self._suspect = not _is_utf8(body)
        # Label sets by their text: they come back in one family after the other.
        self._sets: dict[bytes | None, grammar.Labels] = {None: (), b"": ()}
        # All labels of a set but the last, without the closing quote, and the last: both come back
        # in the buckets of a histogram.
        self._parts: dict[bytes, grammar.Labels] = {}
        self.names: list[bytes] = []
        self.labels: list[grammar.Labels] = []
        self.texts: list[bytes] = []
        self.value_at: list[int] = []
        self.stamps: dict[int, bytes] = {}  # by sample
        self.families: dict[bytes, model.Family] = {}

    def read(self) -> model.Exposition:
        try:
            self._lines()
        except (errors.Malformed, errors.TooLarge):
            self._values()  # an earlier number may be wrong too: the first error is the one to show
            raise
        values, times = self._values(), self._times()
        if 0 < self._limits.samples < len(self.names):
            raise errors.TooLarge(
                f"{len(self.names)} samples exceed the limit of {self._limits.samples}; "
                "expose fewer series or raise the sample limit"
            )
        return model.Exposition(
            names=self.names,
            labels=self.labels,
            values=values,
            times=times,
            value_at=np.array(self.value_at, np.int64),
            families=self.families,
        )

    def _lines(self) -> None:
        body, common, sets = self._body, _SAMPLE.match, self._sets
        names, every, texts, value_at = self.names, self.labels, self.texts, self.value_at
        size = len(body)
        at = 0
        while at < size:
            found = common(body, at)
            if found is None:
                at = self._uncommon(at)
                continue
            name, inner, text, timestamp = found.groups()
            labels = sets.get(inner)
            if labels is None:
                labels = self._split(inner)
                self._check(labels, found.start(2))
                sets[inner] = labels
            if timestamp is not None:
                self.stamps[len(names)] = timestamp
            names.append(name)
            every.append(labels)
            texts.append(text)
            value_at.append(found.start(3))
            at = found.end()

    def _split(self, inner: bytes) -> grammar.Labels:
        # What stands between braces, in the common form. A quote before a comma ends a value, or,
        # behind an equals sign, perhaps begins one.
        head, _, last = inner.rpartition(b'",')
        if not last or not head or head.endswith(b"="):
            return tuple(_PAIR.findall(inner))
        parts = self._parts
        before, behind = parts.get(head), parts.get(last)
        if before is None:
            before = parts[head] = tuple(_PAIR.findall(head + b'"'))
        if behind is None:
            behind = parts[last] = tuple(_PAIR.findall(last))
        return before + behind

    def _uncommon(self, line_at: int) -> int:
        at = grammar.blanks(self._body, line_at)
        first = self._body[at : at + 1]
        if first == b"\n":
            return at + 1
        if first in (b"", b"\0"):
            return len(self._body)  # a NUL at the start of a line ends the input
        if first == b"#":
            found = grammar.comment(self._body, at)
            if isinstance(found, grammar.Metadata):
                self._describe(found, at)
                return found.next
            return found
        if at > line_at and first != b"{":
            # The format's description ignores these blanks; Prometheus refuses them, or, since it
            # takes any UTF-8 for a name, makes them part of the name.
            grammar.refuse(self._body, at, "blanks before the metric name")
        sample = grammar.sample(self._body, at)
        self._check_utf8(sample.name, at, "metric name")
        self._check(sample.labels, at)
        if sample.timestamp is not None:
            self.stamps[len(self.names)] = sample.timestamp
        self.names.append(sample.name)
        self.labels.append(sample.labels)
        self.texts.append(sample.value)
        self.value_at.append(sample.value_at)
        return sample.next

    def _describe(self, metadata: grammar.Metadata, at: int) -> None:
        self._check_utf8(metadata.name, at, "metric name")
        known = self.families.get(metadata.name, model.Family())
        if metadata.keyword == b"HELP":
            self._check_utf8(metadata.text, at, "help")
            self.families[metadata.name] = known._replace(help=metadata.text)
        else:
            self.families[metadata.name] = known._replace(type=metadata.text)

    def _check(self, labels: grammar.Labels, at: int) -> None:
        names = dict(labels)
        if len(names) != len(labels) or b"__name__" in names or b"" in names:
            grammar.refuse(self._body, at, "a label name is empty, reserved or repeated")
        if self._suspect:
            for name, value in labels:
                self._check_utf8(name, at, "label name")
                self._check_utf8(value, at, "label value")
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

    def _too_large(self, at: int, what: str, limit: int) -> NoReturn:
        raise errors.TooLarge(
            f"line {grammar.line(self._body, at)}, byte {at}: {what} over the limit of {limit}; "
            "shorten the labels or raise the limit"
        )

    def _check_utf8(self, text: bytes, at: int, what: str) -> None:
        if self._suspect and not _is_utf8(text):
            grammar.refuse(self._body, at, f"the {what} is not UTF-8")

    def _values(self) -> npt.NDArray[np.float64]:
        try:
            return numbers.numbers(self.texts)
        except ValueError as reason:
            for text, at in zip(self.texts, self.value_at, strict=True):
                self._refuse_unless_number(text, at)
            raise RuntimeError("BUG: numbers refused together, accepted one by one") from reason

    def _refuse_unless_number(self, text: bytes, at: int) -> None:
        try:
            numbers.number(text)
        except ValueError as reason:
            grammar.refuse(self._body, at, str(reason))

    def _times(self) -> npt.NDArray[np.int64]:
        times = np.full(len(self.names), model.UNTIMED, np.int64)
        for i, text in self.stamps.items():
            try:
                times[i] = grammar.milliseconds(text)
            except ValueError as reason:
                grammar.refuse(self._body, self.value_at[i], str(reason))
        return times


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True

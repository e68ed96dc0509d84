"""Which version of remote write a backend is spoken to in, and what its answers to 2.0 mean.

Source: "Prometheus Remote-Write 2.0 specification" (2.0-rc.4): content types, response headers,
"Compatibility and versions". What it leaves open is decided so:

* 415, and success without any header that says what was written, mean that the backend does not
  know 2.0: receivers of 1.0 find nothing that they know in such a request, and agree. It is sent
  again as 1.0, as are all others for a while.
* 400 is the answer to data that cannot be taken, some of which may have been. It is not tried
  again, not in 1.0 either; if nothing was written, the message says what to do about a backend that
  means the version.
* What a backend says it has written is believed. How many points the samples belonged to that it
  has not, it does not say: each counts as a point, up to all of the request. So a classic histogram
  of twelve series of which none was written counts as twelve, and a loss never as less than it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from common.exporters import answers
from common.exporters.http_posting import Answer
from common.exporters.outcomes import Delivered, Refused, Retry, TooBig, Verdict
from common.wire.remote_write_v2 import Counts

V1: Final[Mapping[str, str]] = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
"""The headers of a request in 1.0."""

V2: Final[Mapping[str, str]] = {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "2.0.0",
}
"""The headers of a request in 2.0."""

FORGET_AFTER: Final = 3600.0
"""Seconds after which a backend that did not know 2.0 is asked again: it may have been renewed."""

_SAMPLES: Final = "X-Prometheus-Remote-Write-Samples-Written"
_HISTOGRAMS: Final = "X-Prometheus-Remote-Write-Histograms-Written"
_EXEMPLARS: Final = "X-Prometheus-Remote-Write-Exemplars-Written"


@final
@dataclass(frozen=True, slots=True)
class OtherVersion:
    """The backend does not know the version that the request is in."""

    why: str


class Spoken:
    """What is known of a backend that shall be spoken 2.0 with; times are in seconds."""

    __slots__ = ("_refused", "_until")

    def __init__(self) -> None:
        self._until = float("-inf")
        self._refused = False  # and since then it has taken none

    def is_v2(self, now: float) -> bool:
        """Say whether the next request is to be in 2.0."""
        return now >= self._until

    def refuse(self, now: float) -> bool:
        """Note that the backend does not know 2.0; return whether that is new."""
        self._until = now + FORGET_AFTER
        news, self._refused = not self._refused, True
        return news

    def take(self) -> bool:
        """Note that the backend knows 2.0; return whether it once did not."""
        self._until = float("-inf")
        news, self._refused = self._refused, False
        return news


def verdict_v1(answer: Answer, now: float) -> Verdict:
    """Sort an answer to 1.0 by its status; *now* is in seconds since the Unix epoch.

    2xx is final; 5xx and 429 are tried again; no other 4xx is. A 413 is not tried again either: the
    halves of the batch are other requests.
    """
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status >= 500 or answer.status == 429:
        return Retry(answer.why, answers.retry_after(answer.retry_after, now, answer.date))
    if answer.status == 413:
        return TooBig(answer.why)
    if 300 <= answer.status < 400:
        return Refused(f"{answer.why}; redirects are not followed, change the url")
    return Refused(answer.why)


def verdict_v2(
    answer: Answer, now: float, *, points: int, counts: Counts
) -> Verdict | OtherVersion:
    """Sort an answer to a request in 2.0 of *points* and *counts*; *now* as in `verdict_v1`."""
    if answer.status == 415:
        return OtherVersion(answer.why)
    plain = verdict_v1(answer, now)
    is_final = isinstance(plain, Delivered) or (isinstance(plain, Refused) and answer.status >= 400)
    if not is_final or not counts.samples + counts.histograms:
        return plain
    written = _written(answer.headers)
    if written is not None:
        return _counted(answer, plain, points, counts, written)
    if isinstance(plain, Delivered):
        return OtherVersion(f"{answer.why} without a word of what was written")
    if answer.status == 400:
        remedy = 'if it does not know remote write 2.0, set protocol: "1.0"'
        return Refused(f"{answer.why} ({remedy})")
    return plain


def _counted(answer: Answer, plain: Verdict, points: int, sent: Counts, written: Counts) -> Verdict:
    """Return the verdict on an answer that says what was *written*; *plain* is that without."""
    samples = min(sent.samples, written.samples)
    histograms = min(sent.histograms, written.histograms)
    lost = sent.samples + sent.histograms - samples - histograms
    if not lost and isinstance(plain, Delivered):
        return plain
    said = (
        f"{answer.why}; written: {samples} of {sent.samples} samples, "
        f"{histograms} of {sent.histograms} histograms"
    )
    if not samples + histograms:
        return Refused(said)
    return Delivered(rejected=min(points, lost), message=said)


def _written(headers: Mapping[str, str]) -> Counts | None:
    """Return what the backend says it has written, ``None`` if it does not say anything."""
    said = [headers.get(name) for name in (_SAMPLES, _HISTOGRAMS, _EXEMPLARS)]
    if all(text is None for text in said):
        return None
    samples, histograms, exemplars = map(_number, said)
    return Counts(samples=samples, histograms=histograms, exemplars=exemplars)


def _number(text: str | None) -> int:
    """Read a count; what is none counts as nothing written, for the backend does not say so."""
    text = (text or "").strip()
    return int(text[:18]) if text.isascii() and text.isdigit() else 0

"""Histories of targets: what they answer, scrape by scrape, and how they misbehave."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tests.fakes import metric_families as families
from tests.flow import exposed_formats, exposed_texts
from tests.flow.exporters import Capture
from tests.flow.scripted import TEXT, Step

STEPS: Final = 16
"""Of every history; those that are shorter stay at their last step."""
DOORS: Final = ("closing",)
"""Targets that somebody who wants to connect does not find for a while."""
HONORING: Final = ("honored",)
"""Targets whose own labels win."""
MAX_LABELS, MAX_SAMPLES = 30, 3000
"""The limits that the history of ``limited`` breaks, of one sample and of one exposition."""


def lasting(steps: Sequence[Step]) -> list[Step]:
    """Make a history as long as all are: its last step stays."""
    assert len(steps) <= STEPS
    return [*steps, *([steps[-1]] * (STEPS - len(steps)))]


def of_exporter(captures: Sequence[Capture]) -> list[Step]:
    """Let an exporter change, lose families, fail in every way, and start anew."""
    first, second, third = (Step(body=c.body, content_type=c.content_type) for c in captures)
    kind = first.content_type
    is_protobuf = "protobuf" in kind
    half = _half_of_protobuf(third.body) if is_protobuf else _half_of_text(third.body)
    broken = third.body[:-3] if is_protobuf else third.body + b'broken{x="1" 2\n'
    return lasting(
        [
            first,
            first,
            second,
            Step(status=500, body=b"try again", content_type=TEXT),
            second,
            third,
            Step(content_type=kind),  # nothing at all
            third,
            Step(body=half, content_type=kind),
            third,
            first,  # began anew
            Step(body=second.body, content_type=kind, cut=True),
            second,
            Step(body=broken, content_type=kind),
            third,
        ]
    )


def _half_of_text(body: bytes) -> bytes:
    blocks = re.split(rb"(?m)^(?=# HELP )", body)
    return b"".join(blocks[::2])


def _half_of_protobuf(body: bytes) -> bytes:
    return families.body(families.read(body)[::2])


def made_up(now_ms: int) -> dict[str, list[Step]]:
    """Return the histories that no exporter tells; explicit timestamps are before *now_ms*."""
    return {
        "vanishing": _texts(exposed_texts.VANISHING),
        "retyped": _texts(exposed_texts.RETYPED),
        "timed": _texts(_dated(exposed_texts.TIMED, now_ms)),
        "mixed": _texts(_dated(exposed_texts.MIXED, now_ms)),
        "twice": _texts(_dated(exposed_texts.TWICE, now_ms)),
        "special": _texts(exposed_texts.SPECIAL),
        "conflicting": _texts(exposed_texts.CONFLICTING),
        "honored": _texts(exposed_texts.CONFLICTING),
        "composites": _texts(exposed_texts.COMPOSITES),
        "spaced": _texts(exposed_texts.SPACED),
        "failing": _failing(),
        "limited": _limited(),
        "closing": _closing(),
        "openmetrics": lasting(exposed_formats.openmetrics()),
        "exemplary": lasting(exposed_formats.exemplary(_stamps(now_ms))),
        "families": lasting(exposed_formats.families(_stamps(now_ms))),
    }


def _texts(texts: Sequence[str]) -> list[Step]:
    return lasting([Step(body=text.encode()) for text in texts])


def _dated(texts: Sequence[str], now_ms: int) -> list[str]:
    """Write a time for each ``@n`` and ``@+``."""
    stamps = _stamps(now_ms)
    texts = [text.replace("@+", str(now_ms + 1_200_000)) for text in texts]
    return [re.sub(r"@(\d)", lambda found: str(stamps[int(found[1])]), text) for text in texts]


def _stamps(now_ms: int) -> list[int]:
    """Return ascending times of the last minute."""
    return [now_ms - 60_000 + 1000 * i for i in range(10)]


def _failing() -> list[Step]:
    good = Step(body=b"# TYPE failing_f gauge\nfailing_f 1\nfailing_g 2\n")
    return lasting(
        [
            Step(status=404, body=b"no"),
            good,
            Step(status=503, body=b"failing_f 1\n"),
            Step(status=503, body=b"failing_f 1\n"),  # the markers come once
            good,
            Step(body=b"failing_f 1\nfailing_new 1\nfailing_g 1 2 3\n"),
            Step(body=good.body + b"failing_new 2\n"),
            Step(body=b"failing_f one\n"),
            good,
            Step(body=b'failing_f{a="1",a="2"} 1\nfailing_g 1\n'),  # a label twice
            Step(body=b'{a="1"} 1\n'),  # no name
            good,
            Step(body=b"\n\n# only words\n"),
            Step(body=b"failing_f 3\n", content_type=""),
            Step(body=b"# TYPE failing_f nonsense\nfailing_f 3\n"),
            Step(body=b'failing_f{a="\xff"} 1\n'),
        ]
    )


def _limited() -> list[Step]:
    labels = ",".join(f'l{i}="{i}"' for i in range(MAX_LABELS + 1))
    good = Step(body=b"l 1\n")
    many = "".join(f'l{{i="{i}"}} 1\n' for i in range(MAX_SAMPLES + 1))
    return lasting(
        [good, Step(body=f"l 1\nl{{{labels}}} 1\n".encode()), good, Step(body=many.encode()), good]
    )


def _closing() -> list[Step]:
    one, two = (Step(body=f"closing_c {n}\n".encode()) for n in (1, 2))
    return lasting([one, two, Step(body=b"closing_c 3\n", shuts=True), one, two])

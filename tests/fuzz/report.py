"""What a campaign did and found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

KEPT_FINDINGS: Final = 200
KEPT_ALIKE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that must not be."""

    what: str
    index: int | None = None  # of the case: --case
    mutation: str = ""
    outcome: str = ""
    right: tuple[str, ...] = ()
    details: str = ""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a campaign did and found."""

    seed: int
    door: str
    requests: int = 0
    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by mutation and outcome
    findings: list[Finding] = field(default_factory=list)
    findings_total: int = 0
    sent_again: int = 0
    rss_mb: list[float] = field(default_factory=list)  # start, most, end
    cpu_seconds: float = 0.0
    normal: dict[str, list[float]] = field(default_factory=dict)  # milliseconds by door
    normal_waited: int = 0  # answers that said: come again
    points: dict[str, int] = field(default_factory=dict)

    def found(self, finding: Finding) -> None:
        self.findings_total += 1
        same = sum(
            (f.what, f.mutation, f.outcome) == (finding.what, finding.mutation, finding.outcome)
            for f in self.findings
        )
        if same < KEPT_ALIKE and len(self.findings) < KEPT_FINDINGS:
            self.findings.append(finding)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "seed": self.seed,
            "door": self.door,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "requests_per_second": round(self.requests / max(self.seconds, 1e-9)),
            "gateway_cpu_seconds": round(self.cpu_seconds, 1),
            "rss_mb": dict(zip(("start", "most", "end"), self.rss_mb, strict=False)),
            "points": self.points,
            "sent_again": self.sent_again,
            "normal": {door: _spread(found) for door, found in self.normal.items()},
            "normal_told_to_wait": self.normal_waited,
            "outcomes": [
                {"mutation": mutation, "outcome": outcome, "requests": n}
                for (mutation, outcome), n in sorted(self.outcomes.items())
            ],
            "findings_total": self.findings_total,
            "findings": [
                {name: getattr(f, name) for name in Finding.__slots__} for f in self.findings
            ],
        }


def _spread(found: Sequence[float]) -> dict[str, float]:
    ordered = sorted(found) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    spread = {name: round(ordered[int(part * (len(ordered) - 1))], 1) for name, part in at.items()}
    return {"requests": len(found), **spread}

"""What is scraped and what is not, as values; and the targets that the configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final
from urllib.parse import urlsplit

from typing_extensions import override

from agent import urls
from common.config import agent as config, input_names

STATIC: Final = "configuration"  # the subject of targets that the configuration names
APISERVER: Final = "API server"  # the subject of the API server that the leader scrapes


Kind: TypeAlias = Literal["static", "pod", "service", "sidecar", "apiserver"]
"""Where a target comes from."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which of the exposed series are kept: see `exposition.relabelling`."""

    prefixes: tuple[str, ...] = ()
    """Metric names begin with one of these; empty: all are kept."""
    without: tuple[tuple[str, str], ...] = ()
    """Labels and values: a series that has any of them is left out."""


EVERYTHING: Final = Choice()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing to scrape; equality is identity."""

    url: str
    job: str
    instance: str
    """``host:port``; becomes service.instance.id."""
    subject: str
    """"namespace/name" of the pod; "Service namespace/name" where no pod stands behind an endpoint
    of one; `STATIC`; or `APISERVER`."""
    attributes: tuple[tuple[str, str], ...]
    """Resource attributes of everything it exposes, apart from those that the URL tells."""
    interval: float
    """Seconds from one scrape to the next."""
    timeout: float
    """Seconds that one scrape may take; at most the interval."""
    hint: str = ""
    """What a person may try if nothing listens there."""
    kind: Kind = "pod"
    """Where it comes from."""
    labels: tuple[tuple[str, str], ...] = ()
    """Added to every series, ``service`` for one; sorted by name."""
    choice: Choice = EVERYTHING
    """Which of its series are kept."""
    drop_lines: bool = False
    """Whether a line that cannot be read costs itself only, not the scrape."""
    honor_labels: bool = False
    honor_timestamps: bool = True
    credentials: str = ""
    """How it is asked: the name of one of the profiles in `scraping.terms.Terms`, "" for none."""

    @property
    def series(self) -> tuple[object, ...]:
        """What tells its series from those of others, however, and however often, it is asked."""
        return (
            self.url, self.job, self.instance, self.attributes, self.labels, self.choice,
            self.drop_lines, self.honor_labels, self.honor_timestamps,
        )  # fmt: skip

    def same_series(self, other: Target) -> bool:
        """Whether both expose the same series."""
        return self.series == other.series


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that is not scraped, and why."""

    subject: str
    why: str
    asked: bool = True
    """Whether somebody wanted it scraped; pods without the annotation are skipped, but nobody's
    mistake."""
    url: str = ""
    remedy: str = ""
    """What a person may do about it."""
    service: str = field(default="", compare=False)
    """"namespace/name" of the Service that asks for it, or ""."""


Verdict: TypeAlias = Literal["pass", "fail", "note"]
"""Whether a check lets a candidate pass, refuses it, or only has something to say."""


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One check on the way to a decision, in words."""

    text: str
    verdict: Verdict = "pass"
    remedy: str = ""

    @override
    def __str__(self) -> str:
        return f"skipped: {self.text}" if self.verdict == "fail" else self.text


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """All that was decided about one candidate, step by step in the order it was decided.

    Candidates are pods by their own annotations, pods (or endpoints without one) by those of a
    Service, and sidecars.
    """

    subject: str
    uid: str
    """Of the pod, or ""."""
    steps: tuple[Step, ...]
    targets: tuple[Target, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    kind: Kind = "pod"
    service: str = ""
    """"namespace/name" of the Service whose annotations were read, or ""."""


def static(document: config.Agent) -> tuple[Target, ...]:
    """Return the targets that the configuration itself names."""
    defaults = document.scraping
    found = []
    for number, given in enumerate(document.static_targets):
        parts = urlsplit(given.url)
        # As DNS and the Host header have it: ASCII. The configuration has checked that it can be.
        host = (parts.hostname or "").encode("idna").decode()
        instance = urls.host_port(host, urls.port(parts))
        job = given.job or instance
        interval = given.interval or defaults.interval
        query = f"?{parts.query}" if parts.query else ""
        found.append(
            Target(
                url=f"{parts.scheme}://{instance}"
                + urls.request_target(f"{parts.path or '/metrics'}{query}"),
                job=job,
                instance=instance,
                subject=STATIC,
                attributes=(
                    *sorted(given.attributes.items()),
                    (input_names.ATTRIBUTE, input_names.PROMETHEUS),
                ),
                interval=interval,
                timeout=min(given.timeout or defaults.timeout, interval),
                kind="static",
                labels=tuple(sorted(given.labels.items())),
                drop_lines=given.on_error == "drop_line",
                honor_labels=_chosen(given.honor_labels, defaults.honor_labels),
                honor_timestamps=_chosen(given.honor_timestamps, defaults.honor_timestamps),
                credentials=f"static:{number}",
            )
        )
    return tuple(found)


def _chosen(given: bool | None, default: bool) -> bool:  # noqa: FBT001 - a setting and its default
    return default if given is None else given

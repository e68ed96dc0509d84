"""The API server's own metrics: how many requests it answered, of whom asking what. Pure.

Source: k8s.io/apiserver/pkg/endpoints/metrics, ``apiserver_request_total``; of its labels those
that tell something here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from localcluster import requests
from localcluster.errors import StatusError
from localcluster.kinds import Catalogue

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NAME: Final = "apiserver_request_total"
_VERBS: Final[Mapping[requests.Verb, str]] = {"create": "POST", "update": "PUT"}

_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class _Labels(NamedTuple):
    """One series. What is no object has its path as *subresource*, as in the real server."""

    code: str
    group: str
    resource: str
    subresource: str
    verb: str
    version: str


class Traffic:
    """Counts requests; there are as many series as kinds, verbs and codes, for other paths one."""

    def __init__(self) -> None:
        self._answered: Counter[_Labels] = Counter()

    def count(
        self, catalogue: Catalogue, method: str, path: str, query: Mapping[str, str], status: int
    ) -> None:
        """Count a request that was answered with *status*; a watch when the server ends it."""
        try:
            asked = requests.parse(catalogue, method, path, query)
        except StatusError:
            known = path if path == PATH else "other"
            verb = method if method in _METHODS else "other"
            found = _Labels(str(status), "", "", known, verb, "")
        else:
            kind, verb = asked.kind, _VERBS.get(asked.verb, asked.verb.upper())
            found = _Labels(
                str(status), kind.group, kind.resource, asked.subresource, verb, kind.version
            )
        self._answered[found] += 1

    def exposition(self) -> str:
        """Return them in Prometheus' text format."""
        lines = [f"# HELP {_NAME} Requests answered.", f"# TYPE {_NAME} counter"]
        for labels, total in sorted(self._answered.items()):
            # Paths of unknown objects are not among them: nothing here needs to be escaped.
            inside = ",".join(f'{key}="{value}"' for key, value in labels._asdict().items())
            lines.append(f"{_NAME}{{{inside}}} {total}")
        return "\n".join(lines) + "\n"

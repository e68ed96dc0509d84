"""What a request asks of the API: verb, kind, namespace, name and subresource, from its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import yaml

from localcluster import errors, selectors
from localcluster.kinds import Catalogue, Kind
from localcluster.selectors import Selection

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
_ON_ONE: Mapping[str, Verb] = {
    "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
}  # fmt: skip
_ON_MANY: Mapping[str, Verb] = {
    "GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection",
}  # fmt: skip
_TRUE = frozenset({"1", "t", "true", "True", "TRUE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for objects."""

    verb: Verb
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The query of a list or a watch (metav1.ListOptions)."""

    selection: Selection
    limit: int = 0
    token: str = ""
    revision: str = ""
    match: str = ""  # resourceVersionMatch
    timeout: float | None = None  # seconds a watch lasts; None leaves it to the server
    bookmarks: bool = False
    initial_events: bool | None = None  # sendInitialEvents


def parse(catalogue: Catalogue, method: str, path: str, query: Mapping[str, str]) -> Request:
    """Read ``/api/v1/...`` and ``/apis/GROUP/VERSION/...``; raises ``StatusError`` 404 or 405."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.no_such_path()
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:
        raise errors.no_such_path()
    resource, name, subresource = (*rest, "", "")[:3]
    kind = catalogue.at(group, version, resource)
    if kind is None or (namespace and not kind.namespaced):
        raise errors.no_such_path()
    if subresource and subresource not in kind.subresources:
        raise errors.no_such_path()
    if name and kind.namespaced and not namespace:
        raise errors.no_such_path()
    verb = (_ON_ONE if name else _ON_MANY).get(method)
    if verb is None:
        raise errors.method_not_allowed()
    if verb == "list" and query.get("watch") in _TRUE:
        verb = "watch"
    return Request(verb=verb, kind=kind, namespace=namespace, name=name, subresource=subresource)


def list_options(request: Request, query: Mapping[str, str]) -> ListOptions:
    """Read the query of a list, a watch or a delete of many; raises ``StatusError`` 400."""
    timeout = query.get("timeoutSeconds")
    initial = query.get("sendInitialEvents")
    return ListOptions(
        selection=selectors.select(
            request.namespace, query.get("labelSelector", ""), query.get("fieldSelector", "")
        ),
        limit=number(query, "limit"),
        token=query.get("continue", ""),
        revision=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        timeout=number(query, "timeoutSeconds") if timeout else None,
        bookmarks=query.get("allowWatchBookmarks") in _TRUE,
        initial_events=None if initial is None else initial in _TRUE,
    )


def revision_of(text: str) -> int:
    """Read a resourceVersion; raises ``StatusError`` 400."""
    if not text.isdecimal():
        raise errors.bad_request(f"invalid resource version {text!r}: it must be a number")
    return int(text)


def body(data: bytes, content_type: str) -> Any:
    """Read a body as JSON, or as YAML when it says so; raises ``StatusError`` 400 or 415."""
    if content_type.endswith("yaml"):
        try:
            return yaml.load(data, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader without dates
        except yaml.YAMLError as error:
            raise errors.bad_request(f"the body is not YAML: {error}") from error
    if content_type and not content_type.endswith("json"):
        known = ("application/json", "application/yaml")
        raise errors.unsupported_media_type(content_type, known)
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise errors.bad_request(f"the body is not JSON: {error}") from error


def number(query: Mapping[str, str], key: str) -> int:
    """Read a number of the query, 0 when absent; raises ``StatusError`` 400."""
    text = query.get(key) or "0"
    if not text.isdecimal():
        raise errors.bad_request(f"invalid {key} {text!r}: it must be a number")
    return int(text)


class _PlainLoader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: timestamps stay text."""


_PlainLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

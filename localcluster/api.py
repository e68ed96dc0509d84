"""What the API answers: requests in, objects, tables, watches and refusals out."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec
from aiohttp import web

from localcluster import (
    actions,
    applying,
    discovery,
    errors,
    garbage,
    openapi,
    patches,
    proxying,
    requests,
    streams,
    tables,
    traffic,
)
from localcluster.errors import StatusError
from localcluster.kinds import Catalogue, Object
from localcluster.requests import Request
from localcluster.store import Store

Logs = Callable[[str, str, str], bytes | None]  # (namespace, pod, container) -> text
_OPEN = frozenset({"/healthz", "/livez", "/readyz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server behaves."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 takes a free one
    token: str = ""  # asked of every request when not empty
    body_bytes: int = 3 << 20  # as the real server
    bookmark_every: float = 30.0  # seconds, for watches that allow bookmarks
    watch_timeout: float = 1800.0  # seconds, for watches that do not say


class Api:
    """Answers requests from a store."""

    def __init__(
        self, store: Store, catalogue: Catalogue, settings: Settings, logs: Logs | None
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._settings = settings
        self._logs = logs
        self._closing = asyncio.Event()
        self._traffic = traffic.Traffic()

    async def close(self, _app: web.Application) -> None:
        """End the watches."""
        self._closing.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, and count it when its answer is whole."""
        response = await self._reply(request)
        self._traffic.count(
            self._catalogue, request.method, request.path, request.query, response.status
        )
        return response

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; every refusal becomes a Status object."""
        try:
            if request.path in _OPEN:
                return web.Response(text="ok")
            self._authenticate(request)
            found = self._document(request.path) or await proxying.answer(self._store, request)
            if found is not None:
                return found
            asked = requests.parse(self._catalogue, request.method, request.path, request.query)
            return await self._answer(request, asked)
        except StatusError as error:
            return _json(error.body(), status=error.code)
        except web.HTTPRequestEntityTooLarge as error:
            refusal = errors.too_large(request.content_length or 0, self._settings.body_bytes)
            return _json(refusal.body(), status=error.status)

    def _document(self, path: str) -> web.Response | None:
        """Return what is at *path* if it is no object: our metrics, or what the API consists of."""
        if path == traffic.PATH:
            headers = {"Content-Type": traffic.CONTENT_TYPE}
            return web.Response(text=self._traffic.exposition(), headers=headers)
        found = discovery.document(self._catalogue, path) or openapi.document(self._catalogue, path)
        return None if found is None else _json(found)

    def _authenticate(self, request: web.Request) -> None:
        if not self._settings.token:
            return
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._settings.token}".encode()):
            raise StatusError(401, "Unauthorized", "Unauthorized")

    async def _answer(self, request: web.Request, asked: Request) -> web.StreamResponse:  # noqa: PLR0911 - one per verb
        if request.query.get("dryRun"):
            raise errors.bad_request("dryRun is not supported here; leave it out")
        match asked.verb:
            case "get":
                return self._get(request, asked)
            case "list":
                return self._list(request, asked)
            case "watch":
                return await self._watch(request, asked)
            case "create":
                item = await _body(request)
                created = self._store.create(asked.kind, item, namespace=asked.namespace)
                return _json(created, status=201)
            case "update":
                item = await _body(request)
                _same_name(asked, item)
                return _json(
                    self._store.update(
                        asked.kind, item, namespace=asked.namespace, subresource=asked.subresource
                    )
                )
            case "patch":
                return self._patch(request, asked, await _body(request))
            case "delete":
                return self._delete(request, asked, await _body(request, default={}))
            case "deletecollection":
                return self._delete_many(request, asked, await _body(request, default={}))
            case _ as never:
                assert_never(never)

    def _get(self, request: web.Request, asked: Request) -> web.Response:
        item = self._store.get(asked.kind, asked.namespace, asked.name)
        if asked.subresource == "log":
            container = request.query.get("container") or item["spec"]["containers"][0]["name"]
            text = self._logs(asked.namespace, asked.name, container) if self._logs else None
            if text is None:
                raise errors.bad_request(
                    f'container "{container}" in pod "{asked.name}" has no log: it has not started'
                )
            return web.Response(body=text, content_type="text/plain")
        if _wants_table(request):
            return _json(self._table(request, asked, [item]))
        return _json(item)

    def _list(self, request: web.Request, asked: Request) -> web.Response:
        options = requests.list_options(asked, request.query)
        revision = requests.revision_of(options.revision or "0")
        if revision > self._store.revision:
            why = f"Too large resource version: {revision}, current: {self._store.revision}"
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            raise StatusError(504, "Timeout", why, {"causes": [cause], "retryAfterSeconds": 1})
        page = self._store.page(
            asked.kind, options.selection, limit=options.limit, token=options.token,
            at=revision if options.match == "Exact" and not options.token else None,
        )  # fmt: skip
        metadata: Object = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
            if page.remaining is not None:
                metadata["remainingItemCount"] = page.remaining
        if _wants_table(request):
            listed = self._table(request, asked, [record.value for record in page.records])
            return _json(listed | {"metadata": metadata})
        head = msgspec.json.encode(
            {
                "kind": f"{asked.kind.name}List",
                "apiVersion": asked.kind.api_version,
                "metadata": metadata,
            }
        )
        items = b",".join([record.encoded for record in page.records])
        return web.Response(
            body=b'%b,"items":[%b]}' % (head[:-1], items), content_type="application/json"
        )

    async def _watch(self, request: web.Request, asked: Request) -> web.StreamResponse:
        options = requests.list_options(asked, request.query)
        render: Callable[[Object], Object] | None = None
        if _wants_table(request):
            render = lambda item: self._table(request, asked, [item])  # noqa: E731 - one line, used once
        stream = streams.Stream(
            self._store, asked.kind, options, render=render,
            bookmark_every=self._settings.bookmark_every,
            lasts=self._settings.watch_timeout if options.timeout is None else options.timeout,
        )  # fmt: skip
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await stream.pour(response.write, self._closing)
        return response

    def _patch(self, request: web.Request, asked: Request, patch: Any) -> web.Response:
        kind, store = asked.kind, self._store
        content_type = request.content_type
        if content_type != patches.APPLY:
            edited = store.change(
                kind, asked.namespace, asked.name,
                lambda item: patches.patched(kind, item, patch, content_type),
                subresource=asked.subresource,
            )  # fmt: skip
            return _json(edited)
        _same_name(asked, patch)

        def apply(live: Object | None) -> Object:
            return applying.applied(
                kind, live, patch, manager=request.query.get("fieldManager", ""),
                force=request.query.get("force") == "true", now=store.timestamp(),
            )  # fmt: skip

        if store.find(kind, asked.namespace, asked.name) is None and not asked.subresource:
            return _json(store.create(kind, apply(None), namespace=asked.namespace), status=201)
        return _json(
            store.change(kind, asked.namespace, asked.name, apply, subresource=asked.subresource)
        )

    def _delete(self, request: web.Request, asked: Request, options: Object) -> web.Response:
        before = self._store.get(asked.kind, asked.namespace, asked.name)
        deleted = self._remove(asked, asked.name, before, _delete_options(request, options))
        if self._store.find(asked.kind, asked.namespace, asked.name) is not None:
            return _json(deleted)
        details = {
            "name": asked.name,
            "kind": asked.kind.resource,
            "uid": before["metadata"]["uid"],
        }
        if asked.kind.group:
            details["group"] = asked.kind.group
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return _json({**body, "details": details})

    def _delete_many(self, request: web.Request, asked: Request, options: Object) -> web.Response:
        chosen = self._store.objects(
            asked.kind, requests.list_options(asked, request.query).selection
        )
        wanted = _delete_options(request, options)
        for item in chosen:
            self._remove(asked, item["metadata"]["name"], item, wanted)
        listed = {"kind": f"{asked.kind.name}List", "apiVersion": asked.kind.api_version}
        metadata = {"resourceVersion": str(self._store.revision)}
        return _json({**listed, "metadata": metadata, "items": chosen})

    def _remove(self, asked: Request, name: str, item: Object, options: Object) -> Object:
        metadata, preconditions = item["metadata"], options.get("preconditions") or {}
        if options.get("propagationPolicy") == "Orphan":
            released = garbage.release(self._store, self._catalogue, metadata["uid"])
            actions.carry_out(self._store, released)
        return self._store.delete(
            asked.kind, metadata.get("namespace", ""), name,
            grace=options.get("gracePeriodSeconds"), uid=preconditions.get("uid") or "",
            revision=preconditions.get("resourceVersion") or "",
        )  # fmt: skip

    def _table(self, request: web.Request, asked: Request, items: list[Object]) -> Object:
        include = request.query.get("includeObject", "Metadata")
        return tables.table(asked.kind, items, now=self._store.now(), include=include)


def _json(value: Object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


async def _body(request: web.Request, default: Any = None) -> Any:
    data = await request.read()
    if not data and default is not None:
        return default
    # aiohttp reports what is absent as application/octet-stream.
    content_type = request.content_type if "Content-Type" in request.headers else ""
    parsed = requests.body(data, content_type)
    if content_type != patches.JSON and not isinstance(parsed, dict):
        raise errors.bad_request(f"the body must be one object, got {type(parsed).__name__}")
    return parsed


def _delete_options(request: web.Request, options: Object) -> Object:
    """Merge the query into the DeleteOptions of the body, which win."""
    query: Object = {}
    if "propagationPolicy" in request.query:
        query["propagationPolicy"] = request.query["propagationPolicy"]
    if "gracePeriodSeconds" in request.query:
        query["gracePeriodSeconds"] = requests.number(request.query, "gracePeriodSeconds")
    merged = query | options
    if not isinstance(merged.get("gracePeriodSeconds"), int | float | None):
        raise errors.bad_request("gracePeriodSeconds must be a number of seconds")
    return merged


def _same_name(asked: Request, item: Object) -> None:
    given = (item.get("metadata") or {}).get("name")
    if given and given != asked.name:
        raise errors.bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({asked.name})"
        )


def _wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")

"""What the head of a request asks for, and whether its body is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, final
from urllib.parse import unquote_to_bytes

from common.config.headers import AGENT
from common.wire import compression, errors, http1
from gateway.receivers import cors, http_answers, refusals, status
from gateway.receivers.http_answers import Answer
from gateway.receivers.refusals import JSON, PROTOBUF, Refusal

PATH: Final = b"/v1/metrics"
SIGNALS: Final = {b"/v1/traces", b"/v1/logs", b"/v1development/profiles"}
KNOWN: Final = frozenset({
    b"access-control-request-headers", b"access-control-request-method", b"authorization",
    b"connection", b"content-encoding", b"content-length", b"content-type", b"expect",
    AGENT.encode(), b"host", b"origin", b"transfer-encoding", b"x-forwarded-for",
})  # fmt: skip
ONCE: Final = {b"authorization", b"content-type", b"host", b"origin"}
"""Headers of which a second one would mean that two readers may see two requests."""

Fields: TypeAlias = dict[bytes, bytes]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What requests are measured by."""

    max_headers: int
    pages: cors.Policy


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A head that was understood; with an ``answer`` if that does not depend on the body."""

    kind: str
    """The media type, which the answer to a body has too."""
    length: int | None
    """Bytes of the body; ``None``: it comes in chunks."""
    persists: bool
    """Whether the connection may serve another request after this one."""
    answer: Answer | None = None
    encoding: str = ""
    authorization: str | None = None
    agent: bool = False
    """The client says that it is one, and wants to be believed or refused."""
    forwarded_for: str | None = None
    """The values of X-Forwarded-For, as one list."""
    expects: bool = False
    """The client waits for a word before it sends the body."""
    headers: cors.Headers = ()
    """Of every answer to it."""
    connection: str = ""
    """The Connection header of the answer, if we do not wish to close."""
    with_body: bool = True
    """Whether the answer has a body; HEAD wants none."""
    plain: bool = False
    """Success is answered as most often: nothing beside what HTTP/1.1 and protobuf ask for."""


UNREAD: Final = Request(kind="", length=None, persists=False)
"""What is known of a request of which nothing has come."""


def read(text: bytes, rules: Rules) -> Request:
    """Understand the head *text*, which is whole.

    A function of its arguments alone, so that what it returns may be remembered. Raises `Refusal`
    when the head cannot be trusted to say where the request ends.
    """
    try:
        head = http1.parse_head(text)
    except errors.Malformed as error:
        raise refusals.bad(str(error), closes=True) from error
    fields = _known(head, rules)
    chunked = _framed(head, fields)
    old = head.version == "1.0"
    tokens = {token.strip().lower() for token in fields.get(b"connection", b"").split(b",")}
    # A pipeline behind CONNECT, or a client that closes: nothing follows that is for us.
    persists = (not old or b"keep-alive" in tokens) and b"close" not in tokens
    persists = persists and head.method != b"CONNECT"
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    length = None if chunked else int(fields.get(b"content-length", b"0"))
    headers = rules.pages.answer(_origin(fields))
    shown, hops = fields.get(b"authorization"), fields.get(b"x-forwarded-for")
    encoding, answer = "", None
    try:
        answer = _directed(head, fields, rules.pages)
        if answer is None:
            encoding = _body_of(fields, kind)
    except Refusal as refusal:
        answer = refusals.response(refusal, kind)
    return Request(
        kind=kind,
        length=length,
        persists=persists,
        answer=answer,
        encoding=encoding,
        authorization=None if shown is None else shown.decode("utf-8", "surrogateescape"),
        agent=AGENT.encode() in fields,
        forwarded_for=None if hops is None else hops.decode("latin-1"),
        expects=not old and fields.get(b"expect", b"").lower() == b"100-continue",
        headers=headers,
        connection="keep-alive" if old and persists else "",
        with_body=head.method != b"HEAD",
        plain=persists and not old and not headers and kind == PROTOBUF,
    )


def _known(head: http1.Head, rules: Rules) -> Fields:
    """Return the headers that matter, each once; lists that came in several are joined."""
    if len(head.fields) > rules.max_headers:
        raise Refusal(
            http=431,
            code=status.RESOURCE_EXHAUSTED,
            message=f"{len(head.fields)} headers, the limit is {rules.max_headers}; send fewer",
            closes=True,
        )
    fields: Fields = {}
    for name, value in head.fields:
        if name not in KNOWN:
            continue
        value = value.strip()  # noqa: PLW2901 - white space at the end is no part of it
        before = fields.get(name)
        if before is not None and name in ONCE:
            raise refusals.bad(f"{name.decode()} is given twice; give it once", closes=True)
        fields[name] = value if before is None else before + b", " + value
    return fields


def _framed(head: http1.Head, fields: Fields) -> bool:
    """Say whether the body is chunked; refuse what leaves in doubt where it ends."""
    if head.version not in {"1.1", "1.0"}:
        raise Refusal(
            http=505,
            code=status.UNIMPLEMENTED,
            message=f"HTTP/{head.version} is not spoken here; use HTTP/1.1, or the port for gRPC",
            closes=True,
        )
    if head.version == "1.1" and b"host" not in fields:
        raise refusals.bad("a request of HTTP/1.1 needs a Host header", closes=True)
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return False
    if head.version == "1.0":  # RFC 9112, section 6.1: its framing is faulty
        raise refusals.bad("HTTP/1.0 knows no Transfer-Encoding; use HTTP/1.1", closes=True)
    if coding.lower() != b"chunked":
        raise Refusal(
            http=501,
            code=status.UNIMPLEMENTED,
            message=f"transfer coding {_shown(coding)} is not known here; use chunked, and "
            "Content-Encoding to compress",
            closes=True,
        )
    return True


def _directed(head: http1.Head, fields: Fields, pages: cors.Policy) -> Answer | None:
    """Refuse what is not a POST to our path; return the answer to a page that asks first."""
    path = _path(head.target)
    if path in SIGNALS:
        raise Refusal(
            http=404,
            code=status.NOT_FOUND,
            message=f"only metrics are served here, at {PATH.decode()}; nothing is taken at "
            f"{path.decode()}",
        )
    if path != PATH:
        raise Refusal(
            http=404,
            code=status.NOT_FOUND,
            message=f"nothing at {_shown(path)}; metrics are taken at {PATH.decode()}",
        )
    if head.method == b"POST":
        return None
    allowed = "POST, OPTIONS" if pages else "POST"
    if head.method == b"OPTIONS" and pages:
        if b"access-control-request-method" not in fields:
            return Answer(status=http_answers.NO_CONTENT, headers=(("Allow", allowed),))
        wanted = fields.get(b"access-control-request-headers", b"").decode("latin-1")
        told = pages.preflight(_origin(fields), wanted)
        # The origin's own headers come with every answer.
        return Answer(
            status=http_answers.NO_CONTENT, headers=told[len(pages.answer(_origin(fields))) :]
        )
    raise Refusal(
        http=405,
        code=status.UNIMPLEMENTED,
        message=f"{_shown(head.method)} is not for {PATH.decode()}; use POST",
        headers=(("Allow", allowed),),
    )


def _body_of(fields: Fields, kind: str) -> str:
    """Return the encoding ("" for none) of a body that is of a kind we take."""
    if kind not in {PROTOBUF, JSON}:
        raise Refusal(
            http=415,
            code=status.INVALID_ARGUMENT,
            message=f"content type {kind[:100]!r} is not known here; use {PROTOBUF} or {JSON}",
        )
    encoding = fields.get(b"content-encoding", b"").lower().decode("latin-1")
    if "," in encoding:
        raise refusals.unknown_encoding(
            f"several encodings, {encoding[:40]!r}; compress once, with one of {refusals.ENCODINGS}"
        )
    if not compression.known(encoding):
        raise refusals.unknown_encoding(
            f"unknown encoding {encoding[:40]!r}; use one of {refusals.ENCODINGS}"
        )
    return "" if encoding == "identity" else encoding


def _path(target: bytes) -> bytes:
    """Return the path in *target*, which may be a whole URL and have a query (RFC 9112, 3.2)."""
    if target == PATH:
        return target
    if target[:8].lower().startswith((b"http://", b"https://")):
        authority_and_path = target.partition(b"://")[2]
        slash = authority_and_path.find(b"/")
        target = b"/" if slash < 0 else authority_and_path[slash:]
    path = target.partition(b"?")[0]
    return unquote_to_bytes(path) if b"%" in path else path


def _origin(fields: Fields) -> str:
    return fields.get(b"origin", b"").decode("latin-1")


def _shown(text: bytes) -> str:
    return repr(text[:100].decode("ascii", "backslashreplace"))

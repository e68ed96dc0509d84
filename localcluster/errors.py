"""How the API server says no: a code, a reason and a Status body as the real one writes it."""

from __future__ import annotations

from localcluster.kinds import Kind, Object


class StatusError(Exception):
    """A request that is refused; *code* is the HTTP status, *reason* the machine's word for it."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def body(self) -> Object:
        """Return the ``v1.Status`` object that tells the client."""
        status: Object = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason,
        }  # fmt: skip
        if self.details:
            status["details"] = self.details
        return status | {"code": self.code}


def _details(kind: Kind, name: str) -> Object:
    details: Object = {"name": name, "kind": kind.resource}
    return details | {"group": kind.group} if kind.group else details


def not_found(kind: Kind, name: str) -> StatusError:
    """Say that no such object exists."""
    return StatusError(
        404, "NotFound", f'{kind.qualified} "{name}" not found', _details(kind, name)
    )


def already_exists(kind: Kind, name: str) -> StatusError:
    """Say that the name is taken."""
    message = f'{kind.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> StatusError:
    """Say that the object is not what the client took it for."""
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(kind, name))


def modified(kind: Kind, name: str) -> StatusError:
    """Say that somebody else wrote first (optimistic concurrency)."""
    why = "please apply your changes to the latest version and try again"
    return conflict(kind, name, f"the object has been modified; {why}")


def precondition(kind: Kind, name: str, what: str, given: str, actual: str) -> StatusError:
    """Say that the object is not the one that the client means."""
    found = f"{what} in precondition: {given}, {what} in object meta: {actual}"
    return conflict(kind, name, f"Precondition failed: {found}")


def invalid(kind: Kind, name: str, field: str, why: str) -> StatusError:
    """Say which *field* of the manifest is wrong and why."""
    details = _details(kind, name)
    details["kind"] = kind.name
    details["causes"] = [{"reason": "FieldValueInvalid", "message": why, "field": field}]
    return StatusError(422, "Invalid", f'{kind.name} "{name}" is invalid: {field}: {why}', details)


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    """Say that the request is understood and not allowed."""
    message = f'{kind.qualified} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(kind, name))


def bad_request(why: str) -> StatusError:
    """Say that the request makes no sense."""
    return StatusError(400, "BadRequest", why)


def expired(why: str) -> StatusError:
    """Say that the history asked for is gone: list again."""
    return StatusError(410, "Expired", why)


def no_such_path() -> StatusError:
    """Say that nothing is served there."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> StatusError:
    """Say that the resource does not know the verb."""
    why = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", why)


def unsupported_media_type(given: str, accepted: tuple[str, ...]) -> StatusError:
    """Say which content types would have been read."""
    why = (
        f"the body of the request was in an unknown format ({given!r})"
        f" - accepted media types include: {', '.join(accepted)};"
        " of a command that sends protobuf, use the form that reads a manifest"
    )
    return StatusError(415, "UnsupportedMediaType", why)


def too_large(size: int, limit: int) -> StatusError:
    """Say that the object does not fit."""
    why = f"Request entity is too large: {size} bytes, the limit is {limit} bytes"
    return StatusError(413, "RequestEntityTooLarge", why)

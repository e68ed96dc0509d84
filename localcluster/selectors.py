"""Label and field selectors: which objects a list or a watch is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcluster import errors
from localcluster.kinds import Object

# labels.Parse of apimachinery: requirements are joined with commas, sets are written in brackets.
_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_EQUALITY = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*([A-Za-z0-9._-]*)\s*")
_SET = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")  # codespell:ignore notin
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*")

Check = Callable[[Mapping[str, str]], bool]

FIELDS: Mapping[str, tuple[str, str]] = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "spec.nodeName": ("spec", "nodeName"),
    "spec.restartPolicy": ("spec", "restartPolicy"),
    "status.phase": ("status", "phase"),
    "status.podIP": ("status", "podIP"),
    "involvedObject.name": ("involvedObject", "name"),
    "involvedObject.namespace": ("involvedObject", "namespace"),
    "involvedObject.kind": ("involvedObject", "kind"),
    "involvedObject.uid": ("involvedObject", "uid"),
    "type": ("", "type"),
    "reason": ("", "reason"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a list or a watch covers: a namespace ("" is all of them), labels and fields."""

    namespace: str = ""
    labels: tuple[Check, ...] = ()
    fields: tuple[tuple[str, bool, str], ...] = ()  # (field, equal, value)

    @property
    def narrow(self) -> bool:
        """Whether more than the namespace is asked for."""
        return bool(self.labels or self.fields)

    def matches(self, item: Object) -> bool:
        """Tell whether *item* is covered."""
        metadata = item["metadata"]
        if self.namespace and metadata.get("namespace", "") != self.namespace:
            return False
        labels = metadata.get("labels") or {}
        return all(check(labels) for check in self.labels) and all(
            (_field(item, field) == value) is equal for field, equal, value in self.fields
        )


ALL = Selection()


def select(namespace: str = "", labels: str = "", fields: str = "") -> Selection:
    """Parse the two selectors of a request; raises a 400 :class:`errors.StatusError`."""
    return Selection(namespace=namespace, labels=parse_labels(labels), fields=parse_fields(fields))


def parse_labels(text: str) -> tuple[Check, ...]:
    """Parse ``a=b,c!=d,e in (f,g),h,!i``, and the negation of ``in``: a check per requirement."""
    return tuple(_requirement(part, text) for part in _split(text))


def parse_fields(text: str) -> tuple[tuple[str, bool, str], ...]:
    """Parse ``metadata.name=x,status.phase!=Running``; only :data:`FIELDS` are known."""
    parsed = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, operator, value = re.match(r"([^!=]*)(==|=|!=|)(.*)", part).groups()  # type: ignore[union-attr]  # matches anything
        if not operator:
            raise errors.bad_request(f"invalid field selector {text!r}: {part!r} has no = or !=")
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise errors.bad_request(f"field label not supported: {name}; known here: {known}")
        parsed.append((name, operator != "!=", value))
    return tuple(parsed)


def from_object(selector: Object | None) -> Selection:
    """Read a ``metav1.LabelSelector``; an empty one selects everything, as the API has it."""
    checks = [_equals(k, v) for k, v in ((selector or {}).get("matchLabels") or {}).items()]
    for term in (selector or {}).get("matchExpressions") or []:
        key, values = term["key"], frozenset(term.get("values") or ())
        match term["operator"]:
            case "In":
                checks.append(_within(key, values))
            case "NotIn":  # codespell:ignore notin
                checks.append(_without(key, values))
            case "Exists":
                checks.append(_exists(key))
            case "DoesNotExist":
                checks.append(_absent(key))
            case unknown:
                raise errors.bad_request(f"{unknown!r} is not a valid label selector operator")
    return Selection(labels=tuple(checks))


def _field(item: Object, field: str) -> str:
    section, name = FIELDS[field]
    holder = (item.get(section) or {}) if section else item
    return str(holder.get(name) or "")


def _split(text: str) -> list[str]:
    """Split at commas outside brackets."""
    parts = re.split(r",(?![^()]*\))", text)
    return [] if not text.strip() else parts


def _requirement(part: str, text: str) -> Check:
    if found := _SET.fullmatch(part):
        values = frozenset(v.strip() for v in found[4].split(","))
        return (_within if found[3] == "in" else _without)(found[1], values)
    if found := _EQUALITY.fullmatch(part):
        return (_differs if found[3] == "!=" else _equals)(found[1], found[4])
    if found := _EXISTS.fullmatch(part):
        return (_absent if found[1] else _exists)(found[2])
    raise errors.bad_request(f"unable to parse requirement {part!r} of the label selector {text!r}")


def _equals(key: str, value: str) -> Check:
    return lambda labels: labels.get(key) == value


def _differs(key: str, value: str) -> Check:
    return lambda labels: labels.get(key) != value  # an object without the label matches


def _within(key: str, values: frozenset[str]) -> Check:
    return lambda labels: labels.get(key) in values


def _without(key: str, values: frozenset[str]) -> Check:
    return lambda labels: labels.get(key) not in values


def _exists(key: str) -> Check:
    return lambda labels: key in labels


def _absent(key: str) -> Check:
    return lambda labels: key not in labels

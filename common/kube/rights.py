"""Rights in a Kubernetes cluster, as its role-based access control writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a ClusterRole (rbac.authorization.k8s.io/v1 PolicyRule).

    It is about *resources* of API *groups* ("" for core), or about *urls* (nonResourceURLs).
    """

    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...]
    urls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The only objects that it is about (resourceNames); empty: all of them."""
    namespace: str = ""
    """Where it holds, by a Role there; empty: everywhere."""

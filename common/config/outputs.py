"""Where a pipeline sends: the backends, how we prove ourselves to them, what is kept on disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import Meta, field

from common.config import headers as header_rules, shared
from common.config.shared import Section

# What there is in a cluster is no instance of a service: without the names that identify it, the
# series of all nodes, and of all workloads of a kind, would be one and the same.
IDENTITY: Final = (
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.node.system_container.name",
    "k8s.pod.name",
    "k8s.container.name",
    "k8s.volume.name",
    "k8s.deployment.name",
    "k8s.daemonset.name",
    "k8s.statefulset.name",
    "k8s.replicaset.name",
    "k8s.replicationcontroller.name",
    "k8s.job.name",
    "k8s.cronjob.name",
    "k8s.hpa.name",
    "k8s.resourcequota.name",
    "k8s.service.name",
    "k8s.persistentvolume.name",
    "k8s.persistentvolumeclaim.name",
)
_OURS = frozenset({"grant_type", "client_id", "client_secret", "scope"})  # of a token request


class BasicAuth(Section, frozen=True):
    """A user name and its password."""

    username: str
    """The user's name."""
    password: shared.Secret
    """A secret; write it as ${file:/path}."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse what the scheme cannot carry."""
        if ":" in self.username:
            yield "username", "has a colon, with which basic authentication ends a user's name"
        for key, value in (("username", self.username), ("password", self.password)):
            if not value.isprintable():
                yield key, "has control characters, which basic authentication cannot carry"


class OAuth2(Section, frozen=True):
    """OAuth 2.0 client credentials: a token is asked for, and renewed before it expires."""

    token_url: str
    """``https://host/path`` of the token endpoint."""
    client_id: str
    """Our name there."""
    client_secret: shared.Secret
    """A secret; write it as ${file:/path}."""
    scopes: tuple[str, ...] = ()
    """What the token shall be good for."""
    params: dict[str, shared.Secret] = field(default_factory=dict)
    """Further fields of the token request, such as audience or resource."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one request for a token may take."""
    tls: shared.Tls = shared.Tls()
    """How the token endpoint is verified."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that the URL is one, and that nothing is given twice."""
        wrong = list(shared.url("token_url", self.token_url))
        yield from wrong
        if not wrong and urlsplit(self.token_url).username is not None:
            yield "token_url", "has a user name; remove it, client_id says who we are"
        if not self.client_id:
            yield "client_id", "is empty; give the name that the token endpoint knows us by"
        given = {"client_id": self.client_id, "client_secret": self.client_secret}
        given |= {f"params.{name}": value for name, value in self.params.items()}
        for key, value in given.items():
            if not value.isprintable():
                yield key, "has characters that cannot be printed"
        for name in sorted(self.params.keys() & _OURS):
            yield f"params.{name}", "is set by headgate itself; remove it"
        if any(" " in scope or not scope.isprintable() or not scope for scope in self.scopes):
            yield "scopes", "one is empty or has a space; give each as an item of the list"


class Auth(Section, frozen=True):
    """How we prove ourselves to a backend: at most one of these."""

    basic: BasicAuth | None = None
    """A user name and a password."""
    bearer_token: shared.Secret = ""
    """A secret sent as it is; write it as ${file:/path}."""
    oauth2: OAuth2 | None = None
    """A token from an OAuth 2.0 server."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Refuse two of them at once."""
        if (self.basic is not None) + bool(self.bearer_token) + (self.oauth2 is not None) > 1:
            yield "", "give one of basic, bearer_token, oauth2"
        if " " in self.bearer_token or header_rules.NOT_PRINTABLE.search(self.bearer_token):
            yield "bearer_token", "has characters other than printable ASCII without spaces"

    @property
    def given(self) -> bool:
        """Whether there is one of them."""
        return self != Auth()


class SeriesState(Section, frozen=True):
    """What is remembered of each series to turn deltas into totals, or totals into deltas."""

    max_bytes: shared.Bytes = 64 << 20
    """Bytes of it; beyond, the series not seen for longest begin anew."""
    expiry: Annotated[float, Meta(gt=0, le=604800)] = 3600.0
    """Seconds after which a series that no longer comes is forgotten."""


class OtlpOutput(Section, frozen=True):
    """An OTLP backend."""

    endpoint: str
    """``http://host:port`` or ``https://host:port``."""
    protocol: Literal["grpc", "http"] = "grpc"
    """OTLP over gRPC, or over HTTP with protobuf."""
    path: str = ""
    """HTTP only; empty: /v1/metrics."""
    headers: dict[str, shared.Secret] = field(default_factory=dict)
    """Sent with every request; write secrets as ${file:/path}."""
    auth: Auth = Auth()
    """How we prove ourselves."""
    compression: Literal["none", "gzip", "zstd", "snappy"] = "gzip"
    """Of requests; with grpcio none and gzip only."""
    temporality: Literal["preserve", "delta"] = "preserve"
    """``delta``: totals of monotonic sums and of histograms are sent as differences."""
    series_state: SeriesState = SeriesState()
    """What temporality remembers."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    """Seconds one attempt may take."""
    grpc_client: Literal["lean", "grpcio"] = "lean"
    """Which implementation speaks gRPC."""
    tls: shared.Tls = shared.Tls()
    """How the backend is verified."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check what one field means for another."""
        yield from shared.url("endpoint", self.endpoint)
        names = header_rules.GRPC if self.protocol == "grpc" else header_rules.HTTP
        yield from header_rules.problems(self.headers, names)
        yield from header_rules.conflicts(
            self.headers, "endpoint", self.endpoint, auth=self.auth.given
        )
        if self.path and self.protocol == "grpc":
            yield "path", "gRPC has no path; remove it or set protocol: http"
        grpcio = self.protocol == "grpc" and self.grpc_client == "grpcio"
        if grpcio and self.compression not in {"none", "gzip"}:
            why = f"{self.compression!r} is not for grpcio, only none and gzip are"
            yield "compression", f"{why}; set grpc_client: lean"
        if grpcio and self.tls.insecure_skip_verify:
            yield (
                "tls.insecure_skip_verify",
                "grpcio always verifies; give ca_file, or set grpc_client: lean",
            )


class RemoteWriteOutput(Section, frozen=True):
    """A Prometheus remote-write backend."""

    url: str
    """``http://host:port/api/v1/write`` or the like."""
    protocol: Literal["1.0", "2.0"] = "1.0"
    """Version spoken; with 2.0 a backend that does not know it (415) is spoken 1.0 with."""
    naming: Literal["suffixes", "plain", "utf8_suffixes", "utf8"] = "suffixes"
    """``suffixes``: unit and type are appended; ``utf8``: characters are kept as they came."""
    headers: dict[str, shared.Secret] = field(default_factory=dict)
    """Sent with every request; write secrets as ${file:/path}."""
    auth: Auth = Auth()
    """How we prove ourselves."""
    external_labels: dict[str, str] = field(default_factory=dict)
    """Labels of every series that does not have them."""
    promote: tuple[str, ...] = ()
    """Resource attributes that become labels of every series."""
    promote_without_instance: tuple[str, ...] = IDENTITY
    """Those that do, too, where there is no service.instance.id to tell series apart by."""
    target_info: bool = True
    """Send the resource's other attributes as target_info."""
    scope_labels: bool = True
    """Send the scope as otel_scope_name and otel_scope_version."""
    exemplars: bool = True
    """Send exemplars."""
    native_histograms: bool = True
    """Send exponential histograms; a Prometheus that has them disabled takes nothing beside them.
    """
    deltas: Literal["accumulate", "drop"] = "accumulate"
    """``accumulate``: deltas are added up to totals; ``drop``: they are dropped and counted."""
    series_state: SeriesState = SeriesState()
    """What the totals of deltas take."""
    min_lanes: Annotated[int, Meta(ge=1, le=256)] = 1
    """Requests in flight at once, at least; a series keeps to one of them."""
    max_lanes: Annotated[int, Meta(ge=1, le=256)] = 16
    """The most of them; lanes are opened and closed as the load asks for."""
    memo_bytes: shared.Bytes = 128 << 20
    """Bytes of series to remember, about 300 for each, so that only new ones are converted."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """Seconds one attempt may take."""
    tls: shared.Tls = shared.Tls()
    """How the backend is verified."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check what one field means for another."""
        yield from shared.url("url", self.url)
        yield from header_rules.problems(self.headers, header_rules.HTTP)
        yield from header_rules.conflicts(self.headers, "url", self.url, auth=self.auth.given)
        if self.min_lanes > self.max_lanes:
            yield "min_lanes", f"{self.min_lanes} is more than max_lanes, {self.max_lanes}"


class Output(Section, frozen=True):
    """Where a pipeline sends: exactly one of the two."""

    otlp: OtlpOutput | None = None
    """An OTLP backend."""
    remote_write: RemoteWriteOutput | None = None
    """A Prometheus remote-write backend."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Ask for exactly one."""
        if (self.otlp is None) == (self.remote_write is None):
            yield "", "give exactly one of otlp, remote_write"


class Buffer(Section, frozen=True):
    """What a pipeline keeps on disk until it is delivered."""

    dir: Annotated[str, Meta(min_length=1)]
    """A directory of ours; each pipeline has a folder of its name in it."""
    sync: Literal["each", "interval", "none"] = "interval"
    """When data is safe from a crash: before it is acknowledged, every so often, or at leisure."""
    sync_interval: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """Seconds between two synchronisations with sync: interval."""
    max_bytes: shared.Bytes = 1 << 30
    """Bytes on disk; beyond, the oldest segment is deleted and what was in it is counted."""
    max_age: Annotated[float, Meta(gt=0, le=2592000)] = 86400.0
    """Seconds after which data is deleted and counted; here retry.max_age has no say."""
    segment_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 30)] = 16 << 20
    """Bytes of one file; disk space is reserved and freed in these steps."""
    order: Literal["oldest", "newest"] = "oldest"
    """What is sent first when there is a backlog; oldest only for remote write and deltas."""

    def problems(self) -> Iterable[tuple[str, str]]:
        """Check that there is room for more than the segment being written."""
        if self.max_bytes < 2 * self.segment_bytes:
            yield "max_bytes", f"{self.max_bytes} is less than two of segment_bytes"

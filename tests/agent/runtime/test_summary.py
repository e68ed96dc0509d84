"""Reading what a kubelet tells: absent is absent, and nonsense is Malformed."""

import contextlib

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.runtime import summary
from common.wire import errors
from tests.fakes import kubelet

NOW = 1_800_000_000_000_000_000


def test_a_summary_is_read_with_all_its_parts() -> None:
    told = summary.decode(msgspec.json.encode(kubelet.summary(kubelet.pod("web-0"))))
    assert told.node.node_name == "worker-1"
    assert told.node.network is not None
    assert told.node.network.interfaces is not None
    assert [found.name for found in told.node.network.interfaces][:2] == ["eth0", "cali123"]
    assert [found.name for found in told.node.system_containers or ()] == [
        "kubelet", "runtime", "pods",
    ]  # fmt: skip
    (pod,) = told.pods or ()
    assert pod.reference == summary.Reference(name="web-0", namespace="shop", uid="uid-web-0")
    assert pod.storage is not None
    assert pod.storage.used_bytes == 12_288
    assert pod.volumes is not None
    assert pod.volumes[0].claim == summary.Claim(name="orders")
    assert pod.network is not None
    assert (pod.network.name, pod.network.rx_bytes) == ("eth0", 7)


def test_what_is_absent_or_null_is_none() -> None:
    told = summary.decode(b'{"node":{"cpu":null,"memory":{}},"pods":null,"more":[1,{"x":2}]}')
    assert told.pods is None
    assert told.node.cpu is None
    assert told.node.memory == summary.Memory()
    assert told.node.memory.rss_bytes is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"null", "Expected `object`"),
        (b"{}", "missing required field `node`"),
        (b'{"node":{"cpu":{"usageNanoCores":"1"}}}', r"\$\.node\.cpu\.usageNanoCores"),
        (b'{"node":{"nodeName":"\xff"}}', "not UTF-8"),
        (b'{"node":{"nodeName":"\\ud800"}}', "not a summary"),
        (b'{"node":{"rlimit":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "nested too deeply"),
        (b'{"node":{"cpu":{"usageNanoCores":' + b"9" * 10_000 + b"}}}", "out of range"),
        (b"<html>", "not a summary"),
    ],
)
def test_what_is_no_summary_is_malformed(body: bytes, why: str) -> None:
    with pytest.raises(errors.Malformed, match=why):
        summary.decode(body)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_hostile_bytes_end_in_a_summary_or_in_malformed(body: bytes) -> None:
    with contextlib.suppress(errors.Malformed):
        assert isinstance(summary.decode(body), summary.Summary)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["node", "pods", "podRef", "cpu", "memory", "name", "volume", "pvcRef"]),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_any_json_ends_in_a_summary_or_in_malformed(value: object) -> None:
    with contextlib.suppress(errors.Malformed):
        assert isinstance(summary.decode(msgspec.json.encode(value)), summary.Summary)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-24T09:00:00Z", 1_795_510_800_000_000_000),
        ("2026-11-24T10:00:00.5+01:00", 1_795_510_800_500_000_000),
        ("2026-11-24T09:00:00.123456789Z", 1_795_510_800_123_456_000),
        ("0001-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("2099-01-01T00:00:00Z", 0),
        ("2026-11-24T09:00:00", 0),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_a_start_is_a_time_in_the_past_or_unknown(text: str | None, nanoseconds: int) -> None:
    assert summary.started(text, NOW) == nanoseconds


@given(st.text() | st.datetimes(timezones=st.timezones()).map(lambda d: d.isoformat()))
def test_a_start_never_lies_in_the_future_whatever_is_said(text: str) -> None:
    assert 0 <= summary.started(text, NOW) <= NOW

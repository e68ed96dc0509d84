"""Tests run on a clock that jumps: a sleep costs nothing and lasts exactly as long as it says."""

import asyncio
import os
import shutil
from collections.abc import Callable

import pytest


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that skips idle time instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._select = self._selector.select
        self._selector.select = self._jump

    def time(self) -> float:
        return self._now

    def stand_still(self, seconds: float) -> None:
        """Let time pass in which nothing happens, as on a machine that is suspended."""
        self._now += seconds

    def _jump(self, timeout: float | None) -> object:
        events = self._select(0)
        if not events and timeout:
            self._now += timeout
        elif not events and timeout is None:
            return self._select(None)
        return events


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 - the hook's signature
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("wallclock"):
        return {"wall": asyncio.SelectorEventLoop}
    return {"virtual": JumpingLoop}


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: asyncio.get_running_loop().time()


DEBIAN = {
    "needs_prometheus": "prometheus",
    "needs_prometheus_node_exporter": "prometheus-node-exporter",
    "needs_prometheus_process_exporter": "prometheus-process-exporter",
    "needs_prometheus_blackbox_exporter": "prometheus-blackbox-exporter",
    "needs_prometheus_redis_exporter": "prometheus-redis-exporter",
    "needs_redis_server": "redis-server",
    "needs_victoria_metrics": "victoria-metrics",
}
"""What tests/packages.sh installs: in CI it must be there."""
PROGRAMS = {
    **DEBIAN,
    "needs_kubectl": "kubectl",
    "needs_node": "npm",
    "needs_go": "go",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, program in PROGRAMS.items():
        if item.get_closest_marker(marker) and shutil.which(program) is None:
            if os.environ.get("CI") == "true" and marker in DEBIAN:
                pytest.fail(f"{program} is not installed, and in CI this test must run")
            pytest.skip(f"{program} is not installed; see tests/packages.sh")

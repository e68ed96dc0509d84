"""The OpenTelemetry SDK of Python pushes to a real gateway process, by both of its exporters."""

import sys
from pathlib import Path

import pytest

from tests import toolbox
from tests.flow import pushed

pytestmark = [pytest.mark.wallclock, pytest.mark.slow, pytest.mark.timeout(120)]

CLIENT = [sys.executable, str(toolbox.FLOW / "client.py")], {}


@pytest.mark.parametrize("grpc_door", pushed.DOORS)
async def test_everything_that_python_pushes_arrives(grpc_door: str, tmp_path: Path) -> None:
    ways = [(protocol, by) for protocol in ("grpc", "http/protobuf") for by in ("none", "gzip")]
    await pushed.everything_arrives(tmp_path, grpc_door, CLIENT, ways)

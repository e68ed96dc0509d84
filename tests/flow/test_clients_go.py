"""The OpenTelemetry SDK of Go pushes to a real gateway process by every exporter it has."""

from pathlib import Path

import pytest

from tests import toolbox
from tests.flow import pushed

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.needs_go,
    pytest.mark.timeout(toolbox.SECONDS + 120),
]


@pytest.fixture(scope="session")
def client() -> tuple[list[str], dict[str, str]]:
    return toolbox.go_client()


@pytest.mark.parametrize("grpc_door", pushed.DOORS)
async def test_everything_that_go_pushes_arrives(client, grpc_door: str, tmp_path: Path) -> None:
    protocols = ("grpc", "http/protobuf")
    ways = [(protocol, by) for protocol in protocols for by in ("none", "gzip")]
    await pushed.everything_arrives(tmp_path, grpc_door, client, ways)

"""The real h2spec against the lean gRPC door: the ground of `http2` beside, by another hand."""

import asyncio

import pytest

from gateway.receivers import door, grpc_lean
from tests import toolbox
from tests.gateway import samples

pytestmark = [
    pytest.mark.wallclock,
    pytest.mark.slow,
    pytest.mark.needs_h2spec,
    pytest.mark.timeout(toolbox.SECONDS + 120),
]


@pytest.fixture(scope="session")
def h2spec() -> str:
    return toolbox.h2spec()


@pytest.mark.parametrize(("strictness", "cases"), [((), 145), (("--strict",), 146)])
async def test_every_case_of_h2spec_passes(h2spec: str, strictness, cases: int) -> None:
    terms = samples.terms(samples.Remembering())
    async with grpc_lean.serving("127.0.0.1:0", terms, door.Traffic("grpc")) as at:
        child = await asyncio.create_subprocess_exec(
            h2spec,
            *strictness,
            "--host",
            at.host,
            "--port",
            str(at.port),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(toolbox.SECONDS):
                said, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    report = said.decode()
    assert f"{cases} tests, {cases} passed, 0 skipped, 0 failed" in report, report[-6000:]
    assert child.returncode == 0

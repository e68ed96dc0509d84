"""A process that is the whole gateway serves its pages itself, and asks the API server."""

import aiohttp
import pytest

from common.config import gateway, shared
from common.enrichment.attributes import Rules
from common.service import health
from common.service.telemetry import Telemetry
from gateway import place, settings
from gateway.accounts import Accounts

pytestmark = pytest.mark.wallclock


async def test_it_serves_the_admin_addresses_and_keeps_its_configuration() -> None:
    alone = place.Alone({})
    told = place.Told(
        readiness=health.Readiness(),
        telemetry=Telemetry(process=False),
        accounts=Accounts(),
        pages={"/debug/x": lambda _: "x"},
    )
    loaded = settings.Loaded(config=gateway.Gateway(), tokens="", client_tokens="", files=())
    assert alone.part(loaded) is loaded
    assert not alone.shares_ports
    admin = shared.Admin(health="127.0.0.1:0", metrics="127.0.0.1:0")
    async with (
        alone.telling(admin, told, None) as where,
        aiohttp.ClientSession(f"http://{where.partition(',')[0]}") as client,
        client.get("/debug/x") as answer,
    ):
        assert (answer.status, await answer.json()) == (200, "x")
    config = gateway.Gateway(kubernetes=shared.Kubernetes(source="none"))
    async with alone.knowing(config, Rules()) as known:
        assert known.informer is None

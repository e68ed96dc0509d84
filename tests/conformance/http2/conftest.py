"""The server under test: our lean gRPC door, or any other by ``HEADGATE_HTTP2_TARGET=host:port``.

Another server must answer ``POST /grpc.health.v1.Health/Check`` with status 200 and seven bytes;
nghttpd does for a folder with such a file, and was the referee of these cases: version 1.52 passes
all but two, in which it departs from the RFC (it ignores a number below the highest so far, 5.1.1,
and resets a stream instead of ending the connection in 6.9.2). Go's net/http passes both of those.
"""

import os
from collections.abc import AsyncIterator

import pytest

from common.service import address
from gateway.receivers import door, grpc_lean
from tests.conformance.http2 import client as clients, wire
from tests.gateway import samples


@pytest.fixture
async def server() -> AsyncIterator[address.Address]:
    elsewhere = os.environ.get("HEADGATE_HTTP2_TARGET")
    if elsewhere:
        yield address.parse(elsewhere)
        return
    terms = samples.terms(samples.Remembering())
    async with grpc_lean.serving("127.0.0.1:0", terms, door.Traffic("grpc")) as at:
        yield at


@pytest.fixture
async def stranger(server: address.Address) -> AsyncIterator[clients.Client]:
    """A connection on which nothing has been said yet."""
    async with clients.connected(server.host, server.port) as client:
        yield client


@pytest.fixture
async def client(stranger: clients.Client) -> clients.Client:
    """A connection with both prefaces exchanged and all settings acknowledged."""
    await stranger.start()
    return stranger


@pytest.fixture
async def held(stranger: clients.Client) -> clients.Client:
    """A connection on which the server may not send a byte of a message: streams stay open."""
    await stranger.start((wire.Setting.INITIAL_WINDOW_SIZE, 0))
    return stranger

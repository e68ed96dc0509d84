"""Asking a container whether it is ready."""

from __future__ import annotations

import asyncio

import aiohttp

from localcluster.podspec import Probe


async def check(session: aiohttp.ClientSession, probe: Probe) -> str:
    """Probe once; return "" when ready, and otherwise why not, in words."""
    try:
        async with asyncio.timeout(probe.timeout):
            if probe.path:
                return await _get(session, probe)
            _, writer = await asyncio.open_connection(probe.host, probe.port)
            writer.close()
            await writer.wait_closed()
            return ""
    except TimeoutError:
        return f"no answer from {probe.host}:{probe.port} within {probe.timeout:g} s"
    except (OSError, aiohttp.ClientError) as error:
        return f"{probe.host}:{probe.port}: {error}"


async def _get(session: aiohttp.ClientSession, probe: Probe) -> str:
    url = f"http://{probe.host}:{probe.port}/{probe.path.lstrip('/')}"
    async with session.get(url, headers=probe.headers, allow_redirects=False) as response:
        if 200 <= response.status < 400:  # as the kubelet judges
            return ""
        return f"{url} answers {response.status}"

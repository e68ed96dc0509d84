"""A process of a measurement: what it serves, until it is told to end."""

import asyncio
import json
import signal

from aiohttp import web


async def serve(app: web.Application, **told: str) -> None:
    """Serve *app* on a free port of loopback until SIGTERM; print where, as one line of JSON."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}", **told}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()

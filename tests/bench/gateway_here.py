"""A gateway inside the test's own event loop: nothing to start, and it can be killed between two lines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.gateway import Settings
from comfy_capsule.packager.gateway.app import AccessLog, build_app, log
from comfy_capsule.packager.gateway.secrets import Secrets
from comfy_capsule.packager.gateway.server import assemble, load
from comfy_capsule.packager.gateway.supervise import Attached, Backend

from .gateway import blank_capsule

BLANK = "/workflows/blank"


@asynccontextmanager
async def gateway(
    settings: Settings, *capsules: Capsule, ready: bool = True, backends: Sequence[Backend] = ()
) -> AsyncIterator[TestClient[Any, Any]]:
    """A gateway in this event loop, asked through a client; killed, not drained, at the end."""
    settings.state.mkdir(exist_ok=True)
    backends = backends or [Attached(settings.comfy)]
    served = capsules or (blank_capsule(),)
    secrets = Secrets.of(served, settings, os.environ)
    service, pool = assemble(load(served, secrets), settings, backends, secrets)
    server = TestServer(build_app(service))
    await server.start_server(access_log_class=AccessLog, access_log=log)
    async with TestClient(server) as client:
        working = asyncio.create_task(pool.run())
        try:
            while ready and (await client.get("/readyz")).status != 200:
                await asyncio.sleep(0.01)
            yield client
        finally:
            working.cancel()
            await asyncio.wait([working])
            await asyncio.gather(*(backend.stop() for backend in backends))
            await service.store.close()
            if service.telemetry is not None:
                await asyncio.to_thread(service.telemetry.close)


async def state_of(client: TestClient[Any, Any], id: str, wanted: str, seconds: float = 5) -> dict[str, Any]:
    """The execution once its state is `wanted`."""
    async with asyncio.timeout(seconds):
        while True:
            execution = await (await client.get(f"/executions/{id}")).json()
            if execution["state"] == wanted:
                return dict(execution)
            await asyncio.sleep(0.02)

"""What a gateway in front of a real ComfyUI asks outside: a picture by URL, and a webhook that outlives a kill -9."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from bench import RunningComfy, pixels
from bench.gateway import Gateway, blank_capsule, serving
from bench.pictures import example_picture
from bench.stranger import Stranger, giving
from comfy_capsule.packager.capsule import write_capsule
from comfy_capsule.packager.contract import Contract, Input, Output, Target

SECRET = f"whsec_{base64.b64encode(b's' * 32).decode()}"


async def told_of(gateway: Gateway, id: str, wanted: str) -> dict[str, Any]:
    """The execution's ``webhook`` once an attempt has ended and its state is `wanted`."""
    async with asyncio.timeout(60):
        while True:
            _, execution, _ = await asyncio.to_thread(gateway.ask, "GET", f"/executions/{id}")
            if execution["webhook"]["state"] == wanted and execution["webhook"]["last_status"]:
                return dict(execution["webhook"])
            await asyncio.sleep(0.05)


async def test_a_picture_by_url_is_run_and_its_end_is_told_over_a_kill(comfy: RunningComfy, tmp_path: Path) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "outward"}},
    }
    photo = Input(name="photo", type="image", required=True, targets=(Target(node="1", input="image"),))
    outputs = (Output(name="picture", type="image", nodes=("2",)),)
    capsule = tmp_path / "copy.capsule.zip"
    write_capsule(
        blank_capsule("copy", graph=graph, contract=Contract(name="copy", inputs=(photo,), outputs=outputs)), capsule
    )
    picture = example_picture(24, 12)
    async with Stranger(giving(picture)) as host, Stranger(giving(b"", status=503)) as receiver:
        env = {
            "COMFY_CAPSULE_FETCH_HTTP": "true",
            "COMFY_CAPSULE_FETCH_PORTS": f"{host.port} {receiver.port}",
            "COMFY_CAPSULE_FETCH_ALLOW": "127.0.0.0/8",
            "COMFY_CAPSULE_WEBHOOK_SECRETS": SECRET,
            "COMFY_CAPSULE_WEBHOOK_DELAY": "1",
        }

        def first() -> str:
            with serving([capsule], comfy.base_url, tmp_path / "state", env=env) as gateway:
                gateway.wait_ready()
                sent, headers = {"photo": {"url": host.url("/me.png")}}, {"Webhook-URL": receiver.url("/hook")}
                status, execution, _ = gateway.ask("POST", "/workflows/copy", sent, headers)
                assert status == 200, execution
                _, data, _ = gateway.ask("GET", execution["outputs"]["picture"][0]["url"])
                assert pixels(data) == pixels(picture)
                asyncio.run(told_of(gateway, execution["id"], "pending"))
                gateway.process.kill()
                return str(execution["id"])

        id = await asyncio.to_thread(first)
        receiver.answer = giving(b"", status=200)

        def second() -> dict[str, Any]:
            with serving([capsule], comfy.base_url, tmp_path / "state", env=env) as gateway:
                told = asyncio.run(told_of(gateway, id, "delivered"))
                assert SECRET not in gateway.log.read_text()
                assert receiver.url() not in gateway.log.read_text()
                return told

        assert (await asyncio.to_thread(second))["last_status"] == 200
        message = Webhook(SECRET).verify(receiver.asked[-1].body, receiver.asked[-1].headers)
        assert (message["type"], message["data"]["id"]) == ("execution.succeeded", id)
        assert "parameters" not in message["data"]
        assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
        assert not (tmp_path / "state" / "gateway.sqlite").read_bytes().count(SECRET.encode())

"""A running ComfyUI for tests, benchmarks and the demo, and graphs run by it as a hand-written client would."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from comfy_capsule.packager.comfy import ComfyClient, ComfyProcess, Install, find_install

from .pictures import PICTURE, example_picture

_T = TypeVar("_T")


@dataclass(frozen=True)
class RunningComfy:
    """A ComfyUI that serves at `base_url`. It is driven in a thread of its own: any test's event loop may use it."""

    install: Install
    process: ComfyProcess
    base_url: str

    def generate(self, graph: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Run an API graph; see `run_graph`. Not from an event loop."""
        return asyncio.run(run_graph(self.base_url, graph))


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[RunningComfy]:
    """Boot the ComfyUI in `folder` with folders of its own and the example picture in its input.

    Args:
        options: as for `ComfyProcess.start`.
    """
    install = find_install(folder)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="comfyui", daemon=True)
    thread.start()

    def wait(task: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(task, loop).result()

    try:
        process = wait(ComfyProcess.start(install, **options))
        try:
            (process.input_dir / PICTURE).write_bytes(example_picture())
            wait(process.wait_ready())
            yield RunningComfy(install, process, process.base_url)
        finally:
            wait(process.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def run_graph(base_url: str, graph: Mapping[str, Any], timeout: float = 120.0) -> dict[str, dict[str, Any]]:
    """Run an API graph as a hand-written client would, and return its outputs by node id.

    Each is ComfyUI's own (``{"images": [{"filename", …}]}``), with the file's ``bytes`` added to every entry.

    Raises:
        AssertionError: when the execution fails, with ComfyUI's messages.
    """
    async with ComfyClient(base_url) as client:
        prompt_id = (await client.submit(graph)).prompt_id
        end = time.monotonic() + timeout
        while (entry := await client.history(prompt_id)) is None:
            assert time.monotonic() < end, f"not done within {timeout:.0f} s"
            await asyncio.sleep(0.02)
        assert entry["status"]["status_str"] == "success", entry["status"]["messages"]
        for output in entry["outputs"].values():
            for items in output.values():
                for item in items:
                    if isinstance(item, dict) and "filename" in item:
                        item["bytes"] = await client.view(item["filename"], item["subfolder"], item["type"])
        return dict(entry["outputs"])

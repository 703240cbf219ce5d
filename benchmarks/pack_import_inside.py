"""Runs in ComfyUI's own Python, in its folder: how long ComfyUI takes to load the pack, in milliseconds.

Usage: ``python pack_import_inside.py PACK USER_FOLDER``
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path


async def _measure(pack: str) -> float:
    import nodes
    import server

    prompt_server = server.PromptServer(asyncio.get_running_loop())
    # What ComfyUI itself imports for its first pack is not the cost of ours.
    await nodes.load_custom_node(str(Path("custom_nodes", "websocket_image_save.py").absolute()))
    before = len(prompt_server.routes)
    start = time.perf_counter()
    loaded = await nodes.load_custom_node(pack)
    took = (time.perf_counter() - start) * 1000
    if not loaded or len(prompt_server.routes) == before:
        sys.exit("The pack did not load, or registered no route.")
    return took


if __name__ == "__main__":
    pack, user = sys.argv[1:]
    sys.path.insert(0, os.getcwd())
    sys.argv[1:] = ["--cpu", "--user-directory", user]
    from comfy import options

    options.enable_args_parsing()
    print(asyncio.run(_measure(pack)))

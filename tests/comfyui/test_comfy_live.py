"""The `Install` that a running ComfyUI reads of itself is the one read from its folder."""

from __future__ import annotations

from pathlib import Path

import aiohttp

import comfy_capsule
from bench import fresh_install, running
from comfy_capsule.packager.comfy import Install, find_install

PACK = """
import asyncio
import sys
sys.path.append({source!r})

import folder_paths
from aiohttp import web
from comfy_capsule.packager.comfy import live_address, live_install, live_object_info
from server import PromptServer

folder_paths.add_model_folder_path("added_by_pack", {added!r})

@PromptServer.instance.routes.get("/live")
async def live(_):
    said = {{"install": live_install().model_dump(mode="json"), "address": live_address()}}
    return web.json_response({{**said, "nodes": await asyncio.to_thread(live_object_info)}})

NODE_CLASS_MAPPINGS = {{}}
"""
OWN_FOLDERS = {"input_dir", "output_dir", "temp_dir", "user_dir", "arguments", "model_folders", "model_extensions"}


async def test_from_inside_it_looks_the_same(tmp_path: Path):
    folder = fresh_install(tmp_path / "ComfyUI")
    source = tmp_path / "source"
    source.mkdir()
    (source / "comfy_capsule").symlink_to(Path(comfy_capsule.__path__[0]).resolve())
    added = tmp_path / "added"
    (folder / "custom_nodes" / "asks.py").write_text(PACK.format(source=str(source), added=str(added)))
    with running(folder) as comfy:
        async with aiohttp.ClientSession() as session, session.get(f"{comfy.base_url}/live") as answer:
            said = await answer.json()
        async with aiohttp.ClientSession() as session, session.get(f"{comfy.base_url}/object_info") as answer:
            nodes = await answer.json()
    assert len(nodes) > 400
    assert said["nodes"] == nodes
    live, disk = Install.model_validate(said["install"]), find_install(folder)
    assert said["address"] == comfy.base_url
    assert live.model_dump(exclude=OWN_FOLDERS) == disk.model_dump(exclude=OWN_FOLDERS)
    assert live.temp_dir == comfy.process.temp_dir
    assert live.output_dir == comfy.process.output_dir
    assert live.model_folders["added_by_pack"] == (added,)
    assert live.model_folders["upscale_models"] == disk.model_folders["upscale_models"]

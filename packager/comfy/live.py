"""The ComfyUI that this very process is: the same `Install`, read from its loaded modules."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import CapsuleError
from .client import ComfyClient
from .install import Install
from .probe import describe, extra_configs

_log = logging.getLogger(__name__)
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def live_install() -> Install:
    """The running ComfyUI's `Install`, with the folders that its packs added.

    Raises:
        CapsuleError: ``not-in-comfyui`` when this process is none.
    """
    folder_paths = _module("folder_paths")
    root = Path(folder_paths.__file__).resolve().parent
    configs = extra_configs(str(root), _module("comfy.cli_args").args)
    facts = describe(folder_paths, configs, sys.argv[1:])
    return Install.model_validate({**facts, "root": root, "python": Path(sys.executable)})


def live_user_dir() -> Path:
    """The running ComfyUI's user folder, which holds a folder for each user. Raises CapsuleError ``not-in-comfyui``."""
    return Path(_module("folder_paths").get_user_directory())


class LiveTorch(BaseModel):
    """What the torch of the running ComfyUI says of its devices: their names, and the architectures it is built for."""

    model_config = ConfigDict(frozen=True)

    running: bool = False  # whether this process is a ComfyUI
    gpus: tuple[str, ...] = ()
    arch_list: tuple[str, ...] = ()


def live_torch() -> LiveTorch:
    """Ask the torch that this process, if it is a ComfyUI, has loaded; nothing is imported, no device is woken."""
    running = "comfy.cli_args" in sys.modules and "folder_paths" in sys.modules
    torch = sys.modules.get("torch") if running else None
    if torch is None:
        return LiveTorch(running=running)
    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)() or ""  # get_arch_list() says nothing on a CPU
    names = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    gpus = tuple(str(torch.cuda.get_device_name(index)) for index in names)
    return LiveTorch(running=running, gpus=gpus, arch_list=tuple(flags.split()))


def live_address() -> str:
    """The base URL at which this process reaches its own server, e.g. ``http://127.0.0.1:8188``.

    A server that listens everywhere is reached on loopback; one bound to a single address only there.

    Raises:
        CapsuleError: ``not-in-comfyui``, or ``not-listening`` while ComfyUI still starts.
    """
    server = getattr(_module("server").PromptServer, "instance", None)
    address, port = getattr(server, "address", None), getattr(server, "port", None)
    if address is None or port is None:
        raise CapsuleError("not-listening", "This ComfyUI does not listen yet.", "Wait until it has started.")
    host = _EVERYWHERE.get(address, address)
    args = _module("comfy.cli_args").args
    scheme = "https" if args.tls_keyfile and args.tls_certfile else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def live_object_info() -> dict[str, Any]:
    """The node definitions of this very ComfyUI, as ``/object_info`` gives them. For a worker thread.

    ComfyUI makes them all in one step of its event loop, in which nothing else is answered (half a second for its own
    classes alone). Its handler for a single class (``GET /object_info/{node_class}``, server.py 0.30.0) is run in this
    thread instead, class by class, and the loop goes on. A class that cannot be asked is left out, as ComfyUI does.

    Raises:
        CapsuleError: ``not-in-comfyui``, or ``not-listening`` while ComfyUI still starts.
    """
    routes = getattr(getattr(_module("server").PromptServer, "instance", None), "routes", ())
    wanted = ("GET", "/object_info/{node_class}")
    handler = next((item.handler for item in routes if (item.method, item.path) == wanted), None)
    names = list(_module("nodes").NODE_CLASS_MAPPINGS)
    return asyncio.run(_ask_server() if handler is None else _ask_handler(handler, names))


async def _ask_handler(handler: Callable[[Any], Awaitable[Any]], names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        try:
            answer = await handler(SimpleNamespace(match_info={"node_class": name}))
            found |= json.loads(answer.text)
        except Exception as error:  # noqa: BLE001 - whatever a pack's class does
            _log.warning("Comfy Capsule: the node class %s does not say what it is: %s", name, error)
    return found


async def _ask_server() -> dict[str, Any]:
    async with ComfyClient(live_address()) as client:
        return await client.object_info()


def _module(name: str) -> Any:
    """A module that ComfyUI has loaded: never imported afresh, for outside ComfyUI the name means something else."""
    module = sys.modules.get(name)
    if module is None:
        raise CapsuleError("not-in-comfyui", "This process is not a ComfyUI.", "Give --comfy a folder or an address.")
    return module

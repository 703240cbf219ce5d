"""What ComfyUI loads from its ``custom_nodes`` folder: the web folder, and the routes once it calls the entry point.

Nothing is imported at module level, so that the tests can be collected in a clone of any name and the command
needs no ComfyUI. There is no ``NODE_CLASS_MAPPINGS`` here: where one is given, even an empty one, ComfyUI 0.30.0
(``nodes.py``, `load_custom_node`) never calls `comfy_entrypoint`.
"""

from __future__ import annotations

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> object:
    """Register the routes with the running server, before it freezes them; returns the extension with the API nodes."""
    from comfy_api.latest import ComfyExtension, io
    from server import PromptServer

    from .nodes import NODES
    from .server_routes import register

    class Capsule(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return NODES

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        register(server)
    return Capsule()

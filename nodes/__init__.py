"""The API nodes: inputs and outputs of the web API as nodes, for those who like a node better than a marked widget.

`packager/workflow/api_nodes.py` reads them out of a graph; the two agree on class and input names, and a test holds
them together. ComfyUI is there when this is imported, the pack's own dependencies may not be.
"""

from __future__ import annotations

from comfy_api.latest import io

from .inputs import INPUT_NODES
from .outputs import OUTPUT_NODES

NODES: list[type[io.ComfyNode]] = [*INPUT_NODES, *OUTPUT_NODES]

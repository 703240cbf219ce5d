"""What an image serves, proved: its model files, and the API graph as ComfyUI itself checks it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ..capsule import Model
from ..comfy import ComfyClient, ComfyProcess, Install
from ..errors import CapsuleError
from ..progress import silent
from ..restore import Table, model_rows, row

_BOOT = 300.0  # seconds


def prove_models(part: Path, install: Install) -> Table:
    """Compare the model files of `install` with the part ``models``, by their sha256."""
    said = json.loads((part / "models.json").read_text(encoding="utf-8"))
    models = [Model.model_validate(item) for item in said]
    absent = [model for model in models if _is_absent(model, install)]
    there = [model for model in models if model not in absent]
    unproved = [f"The model {model.folder}/{model.name} is in a volume that is not here." for model in absent]
    return Table(rows=tuple(model_rows(there, install.model_folders, silent)), unproved=tuple(unproved))


def _is_absent(model: Model, install: Install) -> bool:
    """Whether it is a link that leads nowhere now, as those of a model do that is not in the image."""
    place = install.root / "models" / model.folder / model.name
    return place.is_symlink() and not place.exists()


def prove_graph(part: Path, install: Install) -> Table:
    """Let the booted `install` check the graph of the part ``graph``. What it begins to run of it is ended with it."""
    graph = json.loads((part / "graph.json").read_text(encoding="utf-8"))
    try:
        asyncio.run(_submit(graph, part / "inputs", install))
    except CapsuleError as error:
        return Table(rows=(row("graph", "API graph", "valid", error.message, False),))
    return Table(rows=(row("graph", "API graph", "valid", "valid"),))


async def _submit(graph: dict[str, object], inputs: Path, install: Install) -> None:
    async with await ComfyProcess.start(install, env={"PYTHONDONTWRITEBYTECODE": "1"}) as process:
        for name in (path.relative_to(inputs) for path in inputs.rglob("*") if path.is_file()):
            (process.input_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (process.input_dir / name).write_bytes((inputs / name).read_bytes())
        await process.wait_ready(_BOOT)
        async with ComfyClient(process.base_url) as client:
            await client.submit(graph)
        await process.stop(grace=0)

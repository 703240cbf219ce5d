"""What a proof compares with: the parts of a capsule that an image is held to, each in a folder of its own.

They lie apart in a build context, so that a changed workflow has only its own part proved again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..capsule import Capsule, Lock, Observed, canonical_json, lock_toml
from ..materialise import Packs, chosen_packs, used_files

#: ``{place below ComfyUI's folder: the names of the tree's files}``; ``""`` is ComfyUI's own. A pack that is a single
#: file has no names.
Trees = Mapping[str, Sequence[str]]

#: Where packs lie below ComfyUI's folder.
PACKS = "custom_nodes"

#: Where an image keeps the trees' names, beside its capsule.
TREES = "trees.json"


#: Where an image keeps what is installed in place of its capsule's Python lock: a `Derived`.
DERIVED = "derived.json"


def write_parts(capsule: Capsule, trees: Trees, packs: Packs, folder: Path) -> None:
    """Write the parts of `capsule`, fitted to the image's machine, into `folder`.

    ``environment/``: the lock without what names the workflow, ``pylock.toml``, the frozen definitions and `trees`;
    the lock's digests prove that no name was left out of these, and its findings are what is not as captured.
    ``models/``, ``graph/`` with the inputs that it reads, and ``capsule/``, the digests.
    """
    lock = capsule.lock
    environment = Lock(
        name="environment",
        platform=lock.platform,
        comfyui=lock.comfyui,
        system=lock.system,
        packs=chosen_packs(capsule, packs),
        files=tuple(used_files(capsule, packs)),
        observed=Observed(gpus=lock.observed.gpus),
        findings=tuple(finding for finding in lock.findings if finding.code == "torch-build-changed"),
    )
    graph = {node: {key: said[key] for key in ("class_type", "inputs")} for node, said in capsule.graph.items()}
    texts = {
        "environment/capsule.toml": lock_toml(environment),
        "environment/pylock.toml": capsule.pylock,
        "environment/object_info.json": json.dumps(json.loads(canonical_json(capsule.object_info)), indent=1),
        f"environment/{TREES}": trees_json(trees),
        "models/models.json": json.dumps([item.model_dump() for item in lock.models], indent=1),
        "graph/graph.json": json.dumps(graph, indent=1),
        "capsule/digests.json": json.dumps(capsule.digests.model_dump(), indent=1),
    }
    files = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
    files |= {f"graph/inputs/{item.name}": capsule.read(f"inputs/{item.name}") for item in lock.inputs}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def trees_json(trees: Trees) -> str:
    """`trees` as text, the same for equal ones."""
    return json.dumps({place: sorted(names) for place, names in sorted(trees.items())}, indent=0)

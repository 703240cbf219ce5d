"""Capsules of one workflow that differ in one thing each, to be kept as versions."""

from __future__ import annotations

from typing import Any

from bench.gateway import blank_capsule
from comfy_capsule.packager.capsule import Capsule

PICTURE = b"\x89PNG picture" * 1000


def capsule(
    message: str = "", *, name: str = "portrait", comfyui: str = "0.30.0", maximum: int = 0xFFFFFF, **more: Any
) -> Capsule:
    """A small whole capsule that carries a picture; `message` is what it says of itself.

    Args:
        comfyui: the environment it is of.
        maximum: of its input `color`; a smaller one breaks callers.
        more: other fields of the capsule.
    """
    made = blank_capsule(name)
    first, *rest = made.contract.inputs
    contract = made.contract.model_copy(update={"inputs": (first.model_copy(update={"maximum": maximum}), *rest)})
    core = made.lock.comfyui.model_copy(update={"version": comfyui})
    lock = made.lock.model_copy(update={"message": message, "comfyui": core})
    fields = {"lock": lock, "contract": contract, "workflow": {"nodes": [], "said": message}, **more}
    return blank_capsule(name, **{"files": {"inputs/picture.png": PICTURE}, **fields})

"""ComfyUI itself, and the platform it runs on."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from ..capsule import NOT_CORE, Finding, Platform
from ..comfy import Install, torch_version
from .trees.tree import ReadTree, read_tree


def read_core(install: Install) -> ReadTree:
    """ComfyUI as the lock has it (the fields of a `Source`), what stands against it, and the carried bytes."""
    read = read_tree(install.root, "ComfyUI", "comfyui", NOT_CORE)
    if read.source["kind"] == "git":
        return read
    finding = Finding(
        code="core-not-git",
        subject="ComfyUI",
        message=f"ComfyUI {install.version} is recorded by its files, not as a git checkout; they are carried.",
        cure="Nothing needs to be done; the capsule is larger for it.",
    )
    return read.model_copy(update={"findings": (finding, *read.findings)})


def read_platform(install: Install, distributions: Mapping[str, str]) -> Platform:
    """The platform; `distributions` are ``{normalized name: version}``."""
    return Platform(
        os=platform.system().lower(),
        arch=platform.machine(),
        python=install.python_version,
        implementation=install.implementation,
        torch=torch_version(install) or distributions.get("torch", ""),
        frontend=distributions.get("comfyui-frontend-package", ""),
        templates=distributions.get("comfyui-workflow-templates", ""),
    )

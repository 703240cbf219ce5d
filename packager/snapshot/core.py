"""ComfyUI itself, and the platform it runs on."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from pathlib import Path

from ..capsule import ComfyUI, Finding, Platform, is_checkout, tree_digest, tree_files
from ..comfy import Install
from .checkout import Checkout, read_checkout

_TORCH_VERSION = re.compile(r"^__version__ = ['\"]([^'\"]+)['\"]", re.MULTILINE)


def read_core(install: Install) -> tuple[ComfyUI, list[Finding], bytes]:
    """ComfyUI as the lock has it, what stands against reproducing it, and its local changes as a patch.

    Its own ``custom_nodes``, ``models``, ``input``, ``output`` and ``user`` hold other things of the lock, or none; git
    ignores them in ComfyUI's own ``.gitignore``.
    """
    if not is_checkout(install.root):
        tree = tree_digest(install.root, (name for name in tree_files(install.root) if _is_code(name)))
        finding = Finding(
            code="core-not-git",
            subject="ComfyUI",
            message=f"ComfyUI {install.version} at {install.root.name} is no git checkout; its files are not carried.",
            cure="Use a git checkout of ComfyUI.",
            blocks=True,
        )
        return ComfyUI(version=install.version, kind="folder", tree=tree), [finding], b""
    checkout = read_checkout(install.root)
    core = ComfyUI(
        version=install.version,
        kind="git",
        origin=checkout.origin,
        commit=checkout.commit,
        tree=checkout.tree,
        patch="packs/ComfyUI.patch" if checkout.patch else "",
    )
    return core, checkout_findings("ComfyUI", checkout), checkout.patch


def checkout_findings(subject: str, checkout: Checkout) -> list[Finding]:
    """What is to be said of a checkout: that it has no remote, and which local files are carried with it."""
    findings = []
    if not checkout.origin:
        findings.append(
            Finding(
                code="no-origin",
                subject=subject,
                message=f"{subject} is a git checkout without a remote; nobody else can fetch its commit.",
                cure="Push it to a remote.",
                blocks=True,
            )
        )
    if checkout.changed:
        shown = ", ".join(checkout.changed[:5])
        more = f" and {len(checkout.changed) - 5} more" if len(checkout.changed) > 5 else ""
        findings.append(
            Finding(
                code="local-changes",
                subject=subject,
                message=f"{subject} has local changes and untracked files, which are carried: {shown}{more}.",
                cure="Look through them for what is nobody else's business, or commit them.",
            )
        )
    return findings


def read_platform(install: Install, distributions: Mapping[str, str]) -> Platform:
    """The platform; `distributions` are ``{normalized name: version}``."""
    return Platform(
        os=platform.system().lower(),
        arch=platform.machine(),
        python=install.python_version,
        implementation=install.implementation,
        torch=_torch(install, distributions.get("torch", "")),
        frontend=distributions.get("comfyui-frontend-package", ""),
        templates=distributions.get("comfyui-workflow-templates", ""),
    )


def _torch(install: Install, version: str) -> str:
    """torch's own word on its version: an index may drop the build tag (``+cu130``) from the distribution's."""
    for folder in install.site_packages:
        said = folder / "torch" / "version.py"
        if said.is_file() and (found := _TORCH_VERSION.search(said.read_text())):
            return found[1]
    return version


def _is_code(name: str) -> bool:
    return Path(name).parts[0] not in {"custom_nodes", "models", "input", "output", "user", "temp"}

"""The custom-node packs: every folder and file under the custom_nodes roots, what it is and what it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..capsule import Finding, Pack, is_checkout, sha256_file, tree_digest, tree_files
from ..comfy import Install
from ..errors import CapsuleError
from ..progress import Progress, Report
from .checkout import Checkout, read_checkout
from .core import checkout_findings

_NO_PACKS = frozenset({"__pycache__", ".disabled", ".git", "example_node.py.example", "websocket_image_save.py"})
_REQUIREMENTS = ("requirements.txt", "pyproject.toml")


class Packs(BaseModel):
    """The packs, what stands against reproducing them, and the carried bytes by entry name."""

    model_config = ConfigDict(frozen=True)

    packs: tuple[Pack, ...]
    findings: tuple[Finding, ...]
    files: dict[str, bytes]


def read_packs(
    install: Install, object_info: Mapping[str, Any] | None, used_classes: frozenset[str], report: Report
) -> Packs:
    """Read every pack of `install`, sorted by name.

    Args:
        object_info: the running ComfyUI's node definitions; without it no pack's classes are known.
        used_classes: the node classes that the graph uses.
    """
    classes = classes_by_pack(object_info or {})
    packs, findings, files = [], [], {}
    places = sorted(_places(install), key=lambda place: place.name)
    for done, place in enumerate(places):
        report(Progress(phase="packs", item=place.name, done=done, total=len(places)))
        name = place.name.removesuffix(".disabled")
        given = tuple(sorted(classes.get(place.name.removesuffix(".py"), ())))
        pack, found, patch = _read_pack(place, name, given, used_classes)
        packs.append(pack)
        findings.extend(found)
        if pack.patch:
            files[pack.patch] = patch
    report(Progress(phase="packs", done=len(places), total=len(places)))
    return Packs(packs=tuple(packs), findings=tuple(findings), files=files)


def classes_by_pack(object_info: Mapping[str, Any]) -> dict[str, set[str]]:
    """``{pack folder: its node classes}``, after ComfyUI's own module record (``python_module``)."""
    given: dict[str, set[str]] = {}
    for name, definition in object_info.items():
        module = str(definition.get("python_module", ""))
        if module.startswith("custom_nodes."):
            given.setdefault(module.removeprefix("custom_nodes."), set()).add(name)
    return given


def _places(install: Install) -> Iterator[Path]:
    for root in install.custom_nodes:
        for place in root.iterdir() if root.is_dir() else ():
            if place.name in _NO_PACKS or place.name.startswith("."):
                continue
            if place.is_dir() or place.suffix == ".py" or place.name.endswith(".py.disabled"):
                yield place
        hidden = root / ".disabled"
        if hidden.is_dir():
            yield from (place for place in hidden.iterdir() if place.is_dir())


def _read_pack(
    place: Path, name: str, classes: tuple[str, ...], used: frozenset[str]
) -> tuple[Pack, list[Finding], bytes]:
    common: dict[str, Any] = {
        "name": name,
        "enabled": not place.name.endswith(".disabled") and place.parent.name != ".disabled",
        "classes": classes,
        "used": not used.isdisjoint(classes),
    }
    if place.is_file():
        return Pack(**common, kind="file", tree=sha256_file(place)), [_not_carried(name, "a single file")], b""
    common["requirements"] = tuple(file for file in _REQUIREMENTS if (place / file).is_file())
    common["install_script"] = "install.py" if (place / "install.py").is_file() else ""
    if not is_checkout(place):
        tree = tree_digest(place, tree_files(place))
        return Pack(**common, kind="folder", tree=tree), [_not_carried(name, "a plain folder")], b""
    try:
        checkout = read_checkout(place)
    except CapsuleError as error:
        if error.code == "no-program":
            raise
        finding = Finding(code=error.code, subject=name, message=error.message, cure=error.cure, blocks=True)
        return Pack(**common, kind="git"), [finding], b""
    pack = Pack(
        **common,
        kind="git",
        origin=checkout.origin,
        commit=checkout.commit,
        tree=checkout.tree,
        patch=f"packs/{name if common['enabled'] else f'{name}.disabled'}.patch" if checkout.patch else "",
    )
    return pack, [*checkout_findings(name, checkout), *_submodules(name, place, checkout)], checkout.patch


def _submodules(name: str, place: Path, checkout: Checkout) -> list[Finding]:
    if not (place / ".gitmodules").is_file():
        return []
    return [
        Finding(
            code="submodules",
            subject=name,
            message=f"{name} at {checkout.commit[:12]} has git submodules; their files are not recorded yet.",
            cure="Copy the submodules' files into the pack and commit them.",
            blocks=True,
        )
    ]


def _not_carried(name: str, kind: str) -> Finding:
    return Finding(
        code="pack-not-carried",
        subject=name,
        message=f"The pack {name} is {kind} without git; its digest is recorded, its bytes are not carried yet.",
        cure="Make it a git repository with a remote.",
        blocks=True,
    )

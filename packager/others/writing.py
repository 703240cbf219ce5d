"""A capsule's environment as a snapshot of ComfyUI-Manager or Comfy-Desktop, and what is lost on the way.

The formats are told in `manager` and `desktop`, which read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple

from packaging.pylock import Package

from ..capsule import Capsule, Finding, Pack
from ..materialise import read_pylock
from .desktop import TYPE
from .lost import lost

Written = Literal["manager", "desktop"]


class Snapshot(NamedTuple):
    """What is written, and what of the capsule is not in it."""

    document: dict[str, Any]
    lost: tuple[Finding, ...]


def write_snapshot(capsule: Capsule, form: Written, now: datetime) -> Snapshot:
    """The environment of `capsule` in the other tool's form.

    Args:
        now: Comfy-Desktop's snapshots say when they were made; a capsule does not.
    """
    write: Callable[[Capsule, datetime], tuple[dict[str, Any], list[Pack]]]
    write = _manager if form == "manager" else _desktop
    document, left_out = write(capsule, now)
    return Snapshot(document, lost(capsule, form, left_out))


def _manager(capsule: Capsule, _now: datetime) -> tuple[dict[str, Any], list[Pack]]:
    git: dict[str, dict[str, Any]] = {}
    registry: dict[str, str] = {}
    files, left_out = [], []
    for pack in capsule.lock.packs:
        if pack.kind == "git" and pack.origin and pack.origin not in git:
            git[pack.origin] = {"hash": pack.commit, "disabled": not pack.enabled}
        elif pack.kind == "registry" and pack.enabled:
            identity, _, version = pack.registry.partition("@")
            registry[identity] = version
        elif pack.kind == "file":
            files.append({"filename": pack.path, "disabled": not pack.enabled})
        else:
            left_out.append(pack)
    return {
        "comfyui": capsule.lock.comfyui.commit or None,
        "git_custom_nodes": git,
        "cnr_custom_nodes": registry,
        "file_custom_nodes": files,
        "pips": {name if where else f"{name}=={version}": where for name, version, where in _pins(capsule)},
    }, left_out


def _desktop(capsule: Capsule, now: datetime) -> tuple[dict[str, Any], list[Pack]]:
    """Version 1 of the envelope, which every Comfy-Desktop reads; 2 only adds a PyTorch stack of its own catalogue."""
    nodes, left_out = [], []
    for pack in capsule.lock.packs:
        node = _node(pack)
        if node is None:
            left_out.append(pack)
        else:
            nodes.append(node)
    core, when = capsule.lock.comfyui, now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    tag = f"v{core.version}"
    snapshot = {
        "version": 1,
        "createdAt": when,
        "trigger": "manual",
        "label": f"{capsule.name} {capsule.digests.id}",
        "comfyui": {"ref": core.commit or tag, "commit": core.commit or None, "releaseTag": "", "variant": ""},
        "customNodes": nodes,
        "pipPackages": {name: where or version for name, version, where in _pins(capsule)},
        "pythonVersion": capsule.lock.platform.python,
    }
    return {
        "type": TYPE,
        "version": 1,
        "exportedAt": when,
        "installationName": capsule.name,
        "snapshots": [snapshot],
    }, left_out


def _node(pack: Pack) -> dict[str, Any] | None:
    said: dict[str, Any] = {"id": pack.name, "type": "git", "dirName": pack.name, "enabled": pack.enabled}
    if pack.kind == "git" and pack.origin:
        return {**said, "commit": pack.commit, "url": pack.origin}
    if pack.kind == "registry":
        identity, _, version = pack.registry.partition("@")
        return {**said, "type": "cnr", "id": identity, "version": version}
    return {**said, "type": "file"} if pack.kind == "file" else None


def _pins(capsule: Capsule) -> Iterator[tuple[str, str, str]]:
    """(name, version, address) of every distribution; an address, where it came from one, as ``pip freeze`` has it."""
    locked = read_pylock(capsule.pylock)
    addresses = {str(item.name): _address(item) for item in locked.pylock.packages}
    for name, version in sorted(locked.versions().items()):
        if version or addresses.get(name):
            yield name, version, addresses.get(name, "")


def _address(item: Package) -> str:
    if item.vcs is not None and item.vcs.url:
        return f"{item.vcs.type}+{item.vcs.url}@{item.vcs.commit_id}"
    return str(item.archive.url or "") if item.archive is not None else ""

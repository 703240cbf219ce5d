"""Comfy-Desktop's snapshots: one file of its history, or the envelope that it exports, newest first.

The format, after Comfy-Desktop (``src/main/lib/snapshots/types.ts``, ``exportImport.ts`` and ``../nodes.ts`` beside):
an envelope is ``{type: "comfyui-desktop-2-snapshot", version: 1 or 2, exportedAt, installationName, snapshots}``; a
snapshot ``{version, createdAt, trigger, label, comfyui: {ref, commit, releaseTag, variant, baseTag?, commitsAhead?},
customNodes: [{id, type: cnr|git|file, dirName, enabled, version?, commit?, url?}], pipPackages: {name: version},
skipPipSync?, pythonVersion?, updateChannel?, torchStack?}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..capsule import Finding
from ..command import without_credentials
from ..errors import BadInput
from .findings import assumed, left_out, named_only, no_pins, not_chosen, not_held, resolved_today
from .models import Described, NamedPack
from .names import git_pack, is_commit, pack_path
from .pins import lines_of, read_pins

TYPE = "comfyui-desktop-2-snapshot"
_TAG = re.compile(r"v\d+\.\d+\.\d+\Z")
_PYTHON = re.compile(r"3\.\d+(\.\d+)?\Z")
_VERSIONS = (1, 2)


def is_desktop(said: Mapping[str, Any]) -> bool:
    """Whether `said` is an envelope, or one snapshot out of it."""
    one = isinstance(said.get("customNodes"), list) and isinstance(said.get("pipPackages"), dict)
    return said.get("type") == TYPE or one


def read_desktop(said: Mapping[str, Any], number: int = 1) -> Described:
    """What the snapshot `number` of the envelope says, 1 being the newest.

    Raises:
        BadInput: ``others-too-new`` for another version of the format, ``others-unreadable``, ``no-such-snapshot``.
    """
    if said.get("type") == TYPE:
        if said.get("version") not in _VERSIONS:
            message = f"This Comfy-Desktop snapshot has format version {said.get('version')!r}; 1 and 2 are known."
            raise BadInput("others-too-new", message, "Update Comfy Capsule.")
        listed = said.get("snapshots")
        snapshots = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    else:
        snapshots = [dict(said)]
    if not 1 <= number <= len(snapshots):
        message = f"The file holds {len(snapshots)} snapshot(s); there is no number {number}."
        raise BadInput("no-such-snapshot", message, "Name another one with --number.")
    one = snapshots[number - 1]
    several = [] if len(snapshots) == 1 else [_chosen(one, number, len(snapshots))]
    return _read(one, several)


def _chosen(one: Mapping[str, Any], number: int, count: int) -> Finding:
    when = str(one.get("createdAt", ""))[:40]
    message = f"The file holds {count} snapshots; number {number}, of {when}, is taken."
    return assumed("snapshot", message, "Name another one with --number.")


def _read(said: Mapping[str, Any], findings: list[Finding]) -> Described:
    if said.get("version", 1) not in _VERSIONS or not isinstance(said.get("comfyui"), dict):
        message = "The Comfy-Desktop snapshot does not say which ComfyUI it is of."
        raise BadInput("others-unreadable", message, "Export it again from Comfy-Desktop.")
    packs = []
    for found in _packs(said.get("customNodes")):
        findings.append(found) if isinstance(found, Finding) else packs.append(found)
    pips = said.get("pipPackages")
    pins, more = read_pins(lines_of(pips) if isinstance(pips, dict) else ())
    if said.get("skipPipSync") is True:
        message = (
            "The snapshot's Python packages are of another installation, told for information only; they are taken."
        )
        findings.append(assumed("Python", message, "Nothing, if the ComfyUI starts."))
    if said.get("torchStack") is not None:
        message = (
            "The PyTorch stack that Comfy-Desktop manages is not looked up; the versions of the packages are taken."
        )
        findings.append(resolved_today("torch", message))
    python = str(said.get("pythonVersion") or "")
    return Described(
        form="desktop",
        comfyui=_comfyui(said["comfyui"]),
        python=python if _PYTHON.match(python) else "",
        packs=tuple(packs),
        pins=pins,
        findings=(*not_held("desktop"), *findings, *more, *([] if pins else [no_pins()])),
    )


def _comfyui(said: Mapping[str, Any]) -> str:
    """The commit; where there is none, a tag that stands for one."""
    commit = said.get("commit")
    if isinstance(commit, str) and is_commit(commit):
        return commit
    exact = not said.get("commitsAhead")
    tags = [str(said.get(key) or "") for key in ("ref", *(("baseTag",) if exact else ()))]
    return next((tag for tag in tags if _TAG.match(tag) or is_commit(tag)), "")


def _packs(said: object) -> Iterator[NamedPack | Finding]:
    for item in said if isinstance(said, list) else ():
        if not isinstance(item, dict):
            yield left_out("customNodes", "An entry of customNodes is no object.")
            continue
        kind, name = item.get("type"), str(item.get("dirName") or "")
        off = item.get("enabled") is False
        path = pack_path(name, disabled=False)
        if isinstance(path, Finding):
            yield path
            continue
        place = f".disabled/{name}" if off else name  # where Comfy-Desktop puts disabled ones
        if kind == "git":
            url = without_credentials(str(item.get("url") or ""))
            yield git_pack(url, str(item.get("commit") or ""), name, disabled=off, path=place)
        elif kind == "cnr" and item.get("version"):
            identity = f"{item.get('id') or name}@{item['version']}"
            yield NamedPack(kind="registry", name=name, path=place, registry=identity)
        elif kind == "file" and off:
            yield not_chosen(name, f"The pack {name!r} is a disabled single file, of which only the name is known.")
        else:
            message = f"The pack {name!r} is named only: the snapshot has neither its bytes nor an address."
            yield named_only(name, message, "Put it into custom_nodes by hand.")

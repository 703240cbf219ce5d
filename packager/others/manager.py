"""ComfyUI-Manager's snapshots: ``snapshots/DATE_snapshot.json``, or the same in YAML under ``custom_nodes``.

The format, after ComfyUI-Manager 3.41 and 4.2 (``manager_core.py`` get_current_snapshot, save_snapshot_with_postfix):
``comfyui``, a commit or null; ``git_custom_nodes`` ``{url: {hash, disabled}}``; ``cnr_custom_nodes`` ``{id: version}``;
``file_custom_nodes`` ``[{filename, disabled}]``; ``pips`` ``{line of pip freeze: "" or url}`` or null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..capsule import Finding
from ..command import without_credentials
from .findings import left_out, named_only, no_pins, not_held
from .models import Described, NamedPack
from .names import folder_of, git_pack, is_commit, pack_path
from .pins import lines_of, read_pins

_KEYS = frozenset({"comfyui", "git_custom_nodes", "cnr_custom_nodes", "file_custom_nodes", "pips"})


def is_manager(said: Mapping[str, Any]) -> bool:
    """Whether `said` is such a snapshot."""
    return isinstance(said.get("git_custom_nodes"), dict) or isinstance(said.get("cnr_custom_nodes"), dict)


def read_manager(said: Mapping[str, Any]) -> Described:
    """What the snapshot says. Nothing in it is trusted: what has another shape is a finding."""
    packs, findings = read_packs(said)
    pips = said.get("pips")
    pins, more = read_pins(lines_of(pips)) if isinstance(pips, dict) else ((), ())
    odd = [left_out(key, f"{key!r} is nothing that is known of such snapshots.") for key in said if key not in _KEYS]
    if not pins:
        odd.append(no_pins())
    core = said.get("comfyui")
    return Described(
        form="manager",
        comfyui=core.strip() if isinstance(core, str) else "",
        packs=packs,
        pins=pins,
        findings=(*not_held("manager"), *findings, *more, *odd),
    )


def read_packs(said: Mapping[str, Any]) -> tuple[tuple[NamedPack, ...], list[Finding]]:
    """The packs of a snapshot, and what is to be said of them."""
    packs: list[NamedPack] = []
    findings: list[Finding] = []
    for found in (*_git(said.get("git_custom_nodes")), *_registry(said.get("cnr_custom_nodes"))):
        if isinstance(found, Finding):
            findings.append(found)
        else:
            packs.append(found)
    files = said.get("file_custom_nodes")
    for item in files if isinstance(files, list) else ():
        name = str(item.get("filename", "")) if isinstance(item, dict) else ""
        message = f"The pack {name!r} is a single file, of which the snapshot holds the name only."
        findings.append(named_only(name or "file_custom_nodes", message, "Put the file into custom_nodes by hand."))
    return tuple(packs), findings


def _git(said: object) -> Iterator[NamedPack | Finding]:
    for url, item in said.items() if isinstance(said, dict) else ():
        shown = without_credentials(str(url))
        commit = item.get("hash") if isinstance(item, dict) else None
        off = isinstance(item, dict) and item.get("disabled") is True
        yield git_pack(shown, str(commit or ""), folder_of(shown), disabled=off)


def _registry(said: object) -> Iterator[NamedPack | Finding]:
    for identity, version in said.items() if isinstance(said, dict) else ():
        subject = str(identity)
        if not isinstance(version, str) or not version[:1].isdigit():
            yield named_only(subject, f"The pack {subject!r} is named without a version of the registry.")
        elif isinstance(path := pack_path(subject, disabled=False), Finding):
            yield path
        elif is_commit(version):
            yield named_only(subject, f"The pack {subject!r} is named by a commit, but without an address.")
        else:
            yield NamedPack(kind="registry", name=subject, path=path, registry=f"{subject}@{version}")

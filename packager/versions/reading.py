"""What a commit holds, as a capsule's parts: every byte held to the manifest, the manifest to the capsule's digest."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..capsule import Lock, safe_name, sha256_bytes
from ..capsule.archive import MANIFEST, check_format
from ..contract import read_contract_json
from ..errors import BadInput
from ..workflow import check_api_graph
from .models import Kept, Manifest, Version

#: The entries of a capsule that git keeps, with its manifest: those that a person can read and compare.
TEXTS = ("capsule.toml", "pylock.toml", "workflow.json", "workflow.api.json", "contract.json", "object_info.json")


def read_manifest(data: bytes, version: Version, folder: Path) -> Manifest:
    """The manifest `data` of `version`. Raises BadInput ``version-damaged``, ``capsule-too-new``."""
    if sha256_bytes(data) != version.digests.capsule:
        raise damaged(version, f"its {MANIFEST} is not that of the capsule")
    try:
        manifest = Manifest.model_validate_json(data)
    except ValueError as error:
        raise damaged(version, f"its {MANIFEST} cannot be read") from error
    check_format(folder, manifest.format)
    for name in manifest.entries:
        safe_name(name)
    return manifest


def read_kept(found: Mapping[str, bytes], version: Version, folder: Path) -> Kept:
    """The parts of `version` out of its files in git.

    Raises:
        BadInput: ``version-damaged``, ``capsule-too-new``, ``capsule-unsafe-name``.
    """
    manifest = read_manifest(found.get(MANIFEST, b""), version, folder)
    texts = {}
    for name in TEXTS:
        data, said = found.get(name), manifest.entries.get(name)
        if data is None or said is None or (len(data), sha256_bytes(data)) != (said.size, said.sha256):
            raise damaged(version, f"{name} is not that of the capsule")
        texts[name] = data
    try:
        lock = tomllib.loads(texts["capsule.toml"].decode())
        check_format(folder, lock["format"])
        graph = _object(texts["workflow.api.json"])
        check_api_graph(graph)
        return Kept(
            version=version,
            texts=texts,
            files={name: entry for name, entry in manifest.entries.items() if name not in TEXTS},
            lock=Lock.model_validate(lock),
            pylock=texts["pylock.toml"].decode(),
            workflow=_object(texts["workflow.json"]),
            graph=graph,
            contract=read_contract_json(_object(texts["contract.json"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError, BadInput) as error:
        if isinstance(error, BadInput) and error.code == "capsule-too-new":
            raise
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise damaged(version, f"a file of it cannot be read: {reason}") from error


def _object(data: bytes) -> dict[str, Any]:
    said = json.loads(data.decode("utf-8", "surrogatepass"))
    if not isinstance(said, dict):
        raise TypeError("a JSON file holds no object")
    return said


def damaged(version: Version, why: str) -> BadInput:
    """The error for a commit that does not hold what it says."""
    message = f"The version {version.id} of {version.workflow} (commit {version.commit[:12]}) is damaged: {why}."
    return BadInput("version-damaged", message, "Take another version, or a copy of the folder from a backup.")

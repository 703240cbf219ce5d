"""The further files that a traced run opened, put back: beside what git ignores, and into a cache of ComfyUI's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..caches import CACHES
from ..capsule import Capsule, Model, UsedFile, git, is_checkout, safe_name, sha256_bytes
from ..errors import BadInput
from ..progress import Progress, Report
from .model_store import ModelStore, link_or_copy
from .models import model_sources
from .paths import place
from .sources import Packs, chosen_packs, pack_place

_SPECIAL = re.compile(r"([\\\[\]*?#! ])")  # to git's patterns


def used_place(item: UsedFile) -> str:
    """Where `item` goes, from ComfyUI's folder on, with ``/``.

    Raises:
        BadInput: ``capsule-unsafe-name``, also for a place where git keeps its own, for what lies there may be run.
    """
    if ".git" in safe_name(item.name).lower().split("/"):
        message = f"The lock names a used file {item.name!r}, which is git's own."
        raise BadInput("capsule-unsafe-name", message, "Do not use this capsule; ask its author for a new one.")
    return f"{CACHES}/{item.name}" if item.place == "cache" else item.name


def used_files(capsule: Capsule, packs: Packs) -> Iterator[UsedFile]:
    """The used files of `capsule`, without those in packs that are not installed."""
    chosen = {pack_place(pack) for pack in chosen_packs(capsule, packs)}
    without = tuple(
        f"custom_nodes/{pack_place(pack)}/" for pack in capsule.lock.packs if pack_place(pack) not in chosen
    )
    return (item for item in capsule.lock.files if item.place == "cache" or not item.name.startswith(without))


def carried_bytes(capsule: Capsule, item: UsedFile) -> bytes | None:
    """The bytes of `item` that the capsule carries; None when it carries none.

    Raises:
        BadInput: ``capsule-damaged`` when they are not what the lock says.
    """
    if not item.carried:
        return None
    data = capsule.files.get(item.carried)
    if data is None or sha256_bytes(data) != item.sha256:
        message = f"The capsule's file {item.carried!r} is not the one that its lock names."
        raise BadInput("capsule-damaged", message, "Export the capsule again.")
    return data


def as_model(item: UsedFile) -> Model:
    """A file that is not carried is had again as models are: by its sha256, from addresses and folders."""
    return Model(folder=item.place, name=item.name, size=item.size, sha256=item.sha256, sources=item.sources)


def place_used_files(
    capsule: Capsule,
    root: Path,
    report: Report,
    *,
    packs: Packs = "all",
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
) -> None:
    """Put the used files of `capsule` into the ComfyUI in `root`, whose checkouts do not take them for changes.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``capsule-damaged``, ``no-models-folder``.
        CapsuleError: ``model-missing`` for one that is not carried and cannot be had.
    """
    wanted = list(used_files(capsule, packs))
    if not wanted:
        return
    store, sources = store or ModelStore(), model_sources(models_from, capsule.vendored)
    for done, item in enumerate(wanted):
        report(Progress(phase="files", item=item.name, done=done, total=len(wanted)))
        target = place(root, used_place(item))
        data = carried_bytes(capsule, item)
        if data is None:
            kept = store.obtain(as_model(item), sources, report)
            target.unlink(missing_ok=True)
            link_or_copy(kept, target)
        else:
            target.unlink(missing_ok=True)
            target.write_bytes(data)
        if item.place == "comfyui":
            _ignore(root, target)
    report(Progress(phase="files", done=len(wanted), total=len(wanted)))


def exclude_rule(name: str) -> str:
    """The line of a ``.git/info/exclude`` that has git ignore the file `name` of its checkout, and no other."""
    return "/" + _SPECIAL.sub(r"\\\1", name)


def _ignore(root: Path, target: Path) -> None:
    """Where it came from git ignored it, perhaps by a rule of that machine: say so in the checkout that it lies in."""
    for folder in target.parents:
        if not folder.is_relative_to(root):
            return
        if is_checkout(folder):
            break
    rule = exclude_rule(target.relative_to(folder).as_posix())
    excluded = folder / os.fsdecode(git(folder, "rev-parse", "--git-path", "info/exclude").strip())
    excluded.parent.mkdir(exist_ok=True)
    with excluded.open("a", encoding="utf-8") as file:
        file.write(f"{rule}\n")

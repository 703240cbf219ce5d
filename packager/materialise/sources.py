"""The source trees of a capsule on disk: ComfyUI and its packs, each at its exact commit, each proved."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..capsule import Capsule, Pack, safe_name
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report
from .checkout import check_out, remove_tree
from .paths import place

Packs = Literal["used", "all"]

_PARALLEL = 8  # fetches at once; they wait for the network, not for the processor


class Sources(BaseModel):
    """What was materialised: the ComfyUI folder, and each pack's folder by its name (`pack_folder`)."""

    model_config = ConfigDict(frozen=True)

    comfyui: Path
    packs: dict[str, Path]


def chosen_packs(capsule: Capsule, packs: Packs) -> tuple[Pack, ...]:
    """The packs to install: all that were recorded, or those that the graph uses."""
    return tuple(pack for pack in capsule.lock.packs if packs == "all" or pack.used)


def materialise_sources(capsule: Capsule, folder: Path, report: Report, *, packs: Packs, with_git: bool) -> Sources:
    """Put ComfyUI into ``folder/ComfyUI`` and packs into its ``custom_nodes/``, fetched in parallel, proved.

    Nothing that is fetched is run. A disabled pack comes back disabled (``NAME.disabled``).

    Args:
        folder: must not hold ``ComfyUI`` yet. What a failure leaves in it is the caller's to remove.
        packs: ``used`` by the graph, or ``all`` that were recorded.
        with_git: leave ordinary (shallow, detached) checkouts, or bare files without ``.git``.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``capsule-bad-origin``, ``pack-twice``.
        CapsuleError: ``not-carried``, ``origin-gone``, ``commit-gone``, ``submodule-gone``, ``patch-failed``,
            ``tree-differs``; ``sources-failed`` when several sources fail, naming each.
    """
    wanted = chosen_packs(capsule, packs)
    refuse_sources(capsule, wanted)
    comfyui = folder / "ComfyUI"
    staging = folder / ".packs"  # beside ComfyUI, so that its checkout finds an empty folder
    jobs = [("ComfyUI", _comfyui_job(capsule, comfyui, with_git))]
    for pack in wanted:
        jobs.append((pack.name, _pack_job(capsule, pack, staging / pack_folder(pack), with_git)))
    _all(jobs, report)
    placed = {}
    for pack in wanted:
        name = pack_folder(pack)
        placed[name] = place(comfyui, f"custom_nodes/{name}")
        os.rename(staging / name, placed[name])
    if staging.is_dir():
        remove_tree(staging)
    return Sources(comfyui=comfyui, packs=placed)


def pack_folder(pack: Pack) -> str:
    """The name of the pack's folder under ``custom_nodes``; a disabled pack's ends in ``.disabled``.

    Raises:
        BadInput: ``capsule-unsafe-name``.
    """
    name = safe_name(pack.name)
    if "/" in name:
        raise BadInput(
            "capsule-unsafe-name",
            f"The lock names a pack {name!r}, which is no folder name.",
            "Do not use this capsule; ask its author for a new one.",
        )
    return name if pack.enabled or name.endswith(".disabled") else f"{name}.disabled"


def refuse_sources(capsule: Capsule, packs: tuple[Pack, ...]) -> None:
    """Say before anything is fetched which of the sources cannot be had: ``not-carried``, ``pack-twice``."""
    folders = [pack_folder(pack) for pack in packs]
    doubled = next((name for name in folders if folders.count(name) > 1), "")
    if doubled:
        message = f"The lock names two packs that go into the folder {doubled!r}."
        raise BadInput("pack-twice", message, "Remove one of them where the capsule is made, and export again.")
    comfyui = capsule.lock.comfyui
    without = [f"ComfyUI ({comfyui.kind})"] if comfyui.kind != "git" or not comfyui.origin else []
    for pack in packs:
        if pack.kind != "git" or not pack.origin:
            without.append(f"the pack {pack.name!r} ({pack.kind})")
    for patch in (comfyui.patch, *(pack.patch for pack in packs)):
        if patch and patch not in capsule.files:
            without.append(f"the local changes {patch!r}")
    if without:
        raise CapsuleError(
            "not-carried",
            f"The capsule holds neither bytes nor a git origin for {', '.join(without)}.",
            "Make it a git checkout with a remote on the machine it was captured on, and export again.",
        )


def _comfyui_job(capsule: Capsule, into: Path, with_git: bool) -> Callable[[], None]:
    said = capsule.lock.comfyui
    patch = capsule.read(said.patch) if said.patch else None
    source = (said.origin, said.commit, said.tree)
    return lambda: check_out("ComfyUI", *source, into, patch=patch, with_git=with_git)


def _pack_job(capsule: Capsule, pack: Pack, into: Path, with_git: bool) -> Callable[[], None]:
    subject = f"the pack {pack.name!r}"
    patch = capsule.read(pack.patch) if pack.patch else None
    source = (pack.origin, pack.commit, pack.tree)
    return lambda: check_out(subject, *source, into, patch=patch, with_git=with_git)


def _all(jobs: Sequence[tuple[str, Callable[[], None]]], report: Report) -> None:
    """Run every job in threads; when some fail, let the rest end and name each failure."""
    failed: dict[str, CapsuleError] = {}
    done = 0
    report(Progress(phase="sources", done=0, total=len(jobs)))
    executor = ThreadPoolExecutor(min(_PARALLEL, len(jobs)), thread_name_prefix="sources")
    try:
        running = {executor.submit(job): name for name, job in jobs}
        for future in as_completed(running):
            try:
                future.result()
            except CapsuleError as error:
                failed[running[future]] = error
            done += 1
            report(Progress(phase="sources", item=running[future], done=done, total=len(jobs)))
    finally:
        executor.shutdown(cancel_futures=True)
    if len(failed) == 1:
        raise next(iter(failed.values()))
    if failed:
        listed = " ".join(failed[name].message for name in sorted(failed))
        cures = dict.fromkeys(failed[name].cure for name in sorted(failed))
        message = f"{len(failed)} sources cannot be had. {listed}"
        raise CapsuleError("sources-failed", message, " ".join(cures))

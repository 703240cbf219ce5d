"""The source trees of a capsule on disk: ComfyUI and its packs, each at its exact commit, each proved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..capsule import NOT_CORE, Capsule, Checkout, Pack, Source, bundles, refuse_missing_parts, safe_name
from ..errors import BadInput, CapsuleError
from ..progress import Progress, Report
from .checkout import remove_tree
from .paths import place
from .tree import make_tree

Packs = Literal["used", "all"]

_PARALLEL = 8  # fetches at once; they wait for the network, not for the processor


class Sources(BaseModel):
    """What was materialised.

    Attributes:
        comfyui: its folder.
        packs: each pack's folder or file by its place (`pack_place`).
        names: of the files of each tree: by ``custom_nodes/PLACE``, and by ``""`` those of ComfyUI.
    """

    model_config = ConfigDict(frozen=True)

    comfyui: Path
    packs: dict[str, Path]
    names: dict[str, list[str]]


def chosen_packs(capsule: Capsule, packs: Packs) -> tuple[Pack, ...]:
    """The packs to install: all that were recorded, or those that the graph uses."""
    return tuple(pack for pack in capsule.lock.packs if packs == "all" or pack.used)


def materialise_sources(
    capsule: Capsule, folder: Path, report: Report, *, packs: Packs, with_git: bool, core: bool = True
) -> Sources:
    """Put ComfyUI into ``folder/ComfyUI`` and packs into its ``custom_nodes/``, fetched in parallel, proved.

    Nothing that is fetched is run. A disabled pack comes back disabled (``NAME.disabled``).

    Args:
        folder: must not hold ``ComfyUI`` yet. What a failure leaves in it is the caller's to remove.
        packs: ``used`` by the graph, or ``all`` that were recorded.
        with_git: leave ordinary (shallow, detached) checkouts, or bare files without ``.git``.
        core: make ComfyUI itself; without it there is only a folder for the packs.

    Raises:
        BadInput: ``capsule-unsafe-name``, ``capsule-bad-origin``, ``pack-twice``, ``capsule-part-missing``.
        CapsuleError: ``not-carried``, ``origin-gone``, ``commit-gone``, ``submodule-gone``, ``patch-failed``,
            ``tree-differs``; ``sources-failed`` when several sources fail, naming each.
    """
    wanted = chosen_packs(capsule, packs)
    refuse_sources(capsule, wanted)
    comfyui = folder / "ComfyUI"
    staging = folder / ".packs"  # beside ComfyUI, so that its checkout finds an empty folder
    said, files, vendored = capsule.lock.comfyui, capsule.files, bundles(capsule.vendored)
    tree = partial(make_tree, files=files, vendored=vendored, with_git=with_git)
    jobs: list[tuple[str, Callable[[], list[str]]]] = []
    if core:
        jobs.append(("", partial(tree, "ComfyUI", said, comfyui, without=NOT_CORE)))
    for pack in wanted:
        subject = f"the pack {pack.name!r}"
        made = partial(tree, subject, pack, staging / pack_place(pack))
        jobs.append((f"custom_nodes/{pack_place(pack)}", made))
    names = _all(jobs, report) if jobs else {}
    placed = {}
    for pack in wanted:
        name = pack_place(pack)
        placed[name] = place(comfyui, f"custom_nodes/{name}")
        os.rename(staging / name, placed[name])
    if staging.is_dir():
        remove_tree(staging)
    return Sources(comfyui=comfyui, packs=placed, names=names)


def pack_place(pack: Pack) -> str:
    """Where the pack goes under ``custom_nodes``: ``NAME``, ``NAME.disabled`` or ``.disabled/NAME``.

    Raises:
        BadInput: ``capsule-unsafe-name``, also for a path that does not fit the pack's state.
    """
    path = safe_name(pack.path)
    off = path.endswith(".disabled") or path.startswith(".disabled/")
    if "/" in path.removeprefix(".disabled/") or off == pack.enabled:
        raise BadInput(
            "capsule-unsafe-name",
            f"The lock names a pack {path!r}, which is no name of a pack under custom_nodes.",
            "Do not use this capsule; ask its author for a new one.",
        )
    return path


def refuse_sources(capsule: Capsule, packs: tuple[Pack, ...]) -> None:
    """Say before anything is fetched which of the sources cannot be had.

    Raises:
        BadInput: ``pack-twice``, ``capsule-part-missing``.
        CapsuleError: ``not-carried``.
    """
    refuse_missing_parts(capsule.vendored)
    places = [pack_place(pack) for pack in packs]
    doubled = next((name for name in places if places.count(name) > 1), "")
    if doubled:
        message = f"The lock names two packs that go into the folder {doubled!r}."
        raise BadInput("pack-twice", message, "Remove one of them where the capsule is made, and export again.")
    subjects = {"ComfyUI": capsule.lock.comfyui, **{f"the pack {pack.name!r}": pack for pack in packs}}
    without = [
        f"{subject} ({source.kind})" for subject, source in subjects.items() if not _is_to_be_had(source, capsule.files)
    ]
    if without:
        raise CapsuleError(
            "not-carried",
            f"The capsule holds neither bytes nor a git origin for {', '.join(without)}.",
            "Mend the finding about it on the machine it was captured on, and export again.",
        )


def _is_to_be_had(source: Source, files: Mapping[str, bytes]) -> bool:
    if source.kind != "git":
        return source.carried in files
    checkouts: tuple[Checkout, ...] = (source, *source.submodules)
    return all(
        item.commit and (item.origin or item.bundle) and {item.patch, item.bundle} - {""} <= files.keys()
        for item in checkouts
    )


def _all(jobs: Sequence[tuple[str, Callable[[], list[str]]]], report: Report) -> dict[str, list[str]]:
    """What every job returns, by place, run in threads; when some fail, the rest ends, and each is named."""
    failed: dict[str, CapsuleError] = {}
    answers: dict[str, list[str]] = {}
    report(Progress(phase="sources", done=0, total=len(jobs)))
    executor = ThreadPoolExecutor(min(_PARALLEL, len(jobs)), thread_name_prefix="sources")
    try:
        running = {executor.submit(job): place for place, job in jobs}
        for done, future in enumerate(as_completed(running), 1):
            place = running[future]
            try:
                answers[place] = future.result()
            except CapsuleError as error:
                failed[place] = error
            item = place.rpartition("/")[2] or "ComfyUI"
            report(Progress(phase="sources", item=item, done=done, total=len(jobs)))
    finally:
        executor.shutdown(cancel_futures=True)
    if len(failed) == 1:
        raise next(iter(failed.values()))
    if failed:
        listed = " ".join(failed[name].message for name in sorted(failed))
        cures = dict.fromkeys(failed[name].cure for name in sorted(failed))
        message = f"{len(failed)} sources cannot be had. {listed}"
        raise CapsuleError("sources-failed", message, " ".join(cures))
    return answers

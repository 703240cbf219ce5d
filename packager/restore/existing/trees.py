"""ComfyUI and the packs of an existing install against the capsule's; a tree with somebody's work in it blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...capsule import NOT_CORE, Capsule, ComfyUI, Finding, Pack, Source
from ...materialise import pack_place
from ...snapshot import local_work
from ..compare import pack_words, some
from ..plan import carried_size, origin_words
from .draft import Change, Draft

#: The key of ComfyUI itself among trees, whose others are packs by their place.
CORE = ""

# What says where carried bytes are, and what only a run or a graph can tell.
_Exclude = dict[str, Any]
_ASIDE: _Exclude = {"patch": True, "bundle": True, "carried": True, "submodules": {"__all__": {"patch", "bundle"}}}
_OF_PACKS: _Exclude = {**_ASIDE, "used": True, "classes": True}


def plan_core(draft: Draft, capsule: Capsule) -> None:
    """Keep ComfyUI or make it anew; both sides must be checkouts then, for who else knows which files are its own."""
    wanted, found = capsule.lock.comfyui, draft.target.found.lock.comfyui
    before = _core_words(found)
    if _same(wanted, found, _ASIDE):
        draft.changes.append(Change(action="keep", what="comfyui", item=wanted.version, before=before, source=""))
        return
    risk = "what git ignores in it comes along"
    draft.changes.append(
        Change(
            action="change",
            what="comfyui",
            item=wanted.version,
            before=before,
            source=origin_words(capsule, wanted),
            size=carried_size(capsule, wanted),
            risk=risk,
        )
    )
    draft.core = True
    if wanted.kind == "git" == found.kind:
        draft.trees[CORE] = draft.target.root
    else:
        draft.against.append(_no_checkout(draft.target.root, wanted, found))


def plan_packs(draft: Draft, capsule: Capsule) -> None:
    """Add and change the capsule's packs, and keep or disable the others."""
    here = {pack.path: pack for pack in draft.target.found.lock.packs}
    wanted = {pack_place(pack): pack for pack in capsule.lock.packs}
    off = {pack.name for pack in wanted.values() if not pack.enabled}
    for place, pack in wanted.items():
        _plan_pack(draft, capsule, pack, here.pop(place, None))
    for place, pack in here.items():
        if pack.enabled and pack.name in off:  # the capsule has it disabled
            _disable(draft, pack, "the capsule has it disabled")
        elif draft.mode == "exact" and pack.enabled:
            _disable(draft, pack, "")
        else:
            said = Change(action="keep", what="pack", item=place, before=pack_words(pack), source="")
            draft.changes.append(said)
            draft.kept_packs.add(place)


def in_the_way(trees: Mapping[str, Path]) -> Iterator[Finding]:
    """One finding a checkout, of `Work.trees`, that holds what nothing would give back; each blocks."""
    for name, folder in trees.items():
        work = local_work(folder, NOT_CORE if name == CORE else ())
        subject = name or "ComfyUI"
        what = f"The pack {subject}" if name else subject
        if work.elsewhere:
            told = f"{what} is a worktree: its repository lies elsewhere."
            yield _finding("checkout-elsewhere", subject, told, _MOVE)
        elif work.unreadable:
            yield _finding("checkout-unreadable", subject, f"git cannot read {what}: {work.unreadable}", _REPAIR)
        elif work.files:
            told = f"{what} has local changes or untracked files, and is not touched: {some(work.files)}."
            yield _finding("dirty-tree", subject, told, _COMMIT)
        elif work.commits:
            told = f"{what} has commits or stashes that no remote was seen to have, and is not touched."
            yield _finding("local-commits", subject, told, _PUSH)


_COMMIT = "Commit and push them, or move them away; or restore into a new folder."
_PUSH = "Push them, or drop the stash; or restore into a new folder."
_MOVE = "Move the worktree away, or restore into a new folder."
_REPAIR = "Repair or remove it, or restore into a new folder."


def _plan_pack(draft: Draft, capsule: Capsule, pack: Pack, found: Pack | None) -> None:
    place = pack_place(pack)
    name = f"custom_nodes/{place}"
    if found is not None and _is_kept(pack, found):
        draft.changes.append(Change(action="keep", what="pack", item=place, before=pack_words(found), source=""))
        return
    draft.check_place(name)
    draft.packs.append(pack)
    risk = [f"its {pack.install_script} is not run"] if pack.install_script else []
    if _is_repository(draft.target.root / name):
        draft.trees[place] = draft.target.root / name
    if place in draft.trees and found is not None and found.kind == pack.kind == "git":
        draft.backed_up.append(name)
        draft.carried_over.append(name)
        risk.append("what git ignores in it comes along")
    elif draft.is_there(name):  # no checkout, or a link: nothing gives it back
        free = draft.put_aside(name)
        draft.kept_packs.add(free.removeprefix("custom_nodes/"))
        risk.append(f"what is there is kept as {free}")
    change = Change(
        action="change" if draft.is_there(name) else "add",
        what="pack",
        item=place,
        before=pack_words(found) if found else "",
        source=origin_words(capsule, pack),
        size=carried_size(capsule, pack),
        risk="; ".join(risk),
    )
    draft.changes.append(change)


def _disable(draft: Draft, pack: Pack, why: str) -> None:
    name = f"custom_nodes/{pack.path}"
    draft.check_place(name)
    if _is_repository(draft.target.root / name):
        draft.trees[pack.path] = draft.target.root / name
    free = draft.put_aside(name)
    draft.kept_packs.add(free.removeprefix("custom_nodes/"))
    risk = "; ".join(filter(None, [why, f"kept as {free}"]))
    said = Change(action="disable", what="pack", item=pack.path, before=pack_words(pack), source="", risk=risk)
    draft.changes.append(said)


def _is_repository(folder: Path) -> bool:
    """Whether somebody's commits lie there, be they readable or not; a link is none, and stays whole when renamed."""
    return not folder.is_symlink() and os.path.lexists(folder / ".git")


def _is_kept(pack: Pack, found: Pack) -> bool:
    """Whether it is what the capsule wants; local work on equal files does not have to go for another origin."""
    return _same(pack, found, _OF_PACKS) or (bool(found.patch) and _same(pack, found, {**_OF_PACKS, "origin": True}))


def _same(wanted: Source, found: Source, without: _Exclude) -> bool:
    """Whether both say the same in what the environment digest is made of."""
    one, other = (item.model_dump(mode="json", exclude=without) for item in (wanted, found))
    return one == other


def _core_words(found: ComfyUI) -> str:
    return " ".join(filter(None, [found.version, found.commit[:12], "with local changes" if found.patch else ""]))


def _no_checkout(root: Path, wanted: ComfyUI, found: ComfyUI) -> Finding:
    whose = f"The ComfyUI in {root}" if found.kind != "git" else "The capsule's ComfyUI"
    kind = found.kind if found.kind != "git" else wanted.kind
    told = f"{whose} is no git checkout ({kind}): nobody can tell which files in its folder are yours."
    return _finding("core-no-checkout", "ComfyUI", told, "Restore into a new folder.")


def _finding(code: str, subject: str, message: str, cure: str) -> Finding:
    return Finding(code=code, subject=subject, message=message, cure=cure, blocks=True)

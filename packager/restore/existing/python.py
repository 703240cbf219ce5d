"""The Python of an existing install against the lock's: kept when it is that already, else made anew as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import tomlkit
from packaging.utils import InvalidWheelFilename

from ...capsule import Capsule
from ...comfy import Install
from ...errors import CapsuleError
from ...materialise import read_pylock, refuse_python
from ...snapshot import installed_needs, wheels_of_installed
from ..compare import python_rows, some
from ..plan import python_steps
from .draft import Change, Draft
from .needs import PythonNeeds, python_needs


def plan_python(draft: Draft, capsule: Capsule, *, trust: bool) -> None:
    """Keep the environment, or plan a new one beside it, with what the staying packs need taken along.

    Raises:
        Blocked, CapsuleError: as `refuse_python`, when a new one cannot be made.
    """
    wanted, target = read_pylock(capsule.pylock), draft.target
    here, said = target.found.lock.platform, capsule.lock.platform
    now = read_pylock(target.found.pylock)
    locked, installed = wanted.versions(), now.versions()
    more = frozenset(installed.keys() - locked.keys())
    allowed = more if draft.mode == "merge" else frozenset()
    same = (here.python, here.implementation) == (said.python, said.implementation)
    before = f"{here.implementation} {here.python}, {len(installed)} distributions"
    if same and all(row.equal for row in python_rows(wanted, now, allowed)):
        item = f"{said.implementation} {said.python} in {target.venv}"
        draft.changes.append(Change(action="keep", what="python", item=item, before=before, source=""))
        draft.kept_distributions = allowed
        return
    refuse_python(capsule.lock, wanted, capsule.files, trust=trust)
    draft.check_place(target.venv)
    draft.python = True
    draft.backed_up.append(target.venv)
    needs = PythonNeeds(kept=(), dropped=tuple(sorted(more)), findings=())
    if draft.mode == "merge":
        needs = python_needs(_staying(draft), installed_needs(target.install), locked, said.python)
    draft.taken_along, draft.kept_distributions = needs.kept, frozenset(needs.kept)
    draft.against += needs.findings
    for step in python_steps(capsule, trust):
        draft.changes.append(Change(action="change", before=before, **step.model_dump()))
        before = ""
    draft.changes += _distributions(locked, installed, needs)


def with_taken_along(capsule: Capsule, install: Install, names: tuple[str, ...]) -> Capsule:
    """`capsule` with the installed distributions `names` in its Python lock, as wheels of their files.

    Raises:
        CapsuleError: ``not-taken-along`` when the files of one make no wheel.
    """
    if not names:
        return capsule
    try:
        packages, files = wheels_of_installed(install, names)
    except (OSError, InvalidWheelFilename) as error:
        message = f"What is installed of {some(names)} cannot be taken along: {error}."
        cure = "Install it anew, or disable the packs that need it with --existing exact."
        raise CapsuleError("not-taken-along", message, cure) from error
    said = read_pylock(capsule.pylock).pylock
    both = sorted([*said.packages, *packages], key=lambda item: item.name)
    text = tomlkit.dumps(replace(said, packages=both).to_dict())
    return replace(capsule, pylock=text, files={**capsule.files, **files}, sealed=capsule.digests.capsule)


def _staying(draft: Draft) -> Mapping[str, Path]:
    """The folders of the packs that are loaded beside the capsule's."""
    packs = (pack for pack in draft.target.found.lock.packs if pack.enabled and pack.path in draft.kept_packs)
    return {pack.name: draft.target.root / "custom_nodes" / pack.path for pack in packs}


def _distributions(locked: Mapping[str, str], installed: Mapping[str, str], needs: PythonNeeds) -> Iterator[Change]:
    """One line for each that will be another, that comes along, and that will not be there."""
    for name in sorted(locked):
        old, new = installed.get(name, ""), locked[name] or "any"
        if old != new:
            action = "change" if old else "add"
            yield Change(action=action, what="distribution", item=name, before=old, source=new)
    said = [("keep", name, _TAKEN) for name in needs.kept] + [("drop", name, _DROPPED) for name in needs.dropped]
    for action, name, risk in said:
        old = installed.get(name, "")
        yield Change(action=action, what="distribution", item=name, before=old, source="", risk=risk)


_TAKEN = "a pack that stays needs it; its installed files come along"
_DROPPED = "nothing that stays says that it needs it; it is in the backup"

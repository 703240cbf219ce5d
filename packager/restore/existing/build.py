"""What a plan wants, built beside the install and laid out as it is; and the renames that put it there."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...caches import CACHES
from ...capsule import NOT_CORE, START_SCRIPTS, Capsule, git, git_names, is_checkout
from ...errors import CapsuleError
from ...materialise import (
    ModelStore,
    exclude_rule,
    install_python,
    materialise_sources,
    pack_place,
    place,
    place_inputs,
    place_models,
    place_used_files,
    read_pylock,
    site_packages,
    used_place,
)
from ...progress import Progress, Report
from ...snapshot import lock_python
from ..apply import write_start_script
from ..compare import python_rows
from .carry_over import carry_over, with_rules
from .draft import ALL, Work
from .journal import NEW, OLD, Step
from .python import with_taken_along
from .target import Target


def build(
    capsule: Capsule,
    target: Target,
    work: Work,
    folder: Path,
    report: Report,
    *,
    trust: bool,
    models_from: Sequence[Path],
    store: ModelStore,
) -> tuple[Step, ...]:
    """Make all of `work` in `folder` and prove it; the answer puts it in place. The install does not change.

    Raises:
        BadInput, Blocked, CapsuleError: as `materialise_sources`, `install_python`, `place_models`;
            ``restore-differs`` when the new environment is not the lock's.
    """
    wanted = {"packs": work.packs, "models": work.models, "inputs": work.inputs, "files": work.files}
    part = replace(capsule, lock=capsule.lock.model_copy(update=wanted), sealed=capsule.digests.capsule)
    new, root = folder / NEW, target.root
    materialise_sources(part, folder, report, packs=ALL, with_git=True, core=work.core)
    new.mkdir(exist_ok=True)
    tops = _core_tops(root, new) if work.core else set()
    if work.core:
        carry_over(root, new, tops)
    for name in work.carried_over:
        if is_checkout(new / name):
            carry_over(root / name, new / name)
    if work.python:
        _make_python(capsule, target, work, place(new, target.venv), report, trust=trust)
    models, held = part.lock.models, part.vendored
    place_models(models, new, report, models_from=models_from, store=store, vendored=held)
    place_inputs(part, new, report)
    place_used_files(part, new, report, models_from=models_from, store=store)
    for name in os.listdir(root / CACHES) if (root / CACHES).is_dir() else ():
        (new / CACHES / name).mkdir(parents=True, exist_ok=True)  # the start script names these too
    script = write_start_script(new, target.venv).name
    return _steps(root, new, work, tops, script)


def _make_python(capsule: Capsule, target: Target, work: Work, venv: Path, report: Report, *, trust: bool) -> None:
    whole = with_taken_along(capsule, target.install, work.taken_along)
    held = capsule.vendored
    install_python(whole.lock, whole.pylock, venv, report, trust=trust, files=whole.files, vendored=held)
    report(Progress(phase="verify", item="the new environment"))
    made = target.install.model_copy(update={"site_packages": (site_packages(venv),)})
    expected, found = read_pylock(capsule.pylock), read_pylock(lock_python(made, report, known=capsule.pylock).text)
    wrong = [row for row in python_rows(expected, found, work.taken_along) if not row.equal]
    if wrong:
        told = "; ".join(f"{row.subject}: {row.found} instead of {row.expected}" for row in wrong[:5])
        message = f"The new Python environment is not the capsule's: {told}. Nothing was changed."
        raise CapsuleError("restore-differs", message, "Report this with the capsule's findings.")


def _core_tops(root: Path, new: Path) -> set[str]:
    """The names at the top that are ComfyUI's own, before or after, git's folder among them."""
    before = {name.partition("/")[0] for name in git_names(git(root, "ls-files", "-z"))}
    return {*before, *os.listdir(new), ".git"} - NOT_CORE


def _steps(root: Path, new: Path, work: Work, tops: set[str], script: str) -> tuple[Step, ...]:
    moves = _Moves(root)
    for name, aside in work.aside.items():
        moves.steps.append(Step(source=f"here/{name}", target=f"here/{aside}"))
    for name in (*sorted(tops), *work.backed_up):
        moves.replace(name, is_new=os.path.lexists(new / name))
    if work.core:
        for name in git_names(git(new, "ls-files", "-z", "--", "custom_nodes")):
            if (new / name).is_file() and not _equal(root / name, new / name):
                moves.replace(name)
    packs = [f"custom_nodes/{pack_place(pack)}" for pack in work.packs]
    for name in packs:
        if name not in work.backed_up:
            moves.put(name)
    for model in work.models:
        moves.put(f"models/{model.folder}/{model.name}")
    for item in work.inputs:
        moves.put(f"input/{item.name}")
    for file in work.files:
        name = used_place(file)
        if not name.startswith(tuple(f"{pack}/" for pack in packs)) and name.partition("/")[0] not in tops:
            moves.put(name)
    if not _equal(root / script, new / script):
        moves.replace(script)
    for name in _excluded(root, new, work, packs):
        moves.replace(name)
    return tuple(moves.steps)


def _excluded(root: Path, new: Path, work: Work, packs: list[str]) -> Iterator[str]:
    """The ``info/exclude`` of checkouts that stay, where files come in that are none of their tree."""
    rules: dict[Path, list[str]] = {}
    if not work.core and is_checkout(root):
        rules[root] = [*(f"/{name}" for name in START_SCRIPTS if (new / name).is_file()), f"/{CACHES}/"]
    for name in (used_place(file) for file in work.files if file.place == "comfyui"):
        checkout = next(path for path in (root / name).parents if path == root or is_checkout(path))
        is_made = name.startswith(tuple(f"{pack}/" for pack in packs)) or (checkout == root and work.core)
        if not is_made and is_checkout(checkout):
            rules.setdefault(checkout, []).append(exclude_rule((root / name).relative_to(checkout).as_posix()))
    for checkout, lines in rules.items():
        file = checkout / ".git/info/exclude"
        text = with_rules(file, lines) if (checkout / ".git").is_dir() else ""
        if text:
            name = file.relative_to(root).as_posix()
            place(new, name).write_text(text, encoding="utf-8", errors="surrogateescape")
            yield name


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and not one.is_symlink() and filecmp.cmp(one, other, shallow=False)


class _Moves:
    """The steps, in order; names are relative to ComfyUI's folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[str] = set()
        self.steps: list[Step] = []

    def replace(self, name: str, *, is_new: bool = True) -> None:
        """What is at `name` goes into the backup, and the new, if there is one, takes its place."""
        if os.path.lexists(self._root / name):
            self.steps.append(Step(source=f"here/{name}", target=f"{OLD}/{name}"))
        if is_new:
            self.put(name)

    def put(self, name: str) -> None:
        """The new comes to `name`, where nothing is."""
        folders = [path.as_posix() for path in reversed(Path(name).parents) if path.name]
        for folder in folders:
            if folder not in self._made and not os.path.lexists(self._root / folder):
                self._made.add(folder)
                self.steps.append(Step(target=f"here/{folder}"))
        self.steps.append(Step(source=f"new/{name}", target=f"here/{name}"))

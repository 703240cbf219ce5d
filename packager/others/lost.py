"""What a capsule holds that a snapshot of ComfyUI-Manager or Comfy-Desktop has no place for, by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..capsule import Capsule, Finding, Pack, Source
from ..materialise import LockedPython, read_pylock
from ..restore import some
from .models import FORMS, Form
from .names import folder_of, is_local
from .sources import COMFYUI


def lost(capsule: Capsule, form: Form, left_out: Sequence[Pack]) -> tuple[Finding, ...]:
    """Everything of `capsule` that a snapshot of this `form` does not say.

    Args:
        left_out: the packs that are not in it at all.
    """
    found = [
        *_core(capsule),
        *_packs(capsule, form, left_out),
        *_python(capsule, form),
        *_rest(capsule, form),
    ]
    return tuple(found)


def _lost(subject: str, message: str, cure: str = "Keep the capsule, which has it.") -> Finding:
    return Finding(code="lost", subject=subject, message=message, cure=cure)


def _core(capsule: Capsule) -> Iterator[Finding]:
    core = capsule.lock.comfyui
    if core.kind != "git":
        yield _lost("ComfyUI", "ComfyUI is carried by its files, and has no commit that a snapshot could name.")
    elif core.origin.removesuffix(".git").casefold() != COMFYUI.casefold():
        where = core.origin or "no remote"
        yield _lost("ComfyUI", f"ComfyUI's commit is named, but not its repository, {where}.")
    yield from _changes("ComfyUI", core)


def _changes(subject: str, source: Source) -> Iterator[Finding]:
    if source.patch:
        yield _lost(subject, f"{subject} has local changes, which are not in it.")
    if source.bundle:
        why = "it comes from a folder of this machine" if is_local(source.origin) else "no remote is known to have it"
        yield _lost(subject, f"The commit of {subject} is carried in the capsule, and not in it; {why}.")
    if source.submodules:
        inner = some([item.path for item in source.submodules])
        yield _lost(subject, f"The checkouts inside {subject} are not in it: {inner}.")


def _packs(capsule: Capsule, form: Form, left_out: Sequence[Pack]) -> Iterator[Finding]:
    for pack in left_out:
        yield _lost(pack.name, f"The pack {pack.name!r} ({_why(pack)}) is not in it.")
    for pack in (pack for pack in capsule.lock.packs if pack not in left_out):
        yield from _changes(f"the pack {pack.name!r}", pack)
        if pack.kind == "file":
            yield _lost(pack.name, f"Of the pack {pack.name!r} its name is in it, and not its bytes.")
        if pack.kind == "registry":
            yield _lost(pack.name, f"The pack {pack.name!r} is named as {pack.registry}; changes to its files are not.")
        if form == "manager" and pack.kind == "git" and folder_of(pack.origin) != pack.name:
            yield _lost(pack.name, f"That the pack {pack.name!r} lies in a folder of this name is not in it.")
        if form == "manager" and pack.kind == "registry" and pack.registry.partition("@")[0] != pack.name:
            yield _lost(pack.name, f"That the pack {pack.registry} lies in the folder {pack.name!r} is not in it.")
    if capsule.lock.packs:
        yield _lost(
            "digests", "The digests of the packs' files are not in it: what is fetched later is not held to them."
        )


def _why(pack: Pack) -> str:
    if pack.kind == "git":
        return "a checkout without a remote, or a second one of the same remote"
    return {"registry": "of the registry, and disabled"}.get(pack.kind, f"a {pack.kind} that no origin has")


def _python(capsule: Capsule, form: Form) -> Iterator[Finding]:
    locked = read_pylock(capsule.pylock)
    platform = capsule.lock.platform
    if form == "manager":
        yield _lost("Python", f"The version of Python, {platform.python}, is not in it.")
    if locked.versions():
        yield _lost("hashes", "Of the Python packages the versions are in it, and neither hashes nor indexes.")
    if platform.torch:
        yield _lost("torch", f"A restore from it leaves torch as it is there; the capsule's is {platform.torch}.")
    if local := sorted(_carried(locked)):
        yield _lost("wheels", f"The carried files of Python packages are not in it: {some(local)}.")
    if changed := sorted({*locked.tool.changed, *locked.tool.removed}):
        yield _lost("changed files", f"Changes to installed files are not in it: {some(changed)}.")


def _carried(locked: LockedPython) -> Iterator[str]:
    yield from (str(item.name) for item in locked.pylock.packages if any(wheel.path for wheel in item.wheels or ()))
    yield from (item.name for item in locked.tool.editables)


def _rest(capsule: Capsule, form: Form) -> Iterator[Finding]:
    lock = capsule.lock
    parts = {
        "system": ("what it needs of the operating system", [*lock.system.packages]),
        "models": ("the models", [f"{model.folder}/{model.name}" for model in lock.models]),
        "inputs": ("the input files", [item.name for item in lock.inputs]),
        "files": ("files that a run opened", [item.name for item in lock.files]),
        "workflow": ("the workflow and its contract", [lock.name] if capsule.graph else []),
        "line ends": ("how checkouts have their line ends", _line_ends(capsule)),
    }
    for subject, (what, names) in parts.items():
        if names:
            yield _lost(subject, f"A {FORMS[form]} does not hold {what}: {some(names)}.")


def _line_ends(capsule: Capsule) -> list[str]:
    sources = {"ComfyUI": capsule.lock.comfyui, **{pack.name: pack for pack in capsule.lock.packs}}
    return [name for name, source in sources.items() if source.line_ends]

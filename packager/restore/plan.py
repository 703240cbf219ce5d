"""The plan of a restore: everything that will happen, from where, how large, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from ..capsule import NOBODY, Capsule, Finding, Lock, Model, Source, bundles, by_digest
from ..command import without_credentials
from ..errors import BadInput, CapsuleError
from ..materialise import (
    InstalledPython,
    ModelStore,
    Packs,
    RunningPython,
    Translation,
    as_model,
    carried_bytes,
    chosen_packs,
    find_python,
    fitted,
    locked_wheels,
    names_at_hand,
    pack_place,
    read_pylock,
    refuse_python,
    refuse_sources,
    translation,
    used_files,
    used_place,
    wheel_of_pin,
)
from ..snapshot import missing_here
from .compare import some


class Step(BaseModel):
    """One thing that will be done. `size` is in bytes, 0 where it is not known before."""

    model_config = ConfigDict(frozen=True)

    what: str
    item: str
    source: str
    size: int = 0
    risk: str = ""

    @property
    def line(self) -> tuple[str, ...]:
        """As a line of the table, after `Plan.columns`."""
        return (self.what, self.item, self.source, f"{self.size:,}" if self.size else "", self.risk)


class Plan(BaseModel):
    """What `restore` would do. Making one changes nothing and asks no network."""

    model_config = ConfigDict(frozen=True)
    columns: ClassVar[tuple[str, ...]] = ("what", "item", "from", "size", "risk")

    capsule: str  # its id
    target: Path
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]


def plan_restore(
    capsule: Capsule,
    into: Path,
    *,
    trust: bool = False,
    packs: Packs = "all",
    models_from: Sequence[Path] = (),
    store: ModelStore | None = None,
) -> Plan:
    """Look at `capsule` and at the target, and say what will happen.

    Raises:
        BadInput: ``target-not-empty``, ``platform-differs``, ``capsule-unsafe-name``, ``pylock-unreadable``.
        Blocked: ``needs-trust``.
        CapsuleError: ``not-carried``.
    """
    target = check_target(into)
    here = fitted(capsule)
    refuse_sources(capsule, chosen_packs(capsule, packs))
    refuse_python(here.lock, read_pylock(here.pylock), here.files, trust=trust)
    steps = (
        *_source_steps(capsule, packs),
        *python_steps(here, trust),
        *translated_steps(translation(capsule, here)),
        *system_steps(capsule.lock),
        *_model_steps(capsule, models_from, store or ModelStore()),
        *_file_steps(capsule, packs, models_from, store or ModelStore()),
        *(Step(what="input", item=item.name, source="the capsule", size=item.size) for item in capsule.lock.inputs),
        verify_step(trust),
    )
    return Plan(capsule=capsule.digests.id, target=target, steps=steps, findings=capsule.lock.findings)


def check_target(into: Path) -> Path:
    """`into`, absolute, if a new ComfyUI can be put there: it does not exist, or is an empty folder.

    Raises:
        BadInput: ``target-not-empty``.
    """
    target = into.expanduser().resolve()
    if target.is_dir() and not any(target.iterdir()):
        return target
    if target.exists():
        what = "holds files already" if target.is_dir() else "is a file"
        cure = "Name a folder that is new or empty, or say --existing merge or exact for the ComfyUI in it."
        raise BadInput("target-not-empty", f"{target} {what}; nothing was changed.", cure)
    return target


def _source_steps(capsule: Capsule, packs: Packs) -> Iterator[Step]:
    core = capsule.lock.comfyui
    yield Step(what="comfyui", item=core.version, source=origin_words(capsule, core), size=carried_size(capsule, core))
    for pack in chosen_packs(capsule, packs):
        risk = f"its {pack.install_script} is not run" if pack.install_script else ""
        size = carried_size(capsule, pack)
        yield Step(what="pack", item=pack_place(pack), source=origin_words(capsule, pack), size=size, risk=risk)


def origin_words(capsule: Capsule, source: Source) -> str:
    """Where the tree comes from, in words."""
    if source.kind != "git":
        return "the capsule"
    held = source.bundle or source.commit in bundles(capsule.vendored)
    where = "the capsule" if held else without_credentials(source.origin)
    inside = f", with {len(source.submodules)} submodules" if source.submodules else ""
    return f"{where} {source.commit[:12]}{inside}{', with local changes' if source.patch else ''}"


def carried_size(capsule: Capsule, source: Source) -> int:
    """How many bytes of it the capsule carries."""
    carried = sum(len(capsule.files.get(name, b"")) for name in (source.patch, source.bundle, source.carried))
    held = bundles(capsule.vendored)
    return carried + sum(held[item.commit].size for item in (source, *source.submodules) if item.commit in held)


def python_steps(capsule: Capsule, trust: bool) -> Iterator[Step]:
    """The interpreter, and where its distributions come from."""
    said, locked = capsule.lock.platform, read_pylock(capsule.pylock)
    try:
        here = str(find_python(said.python, said.implementation, (RunningPython(), InstalledPython())))
    except CapsuleError:
        here = "not on this machine; uv downloads it if it can"
    yield Step(what="python", item=f"{said.implementation} {said.python}", source=here)
    proved = len(locked.pylock.packages)
    files = [wheel for package in locked.pylock.packages for wheel in locked_wheels(package)]
    size = sum(wheel.size or 0 for wheel in files)
    inside = proved - len(locked.without(names_at_hand(locked, capsule.vendored)).pylock.packages)
    more = f", {inside} of them in the capsule" if inside else ""
    source = "the capsule" if proved and inside == proved else f"by their recorded files and hashes{more}"
    yield Step(what="python", item=f"{proved} distributions", source=source, size=size)
    for name, changed in locked.tool.changed.items():
        size = sum(file.size for file in changed)
        whose = "files of no distribution" if name == NOBODY else f"changed files of {name}"
        yield Step(what="python", item=whose, source="the capsule", size=size)
    for pin in locked.unproved:
        source = "the package index" if wheel_of_pin(pin, capsule.vendored) is None else "the capsule"
        yield Step(what="python", item=pin, source=source, risk="no hash is known to hold it to")
    for name in locked.builds if trust else ():
        yield Step(what="python", item=name, source="built from source", risk="its build runs code")


def translated_steps(translated: Translation | None) -> Iterator[Step]:
    """What is not as it was captured, where the lock of another platform is taken."""
    if translated is None:
        return
    yield Step(what="python", item="the lock", source="the capsule", risk=f"{translated.what}, not captured there")
    if translated.other:
        item = f"{len(translated.other)} distributions from other files"
        yield Step(what="python", item=item, source="as the lock says", risk=some(translated.other))
    if translated.added:
        item = f"{len(translated.added)} distributions more"
        yield Step(what="python", item=item, source="as the lock says", risk=some(translated.added))
    if translated.without:
        item = f"{len(translated.without)} distributions left out"
        yield Step(what="python", item=item, source="", risk=some(translated.without))


def system_steps(lock: Lock) -> Iterator[Step]:
    """What the environment needs of this machine: looked for, never installed."""
    system = lock.system
    libraries = sum(item.kind == "os" for item in system.libraries)
    programs = sum(item.kind == "os" for item in system.programs)
    if libraries or programs:
        item = f"{libraries} libraries and {programs} programs"
        yield Step(what="system", item=item, source="this machine", risk=missing_here(system))


def _model_steps(capsule: Capsule, models_from: Sequence[Path], store: ModelStore) -> Iterator[Step]:
    for model in capsule.lock.models:
        source, risk = whence(capsule, model, models_from, store)
        yield Step(what="model", item=f"{model.folder}/{model.name}", source=source, size=model.size, risk=risk)


def whence(capsule: Capsule, model: Model, models_from: Sequence[Path], store: ModelStore) -> tuple[str, str]:
    """Where the model will come from, and what stands against it."""
    if store.find(model) is not None:
        return "this machine's model store", ""
    if model.sha256 in by_digest(capsule.vendored):
        return "the capsule", ""
    folders = [f"by sha256 from {folder}" for folder in models_from]
    source = ", else ".join([*folders, *(without_credentials(source.url) for source in model.sources)])
    return source, "" if source else "missing: give --models-from DIR"


def _file_steps(capsule: Capsule, packs: Packs, models_from: Sequence[Path], store: ModelStore) -> Iterator[Step]:
    for item in used_files(capsule, packs):
        place = used_place(item)
        if carried_bytes(capsule, item) is not None:
            yield Step(what="file", item=place, source="the capsule", size=item.size)
        else:
            source, risk = whence(capsule, as_model(item), models_from, store)
            yield Step(what="file", item=place, source=source, size=item.size, risk=risk)


def verify_step(trust: bool) -> Step:
    """What is compared at the end."""
    if trust:
        return Step(what="verify", item="files, then nodes", source="", risk="the capsule's code is booted once")
    return Step(what="verify", item="files", source="", risk="without --trust its nodes are not proved")

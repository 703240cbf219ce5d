"""The custom-node packs: every folder and file under the custom_nodes roots, what it is and what it gives."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ..cache import Cache
from ..capsule import Finding, Pack, is_checkout, safe_name
from ..comfy import Install
from ..errors import BadInput
from ..progress import Progress, Report
from ..together import Together
from .trees.pack_cache import known_tree
from .trees.tree import ReadTree, read_file

_NO_PACKS = frozenset({"__pycache__", ".disabled", ".git", "example_node.py.example"})
_OF_COMFYUI = "websocket_image_save.py"  # comes with ComfyUI's own checkout; where there is none, it is a pack
_OFF = ".disabled"  # the end of a disabled pack's name, and the folder that ComfyUI-Manager puts disabled ones into
_AT_ONCE = 4  # threads; they wait for git, which uses the processors
_TOLD = 500  # files between two events about one pack


class Packs(BaseModel):
    """The packs, what stands against reproducing them, and the carried bytes by entry name."""

    model_config = ConfigDict(frozen=True)

    packs: tuple[Pack, ...]
    findings: tuple[Finding, ...]
    files: dict[str, bytes]


class _Place(NamedTuple):
    """Where a pack is: `where` on disk, and `path` under its custom_nodes root."""

    where: Path
    path: str

    @property
    def name(self) -> str:
        return self.path.removeprefix(f"{_OFF}/").removesuffix(_OFF)

    @property
    def enabled(self) -> bool:
        return not self.path.endswith(_OFF) and not self.path.startswith(f"{_OFF}/")


def read_packs(
    install: Install,
    object_info: Mapping[str, Any] | None,
    used_classes: frozenset[str],
    report: Report,
    cache: Cache | None = None,
) -> Packs:
    """Read every pack of `install`, sorted by its path.

    Args:
        object_info: the running ComfyUI's node definitions; without it no pack's classes are known.
        used_classes: the node classes that the graph uses.
        cache: where the trees of unchanged checkouts are remembered; this user's own when not given.
    """
    classes = classes_by_pack(object_info or {})
    places, findings = _unambiguous(sorted(_places(install), key=lambda place: place.path))
    findings.extend(finding for place in places for finding in _place_findings(place))
    places = [place for place in places if place.where.exists() and not _holds_itself(place)]
    packs, files = [], {}
    for place, read in zip(places, _read_all(places, cache or Cache(), report), strict=True):
        packs.append(_pack(place, read, classes, used_classes))
        findings.extend(read.findings)
        files.update(read.files)
    report(Progress(phase="packs", done=len(places), total=len(places)))
    return Packs(packs=tuple(packs), findings=tuple(findings), files=files)


def classes_by_pack(object_info: Mapping[str, Any]) -> dict[str, set[str]]:
    """``{pack folder: its node classes}``, after ComfyUI's own module record (``python_module``)."""
    given: dict[str, set[str]] = {}
    for name, definition in object_info.items():
        module = str(definition.get("python_module", ""))
        if module.startswith("custom_nodes."):
            given.setdefault(module.removeprefix("custom_nodes."), set()).add(name)
    return given


def _places(install: Install) -> Iterator[_Place]:
    """What ComfyUI would load as a pack (its ``nodes.init_external_custom_nodes``), and what was disabled."""
    without = _NO_PACKS | ({_OF_COMFYUI} if is_checkout(install.root) else set())
    for root in install.custom_nodes:
        for where in root.iterdir() if root.is_dir() else ():
            if where.name in without or where.name.startswith("."):
                continue
            if (
                where.is_dir()
                or where.is_symlink()
                or (where.is_file() and where.name.removesuffix(_OFF).endswith(".py"))
            ):
                yield _Place(where, where.name)
        hidden = root / _OFF
        if hidden.is_dir():
            yield from (_Place(where, f"{_OFF}/{where.name}") for where in hidden.iterdir() if where.is_dir())


def _unambiguous(places: list[_Place]) -> tuple[list[_Place], list[Finding]]:
    """Without the places that a capsule has no name for, and of several with one name the first."""
    kept, findings = [], []
    for path, group in groupby(places, key=lambda place: place.path):
        first, *others = group
        try:
            safe_name(f"packs/{path}")
            path.encode()
        except (BadInput, UnicodeEncodeError):
            findings.append(_unsafe(path))
            continue
        kept.append(first)
        if others:
            findings.append(_twice(path))
    return kept, findings


def _read_all(places: Sequence[_Place], cache: Cache, report: Report) -> list[ReadTree]:
    """The trees at `places`, several at once. A large one is told of by its files."""
    done = count()
    finished = 0

    def read(place: _Place, tell: Report) -> ReadTree:
        nonlocal finished
        files = count(1)

        def tick() -> None:
            if (number := next(files)) % _TOLD == 0:
                item = f"{place.name}, {number:,} files"
                tell(Progress(phase="packs", item=item, done=finished, total=len(places)))

        tell(Progress(phase="packs", item=place.name, done=finished, total=len(places)))
        entry = f"packs/{place.path}"
        if place.where.is_file():
            tree = read_file(place.where, place.name, entry)
        else:
            tree = known_tree(place.where, place.name, entry, cache, tick)
        finished = max(finished, next(done) + 1)
        return tree

    work = Together(report, _AT_ONCE)
    reads = [work.start(partial(read, place)) for place in places]
    work.wait()
    return [answer.result() for answer in reads]


def _pack(place: _Place, read: ReadTree, classes: Mapping[str, set[str]], used: frozenset[str]) -> Pack:
    # What disabled packs give nobody knows: ComfyUI did not load them.
    given = tuple(sorted(classes.get(place.path.removesuffix(".py"), ())))
    registry = "" if is_checkout(place.where) else _registry(place.where)
    return Pack(
        name=place.name,
        path=place.path,
        enabled=place.enabled,
        registry=registry,
        classes=given,
        requirements=_requirements(place.where),
        install_script="install.py" if (place.where / "install.py").is_file() else "",
        used=not used.isdisjoint(given),
        **{**read.source, **({"kind": "registry"} if registry else {})},
    )


def _requirements(where: Path) -> tuple[str, ...]:
    if not where.is_dir():
        return ()
    names = (name for name in os.listdir(where) if name.startswith("requirements") and name.endswith(".txt"))
    return (*sorted(names), *(["pyproject.toml"] if (where / "pyproject.toml").is_file() else []))


def _registry(where: Path) -> str:
    """``ID@VERSION`` of a pack that ComfyUI-Manager unpacked from the Comfy registry.

    It leaves the list of the archive's files in ``.tracking`` beside the archive's own ``pyproject.toml``, whose
    ``[project]`` has the id and the version (ComfyUI-Manager 3.41, ``cnr_utils.read_cnr_info``).
    """
    if not (where / ".tracking").is_file():
        return ""
    try:
        project = tomllib.loads((where / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return f"{str(project['name']).strip().lower()}@{str(project['version']).strip()}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _holds_itself(place: _Place) -> bool:
    """Whether a pack is a link to a folder that it lies in: the root of all packs, ComfyUI, the whole disk."""
    return place.where.is_symlink() and place.where.parent.resolve().is_relative_to(place.where.resolve())


def _place_findings(place: _Place) -> Iterator[Finding]:
    if place.where.exists() and _holds_itself(place):
        target = os.readlink(place.where)
        yield Finding(
            code="pack-holds-itself",
            subject=place.name,
            message=f"The pack {place.name} is a link to {target}, in which it lies; it is not recorded.",
            cure="Remove the link.",
            blocks=True,
        )
    elif place.where.is_symlink() and place.where.exists():
        yield Finding(
            code="pack-linked",
            subject=place.name,
            message=f"The pack {place.name} is a link to {os.readlink(place.where)}; it is recorded as what is there.",
            cure="Nothing needs to be done; restored, it is no link.",
        )
    elif place.where.is_symlink():
        yield Finding(
            code="pack-broken-link",
            subject=place.name,
            message=f"The pack {place.name} is a link to nothing.",
            cure="Remove the link.",
        )


def _unsafe(path: str) -> Finding:
    shown = ascii(path)
    return Finding(
        code="pack-unsafe-name",
        subject=shown,
        message=f"A pack is named {shown}, which is no file name on every system; it is not recorded.",
        cure="Give its folder another name.",
        blocks=True,
    )


def _twice(path: str) -> Finding:
    return Finding(
        code="pack-twice",
        subject=path,
        message=f"Two custom_nodes roots hold a pack {path}; the first one is recorded.",
        cure="Remove one of them, or give it another name.",
        blocks=True,
    )

"""Which file of which models folder a graph means: asked of the lists that its nodes offer, of no loader's name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...workflow import Mention
from .folders import ModelFolder, companions, looks_like_model, slashed
from .prompts import embedding_names, lora_names

_MOST = 0.5  # of what a list offers, or of what a folder holds: from here on the one is a listing of the other
_REPOSITORY = re.compile(r"[\w.-]+/([\w.-]+)")
_PIECES = re.compile(r"[\n\r,;|]+")
#: How ComfyUI completes an embedding's name (``comfy/sd1_clip.py`` load_embed, 0.30.0).
_EMBEDDINGS = (".safetensors", ".pt", ".bin")


class Found(NamedTuple):
    """One file that the graph uses: of which models folder, under which name, and where it lies."""

    folder: str
    name: str
    path: Path


class Absent(NamedTuple):
    """One model that the graph names and that is not there.

    Attributes:
        code: ``model-missing``, ``model-unreadable``, ``embedding-missing`` or ``model-by-path``.
        folder: the models folder whose list it was chosen from; empty when nothing says.
        offered: whether the node offers it all the same: a pack's own list of what it downloads.
    """

    code: str
    node: str
    name: str
    folder: str
    offered: bool = False


class _Offer(NamedTuple):
    """What one input's list offers: all of it, what of it may be files, and the folder that it is the listing of."""

    options: frozenset[str]
    files: frozenset[str]
    listing: ModelFolder | None


class ModelSearch:
    """The search in the models folders of one install."""

    def __init__(self, folders: Sequence[ModelFolder]) -> None:
        self._folders = folders
        self._all = frozenset(name for folder in folders for name in folder.files)
        self._offers: dict[tuple[str, str], _Offer] = {}

    def of(self, mention: Mention) -> Iterator[Found | Absent]:
        """The files that `mention` means, or what it names in vain."""
        if mention.kind == "choice" and mention.options:
            yield from self._of_choice(mention)
            return
        yield from self._of_words(mention)
        name = mention.text.strip()
        if os.path.isabs(name) and looks_like_model(name):
            yield from self._by_path(mention, Path(name))
        elif files := list(self._of_name(mention, slashed(name))):
            yield from files
        elif mention.kind in ("choice", "item") and looks_like_model(name):
            yield self._absent(mention, slashed(name), self._hinted(mention))
        elif mention.kind == "text":
            for piece in _PIECES.split(name):
                yield from self._of_name(mention, slashed(piece.strip()))

    # choices

    def _of_choice(self, mention: Mention) -> Iterator[Found | Absent]:
        name, offer = slashed(mention.text), self._offer(mention)
        holding = self._holding(name)
        if name not in offer.options and offer.listing is not None and not offer.listing.find(name):
            holding = []  # a file of that name in some other folder is not what this node reads
        if not looks_like_model(name):  # "euler": a file of that name has to stand among others of its folder
            holding = [item for item in holding if name in item.listed and _mostly(item.listed, offer.options)]
        if holding:
            yield from self._files(self._choose(mention, name, holding, offer.files), name)
        elif whole := self._whole_folder(mention, name, offer.options):
            yield from whole
        elif name in offer.options and name in self._pairs:
            yield from self._pairs[name]
        elif looks_like_model(name):
            yield self._absent(mention, name, offer.listing or self._hinted(mention), offered=name in offer.options)

    def _offer(self, mention: Mention) -> _Offer:
        key = (mention.class_type, mention.input)
        if key not in self._offers:
            options = frozenset(slashed(option) for option in mention.options if isinstance(option, str))
            files = frozenset(option for option in options if option in self._all or looks_like_model(option))
            likely = max(self._folders, key=lambda folder: _likeness(folder.listed, files), default=None)
            sure = likely is not None and _likeness(likely.listed, files) >= _MOST
            self._offers[key] = _Offer(options, files, likely if sure else None)
        return self._offers[key]

    def _choose(
        self, mention: Mention, name: str, holding: Sequence[ModelFolder], files: frozenset[str]
    ) -> list[ModelFolder]:
        """Of the folders that hold `name`, the one whose listing the offered `files` are; all when nothing tells."""
        if len(holding) == 1:
            return list(holding)

        def rank(folder: ModelFolder) -> tuple[float, bool, tuple[int, int], bool]:
            likeness = round(_likeness(folder.alike(name), files), 6)
            return likeness, name in folder.listed, _hint(mention, folder), bool(folder.kind)

        ranks = [rank(folder) for folder in holding]
        return [folder for folder, mine in zip(holding, ranks, strict=True) if mine == max(ranks)]

    def _whole_folder(self, mention: Mention, name: str, options: frozenset[str]) -> list[Found]:
        """The files of a model that is a folder: one of several that are offered, or of a type that lists folders.

        A hub's name (``owner/model``) stands for the folder that packs download it into.
        """
        repository = _REPOSITORY.fullmatch(name)
        dashed = name.replace("/", "--")
        hub_names = [repository[1], dashed, f"models--{dashed}"] if repository and name in options else []
        for wanted in (name, *hub_names):
            for folder in self._folders:
                if wanted not in folder.folders or (wanted == "." and not folder.of_folders):
                    continue
                offered = name in options and len(folder.folders & options) >= _MOST * len(options)
                stale = name not in options and folder.of_folders and any(_hint(mention, folder))
                if wanted != name or offered or stale:
                    start = "" if wanted == "." else f"{wanted}/"
                    files = [item for item in folder.files if item.startswith(start)]
                    files = [item for item in files if _kept(item.removeprefix(start))]
                    if any(looks_like_model(item) for item in files):
                        return [Found(folder.name, item, folder.files[item]) for item in files]
        return []

    @cached_property
    def _pairs(self) -> dict[str, list[Found]]:
        """Options that stand for two files, an encoder and a decoder (``taesd``)."""
        found: dict[str, list[Found]] = {}
        for folder in self._folders:
            for name in sorted(folder.files):
                stem, _, rest = name.partition("_encoder.")
                other = f"{stem}_decoder.{rest}"
                if rest and stem not in found and other in folder.files:
                    found[stem] = [Found(folder.name, each, folder.files[each]) for each in (name, other)]
        return found

    # everything else

    def _of_name(self, mention: Mention, name: str) -> Iterator[Found]:
        """The file of this name, when there is one; where it is a LoRA, its ending may be left out."""
        if looks_like_model(name) and (holding := self._holding(name)):
            yield from self._files(self._choose(mention, name, holding, frozenset()), name)
        elif mention.kind in ("item", "quoted") and _about_loras(mention):
            yield from self._without_ending("loras", name)

    def _of_words(self, mention: Mention) -> Iterator[Found | Absent]:
        """What is named inside a prompt: ``embedding:NAME`` and ``<lora:NAME:1>``."""
        for name in lora_names(mention.text):
            yield from self._without_ending("loras", slashed(name))
        for candidates in embedding_names(mention.text):
            found = next((files for name in candidates if (files := list(self._embedding(slashed(name))))), [])
            yield from found
            if not found:
                yield Absent("embedding-missing", mention.node, candidates[-1], "embeddings")

    def _embedding(self, name: str) -> Iterator[Found]:
        """In a root or any folder below it, with its ending or without, as ``load_embed`` looks."""
        names = (name, *(name + ending for ending in _EMBEDDINGS))
        for folder in self._named("embeddings"):
            for whole in names:
                if path := folder.find(whole):
                    yield Found(folder.name, whole, path)
                    return
            for whole in names:
                if below := folder.by_stem.get(whole):
                    yield Found(folder.name, below, folder.files[below])
                    return

    def _without_ending(self, kind: str, name: str) -> Iterator[Found]:
        """The file whose name, or whose last part, is `name`, with its ending or without."""
        for folder in self._named(kind):
            if item := folder.by_stem.get(name):
                yield Found(folder.name, item, folder.files[item])
                return

    def _by_path(self, mention: Mention, path: Path) -> Iterator[Found | Absent]:
        """A model named by its whole path: it is carried, but that path is nowhere else."""
        for folder in self._folders:
            for root in folder.roots:
                if path.is_relative_to(root) and (name := path.relative_to(root).as_posix()) in folder.files:
                    yield Found(folder.name, name, path)
                    yield Absent("model-by-path", mention.node, str(path), folder.name)
                    return
        if os.path.isfile(path):
            yield Absent("model-by-path", mention.node, str(path), "")

    def _files(self, folders: Sequence[ModelFolder], name: str) -> Iterator[Found]:
        """`name` in each of `folders`, with the files that belong to it; one file that several types hold is one."""
        seen = set()
        for folder in folders:
            path = folder.find(name)
            real = os.path.realpath(path) if path is not None and len(folders) > 1 else ""
            if path is None or real in seen:
                continue
            seen.add(real)
            yield Found(folder.name, name, path)
            above = name.rpartition("/")[0]
            for beside in companions(path):
                yield Found(folder.name, f"{above}/{beside}" if above else beside, path.with_name(beside))

    def _holding(self, name: str) -> list[ModelFolder]:
        if name in self._all:
            return [folder for folder in self._folders if name in folder.files]
        return [folder for folder in self._folders if folder.find(name)] if looks_like_model(name) else []

    def _named(self, kind: str) -> list[ModelFolder]:
        return [folder for folder in self._folders if folder.kind == kind]

    def _hinted(self, mention: Mention) -> ModelFolder | None:
        """The type that the input's name speaks of (``lora_name`` of loras), when no list is there to ask."""
        best = max(self._folders, key=lambda folder: _hint(mention, folder), default=None)
        return best if best is not None and any(_hint(mention, best)) else None

    def _absent(self, mention: Mention, name: str, folder: ModelFolder | None, *, offered: bool = False) -> Absent:
        odd = next((item for item in self._folders if item.odd(name)), None)
        if odd is not None:
            return Absent("model-unreadable", mention.node, name, odd.name)
        return Absent("model-missing", mention.node, name, folder.name if folder else "", offered)


def _likeness(listed: frozenset[str], files: frozenset[str]) -> float:
    """How much of what is listed or offered is both, 0 to 1."""
    both = len(listed & files)
    return both / len(listed | files) if both else 0.0


def _mostly(listed: frozenset[str], options: frozenset[str]) -> bool:
    return len(listed & options) >= _MOST * len(options)


def _kept(name: str) -> bool:
    """Of a folder's files; a hub's cache keeps each twice, by its digest and by its name."""
    return not any(part.startswith(".") or part == "blobs" for part in name.split("/")[:-1])


def _about_loras(mention: Mention) -> bool:
    words = f"{mention.input} {mention.class_type}".lower()
    return "lora" in mention.key.lower() or (mention.key in ("name", "value") and "lora" in words)


def _hint(mention: Mention, folder: ModelFolder) -> tuple[int, int]:
    """How plainly the names of an input and its class speak of a folder type or one of its roots: letters of the
    longest whole name, and of the longest word, that stand in them.
    """
    said = _letters(f"{mention.key}{mention.input}{mention.class_type}")
    names = {folder.kind, *(root.name for root in folder.roots)} if folder.kind else set()
    whole = (_letters(name).removesuffix("s") for name in names)
    words = (word.removesuffix("s") for name in names for word in re.split(r"[^a-z0-9]+", name.lower()))
    return _longest(whole, said), _longest((word for word in words if word != "model"), said)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _longest(names: Iterable[str], said: str) -> int:
    return max((len(name) for name in names if len(name) > 2 and name in said), default=0)

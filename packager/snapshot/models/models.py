"""The model files that a graph uses: each with its size, its sha256, and where it can be had again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...cache import Cache
from ...capsule import ApiGraph, Finding, Model, git, git_names, is_checkout, safe_name
from ...comfy import Install
from ...digest_cache import sha256_files
from ...errors import BadInput, CapsuleError
from ...hashing import printable
from ...progress import Progress, Report
from ...workflow import mentions
from .addresses import Candidate
from .folders import ModelFolder, model_folders
from .look_up import LookUp
from .origins import candidates_of, declared_sources, origins, template_sources
from .search import Absent, Found, ModelSearch
from .side_files import SideFiles

_PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


class Models(BaseModel):
    """The models, and what stands against reproducing them."""

    model_config = ConfigDict(frozen=True)

    models: tuple[Model, ...]
    findings: tuple[Finding, ...]


def read_models(
    install: Install,
    graph: ApiGraph,
    ui: Mapping[str, Any],
    object_info: Mapping[str, Any],
    report: Report,
    *,
    cache: Cache | None = None,
    look_up: bool | LookUp = False,
    opened: Iterable[Found] = (),
) -> Models:
    """The models that `graph` uses, with size and sha256, sorted by folder and name.

    Args:
        cache: of what is dear to read; the user's own when not given.
        look_up: whether the network is asked which address has each model's bytes, or how.
        opened: further ones that a run was seen to open.
    """
    cache = cache or Cache()
    found, absent = find_models(model_folders(install), graph, object_info)
    named = {(item.folder, item.name): item for item in (*opened, *found)}
    found, refused = _usable(install, [named[key] for key in sorted(named)])
    hashed = sha256_files([item.path for item in found], report, phase="models", cache=cache)
    unread = [_unread(item, error) for item in found if (error := hashed[item.path].error) is not None]
    found = [item for item in found if hashed[item.path].error is None]
    digests = [hashed[item.path].sha256 for item in found]
    declared = (declared_sources(ui), template_sources(install.site_packages, cache)) if found else ()
    side_files = SideFiles()
    known = [candidates_of(*item, declared, side_files) for item in found]
    findings = [*map(_absence, absent), *refused, *unread]
    if look_up:
        look_up = look_up if isinstance(look_up, LookUp) else LookUp(cache)
        known = _looked_up(look_up, digests, known, report)
        findings += _unanswered(look_up)
    models = []
    for item, sha256, candidates in zip(found, digests, known, strict=True):
        sources, others = origins(sha256, candidates)
        size = hashed[item.path].state.size
        model = Model(folder=item.folder, name=item.name, size=size, sha256=sha256, sources=sources)
        models.append(model)
        findings += [*_doubts(model), *_of_sources(model, others)]
    return Models(models=tuple(models), findings=tuple(findings))


def find_models(
    folders: Sequence[ModelFolder], graph: ApiGraph, object_info: Mapping[str, Any]
) -> tuple[list[Found], list[Absent]]:
    """The files of `folders` that `graph` uses, sorted by folder and name, and what it names in vain."""
    search = ModelSearch(folders)
    found: dict[tuple[str, str], Found] = {}
    absent: dict[tuple[str, str], Absent] = {}
    for mention in mentions(graph, object_info):
        for item in search.of(mention):
            if isinstance(item, Found):
                found.setdefault((item.folder, item.name), item)
            else:
                absent.setdefault((item.code, item.name), item)
    return [found[key] for key in sorted(found)], [absent[key] for key in sorted(absent)]


def _usable(install: Install, found: Iterable[Found]) -> tuple[list[Found], list[Finding]]:
    """Those that can be recorded; what is ComfyUI's own (its checkout brings it) needs no record."""
    own = _tracked(install, [item.path for item in found])
    usable, findings = [], []
    for item in found:
        if item.path in own:
            continue
        name = f"{item.folder}/{item.name}"
        if not _carriable(name):
            findings.append(
                _finding("model-name", item.name, f"The model {name} has a name that other systems refuse.")
            )
        else:
            usable.append(item)
    return usable, findings


def _carriable(name: str) -> bool:
    try:
        return bool(safe_name(name)) and bool(name.encode())
    except (BadInput, UnicodeEncodeError):
        return False


def _tracked(install: Install, paths: Iterable[Path]) -> frozenset[Path]:
    """Those of `paths` that ComfyUI's own checkout holds (``models/configs``)."""
    inside = [path.relative_to(install.root) for path in paths if path.is_relative_to(install.root)]
    if not inside or not is_checkout(install.root):
        return frozenset()
    folders = dict.fromkeys(f":(literal){path.parent.as_posix()}" for path in inside)
    try:
        listed = git(install.root, "ls-files", "-z", "--", *folders)
    except CapsuleError:
        return frozenset()  # a checkout that git cannot read is a finding of its own
    return frozenset(install.root / name for name in git_names(listed))


def _looked_up(
    look_up: LookUp, digests: Sequence[str], known: Sequence[list[Candidate]], report: Report
) -> list[list[Candidate]]:
    report(Progress(phase="look-up", total=len(digests)))
    asked: dict[str, list[Candidate]] = {}
    for sha256, candidates in zip(digests, known, strict=True):
        asked.setdefault(sha256, []).extend(candidates)
    answers = look_up.ask(asked)
    report(Progress(phase="look-up", done=len(digests), total=len(digests)))
    return [[*answers[sha256], *candidates] for sha256, candidates in zip(digests, known, strict=True)]


def _absence(absent: Absent) -> Finding:
    by, where = f"Node {absent.node} names", f"models folder {absent.folder}" if absent.folder else "any models folder"
    if absent.code == "embedding-missing":
        return _finding(
            absent.code, absent.name, f"{by} the embedding {absent.name}, which is not there; ComfyUI ignores it."
        )
    if absent.code == "model-unreadable":
        where = f"{absent.folder}/{absent.name}"
        return _finding(absent.code, absent.name, f"The model {where} is no file, or may not be read.")
    if absent.code == "model-by-path":
        return _finding(absent.code, absent.name, f"{by} the model {absent.name} by a path of this machine.")
    later = "; its pack may download it when it runs" if absent.offered else ""
    return _finding(absent.code, absent.name, f"{by} the model {absent.name}, which is not in {where}{later}.")


def _unread(item: Found, error: CapsuleError) -> Finding:
    """`error` of the file, without where it lies on this machine."""
    message = error.message.replace(printable(item.path), item.name)
    if error.code == "file-changing":
        return Finding(code="file-changing", subject=item.name, message=message, cure=error.cure, blocks=True)
    return Finding(code="model-unreadable", subject=item.name, message=message, cure=error.cure, blocks=True)


def _doubts(model: Model) -> Iterator[Finding]:
    if model.name.lower().endswith(_PICKLES):
        what = f"The model {model.name} is a pickle file, which can run code when it is loaded."
        yield _finding("pickle-model", model.name, what)


def _of_sources(model: Model, others: Sequence[Candidate]) -> Iterator[Finding]:
    if others:
        what = f"The model {model.name} has other bytes than {others[0].url} is said to have"
        yield _finding("model-source-differs", model.name, f"{what} ({others[0].how}).")
    if not model.sources:
        what = f"No address is known from which the model {model.name} can be had again."
        yield _finding("model-without-source", model.name, what)
    elif not any(source.proved for source in model.sources):
        what = f"The model {model.name} is said to be at {model.sources[0].url}; no hash proves it."
        yield _finding("model-source-unproved", model.name, what)


def _unanswered(look_up: LookUp) -> Iterator[Finding]:
    if look_up.failed:
        what = f"{look_up.failed} of the look-ups for the models' addresses got no answer."
        yield _finding("look-up-failed", "models", what)


_CURES = {
    "embedding-missing": "Put it into the embeddings folder, or take it out of the prompt.",
    "look-up-failed": "Take the snapshot again when Hugging Face and Civitai can be reached.",
    "model-by-path": "Put the file into a models folder and choose it there.",
    "model-missing": "Put the file into that folder, or choose another model.",
    "model-name": 'Rename the file, without \\ : * ? " < > | and control characters, and choose it again.',
    "model-source-differs": "Check that the file here is the one you mean.",
    "model-source-unproved": "Take the snapshot with --look-up, or keep the file at hand for --models-from DIR.",
    "model-unreadable": "Put the file itself there, readable for you.",
    "model-without-source": "Keep the file at hand: restore and build take it by its sha256 from --models-from DIR.",
    "pickle-model": "Use a .safetensors file.",
}
_BLOCKS = ("model-by-path", "model-missing", "model-name", "model-unreadable")


def _finding(code: str, subject: str, message: str) -> Finding:
    said, blocks = printable(message), code in _BLOCKS
    return Finding(code=code, subject=printable(subject), message=said, cure=_CURES[code], blocks=blocks)

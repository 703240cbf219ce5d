"""The files of ComfyUI's input folder that a graph reads: pictures, sounds, videos, texts, 3D, and whole folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..capsule import ApiGraph, Finding, InputFile, safe_name, sha256_bytes
from ..comfy import Install
from ..errors import BadInput
from ..hashing import printable
from ..progress import Progress, Report, silent
from ..workflow import input_files, mentions, produced_files
from .models.folders import composed, is_relative, listed_in, looks_like_model, slashed

_LARGEST = (1 << 31) - 1  # bytes; a capsule's entry may not be larger
_MOST = 0.5  # of a list's options lie in the input folder: then it is a listing of that
_LONGEST = 1024  # characters of a text that may be a file's name


class Inputs(NamedTuple):
    """The input files, what stands against carrying some, and their bytes by entry name."""

    files: tuple[InputFile, ...]
    findings: tuple[Finding, ...]
    carried: dict[str, bytes]


def read_inputs(
    install: Install,
    graph: ApiGraph,
    object_info: Mapping[str, Any],
    report: Report = silent,
    opened: Iterable[str] = (),
) -> Inputs:
    """The files of ComfyUI's input folder that `graph` reads, with their bytes.

    Known by the definitions' upload flags and by ``name [input]``; also where a node offers a list of what lies in the
    folder, and where a text is the name of a file in it. `opened` are further ones that a run was seen to open.
    """
    findings = [_of_another_run(name) for name in produced_files(graph, object_info)]
    files: list[InputFile] = []
    carried: dict[str, bytes] = {}
    root = install.input_dir.resolve()
    wanted = dict.fromkeys([*input_files(graph, object_info), *opened], True)
    for name, by_path in _named(install, root, graph, object_info):
        wanted.setdefault(name, False)
        findings += [_by_path(name)] if by_path else []
    for done, (name, sure) in enumerate(sorted(wanted.items())):
        for inner, path in _files(root, name):
            report(Progress(phase="inputs", item=printable(inner), done=done, total=len(wanted)))
            if f"inputs/{inner}" in carried:
                continue  # by its folder's name, and by its own
            reason = _reason(root, inner, path)
            if reason is None and path is not None:
                data = path.read_bytes()
                files.append(InputFile(name=inner, size=len(data), sha256=sha256_bytes(data)))
                carried[f"inputs/{inner}"] = data
            elif reason is not None and (sure or reason.code != "input-missing"):
                findings.append(reason)
    report(Progress(phase="inputs", done=len(wanted), total=len(wanted)))
    return Inputs(tuple(files), tuple(findings), carried)


def _files(root: Path, name: str) -> Iterator[tuple[str, Path | None]]:
    """`name` and where it lies; for a folder, each file in it."""
    path = _locate(root, name)
    if path is None or not os.path.isdir(path):
        yield name, path
        return
    for base, folders, names in os.walk(path):  # links to folders are not followed
        folders.sort()
        for inner in sorted(names):
            whole = Path(base, inner)
            yield f"{name.rstrip('/')}/{whole.relative_to(path).as_posix()}", whole


def _locate(root: Path, name: str) -> Path | None:
    """What is at `name`, whichever of Unicode's forms the file system has it in; nothing outside of `root`."""
    path = root / name
    if not is_relative(name.rstrip("/")) or not _inside(root, path):
        return None
    if os.path.lexists(path):
        return path
    same = next((other for other in listed_in(path.parent) if composed(other) == composed(path.name)), None)
    return path.with_name(same) if same else None


def _inside(root: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def _reason(root: Path, name: str, path: Path | None) -> Finding | None:
    """Why the file is not carried, or None when it can be."""
    if path is None or not os.path.exists(path) or not _inside(root, path):
        return Finding(
            code="input-missing",
            subject=printable(name),
            message=f"The graph reads the input file {printable(name)}, which is not in ComfyUI's input folder.",
            cure="Put the file there, or mark the input and send a file with each request.",
        )
    if not os.path.isfile(path):
        return _not_carried(name, "is no plain file", "Put the file itself there.")
    if not os.access(path, os.R_OK):
        return _not_carried(name, "may not be read", "Make it readable.")
    if path.stat().st_size > _LARGEST:
        return _not_carried(name, "is larger than 2 GiB", "Mark the input and send a file with each request.")
    try:
        safe_name(name).encode()
    except (BadInput, UnicodeEncodeError):
        cure = 'Rename it, without \\ : * ? " < > | and control characters, and choose it again.'
        return _not_carried(name, "has a name that other systems refuse", cure)
    return None


def _named(install: Install, root: Path, graph: ApiGraph, object_info: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """What no definition flags: (name, whether the graph has its whole path) of files in the input folder."""
    listings: dict[tuple[str, str], bool] = {}
    for mention in mentions(graph, object_info):
        name = slashed(mention.text.strip())
        if looks_like_model(name) or len(name) > _LONGEST or not name.isprintable():
            continue
        if mention.kind == "choice" and mention.options:
            key = (mention.class_type, mention.input)
            if key not in listings:
                listings[key] = _is_listing(root, mention.options)
            if listings[key] and _lies_in(root, name):
                yield name, False
        elif os.path.splitext(name)[1]:
            yield from _by_text(install, root, name)
        elif mention.kind == "choice" and is_relative(name) and os.path.isdir(root / name):
            yield name, False  # its list is empty, for the ComfyUI that was asked has an input folder of its own


def _is_listing(root: Path, options: Iterable[Any]) -> bool:
    names = [slashed(option) for option in options if isinstance(option, str)]
    there = sum(_lies_in(root, name) for name in names)
    return bool(there) and there >= _MOST * len(names)


def _lies_in(root: Path, name: str) -> bool:
    """Whether `name` is a folder there, or a file with an ending: where "a" is one of "a" and "b", it is no file."""
    path = root / name
    return is_relative(name) and (os.path.isdir(path) or (bool(path.suffix) and os.path.exists(path)))


def _by_text(install: Install, root: Path, name: str) -> Iterator[tuple[str, bool]]:
    """A text that is a file's name within the input folder, or its path from ComfyUI's folder, or its whole path."""
    places = [Path(name)] if os.path.isabs(name) else [root / name, install.root / name]
    for place in places:
        if os.path.isfile(place) and _inside(root, place):
            yield Path(os.path.realpath(place)).relative_to(root).as_posix(), os.path.isabs(name)
            return


def _by_path(name: str) -> Finding:
    return Finding(
        code="input-by-path",
        subject=name,
        message=f"The graph reads the input file {name} by its whole path on this machine, which is nowhere else.",
        cure="Name it by its path within ComfyUI's input folder.",
        blocks=True,
    )


def _not_carried(name: str, why: str, cure: str) -> Finding:
    message = f"The graph reads the input {printable(name)}, which {why}; it is not carried."
    return Finding(code="input-not-carried", subject=printable(name), message=message, cure=cure, blocks=True)


def _of_another_run(name: str) -> Finding:
    return Finding(
        code="input-of-another-run",
        subject=printable(name),
        message=f"The graph reads {printable(name)}, a file that another run made; it is not carried.",
        cure="Copy it into ComfyUI's input folder and choose it there.",
        blocks=True,
    )

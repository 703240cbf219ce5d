"""Where each model can be had again: what workflow, templates and side files say, proved by its sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...cache import Cache
from ...capsule import ModelOrigin
from .addresses import Candidate, clean_address, hub_file
from .folders import slashed
from .side_files import SideFiles, pinned

Declared = dict[tuple[str, str], tuple[Candidate, ...]]

_TEMPLATES = "comfyui_workflow_templates"
_ORDER = ("huggingface", "civitai", "huggingface-cache", "side-file", "workflow", "templates")
# Names of types that ComfyUI has replaced (``folder_paths.map_legacy``, 0.30.0), still written in workflows.
_LEGACY = {"unet": "diffusion_models", "clip": "text_encoders"}


def declared_sources(ui: Mapping[str, Any], how: str = "workflow") -> Declared:
    """The addresses that the nodes of a workflow, root and subgraphs, declare (``properties.models``), by folder and
    name; any program may have written it.
    """
    found: dict[tuple[str, str], list[Candidate]] = {}
    graphs = [ui, *_objects(_object(ui.get("definitions")).get("subgraphs"))]
    for node in (node for graph in graphs for node in _objects(graph.get("nodes"))):
        for model in _objects(_object(node.get("properties")).get("models")):
            if url := clean_address(model.get("url")):
                folder = str(model.get("directory", ""))
                key = (_LEGACY.get(folder, folder), slashed(str(model.get("name", ""))))
                sha256 = str(model.get("hash", "")) if str(model.get("hash_type", "")).upper() == "SHA256" else ""
                found.setdefault(key, []).append(Candidate(_file_of(url), how, sha256.lower()))
    return {key: tuple(dict.fromkeys(candidates)) for key, candidates in found.items()}


def template_sources(site_packages: Iterable[Path], cache: Cache) -> Declared:
    """The same of every workflow in the templates that are installed with ComfyUI.

    Read once for each version of them: `cache` keeps the answer under what their RECORD says of their files.
    """
    found: dict[tuple[str, str], tuple[Candidate, ...]] = {}
    for site in site_packages:
        for info in sorted(site.glob(f"{_TEMPLATES}*.dist-info")):
            folder = site / info.name.partition("-")[0] / "templates"
            if not folder.is_dir():
                continue
            for key, candidates in _catalogue(folder, info / "RECORD", cache).items():
                found[key] = tuple(dict.fromkeys([*found.get(key, ()), *candidates]))
    return found


def candidates_of(
    folder: str, name: str, path: Path, declared: Iterable[Declared], side_files: SideFiles
) -> list[Candidate]:
    """Every address that is known for the model at `path`."""
    last = name.rpartition("/")[2]
    known = [*side_files.from_hub_cache(path), *side_files.beside(path)]
    for source in declared:
        known += [*source.get((folder, name), ()), *(source.get((folder, last), ()) if last != name else ())]
    at_commit = [found for candidate in known if (found := pinned(path, candidate.url))]
    return list(dict.fromkeys([*at_commit, *known]))


def origins(sha256: str, candidates: Iterable[Candidate]) -> tuple[tuple[ModelOrigin, ...], list[Candidate]]:
    """The addresses to record for a file of this sha256, and the candidates that are known to have other bytes."""
    proved: dict[str, str] = {}
    open_: dict[str, str] = {}
    others = []
    for candidate in sorted(candidates, key=lambda each: _ORDER.index(each.how)):
        if candidate.sha256 and candidate.sha256 != sha256:
            others.append(candidate)
        else:
            (proved if candidate.sha256 else open_).setdefault(candidate.url, candidate.how)
    wrong = {candidate.url for candidate in others}
    listed = [ModelOrigin(url=url, proved=True, how=how) for url, how in proved.items()]
    listed += [ModelOrigin(url=url, how=how) for url, how in open_.items() if url not in proved and url not in wrong]
    return tuple(listed), [candidate for candidate in others if candidate.url not in proved]


def _catalogue(folder: Path, record: Path, cache: Cache) -> Declared:
    key = hashlib.sha256(record.read_bytes()).hexdigest() if record.is_file() else ""
    kept = cache.get("templates", [key]).get(key) if key else None
    if kept is not None:
        return {
            (kind, name): tuple(Candidate(url, "templates", sha256) for url, sha256 in said)
            for kind, name, said in json.loads(kept)
        }
    found: dict[tuple[str, str], list[Candidate]] = {}
    for path in sorted(folder.glob("*.json")):
        for place, candidates in declared_sources(_workflow(path), "templates").items():
            found.setdefault(place, []).extend(candidates)
    catalogue = {place: tuple(dict.fromkeys(candidates)) for place, candidates in found.items()}
    if key:
        rows = [[*place, [[each.url, each.sha256] for each in said]] for place, said in catalogue.items()]
        cache.put("templates", {key: json.dumps(rows)})
    return catalogue


def _workflow(path: Path) -> Mapping[str, Any]:
    try:
        return _object(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _file_of(url: str) -> str:
    """Workflows often name the page of a Hugging Face file; its bytes are at another address."""
    file = hub_file(url)
    return file.url() if file is not None else url


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, Mapping) else {}


def _objects(said: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a list."""
    yield from (item for item in said if isinstance(item, Mapping)) if isinstance(said, list) else ()

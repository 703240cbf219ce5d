"""comfy-pack's ``NAME.cpack.zip``: a snapshot with models, the workflow in both graphs, and input files.

The format, after comfy-pack 0.4 (``nodes/api.py`` _write_snapshot, _get_models; ``src/comfy_pack/package.py`` install):
``snapshot.json`` is ComfyUI-Manager's, with ``python`` (``3.11``) and ``models`` ``[{filename, size, sha256, disabled,
source: {download_url, …}}]``; older ones have ``custom_nodes`` ``[{url, commit_hash, disabled}]`` instead, and the pins
in ``requirements.txt``. Beside it ``workflow.json``, ``workflow_api.json`` and ``input/…``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..capsule import ApiGraph, Finding, Model, ModelOrigin, safe_name
from ..command import without_credentials
from ..errors import BadInput
from ..strict_json import loads
from ..workflow import check_api_graph, is_api_graph, is_ui_graph
from .findings import assumed, left_out, no_pins, not_chosen, not_held
from .manager import read_packs
from .models import Described, NamedPack
from .names import folder_of, git_pack
from .pins import lines_of, read_pins
from .zips import Limits, read_zip

SNAPSHOT = "snapshot.json"
_LIMITS = Limits(files=10_000, size=2 << 30)
_PYTHON = re.compile(r"3\.\d+(\.\d+)?\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MARKS = re.compile(r"CPack(Input|Output)")
_LEFT_OUT_OF_FREEZE = ("bentoml", "onnxruntime")  # nodes/api.py EXCLUDE_PACKAGES


def read_cpack(path: Path) -> Described:
    """What the archive at `path` says and holds.

    Raises:
        BadInput: as `read_zip`; ``others-unreadable`` without a snapshot that can be read.
    """
    files = dict(read_zip(path, _LIMITS))
    if SNAPSHOT not in files:
        message = f"{path.name} is a zip, but no .cpack.zip: it has no {SNAPSHOT}."
        raise BadInput("others-unreadable", message, "Give what comfy-pack wrote.")
    said = _object(path, SNAPSHOT, files[SNAPSHOT])
    packs, findings = _packs(said)
    pins, more = _pins(said, files.get("requirements.txt", b""))
    models, odd = _models(said.get("models"))
    api, ui = _graph(path, "workflow_api.json", files), _graph(path, "workflow.json", files)
    inputs = {name.removeprefix("input/"): data for name, data in files.items() if name.startswith("input/")}
    known = {SNAPSHOT, "requirements.txt", "workflow.json", "workflow_api.json"}
    rest = sorted(name for name in files if name not in known and not name.startswith("input/"))
    python = str(said.get("python") or "")
    return Described(
        form="cpack",
        comfyui=str(said.get("comfyui") or "").strip(),
        python=python if _PYTHON.match(python) else "",
        packs=packs,
        pins=pins,
        models=models,
        inputs=inputs,
        ui=ui,
        api=api,
        findings=(
            *not_held("cpack", *([] if api else ["workflow"])),
            *findings,
            *more,
            *odd,
            *(left_out(name, f"{name!r} is nothing that is known of such archives.") for name in rest),
            *([] if pins else [no_pins()]),
            *_marks(api),
        ),
    )


def _packs(said: Mapping[str, Any]) -> tuple[tuple[NamedPack, ...], list[Finding]]:
    packs, findings = read_packs(said)
    older = said.get("custom_nodes")
    found: list[NamedPack] = []
    for item in older if isinstance(older, list) else ():
        if not isinstance(item, dict):
            findings.append(left_out("custom_nodes", "An entry of custom_nodes is no object."))
            continue
        url = without_credentials(str(item.get("url") or ""))
        off = item.get("disabled") is True
        one = git_pack(url, str(item.get("commit_hash") or ""), folder_of(url), disabled=off)
        findings.append(one) if isinstance(one, Finding) else found.append(one)
    return (*packs, *found), findings


def _pins(said: Mapping[str, Any], requirements: bytes) -> tuple[Any, tuple[Finding, ...]]:
    pips = said.get("pips")
    if isinstance(pips, dict):
        return read_pins(lines_of(pips))
    text = requirements.decode("utf-8", "replace").replace("\\\n", " ")
    pins, findings = read_pins(text.splitlines())
    there = {pin.name for pin in pins}
    gone = [name for name in _LEFT_OUT_OF_FREEZE if name not in there]
    message = f"comfy-pack leaves {' and '.join(gone)} out of its list, whether they were there or not."
    more = [assumed("Python", message, "If a pack needs one, install it in the ComfyUI, and export.")] if gone else []
    return pins, (*findings, *more)


def _models(said: object) -> tuple[tuple[Model, ...], list[Finding]]:
    models: dict[tuple[str, str], Model] = {}
    findings: list[Finding] = []
    for item in said if isinstance(said, list) else ():
        found = _model(item) if isinstance(item, dict) else left_out("models", "An entry of models is no object.")
        if isinstance(found, Finding):
            findings.append(found)
        else:
            models[found.folder, found.name] = found
    return tuple(models[key] for key in sorted(models)), findings


def _model(item: Mapping[str, Any]) -> Model | Finding:
    """``models/FOLDER/NAME``, as the machine that packed it separates folders."""
    file = str(item.get("filename") or "").replace("\\", "/")
    if item.get("disabled") is True:
        return not_chosen(file, f"The model {file!r} was not chosen when the archive was made.")
    try:
        root, folder, name = safe_name(file).split("/", 2)
    except (BadInput, ValueError):
        return left_out(ascii(file), f"The model {file!a} is not in a folder of ComfyUI's models.")
    size, sha256 = item.get("size"), str(item.get("sha256") or "").lower()
    if root != "models" or not isinstance(size, int) or size < 0 or not _SHA256.match(sha256):
        return left_out(file, f"The model {file!r} is named without its size and sha256, or is not in models/.")
    return Model(folder=folder, name=name, size=size, sha256=sha256, sources=tuple(_origins(item.get("source"))))


def _origins(said: object) -> Iterator[ModelOrigin]:
    """The address is comfy-pack's guess by a search for the sha256; the store checks what comes from there."""
    url = str(said.get("download_url") or "") if isinstance(said, dict) else ""
    if re.match(r"https?://[^\s\\]+\Z", url) and len(url) < 2000:
        yield ModelOrigin(url=without_credentials(url), how="comfy-pack")


def _graph(path: Path, name: str, files: Mapping[str, bytes]) -> dict[str, Any] | None:
    if name not in files or files[name].strip() in (b"", b"null", b"{}"):
        return None
    graph = _object(path, name, files[name])
    if name == "workflow.json" and not is_ui_graph(graph):
        raise BadInput("others-unreadable", f"{name} in {path.name} is no workflow.", "Pack it again.")
    if name == "workflow_api.json":
        if not is_api_graph(graph):
            raise BadInput("others-unreadable", f"{name} in {path.name} is no API graph.", "Pack it again.")
        check_api_graph(graph)
    return graph


def _object(path: Path, name: str, data: bytes) -> dict[str, Any]:
    try:
        said = loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        message = f"{name} in {path.name} is no JSON."
        raise BadInput("others-unreadable", message, "Pack it again with comfy-pack.") from error
    if not isinstance(said, dict):
        raise BadInput("others-unreadable", f"{name} in {path.name} is no JSON object.", "Pack it again.")
    return said


def _marks(api: ApiGraph | None) -> Iterator[Finding]:
    """comfy-pack's own nodes are its contract; they are no marks of ours."""
    nodes = [node for node, entry in (api or {}).items() if _MARKS.match(str(entry.get("class_type")))]
    if nodes:
        message = f"The nodes {', '.join(nodes[:5])} are comfy-pack's inputs and outputs, which are no API inputs here."
        yield assumed("contract", message, "Mark the widgets that they feed as API inputs, and export again.")

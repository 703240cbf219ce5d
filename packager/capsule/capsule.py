"""A capsule in memory: read from its file, or composed and written to one."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.pylock import Pylock, PylockValidationError

from ..contract import Contract, contract_json, read_contract_json
from ..errors import BadInput
from ..progress import Progress, Report, silent
from ..secrets import secret_names
from ..workflow import check_api_graph
from .archive import Content, check_format, manifest_bytes, read_archive, write_archive
from .digests import canonical_json, environment_digest, sha256_bytes
from .locktoml import lock_toml
from .models import ApiGraph, Digests, Lock
from .vendored import Vendored, refuse_missing_parts

SUFFIX = ".capsule.zip"

# Both become file names and lines of a Dockerfile.
WORKFLOW_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_PYTHON = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[a-z0-9+]*")


@dataclass(frozen=True)
class Capsule:
    """A workflow sealed with everything it needs.

    Attributes:
        lock: the environment, as `capsule.toml` says it.
        pylock: the text of `pylock.toml`.
        workflow: the UI graph, marks inside.
        graph: the API graph, as the live front-end exported it; empty in a capsule of an environment alone.
        contract: the named inputs and outputs.
        object_info: ``{node class: its definition}`` of the classes that the graph uses, frozen.
        files: the carried bytes, by entry name (``inputs/…``, ``packs/…``).
        sealed: the capsule digest that the file had when it was read; empty for one not written yet.
        vendored: what a restore or an image needs from elsewhere, by entry name (``vendor/…``); not in memory.
    """

    lock: Lock
    pylock: str
    workflow: Mapping[str, Any]
    graph: ApiGraph
    contract: Contract
    object_info: Mapping[str, Any]
    files: Mapping[str, bytes]
    sealed: str = ""
    vendored: Mapping[str, Vendored] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The workflow's name, as in ``POST /workflows/{name}``."""
        return self.lock.name

    def entries(self) -> dict[str, Content]:
        """What the file holds, by entry name, without the manifest."""
        return {
            "capsule.toml": lock_toml(self.lock).encode(),
            "pylock.toml": self.pylock.encode(),
            "workflow.json": _json(self.workflow),
            "workflow.api.json": _json(self.graph),
            "contract.json": _json(contract_json(self.contract)),
            "object_info.json": _json(self.object_info),
            **self.files,
            **self.vendored,
        }

    @property
    def digests(self) -> Digests:
        """The three digests that name this capsule."""
        return Digests(
            environment=environment_digest(self.lock, self.pylock),
            contract=sha256_bytes(canonical_json(self.contract.model_dump(mode="json"))),
            capsule=self.sealed or sha256_bytes(manifest_bytes(self.entries())),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that a run needs: those that the graph or a parameter's default asks for."""
        inputs = [entry["inputs"] for entry in self.graph.values()]
        return secret_names([*inputs, *(each.default for each in self.contract.inputs)])

    def check(self, report: Report) -> None:
        """Read every vendored byte that this copy has, and hold it to the manifest.

        Raises:
            BadInput: ``capsule-part-missing``, ``capsule-damaged``.
        """
        refuse_missing_parts(self.vendored)
        here = {name: item for name, item in sorted(self.vendored.items()) if item.pieces is not None}
        done, total = 0, sum(item.size for item in here.values())
        for name, item in here.items():
            for chunk in item.chunks():
                done += len(chunk)
                report(Progress(phase="read", item=name, done=done, total=total, unit="bytes"))

    def need_workflow(self) -> None:
        """Refuse a capsule that serves nothing: `import` makes those, of files without a workflow or without its nodes.

        Raises:
            BadInput: ``no-workflow``.
        """
        if not self.graph or any(item.code == "contract-not-made" for item in self.lock.findings):
            message = f"The capsule {self.name!r} gives a ComfyUI back, but has no workflow with inputs and outputs."
            raise BadInput("no-workflow", message, "Restore it, and export a workflow from the restored ComfyUI.")

    def read(self, entry: str) -> bytes:
        """The bytes of a carried file, e.g. ``inputs/photo.png``. Raises KeyError when it is not there."""
        return self.files[entry]


def write_capsule(capsule: Capsule, path: Path, *, part: int | None = None, report: Report = silent) -> str:
    """Write `capsule` to `path`, whole or not at all; the same capsule always gives the same bytes.

    Args:
        part: where its vendored files go: None, into the file; 0, nowhere, which changes no digest; else into parts of
            so many bytes beside it.

    Returns the capsule digest.
    """
    return write_archive(path, capsule.entries(), part=part, report=report)


_OWN = ("capsule.toml", "pylock.toml", "workflow.json", "workflow.api.json", "contract.json", "object_info.json")


def read_capsule(path: Path) -> Capsule:
    """The capsule in the file `path`, with every byte but the vendored ones checked against its manifest.

    Raises:
        BadInput: as `read_archive`, and ``capsule-damaged`` when an entry does not say what the format wants.
    """
    entries, digest = read_archive(path)
    parsed = {name: _parsed(path, name, entries) for name in _OWN}
    said = (parsed["capsule.toml"].name, parsed["contract.json"].name)
    if said[0] != said[1]:
        message = f"{path} is damaged: its lock names the workflow {said[0]!r}, its contract {said[1]!r}."
        raise BadInput("capsule-damaged", message, "Export the capsule again.")
    return Capsule(
        lock=parsed["capsule.toml"],
        pylock=parsed["pylock.toml"],
        workflow=parsed["workflow.json"],
        graph=parsed["workflow.api.json"],
        contract=parsed["contract.json"],
        object_info=parsed["object_info.json"],
        files={name: data for name, data in entries.items() if name not in _OWN and isinstance(data, bytes)},
        sealed=digest,
        vendored={name: data for name, data in entries.items() if isinstance(data, Vendored)},
    )


def _parsed(path: Path, name: str, entries: Mapping[str, Content]) -> Any:
    data = entries.get(name)
    if not isinstance(data, bytes):
        raise BadInput("capsule-damaged", f"{path} has no {name}.", "Export the capsule again.")
    try:
        return _PARSERS[name](path, data.decode())
    except (ValueError, KeyError, TypeError, RecursionError, PylockValidationError, BadInput) as error:
        if isinstance(error, BadInput) and error.code.startswith("capsule-"):
            raise  # a format that is too new says so itself
        reason = (str(error).splitlines() or ["it is empty"])[0]
        sentence = f"{name} in {path} cannot be read: {reason}."
        raise BadInput("capsule-damaged", sentence, "Export the capsule again.") from error


def _parse_lock(path: Path, text: str) -> Lock:
    said = tomllib.loads(text)
    check_format(path, said["format"])
    lock = Lock.model_validate(said)
    if not WORKFLOW_NAME.fullmatch(lock.name):
        raise ValueError(f"{lock.name!r} is no workflow name")
    if not _PYTHON.fullmatch(lock.platform.python):
        raise ValueError(f"{lock.platform.python!r} is no Python version")
    return lock


def _parse_pylock(path: Path, text: str) -> str:
    said = tomllib.loads(text)
    Pylock.from_dict(said)
    own = said.get("tool", {}).get("comfy-capsule", {})
    if not isinstance(own, dict) or not isinstance(own.get("unproved", []), list):
        raise TypeError("[tool.comfy-capsule] does not hold a list `unproved`")
    return text


def _parse_object(path: Path, text: str) -> dict[str, Any]:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise TypeError("it is no JSON object")
    return said


def _parse_graph(path: Path, text: str) -> ApiGraph:
    graph = _parse_object(path, text)
    if graph:  # of an environment alone there is none, see `Capsule.need_workflow`
        check_api_graph(graph)
    return graph


def _parse_contract(path: Path, text: str) -> Contract:
    return read_contract_json(_parse_object(path, text))


_PARSERS: dict[str, Callable[[Path, str], Any]] = {
    "capsule.toml": _parse_lock,
    "pylock.toml": _parse_pylock,
    "workflow.json": _parse_object,
    "workflow.api.json": _parse_graph,
    "contract.json": _parse_contract,
    "object_info.json": _parse_object,
}


def _json(value: Any) -> bytes:
    """Readable, deterministic JSON. Keys keep their order in graphs: the front-end's order is part of them."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")

"""One served workflow: its parameters checked and bound, and the files that its graph reads."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..capsule import ApiGraph, Capsule, sha256_bytes
from ..contract import MEDIA_TYPES, Binder, EditorGraph, InvalidParameters, Spellings, spellings
from ..workflow import node_words
from ..workflow.uses import literal_inputs, split_annotation
from .interface import ExecutionStore, OutputStore
from .problems import Problem
from .secrets import NO_SECRETS, Secrets

log = logging.getLogger(__name__)

#: Where in ComfyUI's input folder our files go: named by digest, so that no two requests ever share a name.
_SUBFOLDER = "capsule"
#: The hidden input of nodes that save the editor graph with what they make (``execution.py`` get_input_data, 0.30.0).
_SAVED = ("EXTRA_PNGINFO", ["EXTRA_PNGINFO"])


@dataclass(frozen=True)
class Prepared:
    """What is handed to ComfyUI: the graph, and what must be in its input folder before (by reference).

    `editor` is the same as an editor graph, for the pictures that are saved; None where that cannot be had for certain.
    """

    graph: ApiGraph
    files: Mapping[str, Path | bytes]
    editor: Mapping[str, Any] | None = None


class Workflow:
    """A capsule made ready to serve. `name`, `contract`, `graph` are the capsule's; `digest` and `id` name it."""

    def __init__(self, capsule: Capsule, secrets: Secrets = NO_SECRETS) -> None:
        self.name = capsule.contract.name
        self.contract = capsule.contract
        self.graph = capsule.graph
        digests = capsule.digests
        self.digest, self.id, self.environment = digests.capsule, digests.id, digests.environment
        self._binder = Binder(capsule.contract, capsule.graph)
        self._media = {each.name for each in self.contract.inputs if each.type in MEDIA_TYPES}
        self._json = {(to.node, to.input) for each in self.contract.inputs if each.as_text for to in each.targets}
        self._own: dict[str, bytes] = {}  # reference → bytes
        self._places: list[tuple[str, str, str, str]] = []  # node, input, the graph's own value, its reference
        self._find_own_files(capsule)
        self._secrets = secrets
        self._asking = list(self._find_asking())
        self._object_info = capsule.object_info
        self._ui = capsule.workflow if self._saves_graphs(capsule) else None
        self._spellings: Spellings = {}
        self._editor = self._editor_graph()

    def _saves_graphs(self, capsule: Capsule) -> bool:
        """Whether any node asks for what is to be saved with a picture; one that nothing is known of may."""
        for class_type in {str(entry["class_type"]) for entry in self.graph.values()}:
            definition = capsule.object_info.get(class_type)
            hidden = ((definition or {}).get("input") or {}).get("hidden") or {}
            if definition is None or any(asked in _SAVED for asked in hidden.values()):
                return True
        return False

    def _editor_graph(self) -> EditorGraph | None:
        if self._ui is None:
            return None
        targets = [(to.node, to.input, to.values is not None) for each in self.contract.inputs for to in each.targets]
        ours = [*((node, name) for node, name, _, _ in self._places), *self._spellings]
        made = {(node, name) for node, name, along in targets if along}
        places = [*((node, name) for node, name, _ in targets), *ours]
        editor = EditorGraph(self._ui, self.graph, places, made, self._object_info)
        if not editor.whole:
            log.info("Pictures of %s hold no editor graph: it has not the nodes of the API graph.", self.name)
        elif editor.unplaced:
            where = ", ".join(f"{name!r} of {node_words(self.graph, node)}" for node, name in editor.unplaced[:5])
            log.info("Pictures of %s hold no editor graph: where it keeps %s is not certain.", self.name, where)
        return editor

    def meet(self, object_info: Mapping[str, Any]) -> None:
        """Spell from now on what the graph names as the ComfyUI of `object_info` lists it."""
        found = spellings(self.graph, self.contract, object_info)
        if found != self._spellings:
            self._spellings = found
            self._editor = self._editor_graph()

    def _find_asking(self) -> Iterator[tuple[str, str, Any]]:
        """(node, input, value): the capsule's own values that ask for a secret. A caller's never do."""
        for node, entry in self.graph.items():
            for name, value in entry["inputs"].items():
                if self._secrets.asked(value):
                    yield node, name, value
        for each in self.contract.inputs:
            if self._secrets.asked(each.default):
                yield from ((target.node, target.input, each.default) for target in each.targets)

    def _filled(self, own: Any, *, is_json: bool) -> Any:
        """The capsule's `own` value with its secrets; the text of a JSON value stays one, whatever is in them."""
        if is_json and isinstance(own, str):
            return json.dumps(self._secrets.fill(json.loads(own)), ensure_ascii=False)
        return self._secrets.fill(own)

    def _find_own_files(self, capsule: Capsule) -> None:
        """Where the graph names an input file that the capsule carries."""
        carried = {each.name: capsule.files.get(f"inputs/{each.name}") for each in capsule.lock.inputs}
        for node, name, value, definition in literal_inputs(self.graph, capsule.object_info):
            if not isinstance(value, str):
                continue
            file, folder = split_annotation(value)
            data = carried.get(file.replace("\\", "/"))
            reads = folder == "input" or (not folder and definition is not None and bool(definition.upload))
            if data is not None and reads:
                reference = reference_of(sha256_bytes(data), file)
                self._own[reference] = data
                self._places.append((node, name, value, reference))

    @property
    def media(self) -> frozenset[str]:
        """The names of the parameters that are files."""
        return frozenset(self._media)

    def check(self, parameters: object) -> dict[str, Any]:
        """The parameters as a caller sent them.

        Raises:
            Problem: ``invalid-parameters`` naming each that is wrong.
        """
        try:
            self._binder.check(parameters)
        except InvalidParameters as error:
            raise _invalid(error) from error
        assert isinstance(parameters, dict)
        return parameters

    def complete(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """`parameters`, checked and their files stored, with seeds drawn and defaults filled in."""
        values = self._binder.complete(parameters)
        return {name: value for name, value in values.items() if name in parameters or name not in self._media}

    def smallest(self) -> dict[str, Any]:
        """Parameters of a run that is for nobody: defaults, and numbers as small as they may be.

        What has neither stays as the capsule has it.
        """
        numbers = (each for each in self.contract.inputs if each.type in ("integer", "number"))
        return self.complete({each.name: each.minimum for each in numbers if each.minimum is not None})

    async def prepare(self, parameters: Mapping[str, Any], store: ExecutionStore, outputs: OutputStore) -> Prepared:
        """The graph for parameters that `complete` gave.

        Raises:
            Problem: ``unknown-file`` when an upload is gone.
        """
        files: dict[str, Path | bytes] = {}
        values = dict(parameters)
        for name, value in parameters.items():
            if name in self._media:
                stored = await store.get_file(value["file"])
                if stored is None:
                    raise Problem("unknown-file", f"The upload of the parameter {name!r} is gone.", parameter=name)
                reference = reference_of(stored.sha256, stored.filename)
                path = await outputs.local(stored.sha256)
                if path is None:
                    raise Problem("unknown-file", f"The bytes of the parameter {name!r} are gone.", parameter=name)
                files[reference] = path
                values[name] = reference
        graph = self._binder.fill(values)
        for node, name, own, reference in self._places:
            if graph[node]["inputs"][name] == own:
                graph[node]["inputs"][name] = reference
                files[reference] = self._own[reference]
        for (node, name), spelled in self._spellings.items():
            value = graph[node]["inputs"][name]
            if isinstance(value, str):
                graph[node]["inputs"][name] = spelled.get(value, value)
        editor = self._editor.with_values(graph) if self._editor is not None else None  # before it holds a secret
        filled = {
            (node, name): self._filled(own, is_json=(node, name) in self._json)
            for node, name, own in self._asking
            if graph[node]["inputs"][name] == own
        }
        for (node, name), value in filled.items():
            graph[node]["inputs"][name] = value
        return Prepared(graph, files, editor)


def reference_of(sha256: str, filename: str) -> str:
    """The name of a file in ComfyUI's input folder: by its digest, with the ending that loaders look at."""
    suffix = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    plain = suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 12 else ""
    return f"{_SUBFOLDER}/{sha256[:40]}{plain}"


def _invalid(error: InvalidParameters) -> Problem:
    errors = [
        {"parameter": each.parameter, "message": each.message, **({"allowed": each.allowed} if each.allowed else {})}
        for each in error.problems
    ]
    parameter = next((each.parameter for each in error.problems if each.parameter), None)
    extra: dict[str, Any] = {"parameter": parameter} if parameter else {}
    return Problem("invalid-parameters", error.message, "See GET /workflows/{name}/schema.", errors=errors, **extra)

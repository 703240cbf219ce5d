"""How the ComfyUI that runs a graph spells the options that the graph names.

A graph made on Windows names ``sub\\model.safetensors``, another system lists ``sub/model.safetensors`` and refuses all
else (``execution.py`` validate_inputs, ComfyUI 0.30.0); systems also differ in whether case matters. Callers see the
contract's own words; only the graph that is submitted is spelled otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..workflow import definition_of
from ..workflow.check import Graph
from .models import Contract

#: At (API node id, input): what is written there → what the ComfyUI lists.
Spellings = Mapping[tuple[str, str], Mapping[str, str]]


def spellings(graph: Graph, contract: Contract, object_info: Mapping[str, Any]) -> Spellings:
    """What to write otherwise into `graph`, and for the choices of `contract`, for the ComfyUI of `object_info`.

    A value that it does not list is the one option that is the same but for separators, else but for separators and
    case. Where none is, or several are, it stays, and ComfyUI refuses it.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for (node, name), words in _words(graph, contract).items():
        entry = graph[node]
        definition = definition_of(str(entry["class_type"]), name, entry["inputs"], object_info)
        options = [each for each in (definition and definition.options) or () if isinstance(each, str)]
        meant = {word: each for word in words if word not in options and (each := _meant(word, options)) is not None}
        if meant:
            found[node, name] = meant
    return found


def _words(graph: Graph, contract: Contract) -> dict[tuple[str, str], list[str]]:
    """Every text that may stand at each input: the graph's own, and the choices that the contract offers."""
    words = {
        (node, name): [value]
        for node, entry in graph.items()
        for name, value in entry["inputs"].items()
        if isinstance(value, str)
    }
    for target, choice in _choices(contract):
        words.setdefault(target, []).append(choice)
    return words


def _choices(contract: Contract) -> Iterator[tuple[tuple[str, str], str]]:
    for each in contract.inputs:
        targets = [(to.node, to.input) for to in each.targets if to.values is None]
        for choice in each.choices or ():
            if isinstance(choice, str):
                yield from ((target, choice) for target in targets)


def _meant(word: str, options: Iterable[str]) -> str | None:
    slashed = [option for option in options if _slashes(option) == _slashes(word)]
    folded = slashed or [option for option in options if _slashes(option).casefold() == _slashes(word).casefold()]
    return folded[0] if len(set(folded)) == 1 else None


def _slashes(text: str) -> str:
    return text.replace("\\", "/")

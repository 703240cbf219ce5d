"""Node signatures that can be compared between two machines: what depends on the folder or device is marked.

A node's definition lists, among its options, the model files, input files and devices of the machine it runs on. They
are no part of the signature; and a capsule must not tell which other files its author has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Stands in a frozen definition for a list of options that depends on the machine.
MARKER = "${options of this machine}"

_UPLOADS = ("image_upload", "audio_upload", "video_upload", "file_upload", "image_folder", "remote")
_FILE = re.compile(r"\.[a-z0-9]{2,11}$", re.IGNORECASE)
_NUMBER_END = re.compile(r"\d\.\d+$")  # ``v1.5`` is a version, no file
_DEVICE = re.compile(r"^(cpu|gpu|cuda|mps|xpu|npu|hip|directml)(:\d+)?$", re.IGNORECASE)


def frozen_signatures(object_info: Mapping[str, Any], classes: Iterable[str]) -> dict[str, Any]:
    """The definitions of `classes`, sorted, with every machine's own options replaced by `MARKER`.

    Raises:
        KeyError: for a class that `object_info` lacks.
    """
    return {name: frozen_signature(object_info[name]) for name in sorted(set(classes))}


def frozen_signature(definition: Mapping[str, Any]) -> dict[str, Any]:
    """One definition (``/object_info/CLASS``) with every machine's own options replaced by `MARKER`."""
    groups = {
        group: {name: _frozen_input(spec) for name, spec in inputs.items()} if isinstance(inputs, Mapping) else inputs
        for group, inputs in (definition.get("input") or {}).items()
    }
    return {**definition, "input": groups}


def _frozen_input(spec: Any) -> Any:
    """``[[options…], {…}]`` of the legacy form, or ``["COMBO", {"options": […]}]``; anything else stays as it is."""
    if not isinstance(spec, list) or not spec:
        return spec
    details = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    if isinstance(spec[0], list):
        if not _is_of_this_machine(spec[0], details):
            return spec
        return [[MARKER], *([_without_default(details)] if len(spec) > 1 else [])]
    options = details.get("options")
    if isinstance(options, list) and _is_of_this_machine(options, details):
        return [spec[0], {**_without_default(details), "options": [MARKER]}]
    return spec


def _without_default(details: Mapping[str, Any]) -> dict[str, Any]:
    """ComfyUI takes the first file of the list for the default."""
    return {name: value for name, value in details.items() if name != "default"}


def _is_of_this_machine(options: list[Any], details: Mapping[str, Any]) -> bool:
    words = [option for option in options if isinstance(option, str)]
    return (
        not options
        or any(details.get(flag) for flag in _UPLOADS)
        or any(_FILE.search(word) and not _NUMBER_END.search(word) for word in words)
        or any(_DEVICE.match(word) for word in words)
    )

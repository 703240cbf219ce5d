"""What a node class says about one of its inputs, whichever era of ComfyUI wrote the definition.

Source: ``GET /object_info`` (``server.py`` node_info; ``comfy_api/latest/_io.py`` Schema.get_v1_info), ComfyUI 0.30.0.
An input is ``[type, settings]``; the type is a name (``"INT"``, ``"COMBO"``, ``"FLOAT,INT"``) or, in the older form of
a choice, the list of its options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"
DYNAMIC_SLOT = "COMFY_DYNAMICSLOT_V3"
_MOST_GROWN = 100  # names of one autogrow template; ComfyUI takes no more
UPLOADS = {"image_upload": "image", "audio_upload": "audio", "video_upload": "video", "file_upload": "file"}
#: Core inputs that read the input folder without saying so in their definition.
_SILENT_UPLOADS = {("LoadLatent", "latent"): "file"}


@dataclass(frozen=True)
class Definition:
    """One input of a class.

    Attributes:
        kind: ``INT``, ``FLOAT``, ``STRING``, ``BOOLEAN``, ``COMBO`` or another type's name; unions keep their comma.
        options: of a choice: its options as the server listed them; None for all else, and for a choice whose
            options the front-end fetches (`remote`).
        settings: min, max, step, default, tooltip, … as the definition gives them.
        upload: ``image``, ``audio``, ``video`` or ``file`` when the value names a file in the input folder.
    """

    kind: str
    options: tuple[Any, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True
    upload: str = ""

    @property
    def remote(self) -> bool:
        """Whether the front-end fetches the options from an address, and nothing else knows them all."""
        return self.kind == "COMBO" and isinstance(self.settings.get("remote"), Mapping)

    @property
    def multiselect(self) -> bool:
        return bool(self.settings.get("multiselect") or self.settings.get("multi_select"))


class Definitions:
    """The definitions of the inputs in one `object_info`, each made once: a graph may have thousands of one class."""

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        self._object_info = object_info
        self._plain: dict[str, dict[str, tuple[Any, bool]]] = {}
        self._made: dict[tuple[str, str], Definition] = {}

    def of(self, class_type: str, name: str, inputs: Mapping[str, Any]) -> Definition | None:
        """The definition of input `name` of a node of `class_type` whose API inputs are `inputs`.

        Children of dynamic inputs have dotted names (``model.resolution``), and which exist depends on `inputs`.
        None when the class says nothing of it: packs' own browser code may add widgets.
        """
        if made := self._made.get((class_type, name)):
            return made
        groups = self._object_info.get(class_type, {}).get("input")
        if class_type not in self._plain:
            plain = self._plain[class_type] = {}
            for each, required, raw in _groups(groups):
                plain.setdefault(each, (raw, required))
        if name in self._plain[class_type]:
            raw, required = self._plain[class_type][name]
            self._made[class_type, name] = _definition(raw, required, class_type, name)
            return self._made[class_type, name]
        for found, required, raw in _expanded(_groups(groups), "", inputs):
            if found == name:
                return _definition(raw, required, class_type, name)
        return None


def definition_of(
    class_type: str, name: str, inputs: Mapping[str, Any], object_info: Mapping[str, Any]
) -> Definition | None:
    """See `Definitions.of`."""
    return Definitions(object_info).of(class_type, name, inputs)


def _groups(groups: object) -> Iterator[tuple[str, bool, Any]]:
    """(name, required, raw definition) of the required and optional inputs in `groups`."""
    if isinstance(groups, Mapping):
        for group in ("required", "optional"):
            members = groups.get(group)
            if isinstance(members, Mapping):
                yield from ((name, group == "required", raw) for name, raw in members.items())


def _expanded(
    members: Iterator[tuple[str, bool, Any]], prefix: str, inputs: Mapping[str, Any]
) -> Iterator[tuple[str, bool, Any]]:
    for name, required, raw in members:
        full = prefix + name
        yield full, required, raw
        kind, settings = _split(raw)
        if kind == DYNAMIC_COMBO:
            for option in settings.get("options") or ():
                if option.get("key") == inputs.get(full):
                    yield from _expanded(_groups(option.get("inputs")), f"{full}.", inputs)
        elif kind == AUTOGROW:
            yield from _grown(settings.get("template") or {}, full)
        elif kind == DYNAMIC_SLOT and full in inputs:
            yield from _expanded(_groups(settings.get("inputs")), f"{full}.", inputs)


def _grown(template: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, bool, Any]]:
    """The repeated inputs of an autogrow template, under each name it may take."""
    most = min(template.get("max", 0), _MOST_GROWN)
    names = template.get("names") or [f"{template.get('prefix', '')}{i}" for i in range(most)]
    for _, _, raw in _groups(template.get("input")):
        for name in names[:_MOST_GROWN]:
            yield f"{prefix}.{name}", False, raw


def _split(raw: object) -> tuple[Any, Mapping[str, Any]]:
    if not isinstance(raw, (list, tuple)) or not raw:
        return "", {}
    settings = raw[1] if len(raw) > 1 and isinstance(raw[1], Mapping) else {}
    return raw[0], settings


def _definition(raw: object, required: bool, class_type: str, name: str) -> Definition:
    kind, settings = _split(raw)
    options: tuple[Any, ...] | None = None
    if isinstance(kind, (list, tuple)):  # a choice in its older form
        options, kind = tuple(kind), "COMBO"
    elif kind == "COMBO" and isinstance(settings.get("options"), (list, tuple)):
        options = tuple(settings["options"])
    elif kind == DYNAMIC_COMBO:
        options = tuple(option.get("key") for option in settings.get("options") or ())
    upload = next((media for flag, media in UPLOADS.items() if settings.get(flag)), "")
    upload = upload or _SILENT_UPLOADS.get((class_type, name), "")
    return Definition(str(kind), options, settings, required, upload)

"""API inputs: each gives its value to the graph, in the editor its own and through the API the caller's.

In every one `name` is the parameter's name in the API; the node's title is the parameter's title.
"""

from __future__ import annotations

import os

from comfy_api.latest import io

from .core import core_node, file_path, is_there
from .values import read_json

CATEGORY = "Capsule/API inputs"

# The whole numbers that every JSON reader keeps exactly (RFC 8259, section 6).
_LARGEST = 2**53 - 1
_FAR = 1e12
_LARGEST_SEED = 2**64 - 1
_NAME = "The parameter's name in the API: small letters, digits and _, beginning with a letter."


def _name(default: str) -> io.Input:
    return io.String.Input("name", default=default, tooltip=_NAME)


def _description() -> io.Input:
    return io.String.Input("description", default="", tooltip="What callers of the API are told.", advanced=True)


def _schema(node_id: str, display_name: str, value: list[io.Input], outputs: list[io.Output], name: str) -> io.Schema:
    return io.Schema(
        node_id=node_id,
        display_name=display_name,
        category=CATEGORY,
        description=f"{display_name}: a parameter of the web API that a capsule of this workflow has.",
        inputs=[_name(name), *value, _description()],
        outputs=outputs,
    )


class _Value(io.ComfyNode):
    """Gives its `value`."""

    @classmethod
    def execute(cls, value: object, **_: object) -> io.NodeOutput:
        return io.NodeOutput(value)


class CapsuleText(_Value):
    """A text, of at most `max_length` characters."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.String.Input("value", default="", multiline=True)
        longest = io.Int.Input(
            "max_length",
            default=10_000,
            min=1,
            max=1_000_000,
            tooltip="Characters that may be sent.",
            advanced=True,
        )
        return _schema("CapsuleText", "API text", [value, longest], [io.String.Output()], "text")


class CapsuleInteger(_Value):
    """A whole number from `minimum` to `maximum`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        ends = {"min": -_LARGEST, "max": _LARGEST}
        value = [
            io.Int.Input("value", default=0, **ends),
            io.Int.Input("minimum", default=-_LARGEST, advanced=True, **ends),
            io.Int.Input("maximum", default=_LARGEST, advanced=True, **ends),
        ]
        return _schema("CapsuleInteger", "API integer", value, [io.Int.Output()], "number")


class CapsuleFloat(_Value):
    """A number from `minimum` to `maximum`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        ends = {"min": -_FAR, "max": _FAR, "step": 0.01}
        value = [
            io.Float.Input("value", default=0.0, **ends),
            io.Float.Input("minimum", default=-_FAR, advanced=True, **ends),
            io.Float.Input("maximum", default=_FAR, advanced=True, **ends),
        ]
        return _schema("CapsuleFloat", "API number", value, [io.Float.Output()], "number")


class CapsuleBoolean(_Value):
    """Yes or no."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = [io.Boolean.Input("value", default=False)]
        return _schema("CapsuleBoolean", "API boolean", value, [io.Boolean.Output()], "flag")


class CapsuleChoice(_Value):
    """One of `choices`, which stand a line each; fits every list of another node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = [
            io.String.Input("value", default="one"),
            io.String.Input("choices", default="one\ntwo", multiline=True, tooltip="What may be chosen, a line each."),
        ]
        return _schema("CapsuleChoice", "API choice", value, [io.AnyType.Output(display_name="choice")], "choice")


class CapsuleSeed(_Value):
    """A seed: drawn when the caller sends none, and told in the answer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        seed = io.Int.Input("value", default=0, min=0, max=_LARGEST_SEED, control_after_generate=True)
        return _schema("CapsuleSeed", "API seed", [seed], [io.Int.Output()], "seed")


class CapsuleImage(io.ComfyNode):
    """A picture with its mask, read as ComfyUI's own Load Image reads it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        import nodes  # ComfyUI's own, of this name

        files = nodes.LoadImage.INPUT_TYPES()["required"]["image"][0]
        image = io.Combo.Input("image", options=files, upload=io.UploadType.image, image_folder=io.FolderType.input)
        outputs = [io.Image.Output(), io.Mask.Output()]
        return _schema("CapsuleImage", "API image", [image], outputs, "image")

    @classmethod
    def execute(cls, image: str, **_: object) -> io.NodeOutput:
        import nodes

        return io.NodeOutput(*nodes.LoadImage().load_image(image))

    @classmethod
    def validate_inputs(cls, image: str) -> bool | str:
        import nodes

        return nodes.LoadImage.VALIDATE_INPUTS(image)

    @classmethod
    def fingerprint_inputs(cls, image: str, **_: object) -> str:
        import nodes

        return nodes.LoadImage.IS_CHANGED(image)


def _files(*kinds: str) -> list[str]:
    """The names of the files in the input folder that are of these kinds by their ending; of all without kinds."""
    import folder_paths

    folder = folder_paths.get_input_directory()
    names = [entry.name for entry in os.scandir(folder) if entry.is_file()] if os.path.isdir(folder) else []
    return sorted(folder_paths.filter_files_content_types(names, list(kinds)) if kinds else names)


class CapsuleAudio(io.ComfyNode):
    """A sound, read as ComfyUI's own Load Audio reads it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        # of this very name: the front-end looks for a widget "audio" beside its upload button
        audio = io.Combo.Input("audio", options=_files("audio", "video"), upload=io.UploadType.audio)
        return _schema("CapsuleAudio", "API audio", [audio], [io.Audio.Output()], "audio")

    @classmethod
    def execute(cls, audio: str, **_: object) -> io.NodeOutput:
        return core_node("LoadAudio").execute(audio)

    @classmethod
    def validate_inputs(cls, audio: str | None) -> bool | str:
        return is_there("audio", audio)

    @classmethod
    def fingerprint_inputs(cls, audio: str, **_: object) -> str:
        return core_node("LoadAudio").fingerprint_inputs(audio)


class CapsuleVideo(io.ComfyNode):
    """A video, read as ComfyUI's own Load Video reads it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        video = io.Combo.Input("video", options=_files("video"), upload=io.UploadType.video)
        return _schema("CapsuleVideo", "API video", [video], [io.Video.Output()], "video")

    @classmethod
    def execute(cls, video: str, **_: object) -> io.NodeOutput:
        return core_node("LoadVideo").execute(video)

    @classmethod
    def validate_inputs(cls, video: str | None) -> bool | str:
        return is_there("video", video)

    @classmethod
    def fingerprint_inputs(cls, video: str, **_: object) -> float:
        return core_node("LoadVideo").fingerprint_inputs(video)


class CapsuleFile(io.ComfyNode):
    """Any file of the input folder; gives its absolute path."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        file = io.Combo.Input("file", options=_files(), upload=io.UploadType.model)  # ComfyUI's word for any file
        return _schema("CapsuleFile", "API file", [file], [io.String.Output(display_name="path")], "file")

    @classmethod
    def execute(cls, file: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(file_path(file))

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return is_there("file", file)

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> tuple[int, int]:
        found = os.stat(file_path(file))
        return found.st_mtime_ns, found.st_size


class CapsuleJSON(io.ComfyNode):
    """A JSON value, as its text and as what it says. The flag tells the contract that callers send the value."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.String.Input("value", default="{}", multiline=True, extra_dict={"capsule_json": True})
        outputs = [io.String.Output(display_name="text"), io.AnyType.Output(display_name="value")]
        return _schema("CapsuleJSON", "API JSON", [value], outputs, "data")

    @classmethod
    def execute(cls, value: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(value, read_json(value))

    @classmethod
    def validate_inputs(cls, value: str | None) -> bool | str:
        try:
            read_json(value if value is not None else "null")  # None: a link feeds it, and the run will tell
        except ValueError as error:
            return str(error)
        return True


INPUT_NODES: list[type[io.ComfyNode]] = [
    CapsuleText,
    CapsuleInteger,
    CapsuleFloat,
    CapsuleBoolean,
    CapsuleChoice,
    CapsuleSeed,
    CapsuleImage,
    CapsuleAudio,
    CapsuleVideo,
    CapsuleFile,
    CapsuleJSON,
]

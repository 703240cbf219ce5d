"""API outputs: what reaches one of them comes back in the API's answer under its `name`; in the editor it is shown."""

from __future__ import annotations

import json
import os
from typing import Any

from comfy_api.latest import io, ui

from .core import core_node, result_folders
from .values import as_json, find_below, read_json

CATEGORY = "Capsule/API outputs"
_NAME = "The output's name in the API: small letters, digits and _, beginning with a letter."


def _schema(
    node_id: str, display_name: str, what: str, name: str, inputs: list[io.Input], *, saves: bool = True
) -> io.Schema:
    """`inputs`, of which the first is what comes in; after it stand the name and, where files are made, their prefix.

    What `saves` gets the graph, too: ComfyUI's helpers write it into the files.
    """
    inputs = [inputs[0], io.String.Input("name", default=name, tooltip=_NAME), *inputs[1:]]
    if saves:
        inputs.append(
            io.String.Input("filename_prefix", default="capsule", tooltip="Of the saved files.", advanced=True)
        )
    return io.Schema(
        node_id=node_id,
        display_name=display_name,
        category=CATEGORY,
        description=f"An output of the web API that a capsule of this workflow has: {what}.",
        inputs=inputs,
        hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo] if saves else [],
        is_output_node=True,
    )


class CapsuleOutputImage(io.ComfyNode):
    """Saves pictures as ComfyUI's own Save Image does, with the workflow inside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema("CapsuleOutputImage", "API output image", "pictures", "image", [io.Image.Input("images")])

    @classmethod
    def execute(cls, images: io.Image.Type, filename_prefix: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_images_ui(images, filename_prefix=filename_prefix, cls=cls))


class CapsuleOutputAnimation(io.ComfyNode):
    """Saves pictures as one animated WebP, as ComfyUI's own Save Animated WEBP does, with the workflow inside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [
            io.Image.Input("images"),
            io.Float.Input("fps", default=8.0, min=0.01, max=1000.0, step=0.01, tooltip="Pictures a second."),
            io.Boolean.Input("lossless", default=True, advanced=True),
            io.Int.Input("quality", default=80, min=0, max=100, tooltip="Of what is not lossless.", advanced=True),
        ]
        return _schema("CapsuleOutputAnimation", "API output animation", "an animated WebP", "animation", inputs)

    @classmethod
    def execute(
        cls, images: io.Image.Type, fps: float, lossless: bool, quality: int, filename_prefix: str, **_: object
    ) -> io.NodeOutput:
        saved = ui.ImageSaveHelper.get_save_animated_webp_ui(
            images, filename_prefix=filename_prefix, cls=cls, fps=fps, lossless=lossless, quality=quality, method=4
        )
        return io.NodeOutput(ui=saved)


class CapsuleOutputVideo(io.ComfyNode):
    """Saves a video as MP4, with the workflow inside; one that is MP4 already is not encoded again."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema("CapsuleOutputVideo", "API output video", "a video", "video", [io.Video.Input("video")])

    @classmethod
    def execute(cls, video: Any, filename_prefix: str, **_: object) -> io.NodeOutput:
        import folder_paths
        from comfy.cli_args import args
        from comfy_api.latest import Types

        folder, name, counter, subfolder, _prefix = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), *video.get_dimensions()
        )
        inside = {**(cls.hidden.extra_pnginfo or {}), "prompt": cls.hidden.prompt}
        file = f"{name}_{counter:05}_.mp4"
        video.save_to(
            os.path.join(folder, file),
            format=Types.VideoContainer.MP4,
            metadata=None if args.disable_metadata else inside,
        )
        return io.NodeOutput(ui=ui.PreviewVideo([ui.SavedResult(file, subfolder, io.FolderType.output)]))


class CapsuleOutputAudio(io.ComfyNode):
    """Saves a sound as ComfyUI's own Save Audio does, with the workflow inside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs = [
            io.Audio.Input("audio"),
            io.Combo.Input("format", options=["flac", "mp3", "opus"], tooltip="FLAC loses nothing."),
        ]
        return _schema("CapsuleOutputAudio", "API output audio", "a sound", "audio", inputs)

    @classmethod
    def execute(cls, audio: io.Audio.Type | None, format: str, filename_prefix: str, **_: object) -> io.NodeOutput:
        if audio is None:
            raise ValueError("There is no sound: the video that it was taken from has none.")
        saved = ui.AudioSaveHelper.get_save_audio_ui(audio, filename_prefix=filename_prefix, cls=cls, format=format)
        return io.NodeOutput(ui=saved)


class CapsuleOutput3D(io.ComfyNode):
    """Saves a mesh or a 3D file as ComfyUI's own Save 3D Model does."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        files = [getattr(io, name) for name in dir(io) if name.startswith("File3D")]  # each that this ComfyUI has
        mesh = io.MultiType.Input(io.Mesh.Input("mesh"), types=files)
        return _schema("CapsuleOutput3D", "API output 3D", "3D models", "model", [mesh])

    @classmethod
    def execute(cls, mesh: Any, filename_prefix: str, **_: object) -> io.NodeOutput:
        return core_node("SaveGLB").execute.__func__(cls, mesh, filename_prefix)


class CapsuleOutputText(io.ComfyNode):
    """Shows a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        text = io.String.Input("text", force_input=True)
        return _schema("CapsuleOutputText", "API output text", "a text", "text", [text], saves=False)

    @classmethod
    def execute(cls, text: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.PreviewText(text))


class CapsuleOutputJSON(io.ComfyNode):
    """Shows a JSON value, given as itself or as its text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        read = io.Boolean.Input(
            "read_text",
            default=True,
            tooltip="A text is JSON and comes back as what it says. Off, it comes back as a text.",
            advanced=True,
        )
        inputs = [io.AnyType.Input("value"), read]
        return _schema("CapsuleOutputJSON", "API output JSON", "a JSON value", "data", inputs, saves=False)

    @classmethod
    def execute(cls, value: object, read_text: bool, **_: object) -> io.NodeOutput:
        said = as_json(read_json(value) if isinstance(value, str) and read_text else value)
        # packager/gateway/outputs.py takes the value; the text is for the editor
        shown = json.dumps(said, ensure_ascii=False, indent=2)
        return io.NodeOutput(ui={"capsule_json": [said], "text": (shown,)})


class CapsuleOutputFile(io.ComfyNode):
    """Gives files that other nodes have made below ComfyUI's output or temp folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        path = io.AnyType.Input("path", tooltip="The path of a file in the output or temp folder, or a list of them.")
        return _schema("CapsuleOutputFile", "API output file", "files", "file", [path], saves=False)

    @classmethod
    def execute(cls, path: object, **_: object) -> io.NodeOutput:
        folders = result_folders()
        found = [find_below(folders, each) for each in (path if isinstance(path, (list, tuple)) else [path])]
        results = [ui.SavedResult(name, subfolder, io.FolderType(kind)) for name, subfolder, kind in found]
        return io.NodeOutput(ui={"files": results})


OUTPUT_NODES: list[type[io.ComfyNode]] = [
    CapsuleOutputImage,
    CapsuleOutputAnimation,
    CapsuleOutputVideo,
    CapsuleOutputAudio,
    CapsuleOutput3D,
    CapsuleOutputText,
    CapsuleOutputJSON,
    CapsuleOutputFile,
]

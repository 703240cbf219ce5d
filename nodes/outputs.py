"""API outputs: what reaches one of them comes back in the API's answer under its `name`; in the editor it is shown."""

from __future__ import annotations

from comfy_api.latest import io, ui

CATEGORY = "Capsule/API outputs"
_NAME = "The output's name in the API: small letters, digits and _, beginning with a letter."


class CapsuleOutputImage(io.ComfyNode):
    """Saves pictures as ComfyUI's own Save Image does, with the workflow inside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CapsuleOutputImage",
            display_name="API output image",
            category=CATEGORY,
            description="An output of the web API that a capsule of this workflow has: pictures.",
            inputs=[
                io.Image.Input("images"),
                io.String.Input("name", default="image", tooltip=_NAME),
                io.String.Input("filename_prefix", default="capsule", tooltip="Of the saved files.", advanced=True),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: io.Image.Type, filename_prefix: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.ImageSaveHelper.get_save_images_ui(images, filename_prefix=filename_prefix, cls=cls))


class CapsuleOutputText(io.ComfyNode):
    """Shows a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CapsuleOutputText",
            display_name="API output text",
            category=CATEGORY,
            description="An output of the web API that a capsule of this workflow has: a text.",
            inputs=[
                io.String.Input("text", force_input=True),
                io.String.Input("name", default="text", tooltip=_NAME),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, text: str, **_: object) -> io.NodeOutput:
        return io.NodeOutput(ui=ui.PreviewText(text))


OUTPUT_NODES: list[type[io.ComfyNode]] = [CapsuleOutputImage, CapsuleOutputText]

"""API inputs: each gives its value to the graph, in the editor its own and through the API the caller's.

In every one `name` is the parameter's name in the API; the node's title is the parameter's title.
"""

from __future__ import annotations

from comfy_api.latest import io

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


INPUT_NODES: list[type[io.ComfyNode]] = [
    CapsuleText,
    CapsuleInteger,
    CapsuleFloat,
    CapsuleBoolean,
    CapsuleChoice,
    CapsuleSeed,
    CapsuleImage,
]

"""bench-palette: a pack that does not load without its requirement."""

import torch
import webcolors


class BenchColour:
    CATEGORY = "bench"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "paint"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "colour": ("STRING", {"default": "teal"}),
                "width": ("INT", {"default": 64, "min": 1, "max": 1024}),
                "height": ("INT", {"default": 64, "min": 1, "max": 1024}),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, colour):
        return colour in webcolors.names() or f"{colour!r} is no CSS colour"

    def paint(self, colour, width, height):
        value = torch.tensor(tuple(webcolors.name_to_rgb(colour))) / 255.0
        return (value.expand(1, height, width, 3).clone(),)


NODE_CLASS_MAPPINGS = {"BenchColour": BenchColour}
NODE_DISPLAY_NAME_MAPPINGS = {"BenchColour": "Colour (bench)"}

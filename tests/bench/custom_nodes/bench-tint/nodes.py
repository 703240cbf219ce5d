"""Tints an image with a colour and reduces its levels."""

import torch

COLOURS = {"red": (1.0, 0.1, 0.1), "green": (0.1, 1.0, 0.1), "blue": (0.1, 0.2, 1.0), "sepia": (0.6, 0.45, 0.3)}


class BenchTint:
    DESCRIPTION = "Mixes a colour into an image and reduces the levels of each channel."
    CATEGORY = "bench"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "tint"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "colour": (list(COLOURS), {"default": "sepia", "tooltip": "What is mixed in."}),
                "strength": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.01}),
                "levels": ("INT", {"default": 256, "min": 2, "max": 256, "tooltip": "Values a channel may take."}),
            }
        }

    def tint(self, image, colour, strength, levels):
        wanted = torch.tensor(COLOURS[colour], dtype=image.dtype, device=image.device)
        mixed = image[..., :3] * (1.0 - strength) + wanted * strength
        return (torch.round(mixed.clamp(0.0, 1.0) * (levels - 1)) / (levels - 1),)

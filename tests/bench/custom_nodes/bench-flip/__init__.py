"""bench-flip: the smallest pack."""


class BenchFlip:
    CATEGORY = "bench"
    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "flip"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"image": ("IMAGE",), "horizontal": ("BOOLEAN", {"default": True})},
            "optional": {"mask": ("MASK",)},
        }

    def flip(self, image, horizontal, mask=None):
        axis = 2 if horizontal else 1
        if mask is None:
            mask = image[..., 0] * 0.0
        return (image.flip(axis), mask.flip(axis))


NODE_CLASS_MAPPINGS = {"BenchFlip": BenchFlip}

"""bench-tint: a V1 pack, as most packs are."""

from .nodes import BenchTint

NODE_CLASS_MAPPINGS = {"BenchTint": BenchTint}
NODE_DISPLAY_NAME_MAPPINGS = {"BenchTint": "Tint (bench)"}

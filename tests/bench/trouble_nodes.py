"""Nodes that count their runs, and that make trouble; copied as a single file into a ComfyUI's custom_nodes.

The bench reads names from it, without ComfyUI and torch.
"""

import os
import sys
import time

#: The file to which `BenchCount` writes a line for each run.
COUNTED = "BENCH_COUNT_FILE"
KINDS = ("none", "sleeps", "deaf", "allocates", "exits", "gpu", "memory", "naps", "previews")


class BenchCount:
    """Notes that it ran, by one write that is whole or not at all."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "bench"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "number": ("INT", {"default": 0, "min": 0, "max": 2**31})}}

    def run(self, image, number):
        file = os.open(os.environ[COUNTED], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, b"%d\n" % number)
        os.close(file)
        return (image,)


class BenchTrouble:
    """What goes wrong in real packs, by name."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "bench"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "kind": (list(KINDS), {"default": "none"})}}

    @classmethod
    def IS_CHANGED(cls, **_):
        return time.time()  # never from the cache

    def run(self, image, kind):
        getattr(self, f"_{kind}")()
        return (image,)

    def _none(self):
        pass

    def _sleeps(self):
        """Asks often enough whether it shall stop, and says nothing."""
        from comfy.model_management import throw_exception_if_processing_interrupted

        for _ in range(6000):
            throw_exception_if_processing_interrupted()
            time.sleep(0.05)

    def _naps(self):
        time.sleep(3)

    def _deaf(self):
        """Never asks."""
        time.sleep(300)

    def _allocates(self):
        import torch

        held = []
        for _ in range(200):
            held.append(torch.ones(32 << 20, dtype=torch.uint8))
            time.sleep(0.005)
        time.sleep(60)

    def _exits(self):
        sys.stdout.flush()
        os._exit(9)

    def _gpu(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def _memory(self):
        import torch

        raise torch.cuda.OutOfMemoryError("Allocation on device 0 would exceed allowed memory. (out of memory)")

    def _previews(self):
        from comfy.utils import ProgressBar
        from PIL import Image

        bar = ProgressBar(3)
        for step in range(3):
            bar.update_absolute(step + 1, 3, ("JPEG", Image.new("RGB", (64, 64), (80 * step, 0, 0)), 64))
            time.sleep(0.3)


NODE_CLASS_MAPPINGS = {"BenchCount": BenchCount, "BenchTrouble": BenchTrouble}

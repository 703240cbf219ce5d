"""Small real models: an RRDBNet (ESRGAN) in safetensors that spandrel recognises and ComfyUI upscales with.

Its weights are chosen so that the picture is the same on every machine: every filter has one non-zero tap, and that
is a power of two. So no sum's order and no fused multiply can change a bit, and the file's size is still free. The
first three channels pass the picture through; a random remainder adds a little texture.
"""

from __future__ import annotations

from pathlib import Path

import numpy
from numpy.typing import NDArray
from safetensors.numpy import save_file

_GROWTH = 32  # channels each convolution of a dense block adds; spandrel's RRDBNet knows no other
_Tensors = dict[str, NDArray[numpy.float32]]


def write_esrgan(path: Path, *, scale: int = 2, filters: int = 4, blocks: int = 1, seed: int = 0) -> Path:
    """Write an upscaler to `path`; the same arguments give the same bytes.

    Args:
        scale: 2 or 4.
        filters: 3 or more. The size in MB is about ``blocks * (0.66 + 0.028 * filters + 0.0001 * filters**2)``,
            e.g. 0.8 for the defaults, 66 for ``filters=64, blocks=23``.
    """
    random = numpy.random.RandomState(seed)  # its stream is frozen for ever (NEP 19)
    tensors: _Tensors = {}
    _convolution(tensors, random, "conv_first", 3, filters, through=3)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for step in (1, 2, 3, 4, 5):
                name = f"body.{block}.rdb{dense}.conv{step}"
                given = filters + (step - 1) * _GROWTH
                _convolution(tensors, random, name, given, filters if step == 5 else _GROWTH)
    _convolution(tensors, random, "conv_body", filters, filters)
    for step in range(1, {2: 1, 4: 2}[scale] + 1):
        _convolution(tensors, random, f"conv_up{step}", filters, filters, through=3)
    _convolution(tensors, random, "conv_hr", filters, filters, through=3)
    _convolution(tensors, random, "conv_last", filters, 3, through=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    path.chmod(0o644)  # it writes them for the owner alone
    return path


def _convolution(
    tensors: _Tensors, random: numpy.random.RandomState, name: str, given: int, made: int, through: int = 0
) -> None:
    """A 3x3 convolution, no bias, one tap a filter; the first `through` channels are passed on unchanged."""
    weight = numpy.zeros((made, given, 3, 3), numpy.float32)
    for channel in range(made):
        if channel < through:
            weight[channel, channel, 1, 1] = 1.0
        else:
            source, row, column = random.randint(given), random.randint(3), random.randint(3)
            weight[channel, source, row, column] = 2.0 ** -random.randint(1, 4) * (1, -1)[random.randint(2)]
    tensors[f"{name}.weight"] = weight
    tensors[f"{name}.bias"] = numpy.zeros(made, numpy.float32)

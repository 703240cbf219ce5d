"""Small real sounds, videos and 3D models, and what is in those that come back (read by PyAV, which ComfyUI has)."""

from __future__ import annotations

import array
import io
import json
import math
import struct
import subprocess
import wave
from pathlib import Path
from typing import Any

_MAKE = """
import sys, av, numpy
path, codec, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with av.open(path, "w") as out:
    stream = out.add_stream(codec, rate=5)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(count):
        picture = numpy.full((48, 64, 3), 40 * number, numpy.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode(None))
"""
_PROBE = """
import sys, json, av, numpy
with av.open(sys.argv[1]) as file:
    said = {"format": file.format.name, "metadata": sorted(file.metadata)}
    if file.streams.video:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
        stream = file.streams.video[0]
        said |= {"codec": stream.codec_context.name, "rate": float(stream.average_rate)}
        said["size"] = [stream.width, stream.height]
        said["means"] = [round(float(frame.mean())) for frame in frames]
    else:
        stream = file.streams.audio[0]
        to_16_bits = av.AudioResampler(format="s16")
        frames = [plain for frame in file.decode(audio=0) for plain in to_16_bits.resample(frame)]
        said |= {"codec": stream.codec_context.name, "rate": stream.rate}
        said["samples"] = [int(sample) for frame in frames for sample in frame.to_ndarray().reshape(-1)]
print(json.dumps(said))
"""


def samples(length: int = 1600) -> list[int]:
    """A tone that rises, 16 bits."""
    return [round(12000 * math.sin(n * n / 9000)) for n in range(length)]


def sound(values: list[int], rate: int = 16000) -> bytes:
    """A WAV file, mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(array.array("h", values).tobytes())
    return file.getvalue()


def video(python: Path, path: Path, count: int, codec: str = "h264") -> bytes:
    """`count` pictures of 64 x 48, five a second, each 40 brighter than the one before; in what `path` ends with."""
    subprocess.run([python, "-c", _MAKE, path, codec, str(count)], check=True, capture_output=True)
    return path.read_bytes()


def probe(python: Path, path: Path) -> dict[str, Any]:
    """What is in a sound or video: `format`, `codec`, `rate`, names of `metadata`, and its 16-bit `samples`, or the
    `size` and the `means` of its frames."""
    done = subprocess.run([python, "-c", _PROBE, path], check=True, capture_output=True, text=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def glb(gltf: dict[str, Any], data: bytes) -> bytes:
    """A binary glTF file. Source: glTF 2.0, section 4.4 (GLB file format)."""
    text = json.dumps(gltf).encode()
    chunks = ((b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", data + bytes(-len(data) % 4)))
    body = b"".join(struct.pack("<I4s", len(chunk), kind) + chunk for kind, chunk in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def gltf_of(file: bytes) -> dict[str, Any]:
    """The JSON in a binary glTF file."""
    magic, version, length = struct.unpack_from("<4sII", file)
    assert (magic, version, length) == (b"glTF", 2, len(file))
    size, kind = struct.unpack_from("<I4s", file, 12)
    assert kind == b"JSON"
    said: dict[str, Any] = json.loads(file[20 : 20 + size])
    return said


def triangle() -> bytes:
    """The smallest model there is."""
    data = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    return glb(
        {
            "asset": {"version": "2.0"},
            "buffers": [{"byteLength": len(data)}],
            "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
            "accessors": [
                {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
            ],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
            "nodes": [{"mesh": 0}],
            "scenes": [{"nodes": [0]}],
            "scene": 0,
        },
        data,
    )

"""Whether a sound or a film is one, by its head as FFmpeg reads it: in a process of its own, for it is a stranger's.

This file is that process's script too. It gets the open file, no path, and FFmpeg no way to open another one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

_SECONDS = 20
_MEMORY = 2 << 30  # bytes of address space
_REFUSED = 3  # exit status: the words on standard output say why


def wrong_stream(path: Path, kind: str, limit: int) -> str:
    """Why the file is no ``audio`` or ``video`` to be taken, or an empty string.

    Args:
        limit: the most pixels that a frame may have; what is said of more of them ends with "pixels".
    """
    argv = [sys.executable, "-I", __file__, kind, str(limit)]
    unreadable = f"is no {kind} that can be read"
    try:
        with path.open("rb") as file:
            done = subprocess.run(argv, stdin=file, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return unreadable
    if done.returncode == 0:
        return ""
    return done.stdout.strip() if done.returncode == _REFUSED else unreadable


def _main(kind: str, limit: int) -> int:
    _confine()
    import av

    with av.open(sys.stdin.buffer) as container:
        streams = [stream for stream in container.streams if stream.type == kind]  # FFmpeg's words are ours
        wrong = _wrong(streams, kind, limit)
    sys.stdout.write(wrong)
    return _REFUSED if wrong else 0


def _wrong(streams: list[Any], kind: str, limit: int) -> str:
    if not streams:
        return f"is no {kind}: it has no {kind} in it"
    for stream in streams:
        if kind == "audio" and not stream.codec_context.sample_rate:
            return "is no audio that can be read"
        if kind == "video":
            width, height = stream.codec_context.width, stream.codec_context.height
            if not width * height:
                return "is no video that can be read"
            if width * height > limit:
                return f"is a video of {width} x {height}, more than {limit} pixels"
    return ""


def _confine() -> None:
    """Little memory and time, and no file to write."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))

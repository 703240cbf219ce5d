"""Starts ComfyUI and writes down which files it opens and which hosts it asks for, as Python's audit events tell.

Run by the install's own Python as ``tracer.py LOG main.py ARGUMENTS``, so only the standard library is used. `LOG` gets
one JSON array a line, each different line once: ``["read", PATH]``, ``["made", PATH]``, ``["host", NAME]``.

Source of the events and their arguments: https://docs.python.org/3/library/audit_events.html. Code that is not Python
opens files unheard; of it the readers of safetensors, ONNX Runtime and TorchScript are asked for what they are given.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

# Module, the name in it (``Class.method``) and which argument is the path.
_READERS = (
    ("safetensors", "safe_open", 0),
    ("onnxruntime.capi.onnxruntime_inference_collection", "InferenceSession.__init__", 1),
    ("torch", "_C.import_ir_module", 1),
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOVES = ("os.rename", "os.link", "os.symlink")


class Tracer:
    """Writes to the file descriptor `log`; its `hear` is the audit hook."""

    def __init__(self, log: int) -> None:
        self._log = log
        self._seen: set[tuple[str, str]] = set()
        self._unwrapped = list(_READERS)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """One audit event. It never fails: an error here would become one of the code that is traced."""
        try:
            self._wrap()
            if event == "open":
                self._opened(*arguments[:3])
            elif event in _MOVES:
                self._say("made", _absolute(arguments[1]))
            elif event == "socket.getaddrinfo":
                self._asked(arguments[0])
            elif event == "socket.connect" and isinstance(arguments[1], tuple):
                self._asked(arguments[1][0])
        except Exception:  # noqa: BLE001
            return

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return  # a descriptor: what it was opened from was heard of
        flags = flags if isinstance(flags, int) else 0
        whole = _absolute(path)
        if flags & _WRITES:
            self._say("made", whole)
        if flags & os.O_WRONLY == 0 and flags & os.O_TRUNC == 0:
            self._say("read", whole)

    def _asked(self, host: Any) -> None:
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        if isinstance(host, str) and host:
            self._say("host", host)

    def _say(self, kind: str, what: str) -> None:
        if (kind, what) not in self._seen:
            self._seen.add((kind, what))
            os.write(self._log, json.dumps([kind, what]).encode() + b"\n")

    def _wrap(self) -> None:
        """Ask the readers that have been imported by now to tell of what they read."""
        for reader in list(self._unwrapped):
            module, name, place = reader
            *inner, last = name.split(".")
            holder: Any = sys.modules.get(module)
            for part in inner:
                holder = getattr(holder, part, None)
            if holder is not None and (function := getattr(holder, last, None)) is not None:
                self._unwrapped.remove(reader)
                setattr(holder, last, self._telling(function, place))

    def _telling(self, function: Callable[..., Any], place: int) -> Callable[..., Any]:
        @functools.wraps(function)
        def told(*arguments: Any, **named: Any) -> Any:
            given = arguments[place] if len(arguments) > place else None
            if isinstance(given, (str, os.PathLike)):
                self._say("read", _absolute(given))
            return function(*arguments, **named)

        return told


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))


def main() -> None:
    """Trace ``main.py`` as if Python had been started with it."""
    log, script, *arguments = sys.argv[1:]
    tracer = Tracer(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    sys.addaudithook(tracer.hear)
    with contextlib.suppress(ImportError):
        importlib.import_module("safetensors")  # before anything has taken its function out of it by name
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()

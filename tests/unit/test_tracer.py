"""The tracer by itself: what it writes down of a program that it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from comfy_capsule.packager.comfy import trace

TRACER = Path(trace.__file__).with_name("tracer.py")
# A module of this name is asked for what it is given, for its reader is not Python.
NATIVE = "class InferenceSession:\n    def __init__(self, path, **options):\n        self.path = path\n"
PROGRAM = """
import os, socket, sys
sys.path.insert(0, "lib")
import onnxruntime.capi.onnxruntime_inference_collection as native
open("read.txt").read()
native.InferenceSession("native.onnx")
with open("made.txt", "w") as file:
    file.write("x")
os.rename("made.txt", "moved.txt")
open("moved.txt").read()
open(b"b\\xff.bin", "ab").close()
for host in ("localhost", "host.invalid"):
    try:
        socket.getaddrinfo(host, 80)
    except OSError:
        pass
try:
    open("not there")
except FileNotFoundError:
    pass
print(__name__, sys.argv[1:], sys.path[0] == "lib", "main.py" in open(sys.argv[0]).name)
"""


def test_it_tells_what_a_program_opens(tmp_path: Path) -> None:
    place = tmp_path / "lib/onnxruntime/capi"
    place.mkdir(parents=True)
    (place / "onnxruntime_inference_collection.py").write_text(NATIVE)
    (tmp_path / "main.py").write_text(PROGRAM)
    for name in ("read.txt", "native.onnx"):
        (tmp_path / name).write_text("")
    done = subprocess.run(
        [sys.executable, TRACER, "log", "main.py", "--port", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "__main__ ['--port', '1'] True True\n"
    said = {tuple(json.loads(line)) for line in (tmp_path / "log").read_text().splitlines()}
    here = {(kind, Path(what).name) for kind, what in said if what.startswith(f"{tmp_path}/") and "lib" not in what}
    assert here >= {
        ("read", "native.onnx"),
        ("read", "read.txt"),
        ("made", "made.txt"),
        ("made", "moved.txt"),
        ("read", "moved.txt"),
        ("read", "not there"),
        ("made", "b\udcff.bin"),
    }
    assert ("read", "made.txt") not in here
    assert {what for kind, what in said if kind == "host"} == {"localhost", "host.invalid"}
    found = trace._read((tmp_path / "log").read_text(), (tmp_path / "lib",))
    inside = {path.name for path in found.read if path.is_relative_to(tmp_path)}
    assert inside == {"native.onnx", "read.txt", "moved.txt", "main.py"}
    assert found.hosts == ("host.invalid",)
    assert tmp_path / "moved.txt" in found.made

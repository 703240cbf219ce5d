"""A snapshot taken in a process of its own, at low priority: the ComfyUI that asks for it goes on undisturbed.

Threads are not enough: they share the interpreter with ComfyUI's event loop, which then waits for its turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import errors
from ..capsule import ApiGraph, Lock, Observed
from ..comfy import Install
from ..command import end
from ..errors import CapsuleError
from ..progress import Progress, Report, silent
from ..together import Together
from .observed import observe
from .snapshot import Snapshot, snapshot_install

_PACKAGE = Path(__file__).parents[2]
_GRACE = 0.2  # seconds for a stopped process

# In ComfyUI this package has another name, and its folder may have one that no import statement can say.
_START = """
import importlib, importlib.util, sys
folder = sys.argv[1]
place = importlib.util.spec_from_file_location("comfy_capsule", folder + "/__init__.py",
                                               submodule_search_locations=[folder])
sys.modules["comfy_capsule"] = importlib.util.module_from_spec(place)
place.loader.exec_module(sys.modules["comfy_capsule"])
importlib.import_module("comfy_capsule.packager.snapshot.apart").answer(sys.argv[2])
"""


def snapshot_apart(
    install: Install,
    *,
    name: str = "snapshot",
    message: str = "",
    graph: ApiGraph | None = None,
    ui: Mapping[str, Any] | None = None,
    object_info: Mapping[str, Any] | None = None,
    look_up: bool = False,
    report: Report = silent,
) -> Snapshot:
    """What `snapshot_install` gives; `report` may raise to stop it, and the process is gone then.

    Raises:
        CapsuleError: as `snapshot_install`; ``snapshot-failed`` when the process ends without an answer.
    """
    with tempfile.TemporaryDirectory(prefix="comfy-capsule-") as temporary:
        folder = Path(temporary)
        arguments = {"name": name, "message": message, "graph": graph, "ui": ui, "object_info": object_info}
        asked = {"install": install.model_dump(mode="json"), "arguments": {**arguments, "look_up": look_up}}
        (folder / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, str(_PACKAGE), temporary],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
            )
        work = Together(report)
        work.start(lambda tell: _pass_on(process, tell))
        observed = work.start(lambda _: observe(install))  # what only the running ComfyUI knows of itself
        try:
            work.wait()
        finally:
            end(process, _GRACE)
        taken = _read(folder)
    return taken.model_copy(update={"lock": taken.lock.model_copy(update={"observed": observed.result()})})


def _pass_on(process: subprocess.Popen[bytes], tell: Report) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        tell(Progress.model_validate_json(line))
    process.wait()


def _read(folder: Path) -> Snapshot:
    try:
        answer = json.loads((folder / "answer.json").read_bytes())
    except FileNotFoundError:
        lines = (folder / "said").read_text("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else "it said nothing"
        message = f"The process that takes the snapshot has ended: {reason}."
        raise CapsuleError("snapshot-failed", message, "Try again; if it stays so, report it.") from None
    if "error" in answer:
        said = answer["error"]
        raise getattr(errors, said["kind"])(said["code"], said["message"], said["cure"])
    files = {name: (folder / str(number)).read_bytes() for number, name in enumerate(answer["files"])}
    return Snapshot(lock=Lock.model_validate(answer["lock"]), pylock=answer["pylock"], files=files)


def answer(place: str) -> None:
    """The other process: take the snapshot that ``request.json`` in `place` asks for, and leave it there."""
    if hasattr(os, "nice"):
        os.nice(10)
    folder, out = Path(place), sys.stdout
    sys.stdout = sys.stderr  # what anything else prints is no progress

    def report(progress: Progress) -> None:
        out.write(progress.model_dump_json() + "\n")
        out.flush()

    asked = json.loads((folder / "request.json").read_bytes())
    try:
        install = Install.model_validate(asked["install"])
        taken = snapshot_install(install, **asked["arguments"], observed=Observed(), report=report)
    except CapsuleError as error:
        kind = type(error).__name__
        told: dict[str, Any] = {
            "error": {"kind": kind, "code": error.code, "message": error.message, "cure": error.cure}
        }
    else:
        for number, data in enumerate(taken.files.values()):
            (folder / str(number)).write_bytes(data)
        told = {"lock": taken.lock.model_dump(mode="json"), "pylock": taken.pylock, "files": list(taken.files)}
    (folder / "answer.json").write_text(json.dumps(told), encoding="utf-8")

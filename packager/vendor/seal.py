"""Seal: a capsule, and the same with everything in it that it needs from elsewhere, written whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from ..capsule import Capsule, Finding, Vendored, bundles, by_digest, of_file, sha256_file, write_capsule
from ..errors import BadInput, Blocked, Cancelled, CapsuleError
from ..materialise import ModelStore, obtain_models, wheel_of_pin
from ..progress import Progress, Report
from ..snapshot import Indexes
from ..together import Together
from .bundles import bundle
from .contents import NOT_VENDORED, Contents, WantedCommit, WantedWheel, What, contents_of, model_entry
from .models import models_here
from .pins import kept_pins, wheels_of_pins
from .plan import without_absent
from .wheels import fetch_wheel

_AT_ONCE = 4  # fetches; a large file is taken in several pieces at once
_RANDOM = "?" * 8  # how `tempfile` ends its names
_TRIES = 50  # a tenth of a second apart
_T = TypeVar("_T")
_Bundled = tuple[Path | None, tuple[Finding, ...]]


def seal(
    capsule: Capsule,
    out: Path,
    what: What,
    *,
    platforms: Sequence[str] = (),
    models_from: Sequence[Path] = (),
    checkouts: Mapping[str, Path] | None = None,
    store: ModelStore | None = None,
    part: int | None = None,
    strict: bool = False,
    report: Report,
) -> Capsule:
    """Write `capsule` to `out` with what a restore or an image of it needs from elsewhere; what it has is kept.

    The same capsule gives the same bytes, wherever these come from.

    Args:
        platforms: further ones whose wheels are wanted, see `contents_of`.
        models_from: folders in which models are looked for, by their sha256, before their addresses are asked.
        checkouts: folders that may have a commit, by commit; its origin is asked where they have not.
        store: what is downloaded of models stays in it; this user's own when not given.
        part: bytes of each part; one file when None.
        strict: whether to write nothing when something cannot be put in.

    Returns:
        The sealed capsule, with a finding ``not-vendored`` for each thing that is not in it.

    Raises:
        BadInput: ``platform-differs``, ``no-models-folder``, ``capsule-bad-origin``, ``capsule-part-missing``,
            ``sealing-running``.
        Blocked: ``not-vendored``, with `strict`.
        CapsuleError: ``not-to-be-had``, naming each that failed; ``disk-full``; as `obtain_models`.
    """
    out, store = out.resolve(), store or ModelStore()
    contents = contents_of(capsule, what, platforms)
    _refuse(contents.findings, strict)
    inside = by_digest(capsule.vendored)
    models = [model for model in contents.models if model.sha256 not in inside]
    here = models_here(models, store, models_from, report)
    contents = without_absent(contents, capsule, here)
    _refuse(contents.findings, strict)
    out.parent.mkdir(parents=True, exist_ok=True)
    _require_space(out, _known_size(contents, inside))
    with _scratch(out) as scratch:
        held, found = _code(capsule, contents, scratch, checkouts or {}, report)
        _refuse(found, strict)
        missing = [model for model in models if model.sha256 not in here and model in contents.models]
        here |= obtain_models(missing, store, report, models_from=models_from) if missing else {}
        for model in contents.models:
            kept = inside.get(model.sha256)
            held[model_entry(model)] = kept or of_file(here[model.sha256], model.size, model.sha256)
        kept_findings = [item for item in capsule.lock.findings if item.code != NOT_VENDORED]
        more = [item for item in (*contents.findings, *found) if item not in kept_findings]
        lock = capsule.lock.model_copy(update={"findings": (*kept_findings, *more)})
        sealed = replace(capsule, lock=lock, vendored=held, sealed="")
        _require_space(out, sum(item.size for item in held.values()))
        write_capsule(sealed, out, part=part, report=report)
    return sealed


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone after the block; what a killed run left beside `out` goes before it.

    Raises:
        BadInput: ``sealing-running`` while another process writes `out`.
    """
    locks = user_state_path("comfy-capsule", appauthor=False) / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{sha256(os.fsencode(out)).hexdigest()[:32]}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"{out} is being sealed by another process."
        raise BadInput("sealing-running", message, "Wait for it, or stop it.") from error
    try:
        for left in out.parent.glob(f".{glob.escape(out.name)}.{_RANDOM}"):
            _remove(left)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
        finally:
            _remove(folder)
    finally:
        lock.release()


def _remove(path: Path) -> None:
    """Delete a file or folder of ours; a thread that was given up may still write into it for a moment."""
    if path.is_file():
        path.unlink()
        return
    for _ in range(_TRIES):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)


def _code(
    capsule: Capsule, contents: Contents, scratch: Path, checkouts: Mapping[str, Path], report: Report
) -> tuple[dict[str, Vendored], list[Finding]]:
    """Bundles and wheels, by entry; and what is to be said of them."""
    held: dict[str, Vendored] = {}
    findings: list[Finding] = []
    inside = by_digest(capsule.vendored)
    commits, wheels = [], []
    of_commits = bundles(capsule.vendored)
    for commit in contents.commits:
        if commit.checkout.commit in of_commits:
            held[commit.entry] = of_commits[commit.checkout.commit]
        else:
            commits.append(commit)
    for wheel in contents.wheels:
        if wheel.sha256 in inside:
            held[wheel.entry] = inside[wheel.sha256]
        else:
            wheels.append(wheel)
    held |= kept_pins(capsule, contents.pins)
    pins = [wanted for wanted in contents.pins if wheel_of_pin(wanted.pin, capsule.vendored) is None]
    if pins:
        pinned, said_of_pins = wheels_of_pins(capsule, pins, (wheel.entry for wheel in contents.wheels))
        wheels += pinned
        findings += said_of_pins
    for commit, (path, said) in _bundles(commits, scratch, checkouts, report).items():
        findings += said
        if path is not None:
            held[commit.entry] = of_file(path, path.stat().st_size, sha256_file(path))
    for wheel, path in _wheels(wheels, scratch, report).items():
        held[wheel.entry] = of_file(path, path.stat().st_size, wheel.sha256)
    return held, findings


def _bundles(
    commits: Sequence[WantedCommit], scratch: Path, checkouts: Mapping[str, Path], report: Report
) -> dict[WantedCommit, _Bundled]:
    lock, done = threading.Lock(), 0

    def make(wanted: WantedCommit, tell: Report) -> _Bundled:
        nonlocal done
        tell(Progress(phase="git", item=wanted.subject, done=done, total=len(commits)))
        made = bundle(wanted, checkouts.get(wanted.checkout.commit), scratch / wanted.checkout.commit)
        with lock:
            done += 1
        tell(Progress(phase="git", item=wanted.subject, done=done, total=len(commits)))
        return made

    return _all_of(commits, make, report)


def _wheels(wheels: Sequence[WantedWheel], scratch: Path, report: Report) -> dict[WantedWheel, Path]:
    if not wheels:
        return {}
    indexes = Indexes(Path(sys.executable))  # whose passwords are the user's, and stay in this process
    lock, done, total = threading.Lock(), 0, sum(wheel.size for wheel in wheels)

    def fetch(wanted: WantedWheel, tell: Report) -> Path:
        def arrived(count: int) -> None:
            nonlocal done
            with lock:
                done += count
            tell(Progress(phase="wheels", item=wanted.name, done=min(done, total), total=total, unit="bytes"))

        path = scratch / wanted.sha256
        fetch_wheel(wanted, indexes.with_credentials(wanted.url), path, arrived)
        return path

    return _all_of(wheels, fetch, report)


_Key = TypeVar("_Key", WantedCommit, WantedWheel)


def _all_of(wanted: Sequence[_Key], work: Callable[[_Key, Report], _T], report: Report) -> dict[_Key, _T]:
    """What `work` gives for each of `wanted`, several at once; each that fails is named."""
    failed: list[CapsuleError] = []
    together = Together(report, _AT_ONCE)

    def guarded(item: _Key, tell: Report) -> list[_T]:
        try:
            return [work(item, tell)]
        except (BadInput, Cancelled):
            raise
        except CapsuleError as error:  # the others go on
            failed.append(error)
            return []

    started = [(item, together.start(partial(guarded, item))) for item in wanted]
    together.wait()
    if len(failed) == 1:
        raise failed[0]
    if failed:
        messages, cures = (dict.fromkeys(getattr(error, name) for error in failed) for name in ("message", "cure"))
        raise CapsuleError(
            "not-to-be-had", f"{len(failed)} files cannot be had. {' '.join(sorted(messages))}", " ".join(cures)
        )
    return {item: answer for item, future in started for answer in future.result()}


def _known_size(contents: Contents, inside: Mapping[str, Vendored]) -> int:
    """Bytes that are written at the same time, as far as they are known: wheels lie beside the capsule meanwhile."""
    wheels = sum(wheel.size * (1 if wheel.sha256 in inside else 2) for wheel in contents.wheels)
    return wheels + sum(model.size for model in contents.models)


def _require_space(out: Path, needed: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise CapsuleError(
            "disk-full",
            f"The sealed capsule needs {needed:,} bytes, and {out.parent} has {free:,} left.",
            "Make room there, write it elsewhere with --out, or leave the models out.",
        )


def _refuse(findings: Sequence[Finding], strict: bool) -> None:
    lacking = [item for item in findings if item.code == NOT_VENDORED]
    if strict and lacking:
        message = f"{len(lacking)} thing(s) cannot be put into the capsule; the first: {lacking[0].message}"
        raise Blocked(NOT_VENDORED, message, lacking[0].cure)

"""Verify: read a ComfyUI again as a snapshot, and compare it with a capsule line by line."""

from __future__ import annotations

from pathlib import Path

from ..capsule import Capsule, environment_digest
from ..comfy import boot_object_info, find_install
from ..errors import BadInput, Cancelled, CapsuleError
from ..materialise import Packs, Translation, chosen_packs, fitted, read_pylock, translation, used_files
from ..progress import Progress, Report, silent
from ..snapshot import Snapshot, missing_here, snapshot_install
from .compare import (
    comfyui_rows,
    file_rows,
    input_rows,
    model_rows,
    node_rows,
    pack_rows,
    platform_rows,
    python_rows,
    some,
    system_rows,
    unproved_python,
)
from .reading import unexecuted_install
from .table import Kept, Row, Table, row

#: What a comparison says that was not allowed to run anything.
UNTRUSTED = "Its nodes were not compared: that runs code of this capsule, say yes with --trust."

_NOTHING = Kept()


def verify(
    capsule: Capsule,
    comfy: Path,
    *,
    trust: bool = False,
    boot: bool = True,
    packs: Packs = "all",
    report: Report = silent,
) -> Table:
    """Compare the ComfyUI in `comfy` with `capsule`: sources, packs, Python, models, inputs and, booted, its nodes.

    Args:
        trust: whether code of this ComfyUI may run here. Without it bytes are compared only, and the table says so.
        boot: with `trust`, start it and compare the node definitions.
        packs: which of the capsule's packs it should have.

    Raises:
        BadInput: ``no-comfyui``, ``no-python``, ``pylock-unreadable``.
    """
    table = verify_bytes(capsule, comfy, trust=trust, packs=packs, report=report)
    if not trust:
        return table.model_copy(update={"unproved": (*table.unproved, UNTRUSTED)})
    return verify_nodes(capsule, comfy, table, report=report) if boot else table


def verify_bytes(
    capsule: Capsule,
    comfy: Path,
    *,
    trust: bool = False,
    packs: Packs = "all",
    kept: Kept = _NOTHING,
    report: Report = silent,
) -> Table:
    """The rows that files alone can answer.

    Args:
        trust: lets ComfyUI itself say where its folders are.
        kept: what may be there beside the capsule's; the environment digest is then that of the rest.
    """
    root, captured, capsule = comfy.expanduser().resolve(), capsule, _fitted(capsule)
    translated = translation(captured, capsule)
    install = find_install(root) if trust else unexecuted_install(root, capsule.lock)
    expected = read_pylock(capsule.pylock)  # a foreign one is looked at before anything is made of it
    report(Progress(phase="verify", item="sources and installed files"))
    found = snapshot_install(install, known=capsule.pylock)
    rows: list[Row] = [
        *platform_rows(capsule.lock.platform, found.lock.platform),
        *comfyui_rows(capsule.lock.comfyui, found.lock.comfyui),
        *pack_rows(chosen_packs(capsule, packs), found.lock.packs, kept.packs),
        *python_rows(expected, read_pylock(found.pylock), kept.distributions),
        *model_rows(capsule.lock.models, install.model_folders, report),
        *input_rows(capsule.lock.inputs, install.input_dir),
        *file_rows(used_files(capsule, packs), install, report),
    ]
    unknown = unproved_python(expected, read_pylock(found.pylock))
    unproved = _beside(kept)
    unproved += [f"No hash could be had to hold to it: {some(unknown)}."] if unknown else []
    if translated:
        unproved.append(_translated(translated))
    if missing := missing_here(capsule.lock.system, (install.base_prefix / "lib",)):
        unproved.append(f"It may not run as it did, {missing}.")
    if packs == "all":  # without the unused packs, what only they need is not needed
        if not translated:  # the needs of files that nobody had are known by name only
            rows += system_rows(capsule.lock.system, found.lock.system)
        rows += _digest_rows(capsule, found, rows, kept)
    return Table(rows=tuple(rows), unproved=tuple(unproved))


def _beside(kept: Kept) -> list[str]:
    """What may change what it does, and is none of the capsule's."""
    parts = (("pack", kept.packs), ("distribution", kept.distributions))
    counted = ((f"{len(names)} {word}{'s' if len(names) > 1 else ''}", names) for word, names in parts if names)
    told = "; ".join(f"{words}: {some(sorted(names))}" for words, names in counted)
    return [f"Beside it are kept {told}."] if told else []


def _fitted(capsule: Capsule) -> Capsule:
    """The capsule as it is on this machine; where nothing in it fits here, as it was captured: the rows tell then."""
    try:
        return fitted(capsule)
    except BadInput:
        return capsule


def _translated(how: Translation) -> str:
    """What the Python lock is that was compared with."""
    parts = (("from another file", how.other), ("added", how.added), ("left out", how.without))
    told = "; ".join(f"{word}: {some(names)}" for word, names in parts if names)
    return f"Its Python lock is {how.what}{f' ({told})' if told else ''}."


def verify_nodes(capsule: Capsule, comfy: Path, table: Table, *, report: Report = silent) -> Table:
    """`table` with the rows that need the ComfyUI in `comfy` to boot. Runs its code."""
    try:
        object_info = boot_object_info(find_install(comfy), report)
    except Cancelled:
        raise
    except CapsuleError as error:
        rows = [row("node", "boot", "starts", error.message, False)]
    else:
        rows = [row("node", "boot", "starts", "starts"), *node_rows(capsule.object_info, object_info)]
    return table.model_copy(update={"rows": (*table.rows, *rows)})


_PROVED = ("file", "model", "platform", "python", "system")


def _digest_rows(capsule: Capsule, found: Snapshot, rows: list[Row], kept: Kept) -> list[Row]:
    """The environment digest of what was found, in which everything comes together.

    What only a running ComfyUI can tell (the packs' classes) and what rows have proved already (platform, models and
    other files, the system, and the distributions, whose list may be written down in another way) is taken from the
    capsule, and so is a system that no row is about. Where a hash could not be had again there is no such row: it would
    prove nothing.
    """
    if unproved_python(read_pylock(capsule.pylock), read_pylock(found.pylock)):
        return []
    proved = {kind: all(row.equal for row in rows if row.kind == kind) for kind in _PROVED}
    classes = {pack.name: pack.classes for pack in capsule.lock.packs}
    ours = (pack for pack in found.lock.packs if pack.path not in kept.packs)
    packs = tuple(pack.model_copy(update={"classes": classes.get(pack.name, ())}) for pack in ours)
    models = capsule.lock.models if proved["model"] else ()
    files = capsule.lock.files if proved["file"] else ()
    system = capsule.lock.system if proved["system"] else found.lock.system
    platform = capsule.lock.platform if proved["platform"] else found.lock.platform
    said = {"platform": platform, "packs": packs, "models": models, "files": files, "system": system}
    lock = found.lock.model_copy(update=said)
    digest = environment_digest(lock, capsule.pylock if proved["python"] else found.pylock)
    return [row("digest", "environment", capsule.digests.environment, digest)]

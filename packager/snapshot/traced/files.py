"""The files of a traced run as the lock has them: size and sha256, origins, and small ones' bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ...cache import Cache
from ...capsule import Finding, UsedFile, safe_name, sha256_bytes
from ...comfy import Trace
from ...digest_cache import sha256_files
from ...errors import BadInput
from ...hashing import Hashed, printable
from ...progress import Report
from ...secrets import has_token, is_secret_file
from ..models.origins import candidates_of, origins
from ..models.side_files import SideFiles
from ..trees.findings import secrets_left_out, some
from .places import Opened, OpenedFile

_CARRIED = 64 << 20  # bytes: a larger file is had again as models are
_CARRIED_IN_ALL = 256 << 20
_HEAD = 64 << 10


class UsedFiles(NamedTuple):
    """The files, what is to be said of the run, and the carried bytes by entry name."""

    files: tuple[UsedFile, ...]
    findings: tuple[Finding, ...]
    carried: dict[str, bytes]


def read_used_files(opened: Opened, trace: Trace, home: Path, report: Report, cache: Cache) -> UsedFiles:
    """Record what `opened` says of `trace`.

    A file that a proved address has is not carried, nor one that is too large; the others are.
    """
    hashed = sha256_files([item.path for item in opened.files], report, phase="files", cache=cache)
    files: list[UsedFile] = []
    findings: list[Finding] = []
    carried: dict[str, bytes] = {}
    side_files = SideFiles()  # looks into each folder once
    for subject, group in groupby(sorted(opened.files, key=lambda item: item.subject), lambda item: item.subject):
        items = list(group)
        secret = [item for item in items if _is_secret(item)]
        odd = [item for item in items if item not in secret and (not _is_safe(item) or hashed[item.path].error)]
        recorded: list[UsedFile] = []
        for item in items:
            if item not in secret + odd:
                if (record := _record(item, hashed[item.path], side_files, carried)) is None:
                    secret.append(item)
                else:
                    recorded.append(record)
        files += recorded
        findings += _findings(subject, recorded, _shown(secret), _shown(odd))
    findings += [_outside(path, home) for path in opened.outside]
    findings += [_network(host) for host in trace.hosts]
    return UsedFiles(tuple(sorted(files, key=lambda item: (item.place, item.name))), tuple(findings), carried)


def _record(item: OpenedFile, hashed: Hashed, side_files: SideFiles, carried: dict[str, bytes]) -> UsedFile | None:
    """The file, its bytes put into `carried` where they have to be; None when those hold a token or key."""
    sources, _ = origins(hashed.sha256, candidates_of("", "", item.path, (), side_files))
    size, sha256, entry = hashed.state.size, hashed.sha256, ""
    in_all = sum(map(len, carried.values()))
    if not any(source.proved for source in sources) and size <= min(_CARRIED, _CARRIED_IN_ALL - in_all):
        data = item.path.read_bytes()
        if has_token(data):
            return None
        entry = f"files/{item.place}/{item.name}"
        size, sha256, carried[entry] = len(data), sha256_bytes(data), data
    return UsedFile(place=item.place, name=item.name, size=size, sha256=sha256, sources=sources, carried=entry)


def _is_secret(item: OpenedFile) -> bool:
    try:
        with item.path.open("rb") as file:
            return is_secret_file(item.name, file.read(_HEAD))
    except OSError:
        return False  # said of it by the hashing


def _is_safe(item: OpenedFile) -> bool:
    try:
        return bool(safe_name(item.name).encode())
    except (BadInput, UnicodeEncodeError):
        return False


def _shown(items: Sequence[OpenedFile]) -> list[str]:
    return [printable(item.name) for item in items]


def _findings(
    subject: str, recorded: Sequence[UsedFile], secret: Sequence[str], odd: Sequence[str]
) -> Iterator[Finding]:
    ignored = [item.name for item in recorded if item.place == "comfyui"]
    cached = [item.name for item in recorded if item.place == "cache"]
    if ignored:
        yield Finding(
            code="ignored-file-used",
            subject=subject,
            message=f"A run opens files of {subject} that are in no commit, for git ignores them: {some(ignored)}.",
            cure="Nothing needs to be done: they are recorded. Look through them for what is nobody else's business.",
        )
    if cached:
        yield Finding(
            code="cached-file-used",
            subject=subject,
            message=f"A run opens files in {subject}, which other machines do not have: {some(cached)}.",
            cure="Nothing needs to be done: they are recorded, and a restored ComfyUI has them in its own cache.",
        )
    lost = [item.name for item in recorded if not item.carried and not item.sources]
    if lost:
        yield Finding(
            code="used-file-without-source",
            subject=subject,
            message=f"Files of {subject} are too large to carry, and no address of them is known: {some(lost)}.",
            cure="Keep them at hand, and give their folder with --models-from DIR.",
        )
    if secret:
        yield secrets_left_out(subject, secret)
    if odd:
        yield Finding(
            code="used-file-not-recorded",
            subject=subject,
            message=f"A run opens files of {subject} that cannot be read, or have names that other systems refuse:"
            f" {some(odd)}.",
            cure="Make them readable, or rename them.",
            blocks=True,
        )


def _outside(path: Path, home: Path) -> Finding:
    """A setting in the home folder may be absent elsewhere; anything else is a file that the run needs."""
    inside = path.relative_to(home).parts if path.is_relative_to(home) else ()
    is_setting = bool(inside) and (inside[0] == ".config" or (len(inside) == 1 and inside[0].startswith(".")))
    shown = printable("/".join(("~", *inside)) if inside else path)
    return Finding(
        code="outside-file-used",
        subject=shown,
        message=f"A run opens {shown}, which belongs to nothing that a capsule gives back.",
        cure="Put the file into ComfyUI's folder, its models or its pack, and name it there.",
        blocks=not is_setting,
    )


def _network(host: str) -> Finding:
    return Finding(
        code="network-used",
        subject=printable(host),
        message=f"A run asks {printable(host)} over the network; what it gets from there may change, or not be there.",
        cure="Trace it again: if it asks no more, what it fetched is recorded now; else give the node a file of yours.",
    )

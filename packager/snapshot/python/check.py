"""A site-packages checked file by file against the RECORDs of its distributions. Nothing is run."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version

from ...cache import Cache
from ...capsule import NOBODY, ChangedFile
from ...digest_cache import sha256_of
from ...hashing import State
from ...secrets import is_secret_file
from .contents import Broken, Contents, Distribution, Places
from .distinfo import Info, has_own_path, is_script, is_version, read_direct_url, read_headers, read_tags
from .record import (
    OF_INSTALLERS,
    SCRIPTS,
    SITE,
    Line,
    entry_scripts,
    identity,
    installed_lines,
    is_entry_script,
    is_of_wheel,
    record_digest,
)

# What a venv itself puts beside the distributions.
_OF_THE_VENV = frozenset({"_virtualenv.py", "_virtualenv.pth", "distutils-precedence.pth"})
_MODULES = (".py", ".so", ".pyd")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class File(NamedTuple):
    """What the file system says of one file."""

    state: State
    regular: bool
    link: bool
    executable: bool


class _Check:
    """One run over a site-packages; what is found gathers here."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.files = dict(_walk(places.site))
        self.broken: list[Broken] = []
        self.changed: dict[str, list[str]] = {}
        self.added: dict[str, list[str]] = {}
        self.removed: dict[str, list[str]] = {}
        self.odd: dict[str, list[str]] = {}
        self.outside: dict[str, File | None] = {}

    def file(self, place: str) -> File | None:
        """What lies at `place`."""
        if place.startswith(SITE):
            return self.files.get(place.removeprefix(SITE))
        if place not in self.outside:
            path = self.places.path(place)
            self.outside[place] = _look(path, path.is_symlink())
        return self.outside[place]


def inspect_site(places: Places, cache: Cache) -> tuple[Contents, tuple[str, ...]]:
    """What the site-packages of `places` holds, and the paths outside it that the answer depends on."""
    check = _Check(places)
    infos = _owners(check)
    jobs = [(info, line) for info in infos for line in _lines_to_check(check, info)]
    _compare(check, jobs, cache)
    _find_strays(check, infos)
    for info in infos:
        _find_missing_modules(check, info)
    contents = Contents(
        distributions=tuple(sorted((_distribution(check, info) for info in infos), key=lambda item: item.name)),
        changed=_as_files(check, check.changed, cache),
        added=_as_files(check, check.added, cache),
        removed={name: tuple(sorted(found)) for name, found in sorted(check.removed.items())},
        broken=tuple(sorted(set(check.broken), key=lambda item: (item.name, item.reason))),
        odd={name: tuple(sorted(found)) for name, found in sorted(check.odd.items())},
    )
    return contents, tuple(sorted(str(places.path(place)) for place in check.outside))


def _walk(site: Path) -> Iterator[tuple[str, File]]:
    waiting = [""]
    while waiting:
        base = waiting.pop()
        try:
            entries = sorted(os.scandir(site / base), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = f"{base}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    waiting.append(f"{name}/")
            else:
                yield name, _look(entry, entry.is_symlink()) or File(State(0, 0, 0, 0), False, True, False)


def _look(path: Path | os.DirEntry[str], link: bool) -> File | None:
    try:
        status = path.stat()
        if not status.st_ino:  # on Windows a folder's listing does not say it
            status = os.stat(path)
    except OSError:
        return None
    state = State(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)
    return File(state, stat.S_ISREG(status.st_mode), link, bool(status.st_mode & stat.S_IXUSR))


def _owners(check: _Check) -> list[Info]:
    """The whole distributions; of two with one name the one whose files are there."""
    by_name: dict[str, list[Info]] = {}
    tops = {name.partition("/")[:2] for name in check.files}
    for top, is_folder in sorted(tops):
        if top.startswith("~"):
            reason = f"left {top} behind when it was changed or removed."
            check.broken.append(Broken(name=top, reason=reason))
        elif top.endswith((".egg-info", ".egg-link")):
            reason = f"was installed without a list of its files ({top}); they count as files of no distribution."
            check.broken.append(Broken(name=canonicalize_name(top.rpartition(".")[0]), reason=reason))
        elif top.endswith(".dist-info") and is_folder:
            info = _read(check, top)
            if info is not None:
                by_name.setdefault(info.name, []).append(info)
    found = []
    for name, several in sorted(by_name.items()):
        several.sort(key=lambda info: (_absent(check, info), _backwards(info.version), info.folder))
        found.append(several[0])
        for other in several[1:]:
            reason = f"is there twice, as {several[0].version} and as {other.version}: one is half-uninstalled."
            check.broken.append(Broken(name=name, reason=reason))
    return found


def _absent(check: _Check, info: Info) -> int:
    return sum(check.file(line.place) is None for line in info.lines if line.place and is_of_wheel(line.place))


def _backwards(version: str) -> tuple[int, ...]:
    return tuple(-part for part in Version(version).release)


def _read(check: _Check, folder: str) -> Info | None:
    texts = {}
    for name in ("METADATA", "RECORD", "WHEEL", "direct_url.json", "entry_points.txt"):
        file = check.files.get(f"{folder}/{name}")
        if file is not None and file.regular:
            path = check.places.site / folder / name
            texts[name] = path.read_bytes().decode("utf-8", "replace")
    said = read_headers(texts.get("METADATA", ""))
    name = canonicalize_name(said.get("name") or folder.removesuffix(".dist-info").rpartition("-")[0] or folder)
    for file_name in ("METADATA", "RECORD"):
        if file_name not in texts:
            check.broken.append(Broken(name=name, reason=f"is half-uninstalled: {folder} has no {file_name}."))
            return None
    if not said.get("name") or not _NAME.fullmatch(name) or not is_version(said.get("version", "")):
        check.broken.append(Broken(name=name, reason=f"is not whole: {folder}/METADATA names none, or no version."))
        return None
    lines = installed_lines(texts["RECORD"], check.places.layout)
    if not all(line.place for line in lines):
        check.broken.append(Broken(name=name, reason="names files outside its environment; they were not looked at."))
    return Info(folder, name, said["version"], texts, lines, entry_scripts(texts.get("entry_points.txt", "")))


def _lines_to_check(check: _Check, info: Info) -> Iterator[Line]:
    """The lines with a digest to hold a file to; missing files are noted on the way."""
    for line in info.lines:
        if not line.place or not is_of_wheel(line.place) or is_entry_script(line.place, info.entries):
            continue
        file = check.file(line.place)
        if file is None:
            check.removed.setdefault(info.name, []).append(line.place)
        elif not file.regular:
            check.odd.setdefault(info.name, []).append(line.place)
        elif line.place.startswith(SCRIPTS) and is_script(check.places.path(line.place)):
            info.rewritten.add(line.place)  # its first line is the installer's
        elif line.size and line.size != str(file.state.size):
            check.changed.setdefault(info.name, []).append(line.place)
        elif line.digest:
            yield line


def _compare(check: _Check, jobs: Sequence[tuple[Info, Line]], cache: Cache) -> None:
    plain = {line.place for _, line in jobs if line.digest.startswith("sha256=")}
    digests = _digests(check, plain, cache)
    for info, line in jobs:
        algorithm, _, said = line.digest.partition("=")
        found = digests[line.place] if line.place in digests else _digest(check.places.path(line.place), algorithm)
        if not found or base64.urlsafe_b64encode(bytes.fromhex(found)).rstrip(b"=").decode() != said.rstrip("="):
            check.changed.setdefault(info.name, []).append(line.place)


def _digests(check: _Check, places: Iterable[str], cache: Cache) -> dict[str, str]:
    """The sha256 of regular files by place."""
    paths = {place: str(check.places.path(place)) for place in places}
    files = {path: file.state for place, path in paths.items() if (file := check.file(place)) is not None}
    found = sha256_of(files, cache=cache)
    return {place: found[path].sha256 if path in found else "" for place, path in paths.items()}


def _digest(path: Path, algorithm: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except (OSError, ValueError):
        return ""


def _find_strays(check: _Check, infos: Sequence[Info]) -> None:
    """Files in no RECORD, under the name of the distribution whose folder they are in."""
    known = {line.place.removeprefix(SITE) for info in infos for line in info.lines if line.place.startswith(SITE)}
    folders: dict[str, str] = {}
    for info in infos:
        for line in info.lines:
            if line.place.startswith(SITE):
                folders.setdefault(str(PurePosixPath(line.place.removeprefix(SITE)).parent), info.name)
    folders.pop(".", None)
    for name, file in check.files.items():
        if name in known or _is_of_installers(name) or name in _OF_THE_VENV or name.startswith("~"):
            continue
        parents = map(str, PurePosixPath(name).parents)
        owner = next((folders[folder] for folder in parents if folder in folders), NOBODY)
        said = name.encode("utf-8", "replace").decode()
        fit = file.regular and not file.link and not is_secret_file(name, b"") and said == name
        (check.added if fit else check.odd).setdefault(owner, []).append(SITE + said)


def _is_of_installers(name: str) -> bool:
    """Also of a distribution without a RECORD: where it came from may be an address with a password in it."""
    folder, _, last = name.rpartition("/")
    return folder.endswith(".dist-info") and "/" not in folder and last in OF_INSTALLERS


def _find_missing_modules(check: _Check, info: Info) -> None:
    for place in check.removed.get(info.name, ()):
        first, _, rest = place.removeprefix(SITE).partition("/")
        if place.startswith(SITE) and (rest == "__init__.py" or (not rest and first.endswith(_MODULES))):
            reason = f"cannot be imported: {first}{'/' + rest if rest else ''} is not there."
            check.broken.append(Broken(name=info.name, reason=reason))


def _as_files(check: _Check, chosen: dict[str, list[str]], cache: Cache) -> dict[str, tuple[ChangedFile, ...]]:
    digests = _digests(check, (place for places in chosen.values() for place in places), cache)
    found: dict[str, tuple[ChangedFile, ...]] = {}
    for name, places in sorted(chosen.items()):
        files = []
        for place in sorted(places):
            file = check.file(place)
            if file is None or file.link or not digests[place]:
                check.odd.setdefault(name, []).append(place)
                continue
            said = {"path": place, "sha256": digests[place], "size": file.state.size, "executable": file.executable}
            files.append(ChangedFile.model_validate(said))
        if files:
            found[name] = tuple(files)
    return found


def _distribution(check: _Check, info: Info) -> Distribution:
    lines, direct = info.lines, read_direct_url(info.texts.get("direct_url.json"))
    if ((direct or {}).get("dir_info") or {}).get("editable") or has_own_path(info):
        # Its modules are elsewhere; what points there names a folder of this machine.
        lines = [line for line in lines if line.place.startswith(f"{SITE}{info.folder}/")]
        direct = {**(direct or {}), "dir_info": {"editable": True}}
    gone = set(check.removed.get(info.name, ()))
    present = [line for line in lines if line.place not in gone and not is_secret_file(line.place, b"")]
    metadata = f"{SITE}{info.folder}/METADATA"
    return Distribution(
        name=info.name,
        version=info.version,
        tags=tuple(sorted(read_tags(info.texts.get("WHEEL", "")))),
        direct_url=direct,
        info=info.folder,
        record=record_digest(identity(lines, info.entries, frozenset(info.rewritten))),
        present=record_digest(identity(present, info.entries, frozenset(info.rewritten))),
        metadata=next((line.digest for line in info.lines if line.place == metadata), ""),
    )

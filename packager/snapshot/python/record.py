"""RECORD, the list of a distribution's files: what a wheel says and what an installer makes of it, in one form.

The format is that of PEP 376 and the wheel specification: ``path,algorithm=urlsafe-base64-digest,size``. Installers
order the lines anew, write scripts of their own, and add files that tell how and by whom it was installed; pip and uv
differ in which. What is left without those is the same wherever, and with whichever of them, a wheel was installed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

# Added to a ``.dist-info`` by pip or uv: PEP 376, PEP 610, and uv's notes on where it has a wheel from.
OF_INSTALLERS = frozenset(
    {"INSTALLER", "REQUESTED", "RECORD", "RECORD.jws", "RECORD.p7s", "direct_url.json", "uv_cache.json"}
    | {"uv_build.json", "provenance_url.json"}
)
SITE, SCRIPTS = "site-packages/", "scripts/"
_HEADERS = re.compile(r"prefix/include/(?:site/)?python[^/]+/[^/]+/(.+)")
_DATA = re.compile(r"[^/]+\.data/(purelib|platlib|scripts|headers|data)/(.+)")


class Line(NamedTuple):
    """One line of a RECORD; `place` is where the file is, see `Layout.place`."""

    place: str
    digest: str  # ``sha256=…`` as in the file; empty when it says none
    size: str


class Layout(NamedTuple):
    """How site-packages lies in its prefix: ``("lib", "python3.11", "site-packages")``."""

    site: tuple[str, ...]

    def place(self, path: str) -> str:
        """The place of a RECORD's `path`, or ``""`` when it leads out of the prefix.

        ``site-packages/…``, ``scripts/…``, or ``prefix/…`` for all else: the same on every system.
        """
        if not path.startswith(("/", "..")) and "\\" not in path and ":" not in path and "/.." not in path:
            return SITE + path
        parts = list(self.site)
        if path.startswith("/") or ":" in path or "\\" in path:
            return ""
        for part in path.split("/"):
            if part == "..":
                if not parts:
                    return ""
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return self.inside("/".join(parts))

    def inside(self, path: str) -> str:
        """The place of `path`, relative to the prefix."""
        site = "/".join(self.site) + "/"
        if path.startswith(site):
            return SITE + path.removeprefix(site)
        top, _, rest = path.partition("/")
        if top in ("bin", "Scripts") and rest:
            return SCRIPTS + rest
        return f"prefix/{path}"


def read_record(text: str) -> Iterator[tuple[str, str, str]]:
    """``(path, digest, size)`` of each line; lines that are none are left out."""
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if len(row) >= 3:
                yield row[0], row[1], row[2]
    except csv.Error:
        return


def installed_lines(text: str, layout: Layout) -> list[Line]:
    """The lines of an installed RECORD by place, byte code apart. A place of ``""`` leads out of the prefix."""
    return [
        Line(layout.place(path), digest, size) for path, digest, size in read_record(text) if "__pycache__/" not in path
    ]


def wheel_lines(text: str, layout: Layout) -> dict[str, str]:
    """``{place: digest}`` of a wheel's own RECORD, as it is once installed; without what installers replace."""
    found = {}
    for path, digest, _ in read_record(text):
        data = _DATA.fullmatch(path)
        if data is None:
            place = layout.place(path)
        elif data[1] == "data":
            place = layout.inside(data[2])
        else:
            place = {"scripts": SCRIPTS, "headers": "headers/"}.get(data[1], SITE) + data[2]
        if is_of_wheel(place):
            found[_without_python(place)] = digest
    return found


def _without_python(place: str) -> str:
    """Headers lie in a folder that is named after the Python they were installed into."""
    header = _HEADERS.fullmatch(place)
    return f"headers/{header[1]}" if header else place


def is_of_wheel(place: str) -> bool:
    """Whether a file at `place` can come out of a wheel as it is: no byte code, none of the installers' own."""
    path = PurePosixPath(place)
    return "__pycache__" not in path.parts and not (
        path.parent.name.endswith(".dist-info") and path.name in OF_INSTALLERS
    )


def entry_scripts(entry_points: str) -> frozenset[str]:
    """The names of the scripts that an installer makes of a distribution's ``entry_points.txt``."""
    names, section = set(), ""
    for line in entry_points.splitlines():
        heading = re.fullmatch(r"\s*\[(.+)\]\s*", line)
        if heading:
            section = heading[1].strip()
        elif section in ("console_scripts", "gui_scripts") and "=" in line:
            names.add(line.partition("=")[0].strip())
    return frozenset(names)


def is_entry_script(place: str, names: frozenset[str]) -> bool:
    """Whether `place` is a script made of an entry point; on Windows it has a launcher beside it."""
    if not place.startswith(SCRIPTS):
        return False
    name = re.sub(r"(-script\.pyw?|\.exe(\.manifest)?)$", "", place.removeprefix(SCRIPTS))
    return name in names or ("pip" in names and re.fullmatch(r"pip[0-9.]+", name) is not None)


def record_digest(lines: Mapping[str, str]) -> str:
    """The sha256 (hex) that names a wheel's content: `lines` are ``{place: digest}`` as `identity` gives them."""
    return hashlib.sha256("".join(f"{place},{lines[place]}\n" for place in sorted(lines)).encode()).hexdigest()


def identity(lines: Iterable[Line], entry_points: frozenset[str], rewritten: frozenset[str]) -> dict[str, str]:
    """``{place: digest}`` of an installed RECORD without all that is not the wheel's.

    Args:
        rewritten: the places of scripts whose first line the installer has set to its own Python; they have no digest.
    """
    return {
        _without_python(line.place): "" if line.place in rewritten else line.digest
        for line in lines
        if line.place and is_of_wheel(line.place) and not is_entry_script(line.place, entry_points)
    }


def is_same_wheel(installed: Mapping[str, str], wheel: Mapping[str, str]) -> bool:
    """Whether the installed files (see `identity`) are exactly those of `wheel` (see `wheel_lines`)."""
    return installed.keys() == wheel.keys() and all(
        digest == wheel[place] or (not digest and place.startswith(SCRIPTS)) for place, digest in installed.items()
    )

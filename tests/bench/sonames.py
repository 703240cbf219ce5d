"""Derives the packages in `sonames.toml` anew from Debian's own index: ``make sonames``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from comfy_capsule.packager.snapshot.system.sonames import tables

from .debian_index import holders

FILE = Path(__file__).parents[2] / "packager" / "snapshot" / "system" / "sonames.toml"
_SECTION = r"(^\[{}\]\n)(?:^\".*\n)*"


def derived(names: Iterable[str], now: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What ``[debian]`` and ``[trixie]`` must say of `names`.

    Of several packages with the same file (a library's flavours) the one that stands there `now` is kept.
    """
    bookworm, trixie = holders("bookworm"), holders("trixie")
    debian = {name: _pick(bookworm.get(name, []), now.get(name, "")) for name in names}
    later = {name: _pick(trixie.get(name, []), package) for name, package in debian.items()}
    return debian, {name: package for name, package in later.items() if package != debian[name]}


def _pick(candidates: list[str], wanted: str) -> str:
    """`wanted` if it is one of them, else the one most like it: `libglib2.0-0` became `libglib2.0-0t64`."""
    if wanted in candidates:
        return wanted
    return min(candidates, key=lambda name: (not name.startswith(wanted), len(name), name), default="")


def main() -> None:
    """Write what is derived into the file, in its order; names that Debian 12 does not have are taken out."""
    names = tables().debian
    debian, trixie = derived(names, names)
    for name in (name for name, package in debian.items() if not package):
        print(f"{name}: in no package of Debian 12; taken out")
    text = FILE.read_text()
    found = {name: package for name, package in debian.items() if package}
    for section, entries in (("debian", found), ("trixie", {name: trixie[name] for name in found if name in trixie})):
        lines = "".join(f'"{name}" = "{package}"\n' for name, package in entries.items())
        text = re.sub(_SECTION.format(section), lambda match, lines=lines: match[1] + lines, text, flags=re.MULTILINE)
    FILE.write_text(text)


if __name__ == "__main__":
    main()

"""Which package of a Debian release holds which library and program: read from the release's own index.

The index is apt's ``Contents`` file, fetched by apt from wherever this machine's apt has its Debian from, into lists of
our own: the machine's stay as they are. What is read from it is kept in the bench cache.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.errors import CapsuleError

from .cache import cache_root

# Where the dynamic linker looks on amd64, and the folders that Debian's alternatives link there.
_LIBRARY = re.compile(
    r"(?:usr/)?lib(?:64)?/(?:x86_64-linux-gnu/)?(?:blas/|lapack/|openblas-\w+/)?"
    r"((?:lib|ld-linux)[^/ ]*\.so[.0-9]*) +(\S+)"
)
_PROGRAM = re.compile(r"(?:usr/)?s?(bin/[^/ ]+) +(\S+)")
_KIND = "Acquire::IndexTargets::deb::Contents-deb::"
_CONTENTS = {
    "MetaKey": "$(COMPONENT)/Contents-$(ARCHITECTURE)",
    "ShortDescription": "Contents",
    "Description": "$(RELEASE) Contents",
    "KeepCompressed": "true",
    "DefaultEnabled": "true",
}


def holders(suite: str) -> dict[str, list[str]]:
    """``{"libNAME.so.N" or "bin/PROGRAM": the packages that hold it}`` in the release `suite`, e.g. ``bookworm``.

    Raises:
        CapsuleError: ``no-debian`` where apt has no archive of Debian set up; what `run` raises.
    """
    recipe = hashlib.sha256(f"{_LIBRARY.pattern} {_PROGRAM.pattern}".encode()).hexdigest()[:12]
    kept = cache_root() / "debian-index" / f"{suite}-{recipe}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        making = kept.with_suffix(".making")
        making.write_text(json.dumps(_fetch(suite), indent=0))
        making.rename(kept)
    found: dict[str, list[str]] = json.loads(kept.read_text())
    return found


def _fetch(suite: str) -> dict[str, list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        lists, sources = Path(scratch, "lists"), Path(scratch, "sources.list")
        (lists / "partial").mkdir(parents=True)
        sources.write_text(f"deb {_archive()} {suite} main\n")
        settings = {
            "Dir::Etc::SourceList": sources,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": lists,
            "Dir::Cache::pkgcache": "",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",  # apt's own user cannot write into this scratch folder
            **{_KIND + name: value for name, value in _CONTENTS.items()},
        }
        run(["apt-get", "update", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))])
        found: dict[str, set[str]] = defaultdict(set)
        for file in lists.glob("*Contents-*"):
            with subprocess.Popen(["/usr/lib/apt/apt-helper", "cat-file", file], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                _read((line.decode("utf-8", "replace") for line in process.stdout), found)
        return {name: sorted(packages) for name, packages in sorted(found.items())}


def _archive() -> str:
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]
    for line in run(words).splitlines():
        if line.startswith("Debian Debian "):  # the label tells the archive from its security updates
            return line.split()[2]
    raise CapsuleError("no-debian", "apt has no archive of Debian set up.", "Run `apt-get update` on a Debian.")


def _read(lines: Iterable[str], into: dict[str, set[str]]) -> None:
    for line in lines:
        if found := _LIBRARY.match(line) or _PROGRAM.match(line):
            into[found[1]] |= {place.rsplit("/", 1)[-1] for place in found[2].split(",")}

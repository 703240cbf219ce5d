"""The shared libraries that an environment needs of the system: all that its extension modules load, less its own.

What is asked of the machine is nothing: the same files give the same answer everywhere.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...cache import Cache
from ...comfy import Install
from .elf import MACHINES, Elf, read_elf
from .sonames import tables
from .walk import Found, in_packs, in_site_packages, travelling

_SHARED_NAME = re.compile(r"\.so(\.[0-9][\w.]*)?$")  # OpenSSL's ends in a letter: libssl.so.1.1.1k
_TAG = re.compile(r"\.(cpython-(\d+)t?|pypy\d+)[-.]")
_NAMES = re.compile(rb"\b(lib[\w.+-]+|[\w+-]+\.so)\b|[\"']([\w.+-]+)[\"']")
_MOST_TEXT = 64_000_000  # bytes of one package's sources that are looked through for the names of libraries
_MOST_PLACES = 64  # folders of a search path; real ones have a dozen


class Object(BaseModel):
    """One shared object of the environment."""

    model_config = ConfigDict(frozen=True)

    file: Found
    elf: Elf

    @property
    def names(self) -> tuple[str, ...]:
        """What it can be asked for by."""
        return (self.file.name, self.elf.soname) if self.elf.soname else (self.file.name,)

    @property
    def is_module(self) -> bool:
        """Whether Python imports it, or code of its package opens it, as far as its name says: ``_C.so``."""
        plain = self.file.name.endswith(".so") and not self.file.name.startswith("lib")
        return plain or bool(_TAG.search(self.file.name)) or self.file.name.endswith(".abi3.so")


class Needs(BaseModel):
    """What is asked of the system: soname to the packages and packs that need it.

    `optional` are those that only such files need as nothing here links to or names: plug-ins for other hardware.
    """

    model_config = ConfigDict(frozen=True)

    needed: dict[str, frozenset[str]]
    optional: dict[str, frozenset[str]]


def shared_objects(install: Install, cache: Cache) -> list[Object]:
    """Every shared object in site-packages and the enabled packs that this Python on this machine can load."""
    files = [*in_site_packages(install, _is_shared), *travelling(in_packs(install, _is_shared))]
    tag = "".join(install.python_version.split(".")[:2])
    files = [file for file in files if (found := _TAG.search(file.name)) is None or found[2] == tag]
    known = cache.get("elf", [file.key for file in files])
    fresh: dict[str, str] = {}
    objects = []
    for file in files:
        if file.key in known:
            elf = Elf.model_validate_json(known[file.key]) if known[file.key] else None
        else:
            elf = read_elf(file.path)
            fresh[file.key] = elf.model_dump_json() if elf else ""
        if elf is not None and _fits(elf):
            objects.append(Object(file=file, elf=elf))
    if fresh:
        cache.put("elf", fresh)
    return objects


def read_needs(objects: Sequence[Object], install: Install) -> Needs:
    """Follow what the extension modules load, and what of the rest is opened by its name."""
    index, seen = _Index(objects), set[str]()
    needed = _follow([item for item in objects if item.is_module], index, seen).asked
    rest = [item for item in objects if item.file.path not in seen]
    words: dict[str, frozenset[bytes]] = {}
    # Reading a package's sources takes long: only for those libraries that lead to what nobody else needs.
    trial = _follow(rest, index, set(seen))
    leading = trial.leading_to({name for name in trial.asked if name not in needed and not tables().is_driver(name)})
    named = [item for item in rest if item.file.path in leading and _is_named(item, install, words)]
    for name, askers in _follow(named, index, seen).asked.items():
        needed[name] += askers
    optional = _follow([item for item in rest if item.file.path not in seen], index, seen).asked
    return Needs(
        needed={name: frozenset(item.file.owner for item in askers) for name, askers in needed.items()},
        optional={
            name: frozenset(item.file.owner for item in askers)
            for name, askers in optional.items()
            if name not in needed
        },
    )


def _is_shared(name: str) -> bool:
    return ".so" in name and _SHARED_NAME.search(name) is not None


def _fits(elf: Elf) -> bool:
    """Whether it is for this machine and its C library: wheels and packs bring others along."""
    here = MACHINES.get(platform.machine().lower())
    if here is not None and (elf.machine, elf.bits) != here:
        return False
    return not any(name.startswith(("libc.musl", "ld-musl")) for name in elf.needed)


class _Index:
    """The environment's own libraries, by place, by package and by name."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._by_place: dict[tuple[str, str], Object] = {}
        self._by_owner: dict[tuple[str, str], Object] = {}
        self._by_name: dict[str, Object] = {}
        for item in objects:
            self._by_place[item.file.folder, item.file.name] = item
            for name in item.names:
                self._by_owner.setdefault((item.file.owner, name), item)
                self._by_name.setdefault(name, item)

    def find(self, name: str, item: Object, inherited: Sequence[str]) -> Object | None:
        """The object that `item` gets for `name`; None when it is the system's to give.

        First the search path; then what its own package holds, which is loaded before it or beside it. A library
        that no system has (torch's, NVIDIA's) is loaded from wherever in the environment it is.
        """
        if "/" in name:
            return None
        for folder in (*_search(item), *inherited):
            if found := self._by_place.get((folder, name)):
                return found
        if found := self._by_owner.get((item.file.owner, name)):
            return found
        return None if tables().package(name) else self._by_name.get(name)


def _search(item: Object) -> tuple[str, ...]:
    """The folders of its RUNPATH or RPATH; ``$LIB`` and ``$PLATFORM`` lead out of the environment."""
    origin = item.file.folder
    places = (text.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for text in item.elf.search)
    inside = (os.path.normpath(place) for place in places if "$" not in place and place.startswith("/"))
    return tuple(itertools.islice(inside, _MOST_PLACES))


class _Trace:
    """What came of following: who asked the system for which library, and by whom each object was loaded."""

    def __init__(self) -> None:
        self.asked: dict[str, list[Object]] = defaultdict(list)
        self._loaders: dict[str, list[Object]] = defaultdict(list)

    def loads(self, item: Object, found: Object) -> None:
        self._loaders[found.file.path].append(item)

    def leading_to(self, wanted: set[str]) -> set[str]:
        """The paths of the objects that, themselves or by what they load, ask for a `wanted` library."""
        waiting = [item for name in wanted for item in self.asked[name]]
        leading: set[str] = set()
        while waiting:
            item = waiting.pop()
            if item.file.path not in leading:
                leading.add(item.file.path)
                waiting += self._loaders[item.file.path]
        return leading


def _follow(roots: Iterable[Object], index: _Index, seen: set[str]) -> _Trace:
    """Breadth first, as the dynamic linker loads. Each object counts once: with whoever loads it first."""
    trace = _Trace()
    waiting: deque[tuple[Object, tuple[str, ...]]] = deque()
    for root in roots:
        if root.file.path not in seen:
            seen.add(root.file.path)
            waiting.append((root, ()))
    while waiting:
        item, inherited = waiting.popleft()
        down = (*_search(item), *inherited)[:_MOST_PLACES] if item.elf.inherited else inherited
        for name in item.elf.needed:
            if name.startswith("libpython"):
                continue  # the interpreter's own, which has it loaded
            found = index.find(name, item, inherited)
            if found is None:
                trace.asked[name].append(item)
                continue
            trace.loads(item, found)
            if found.file.path not in seen:
                seen.add(found.file.path)
                waiting.append((found, down))
    return trace


def _is_named(item: Object, install: Install, words: dict[str, frozenset[bytes]]) -> bool:
    """Whether a Python file of its package or pack names it: ``CDLL(".../libllama.so")``, ``load("llama")``."""
    owner = item.file.owner
    if owner not in words:
        words[owner] = frozenset(word for text in _texts(owner, install) for word in _words(text))
    stem = item.file.name.split(".so")[0]
    return not words[owner].isdisjoint({stem.encode(), stem.removeprefix("lib").encode()})


def _words(text: bytes) -> Iterator[bytes]:
    """What in a source may name a library: ``libNAME``, ``NAME.so``, and any quoted word."""
    for named, quoted in _NAMES.findall(text):
        yield (named or quoted).split(b".so")[0]


def _texts(owner: str, install: Install) -> Iterator[bytes]:
    places = [root / owner for root in (*install.site_packages, *install.custom_nodes)]
    files = (Path(base, name) for place in places for base, _, names in os.walk(place) for name in sorted(names))
    left = _MOST_TEXT
    for file in files:
        if left > 0 and file.suffix == ".py" and file.is_file():
            with contextlib.suppress(OSError), file.open("rb") as source:
                text = source.read(left)
                left -= len(text)
                yield text


def packages_of_python(prefix: Path) -> frozenset[str]:
    """The Debian packages that hold what the interpreter in `prefix` and its standard library are linked to.

    Tk is left out: it draws windows, and would bring half of X along.
    """
    modules = (place for place in prefix.glob("lib/python*/lib-dynload/*.so") if not place.name.startswith("_tkinter."))
    places = [*prefix.glob("bin/python*"), *prefix.glob("lib/lib*.so*"), *modules]
    files = [(place, elf) for place in places if (elf := read_elf(place)) is not None]
    own = {name for place, elf in files for name in (place.name, elf.soname)}
    needed = {name for _, elf in files for name in elf.needed} - own
    return frozenset(package for name in needed if (package := tables().package(name)))


def by_distributions(versions: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """What the Linux wheels of these distributions need, where there are no ELF files to read."""
    needed: dict[str, set[str]] = defaultdict(set)
    for name in versions:
        for soname in tables().linked.get(name, ()):
            needed[soname].add(name)
    if versions:
        for soname in ("libc.so.6", "libgcc_s.so.1", "libstdc++.so.6"):
            needed[soname].add("every wheel with native code")
    return {name: frozenset(owners) for name, owners in needed.items()}

"""The system as the lock has it: the libraries and programs the environment needs, and the packages that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from ...cache import Cache
from ...capsule import Finding, Kind, Library, Program, System
from ...comfy import Install
from ...progress import Progress, Report
from .libraries import by_distributions, read_needs, shared_objects
from .machine import install_line, missing_libraries
from .programs import read_programs
from .sonames import tables


class SystemRead(BaseModel):
    """The system, and what stands against having it elsewhere."""

    model_config = ConfigDict(frozen=True)

    system: System
    findings: tuple[Finding, ...]


def read_system(install: Install, os: str, versions: Mapping[str, str], cache: Cache, report: Report) -> SystemRead:
    """What `install` needs of the system. The same files give the same answer on every machine; the findings apart.

    Args:
        os: as `Platform` has it. ELF files are read on Linux; elsewhere the Linux wheels' needs are known by name.
        versions: the distributions, ``{normalized name: version}``.
    """
    report(Progress(phase="system", item="shared libraries", total=2))
    optional: Mapping[str, frozenset[str]] = {}
    if os == "linux":
        needs = read_needs(shared_objects(install, cache), install)
        needed, optional = dict(needs.needed), needs.optional
    else:
        needed = by_distributions(versions)
    report(Progress(phase="system", item="programs", done=1, total=2))
    started = read_programs(install, cache)
    for name, owners in _by_name(versions).items():
        table, key = (started, name.removeprefix("bin/")) if name.startswith("bin/") else (needed, name)
        table[key] = table.get(key, frozenset()) | owners
    system = _system(needed, optional, started)
    report(Progress(phase="system", done=2, total=2))
    findings = [_unknown(item) for item in system.libraries if item.kind == "os" and not item.package]
    if os == "linux":
        missing = missing_libraries(system, (install.base_prefix / "lib",))
        findings += [_missing(item) for item in system.libraries if item.soname in missing]
    return SystemRead(system=system, findings=tuple(findings))


def _system(
    needed: Mapping[str, frozenset[str]], optional: Mapping[str, frozenset[str]], started: Mapping[str, frozenset[str]]
) -> System:
    libraries = [_library(name, "os", who) for name, who in needed.items()]
    libraries += [_library(name, "optional", who) for name, who in optional.items()]
    programs = [
        Program(
            name=name,
            package=tables().package(f"bin/{name}"),
            kind="driver" if name in tables().driver_programs else "os",
            by=tuple(sorted(who)),
        )
        for name, who in started.items()
    ]
    packages = {item.package for item in libraries if item.kind == "os"}
    packages |= {item.package for item in programs if item.kind == "os"}
    return System(
        packages=tuple(sorted(packages - {""})),
        libraries=tuple(sorted(libraries, key=lambda item: item.soname)),
        programs=tuple(sorted(programs, key=lambda item: item.name)),
    )


def _library(soname: str, kind: Kind, owners: Iterable[str]) -> Library:
    shown: Kind = "driver" if tables().is_driver(soname) else kind
    return Library(soname=soname, package=tables().package(soname), kind=shown, by=min(owners))


def _by_name(versions: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """What the distributions open or start by its name: ``{soname or "bin/NAME": distributions}``."""
    said = tables().by_name
    wanted = {name for distribution in versions for name in said.get(distribution, ())}
    return {name: frozenset(item for item in versions if name in said.get(item, ())) for name in wanted}


def _unknown(item: Library) -> Finding:
    return Finding(
        code="library-unknown",
        subject=item.soname,
        message=f"{item.by} needs the shared library {item.soname}, and no package is known to hold it.",
        cure="Install what holds it by hand where the capsule is restored, and in the image's base.",
    )


def _missing(item: Library) -> Finding:
    line = install_line([item.soname])
    return Finding(
        code="library-missing",
        subject=item.soname,
        message=f"{item.by} needs the shared library {item.soname}, which this machine does not have.",
        cure=f"Install it: {line}." if line else "Install the package that holds it.",
    )

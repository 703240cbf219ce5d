"""The history of one workflow out of its repository: each version, what it follows, and what that changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from ..capsule import Digests, sha256_bytes
from ..capsule.archive import MANIFEST
from ..contract import Contract, Effect, compare_contracts, read_contract_json
from ..errors import BadInput
from .carried import CarriedFiles
from .models import Manifest, ManifestEntry, Version, iso_time, read_message
from .reading import TEXTS
from .repository import Commit, Repository

_CONTRACT = "contract.json"


class Past(NamedTuple):
    """What is kept of one workflow: branches and tags with their commits, and the versions, the newest first."""

    refs: Mapping[str, str]
    versions: tuple[Version, ...]


class _Said(NamedTuple):
    commit: Commit
    message: str
    digests: Digests
    parent: str  # the commit of the nearest version before it


def past_of(repository: Repository, workflow: str, files: CarriedFiles | None = None) -> Past:
    """The past of `workflow`, whose repository that is. Commits that are no versions, e.g. a person's own, are passed.

    `files` says which of the carried files are here; without it, only what the commits themselves say is told.
    """
    refs = repository.refs()
    log = repository.log() if refs else []
    said = _versions(log)
    places = [(commit, MANIFEST) for commit in said]
    for commit, each in said.items():
        if each.parent and said[each.parent].digests.contract != each.digests.contract:
            places += [(each.parent, _CONTRACT), (commit, _CONTRACT)]
    found = repository.read(places) if places and files else {}
    versions = []
    for commit, each in said.items():
        parent = said.get(each.parent)
        carried = _carried(found.get((commit, MANIFEST), b""), each.digests)
        versions.append(
            Version(
                workflow=workflow,
                id=each.digests.id,
                commit=commit,
                digests=each.digests,
                message=each.message,
                time=iso_time(each.commit.time),
                parent=each.parent,
                branches=_named(refs, "refs/heads/", commit),
                tags=_named(refs, "refs/tags/", commit),
                contract=_contract(parent, each, found),
                environment=_environment(parent, each),
                carried=sum(entry.size for entry in carried),
                missing=sum(entry.size for entry in carried if files and not files.has(entry)),
            )
        )
    return Past(refs, tuple(versions))


def _versions(log: Iterable[Commit]) -> dict[str, _Said]:
    commits = {commit.id: commit for commit in log}
    read = {commit.id: said for commit in commits.values() if (said := read_message(commit.message))}
    return {
        name: _Said(commits[name], message, digests, _version_before(commits[name], commits, read))
        for name, (message, digests) in read.items()
    }


def _version_before(commit: Commit, commits: Mapping[str, Commit], versions: Mapping[str, object]) -> str:
    while commit.parents:
        parent = commit.parents[0]
        if parent in versions:
            return parent
        if parent not in commits:
            break  # a shallow copy ends here
        commit = commits[parent]
    return ""


def _named(refs: Mapping[str, str], kind: str, commit: str) -> tuple[str, ...]:
    names = [ref.removeprefix(kind) for ref, named in refs.items() if ref.startswith(kind) and named == commit]
    return tuple(sorted(names, key=lambda name: (name != "main", name)))


def _carried(manifest: bytes, digests: Digests) -> list[ManifestEntry]:
    """The entries beside git; none of a manifest that is not the capsule's, which `Versions.read` refuses by name."""
    if sha256_bytes(manifest) != digests.capsule:
        return []
    try:
        entries = Manifest.model_validate_json(manifest).entries
    except ValueError:
        return []
    return [entry for name, entry in entries.items() if name not in TEXTS]


def _contract(
    parent: _Said | None, said: _Said, found: Mapping[tuple[str, str], bytes]
) -> Effect | Literal["first", "same", "unreadable"]:
    if parent is None:
        return "first"
    if parent.digests.contract == said.digests.contract:
        return "same"
    before, after = (_read(found.get((each.commit.id, _CONTRACT), b"")) for each in (parent, said))
    return compare_contracts(before, after).verdict if before and after else "unreadable"


def _read(data: bytes) -> Contract | None:
    try:
        return read_contract_json(json.loads(data))
    except (ValueError, RecursionError, BadInput):
        return None


def _environment(parent: _Said | None, said: _Said) -> Literal["first", "same", "changed"]:
    if parent is None:
        return "first"
    return "same" if parent.digests.environment == said.digests.environment else "changed"

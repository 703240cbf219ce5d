"""A folder of kept versions: for each workflow a git repository, and beside them the files that capsules carry.

``DIR/NAME.git`` is a bare repository with a commit for each capsule; its tree is the capsule's texts and manifest.
``DIR/files`` holds what else a capsule carries, by content. Any git reads the first, and `Versions` gives back whole
capsules, byte for byte, out of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..capsule import VENDOR, WORKFLOW_NAME, Capsule, Vendored, sha256_bytes
from ..capsule.archive import MANIFEST, Content, manifest_bytes, write_archive
from ..errors import BadInput, CapsuleError, of_system
from ..progress import Report, silent
from .carried import CarriedFiles
from .history import Past, past_of
from .models import Keeping, Kept, Pruned, Version, Workflow, commit_message
from .reading import TEXTS, damaged, read_kept, read_manifest
from .repository import Repository, checked_name, make_repository

#: The branch that an export goes on with when it does not say which capsule it follows.
BRANCH = "main"

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_SHORT = re.compile(r"[0-9a-f]{4,64}")
# ComfyUI gives out and takes in, over HTTP and unasked, all files of a user but those of one whose name begins so
# (folder_paths.get_system_user_directory, 0.30.0).
_OWN_USER = "__capsule"
_USER = re.compile(r"[A-Za-z0-9_-]{1,100}")  # as ComfyUI makes the ids of users; a person may write others


class _Place(NamedTuple):
    """Where a new version goes: the ref, the commit that it names now, and the version that is followed."""

    ref: str
    before: str
    parent: Version | None


class Versions:
    """The kept versions in `folder`, which need not exist yet. Safe with several processes, and after a kill.

    A version is named ``WORKFLOW``, its newest on `BRANCH`, or ``WORKFLOW@WHICH``, where WHICH is a branch, a tag, or
    the beginning (4 hex digits or more) of a capsule's id or of a commit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # git is asked from within its repositories
        self._files = CarriedFiles(self.folder / "files")

    def workflows(self) -> tuple[Workflow, ...]:
        """Every workflow that has versions here, by name."""
        found = []
        for path in sorted(self.folder.glob("*.git")):
            name = path.name.removesuffix(".git")
            if WORKFLOW_NAME.fullmatch(name) and (versions := self.history(name)):
                newest = versions[0]
                found.append(Workflow(name=name, versions=len(versions), newest=newest.id, time=newest.time))
        return tuple(found)

    def history(self, workflow: str) -> tuple[Version, ...]:
        """Every version of `workflow`, on all branches, the newest first.

        Raises:
            BadInput: ``no-versions``, ``versions-unsafe``.
        """
        return self._past(workflow).versions

    def find(self, name: str) -> Version:
        """The version that ``WORKFLOW`` or ``WORKFLOW@WHICH`` names.

        Raises:
            BadInput: ``no-versions``, ``no-version``, ``version-ambiguous``.
        """
        workflow, _, which = name.partition("@")
        return _chosen(self._past(workflow), workflow, which)

    def keep(self, capsule: Capsule, *, message: str = "", parent: str = "", branch: str = "") -> Version:
        """Keep `capsule` as a new version; the newest one of its branch is not kept a second time.

        Args:
            message: what it is; else what the capsule itself says.
            parent: which version it follows, as WHICH in `find`; else the one that the capsule names as its parent, if
                that is here, or the newest of the branch. An older one that another version follows already gets a
                branch of its own, ``from-ID``.
            branch: the branch to put it on, made where there is none.

        Raises:
            BadInput: ``no-version`` for an unknown parent, ``bad-name``, ``not-newest``, ``version-damaged`` for a
                capsule that another Comfy Capsule has sealed, ``versions-unsafe``.
            CapsuleError: ``versions-locked``, ``no-program`` without git.
        """
        entries = capsule.entries()
        manifest = manifest_bytes(entries)
        digests = capsule.digests
        if sha256_bytes(manifest) != digests.capsule:
            text = f"The capsule {digests.id} was sealed by another version of Comfy Capsule."
            raise BadInput("version-damaged", text, "Export it again, and keep that.")
        if branch:
            checked_name(branch, "branch")
        repository = make_repository(self._repository(capsule.name))
        for data in capsule.files.values():
            self._files.put(data)
        texts = {name: data for name, data in entries.items() if name in TEXTS and isinstance(data, bytes)}
        tree = repository.write({**texts, MANIFEST: manifest})
        text = commit_message(message or capsule.lock.message, digests)
        while True:
            place = _place(past_of(repository, capsule.name), capsule, parent, branch)
            commit = place.before
            if not (place.parent and (commit, digests) == (place.parent.commit, place.parent.digests)):
                after = place.before or (place.parent.commit if place.parent else "")
                commit = repository.commit(tree, after, text)
                if not repository.move(place.ref, commit, place.before):
                    continue  # another was first: it is what this one follows
            return next(each for each in self.history(capsule.name) if each.commit == commit)

    def read(self, version: Version) -> Kept:
        """What git holds of `version`. Raises BadInput ``version-damaged``, ``capsule-too-new``."""
        repository = self._opened(version.workflow)
        found = repository.read([(version.commit, name) for name in (*TEXTS, MANIFEST)])
        return read_kept({name: data for (_, name), data in found.items()}, version, self.folder)

    def write(self, version: Version, path: Path) -> None:
        """Write the capsule of `version` to `path`: the very bytes that it had when it was kept, without those that
        were vendored in it, which are no part of a version.

        Raises:
            BadInput: ``version-pruned`` when files of it are no longer here, ``version-damaged``.
        """
        kept = self.read(version)
        entries: dict[str, Content] = dict(kept.texts)
        missing = []
        for name, entry in kept.files.items():
            if name.startswith(VENDOR):
                entries[name] = Vendored(entry.size, entry.sha256, None)
                continue
            data = self._files.get(entry)
            if data is None:
                missing.append(name)
            else:
                entries[name] = data
        if missing:
            size = sum(kept.files[name].size for name in missing)
            raise BadInput(
                "version-pruned",
                f"{len(missing)} file(s) of version {version.id}, {size:,} bytes, are not kept here; "
                f"the first is {missing[0]}.",
                "Its workflow, contract and lock can still be had; or keep the capsule's file again.",
            )
        if sha256_bytes(manifest_bytes(entries)) != version.digests.capsule:
            raise damaged(version, "its files do not make the capsule that it says")
        write_archive(path, entries, part=0)

    def tag(self, version: Version, name: str) -> None:
        """Give `version` a name that stays. Raises BadInput ``bad-name``, ``name-taken``."""
        self._name(version, f"{_TAGS}{checked_name(name, 'tag')}")

    def branch(self, version: Version, name: str) -> None:
        """Begin the branch `name` at `version`. Raises BadInput ``bad-name``, ``name-taken``."""
        self._name(version, f"{_HEADS}{checked_name(name, 'branch')}")

    def push(self, workflow: str, remote: str, report: Report = silent) -> None:
        """Send every branch and tag of `workflow` to the git remote at `remote`; the carried files stay here.

        Raises: as `Repository.push`.
        """
        self._opened(workflow).push(remote, report)

    def size(self) -> tuple[int, int]:
        """Bytes of the carried files, and of git's."""
        git = (path for folder in self.folder.glob("*.git") for path in folder.rglob("*") if path.is_file())
        return self._files.size(), sum(path.stat().st_size for path in git)

    def prune(self, last: int, *, dry_run: bool = False) -> Pruned:
        """Remove the carried files of all but the `last` newest versions of each workflow.

        Tagged versions and the newest of each branch keep theirs, and every version its texts. Files of less than an
        hour stay: their version may be under way.

        Raises:
            BadInput: ``version-damaged`` when a version that stays cannot say what it needs; nothing is removed then.
        """
        wanted: set[str] = set()
        for workflow in self.workflows():
            repository = self._opened(workflow.name)
            history = self.history(workflow.name)
            stay = [each for number, each in enumerate(history) if number < last or each.tags or each.branches]
            found = repository.read([(each.commit, MANIFEST) for each in stay])
            for each in stay:
                manifest = read_manifest(found.get((each.commit, MANIFEST), b""), each, self.folder)
                wanted.update(entry.sha256 for entry in manifest.entries.values())
        files, size = self._files.drop(wanted, dry_run=dry_run)
        return Pruned(files=files, bytes=size, left=self._files.size() - (size if dry_run else 0))

    def _repository(self, workflow: str) -> Path:
        if not WORKFLOW_NAME.fullmatch(workflow):
            raise BadInput("no-versions", f"{workflow!r} is no workflow's name.", "See `comfy-capsule versions list`.")
        return self.folder / f"{workflow}.git"

    def _opened(self, workflow: str) -> Repository:
        folder = self._repository(workflow)
        if not folder.is_dir():
            message = f"No versions of {workflow!r} are kept in {self.folder}."
            raise BadInput("no-versions", message, "See `comfy-capsule versions list`, or keep one first.")
        return Repository(folder)

    def _past(self, workflow: str) -> Past:
        return past_of(self._opened(workflow), workflow, self._files)

    def _name(self, version: Version, ref: str) -> None:
        repository = self._opened(version.workflow)
        if repository.refs().get(ref) != version.commit and not repository.move(ref, version.commit, ""):
            kind, name = ("tag", ref.removeprefix(_TAGS)) if ref.startswith(_TAGS) else ("branch", ref[len(_HEADS) :])
            message = f"{version.workflow} has a {kind} {name!r} already, of another version."
            raise BadInput("name-taken", message, "Choose another name.")


def versions_folder(user_dir: Path, user: str) -> Path:
    """Where the versions of the ComfyUI user `user` are kept: in ComfyUI's user folder, out of reach of its routes."""
    return user_dir / _OWN_USER / (user if _USER.fullmatch(user) else sha256_bytes(user.encode("utf-8", "replace")))


def keep_export(folder: Path, capsule: Capsule) -> Keeping:
    """Keep a capsule that was just made: what stands against it is told, for the capsule is there all the same."""
    try:
        return Keeping(version=Versions(folder).keep(capsule))
    except CapsuleError as error:
        return Keeping(reason=error.message, cure=error.cure)
    except OSError as error:
        failed = of_system(error)
        return Keeping(reason=failed.message, cure=failed.cure)


def _chosen(past: Past, workflow: str, which: str) -> Version:
    named: Mapping[str, str] = past.refs
    commit = next((named[ref] for ref in _refs_of(which) if ref in named), "")
    found: Sequence[Version] = [each for each in past.versions if commit and each.commit == commit]
    if not found and not which:
        found = past.versions[:1]
    if not found and _SHORT.fullmatch(which):
        # The same capsule may have been kept twice, with another between: the newer one is meant.
        found = [each for each in past.versions if each.digests.capsule.startswith(which)]
        if len({each.digests.capsule for each in found}) == 1:
            found = found[:1]
        found = found or [each for each in past.versions if each.commit.startswith(which)]
    if len(found) > 1:
        message = f"{which!r} may be any of {len(found)} versions of {workflow}."
        raise BadInput("version-ambiguous", message, "Give more digits of the id.")
    if not found:
        message = f"There is no version {which!r} of {workflow}." if which else f"{workflow} has no version yet."
        raise BadInput("no-version", message, f"See `comfy-capsule versions list {workflow}`.")
    return found[0]


def _refs_of(which: str) -> tuple[str, ...]:
    return (f"{_TAGS}{which}", f"{_HEADS}{which}") if which else (f"{_HEADS}{BRANCH}",)


def _place(past: Past, capsule: Capsule, parent: str, branch: str) -> _Place:
    by_commit = {each.commit: each for each in past.versions}
    followed = _chosen(past, capsule.name, parent) if parent else _own_parent(past, capsule.lock.parent)
    if branch:
        ref = f"{_HEADS}{branch}"
        if (tip := past.refs.get(ref, "")) and followed and tip != followed.commit:
            message = f"{followed.id} is not the newest version of the branch {branch!r}."
            raise BadInput("not-newest", message, "Give another name with --branch, or none.")
        newest = by_commit.get(tip) if tip else followed or by_commit.get(past.refs.get(f"{_HEADS}{BRANCH}", ""))
        return _Place(ref, tip, newest)
    main = past.refs.get(f"{_HEADS}{BRANCH}", "")
    if followed is None or followed.commit == main:
        return _Place(f"{_HEADS}{BRANCH}", main, by_commit.get(main))
    if followed.branches:
        return _Place(f"{_HEADS}{followed.branches[0]}", followed.commit, followed)
    name = f"from-{followed.id}"
    numbers = (name if number == 1 else f"{name}-{number}" for number in range(1, len(past.refs) + 3))
    return _Place(next(f"{_HEADS}{each}" for each in numbers if f"{_HEADS}{each}" not in past.refs), "", followed)


def _own_parent(past: Past, parent: str) -> Version | None:
    """The version that the capsule itself says it follows, when it is here; it may have been made elsewhere."""
    return next((each for each in past.versions if parent and each.id == parent), None)

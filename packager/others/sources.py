"""ComfyUI and its packs at the commits that another tool's file names, out of their origins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..capsule import Checkout, Finding, git, safe_name
from ..command import without_credentials
from ..errors import BadInput, Cancelled, CapsuleError
from ..materialise import check_out, place, remove_tree, tagged_commit
from ..progress import Progress, Report
from .findings import assumed, left_out, named_only, resolved_today
from .models import Described, NamedPack
from .names import is_commit, is_local, is_remote
from .registry import fetch_archive

#: Where ComfyUI is developed; no other tool's file says which repository its commit is of.
COMFYUI = "https://github.com/comfyanonymous/ComfyUI"

_PARALLEL = 8  # fetches at once
_DEEPEST = 5  # submodules in submodules
_MOST = 200  # submodules of one pack
_GITLINK = re.compile(rb"160000 commit ([0-9a-f]{40,64})\t(.+)", re.DOTALL)


class Places(BaseModel):
    """Where sources are to be had.

    Attributes:
        comfyui: ComfyUI's repository, for a file that names a commit only.
        registry: the address of the Comfy registry's API; empty where it is not to be asked.
        local: whether folders of this machine may be read, which a stranger's file may name as well.
    """

    model_config = ConfigDict(frozen=True)

    comfyui: str = COMFYUI
    registry: str = ""
    local: bool = False

    def allows(self, origin: str) -> bool:
        """Whether git may be sent to `origin`."""
        return is_remote(origin) or (self.local and is_local(origin))


def fetch_sources(said: Described, comfyui: Path, places: Places, report: Report) -> list[Finding]:
    """Make `comfyui`, which must not exist, the ComfyUI of `said` with its packs, as checkouts. Nothing of them runs.

    Returns:
        What was looked up or assumed, and each pack that could not be had; it is not there then.

    Raises:
        BadInput: ``no-comfyui-commit``, ``local-origin-refused``.
        CapsuleError: as `check_out`, of ComfyUI itself.
    """
    commit, findings = comfyui_commit(said, places)
    packs, doubled = _without_doubles(said.packs)
    findings += doubled
    report(Progress(phase="sources", item="ComfyUI", total=len(packs) + 1))
    check_out("ComfyUI", Checkout(origin=places.comfyui, commit=commit), comfyui, {})
    findings += _submodules("ComfyUI", places.comfyui, comfyui, places)
    executor = ThreadPoolExecutor(min(_PARALLEL, len(packs) or 1), thread_name_prefix="sources")
    try:
        running = [executor.submit(_fetch, pack, comfyui, places) for pack in packs]
        for done, (pack, future) in enumerate(zip(packs, running, strict=True), 2):
            findings += future.result()
            report(Progress(phase="sources", item=pack.name, done=done, total=len(packs) + 1))
    finally:
        executor.shutdown(cancel_futures=True)
    return findings


def comfyui_commit(said: Described, places: Places) -> tuple[str, list[Finding]]:
    """The commit of ComfyUI, and what had to be assumed; a tag is looked up.

    Raises:
        BadInput: ``no-comfyui-commit``, ``local-origin-refused``.
    """
    if not places.allows(places.comfyui):
        message = f"{places.comfyui!r} is no address of a host."
        raise BadInput("local-origin-refused", message, "Allow folders of this machine with --local-origins.")
    findings = [
        assumed(
            "ComfyUI",
            f"The file names ComfyUI's commit, but not its repository; {without_credentials(places.comfyui)} is taken.",
            "Name a fork with --comfyui-origin URL.",
        )
    ]
    if is_commit(said.comfyui):
        return said.comfyui, findings
    commit = tagged_commit(places.comfyui, said.comfyui) if said.comfyui else ""
    if not commit:
        message = f"The file says no commit of ComfyUI ({said.comfyui[:80]!r})."
        raise BadInput("no-comfyui-commit", message, "Name it with --comfyui-commit COMMIT, or a tag such as v0.3.40.")
    message = f"The file names ComfyUI by the tag {said.comfyui}, which is commit {commit} today."
    return commit, [*findings, resolved_today("ComfyUI", message)]


def _without_doubles(packs: Sequence[NamedPack]) -> tuple[list[NamedPack], list[Finding]]:
    """Of several for one folder, also on systems that do not tell case apart, the first."""
    kept: dict[str, NamedPack] = {}
    findings = []
    for pack in packs:
        if kept.setdefault(pack.name.casefold(), pack) is not pack:
            findings.append(left_out(pack.name, f"Two packs go into the folder {pack.name!r}; the first is taken."))
    return list(kept.values()), findings


def _fetch(pack: NamedPack, comfyui: Path, places: Places) -> list[Finding]:
    """Make the pack's folder; on failure there is none, and a finding says why."""
    subject = f"the pack {pack.name!r}"
    if pack.kind == "git" and not places.allows(pack.origin):
        message = f"The origin of {subject} is a folder of this machine, {pack.origin}, which was not read."
        return [named_only(pack.name, message, "Allow that with --local-origins, if the file is your own.")]
    if pack.kind == "registry" and not places.registry:
        message = f"{subject[0].upper()}{subject[1:]} is {pack.registry} of the registry, which was not asked."
        return [named_only(pack.name, message, "Name the address of the registry's API with --registry URL.")]
    into = place(comfyui, f"custom_nodes/{pack.path}")  # which a checkout of ComfyUI may hold as a link elsewhere
    try:
        if pack.kind == "registry":
            fetch_archive(places.registry, pack.registry, into)
            message = (
                f"The archive of {pack.registry} is the one that the registry gives today; its hash was not known."
            )
            return [resolved_today(pack.name, message)]
        check_out(subject, Checkout(origin=pack.origin, commit=pack.commit), into, {})
        return _submodules(pack.name, pack.origin, into, places)
    except Cancelled:
        raise
    except CapsuleError as error:
        if into.exists():
            remove_tree(into)
        return [named_only(pack.name, f"{subject[0].upper()}{subject[1:]} cannot be had: {error.message}", error.cure)]


def _submodules(subject: str, origin: str, into: Path, places: Places, depth: int = 1) -> list[Finding]:
    """Check out the submodules of the checkout `into` at the commits it names; a finding for each that fails."""
    findings: list[Finding] = []
    for number, (path, url, commit) in enumerate(_gitlinks(into, origin)):
        what = f"The submodule {path} of {subject}"
        if number >= _MOST or depth > _DEEPEST:
            return [*findings, left_out(subject, f"{what} and more are left out: there are too many.")]
        # A pack of a host must not make us read, and carry, a repository of this user.
        if not is_remote(url) and not (places.local and is_local(origin) and is_local(url)):
            findings.append(named_only(subject, f"{what} has no address of a host ({without_credentials(url)!r})."))
            continue
        try:
            folder = place(into, safe_name(path))
            check_out(f"the submodule {path} of {subject}", Checkout(origin=url, commit=commit), folder, {})
        except Cancelled:
            raise
        except CapsuleError as error:
            findings.append(named_only(subject, f"{what} cannot be had: {error.message}", error.cure))
        else:
            findings += _submodules(f"{subject}/{path}", url, folder, places, depth + 1)
    return findings


def _gitlinks(checkout: Path, origin: str) -> Iterator[tuple[str, str, str]]:
    """(path, URL, commit) of every submodule in HEAD; after gitmodules(5), a relative URL is one beside `origin`."""
    listed = git(checkout, "ls-tree", "-r", "-z", "HEAD").split(b"\0")
    links = [found for entry in listed if (found := _GITLINK.fullmatch(entry))]
    if not links:
        return
    try:
        said = git(
            checkout, "config", "-z", "--blob", "HEAD:.gitmodules", "--get-regexp", r"^submodule\..*\.(path|url)$"
        )
    except CapsuleError:
        said = b""  # links that nothing is said of: each is told of by its empty address
    settings = dict(entry.partition("\n")[::2] for entry in said.decode("utf-8", "replace").split("\0") if entry)
    urls = {
        value: settings.get(key.removesuffix(".path") + ".url", "")
        for key, value in settings.items()
        if key.endswith(".path")
    }
    for found in links:
        path = found[2].decode("utf-8", "replace")
        yield path, _beside(origin, urls.get(path, "")), found[1].decode()


def _beside(origin: str, url: str) -> str:
    if not url.startswith(("./", "../")):
        return url
    base, rest = origin.rstrip("/"), url
    while rest.startswith(("./", "../")):
        if rest.startswith("../"):
            base = re.sub(r"[/:][^/:]*\Z", "", base)
        rest = rest.partition("/")[2]
    return f"{base}/{rest}"

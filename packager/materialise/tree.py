"""One source tree of a capsule on disk, whatever kind it is, proved equal to what the lock says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from ..capsule import Source, Vendored, extract_tar, sha256_file, tree_digest, tree_files
from ..errors import CapsuleError
from .checkout import check_out, remove_git
from .paths import place


def make_tree(
    subject: str,
    source: Source,
    into: Path,
    files: Mapping[str, bytes],
    *,
    with_git: bool,
    without: Collection[str] = (),
    vendored: Mapping[str, Vendored] = MappingProxyType({}),
) -> list[str]:
    """Make `into`, which must not exist, the tree that the lock says. Nothing of it runs.

    Args:
        subject: what errors call it, e.g. ``the pack 'ComfyUI-GGUF'``.
        files: the capsule's, by entry name.
        with_git: leave ordinary checkouts, or bare files without ``.git``.
        without: names at the top that are other things than this tree.
        vendored: the capsule's git bundles, by commit.

    Returns:
        The names of the tree's files; none of a single file.

    Raises:
        BadInput, CapsuleError: as `check_out` and `extract_tar`; ``tree-differs``.
    """
    if source.kind == "git":
        check_out(subject, source, into, files, vendored)
        for inner in source.submodules:
            check_out(f"{inner.path} in {subject}", inner, place(into, inner.path), files, vendored)
    elif source.kind == "file":
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes(files[source.carried])
    else:
        extract_tar(files[source.carried], into)
    names = [] if source.kind == "file" else tree_files(into, without)
    found = sha256_file(into) if source.kind == "file" else tree_digest(into, names)
    if source.tree and found != source.tree:
        raise CapsuleError(
            "tree-differs",
            f"{subject[0].upper()}{subject[1:]} has other files than the capsule says "
            f"(tree {found[:12]}, expected {source.tree[:12]}).",
            "It changed while the capsule was made; export it again.",
        )
    if source.kind == "git" and not with_git:
        remove_git(into)
    return names

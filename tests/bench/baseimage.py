"""A base image from Debian packages, where no registry can be reached: it stands in for ``debian:bookworm-slim``.

The root file system is bit-identical however often it is made from one state of the mirror, and kept in the bench
cache; with a fixed epoch the image made from it has the same id in every engine.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from comfy_capsule.packager.command import run
from comfy_capsule.packager.errors import CapsuleError

from .engine import Engine, cache_folder

TAG = "comfy-capsule/bench-base:bookworm"
ARM = "comfy-capsule/bench-python:bookworm-arm64"

_PACKAGES = (
    # What bookworm-slim's users expect.
    *("ca-certificates", "netbase", "tzdata"),
    # What a Python prefix built on bookworm is linked to.
    *("libbz2-1.0", "libdb5.3", "libffi8", "libgdbm6", "liblzma5", "libncursesw6", "libnsl2", "libreadline8"),
    *("libsqlite3-0", "libssl3", "libtirpc3", "libuuid1", "zlib1g"),
    # What the lock of the bench's ComfyUI names, and no more: a library that it forgets is not there.
    *("libfribidi0", "libgcc-s1", "libstdc++6"),
)

# That for another machine brings its Python, where the images of Docker's own library have theirs: none can be carried.
_PYTHON = ("python3", "python3-venv")
_PYTHON_AT = 'ln -s ../../bin/python3 "$1"/usr/local/bin/python3\n'

_EPOCH = "1700000000"

_CLEAN = """\
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/apt "$1"/var/log/dpkg.log \
"$1"/var/log/alternatives.log "$1"/var/cache/ldconfig/aux-cache "$1"/usr/share/doc/* "$1"/usr/share/man/*
"""

_DOCKERFILE = """\
FROM scratch
ADD rootfs.tar /
ENV LANG=C.UTF-8
CMD ["bash"]
"""


def base_image(engine: Engine, *, arm: bool = False) -> str:
    """Make sure that `TAG` is in `engine`; returns it: an image that no registry knows has no other name for FROM.

    With `arm` it is `ARM`, for another machine than this one, with Debian's Python.

    (In an engine with containerd's store it has one by digest too, which `packager.image` then finds by itself.)

    Raises:
        CapsuleError: ``no-program`` without mmdebstrap on an engine that cannot pull either.
    """
    tag, packages, arch = (ARM, (*_PACKAGES, *_PYTHON), "arm64") if arm else (TAG, _PACKAGES, "amd64")
    clean = _CLEAN + _PYTHON_AT if arm else _CLEAN
    recipe = _recipe(packages, clean)
    try:
        # The label says from which recipe the image was made, so that a changed recipe makes it anew.
        found = engine.docker("image", "inspect", "-f", '{{.Id}} {{index .Config.Labels "recipe"}}', tag).split()
        if found[1:] == [recipe]:
            return tag
    except CapsuleError:
        pass  # not there yet
    root = _root_file_system(recipe, packages, clean, arch)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        context = Path(folder)
        os.link(root, context / "rootfs.tar")
        (context / "Dockerfile").write_text(_DOCKERFILE)
        engine.docker(
            *("buildx", "build", "--load", "--provenance=false", "--label", f"recipe={recipe}"),
            *("--build-arg", f"SOURCE_DATE_EPOCH={_EPOCH}", "--platform", f"linux/{arch}", "-t", tag, folder),
        )
    return tag


def root_file_system() -> Path:
    """That of `TAG`, as an archive."""
    return _root_file_system(_recipe(_PACKAGES, _CLEAN), _PACKAGES, _CLEAN, "amd64")


def _recipe(packages: Sequence[str], clean: str) -> str:
    return hashlib.sha256("".join((*packages, _EPOCH, clean, _DOCKERFILE)).encode()).hexdigest()[:16]


def _root_file_system(recipe: str, packages: Sequence[str], clean: str, arch: str) -> Path:
    tar = cache_folder() / "base" / f"bookworm-{recipe}.tar"
    if tar.exists():
        return tar
    tar.parent.mkdir(parents=True, exist_ok=True)
    hook = tar.parent / f"clean-{arch}.sh"
    hook.write_text(f"#!/bin/sh\nset -eu\n{clean}")
    hook.chmod(0o755)
    making = tar.with_suffix(".making.tar")
    # A clean environment: what it inherits (LANG, umask, proxies) must not reach the bytes.
    run(
        [
            *("env", "-i", f"PATH={os.environ['PATH']}", "LC_ALL=C.UTF-8", f"SOURCE_DATE_EPOCH={_EPOCH}"),
            *("mmdebstrap", "--variant=apt", f"--architectures={arch}", f"--include={','.join(packages)}"),
            "--quiet",
            *("--aptopt=APT::Install-Recommends false", f'--customize-hook={hook} "$1"'),
            *("bookworm", making),
        ],
        timeout=900,
    )
    making.rename(tar)
    return tar

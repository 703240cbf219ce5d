"""The TypeScript compiler of the npm registry, in the cache folder: what users of a generated client have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .cache import building, cache_root

VERSION = "5.9.3"


def compiled(source: Path) -> Path:
    """The JavaScript module that the strict compiler makes of `source`, beside it."""
    words = ["--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "es2022"]
    words += ["--lib", "es2022,dom", "--moduleResolution", "bundler"]
    done = subprocess.run(["node", _compiler(), *words, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return source.with_suffix(".js").rename(source.with_suffix(".mjs"))


def _compiler() -> Path:
    folder = cache_root() / f"typescript-{VERSION}"
    if not folder.is_dir():
        npm = shutil.which("npm")
        assert npm, "A test of the TypeScript client needs npm, which is not here: install Node."
        with building(folder) as place:
            if place is not None:
                quiet = ["--no-audit", "--no-fund", "--silent"]
                subprocess.run([npm, "install", *quiet, "--prefix", place, f"typescript@{VERSION}"], check=True)
    return folder / "node_modules/typescript/lib/tsc.js"

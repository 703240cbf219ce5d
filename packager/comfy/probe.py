"""Says where a ComfyUI keeps its things: runs in the install's own Python, so only the standard library is used.

`find_install` runs this file's text with ``python -c`` in the install's folder; `live_install` imports `describe`.
What is read is what ComfyUI's ``main.py`` (0.30.0, ``apply_custom_paths``) has set up before it loads any pack.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from typing import Any

EXTRA_CONFIG = "extra_model_paths.yaml"
# main.py offers these as places for what nodes save, whatever the output folder is.
_SAVED_MODELS = ("checkpoints", "clip", "vae", "diffusion_models", "loras")


def describe(folder_paths: Any, configs: Iterable[str], arguments: Iterable[str]) -> dict[str, Any]:
    """What `Install` holds, as JSON values, out of ComfyUI's loaded `folder_paths` module."""
    table = dict(folder_paths.folder_names_and_paths)
    custom_nodes = table.pop("custom_nodes", ([], set()))[0]
    return {
        "version": _version(),
        "python_version": platform.python_version(),
        "implementation": sys.implementation.name,
        "base_prefix": os.path.realpath(sys.base_prefix),
        "site_packages": _site_packages(),
        "custom_nodes": _unique(custom_nodes),
        "model_folders": {name: _unique(places) for name, (places, _) in table.items()},
        "model_extensions": {name: sorted(extensions) for name, (_, extensions) in table.items()},
        "input_dir": folder_paths.get_input_directory(),
        "output_dir": folder_paths.get_output_directory(),
        "temp_dir": folder_paths.get_temp_directory(),
        "user_dir": folder_paths.get_user_directory(),
        "extra_model_paths": [os.path.abspath(config) for config in configs],
        "arguments": list(arguments),
    }


def extra_configs(root: str, args: Any) -> list[str]:
    """The ``extra_model_paths`` files that a ComfyUI at `root` with these parsed arguments reads, in order."""
    found = [path for path in [os.path.join(root, EXTRA_CONFIG)] if os.path.isfile(path)]
    for group in getattr(args, "extra_model_paths_config", None) or []:
        found.extend(group)
    return found


def _version() -> str:
    try:
        return str(importlib.import_module("comfyui_version").__version__)
    except ImportError:  # before 0.3.12 the version stood in no module
        return ""


def _site_packages() -> list[str]:
    """In import order, a user's or the system's own included when this Python sees them."""
    places = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return _unique(path for path in places if os.path.isdir(path))


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(os.path.abspath(path) for path in paths))


def _load(root: str, arguments: list[str]) -> tuple[Any, list[str]]:
    """Import ComfyUI's `folder_paths` as its ``main.py`` would; nothing is written."""
    sys.path.insert(0, root)
    sys.argv = [os.path.join(root, "main.py"), *arguments]
    importlib.import_module("comfy.options").enable_args_parsing()
    args = importlib.import_module("comfy.cli_args").args
    makedirs = os.makedirs
    os.makedirs = lambda *_, **__: None  # importing folder_paths makes the input folder: reading must not
    try:
        folder_paths = importlib.import_module("folder_paths")
    finally:
        os.makedirs = makedirs
    configs = extra_configs(root, args)
    for config in configs:
        importlib.import_module("utils.extra_config").load_extra_path_config(config)
    if args.output_directory:
        folder_paths.set_output_directory(os.path.abspath(args.output_directory))
    for kind in _SAVED_MODELS:
        folder_paths.add_model_folder_path(kind, os.path.join(folder_paths.get_output_directory(), kind))
    if args.input_directory:
        folder_paths.set_input_directory(os.path.abspath(args.input_directory))
    if args.user_directory:
        folder_paths.set_user_directory(os.path.abspath(args.user_directory))
    if args.temp_directory:
        folder_paths.set_temp_directory(os.path.join(os.path.abspath(args.temp_directory), "temp"))
    return folder_paths, configs


def main() -> None:
    """Write the description of the ComfyUI at the first argument as one JSON line on standard output."""
    root, *arguments = sys.argv[1:]
    out, sys.stdout = sys.stdout, sys.stderr  # what ComfyUI says while it is imported is not the answer
    folder_paths, configs = _load(root, arguments)
    out.write(json.dumps(describe(folder_paths, configs, arguments)) + "\n")


if __name__ == "__main__":
    main()

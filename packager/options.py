"""What several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``: the answer, or the error, as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(function)


def engine_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--engine``: where images are built and run."""
    return click.option(
        "--engine",
        type=click.Choice(["docker", "podman"]),
        default="docker",
        envvar="COMFY_CAPSULE_ENGINE",
        show_default=True,
        show_envvar=True,
        help="Where images are.",
    )(function)


def python_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--python``: for an install whose Python stands in no usual place."""
    return click.option("--python", type=FILE, help="The Python that runs this ComfyUI, when it has no venv inside.")(
        function
    )

"""`comfy-capsule models`: the model files of capsules, in this user's store or in a folder that others share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import terminal
from .capsule import read_capsule
from .materialise import ModelStore
from .model_files import list_models, needed_models, pull_models, verify_models
from .options import FILE, FOLDER, json_option


def _of_capsules(function: Callable[..., Any]) -> Callable[..., Any]:
    """What each of these commands takes."""
    to = click.option("--to", type=FOLDER, metavar="DIR", help="The folder of models; this user's own when not said.")
    return click.argument("capsules", type=FILE, nargs=-1, required=True, metavar="CAPSULE…")(to(json_option(function)))


@click.group()
def models() -> None:
    """The model files of capsules, each once and named by its sha256.

    Examples: comfy-capsule models pull w.capsule.zip --to /models; comfy-capsule models verify w.capsule.zip
    """


@models.command("list")
@_of_capsules
def models_list(capsules: tuple[Path, ...], to: Path | None, as_json: bool) -> None:
    """Show which models the capsules need, and which are there; nothing is read or fetched."""
    found = list_models(needed_models([read_capsule(path) for path in capsules]), ModelStore(to))
    terminal.show_models(found, as_json)


@models.command("pull")
@_of_capsules
@click.option("--models-from", type=FOLDER, multiple=True, help="Look for models here first, by their sha256.")
@click.option("--only", multiple=True, metavar="SHA256", help="Only the model of this content.")
def models_pull(
    capsules: tuple[Path, ...], to: Path | None, models_from: tuple[Path, ...], only: tuple[str, ...], as_json: bool
) -> None:
    """Fetch what is missing, in pieces at once, from where an earlier attempt stopped; every byte is checked.

    Several may fill one folder at the same time. Tokens come from HF_TOKEN and CIVITAI_API_TOKEN.
    """
    read = [read_capsule(path) for path in capsules]
    wanted = needed_models(read)
    vendored = {name: item for capsule in read for name, item in capsule.vendored.items()}
    if only:
        wanted = tuple(model for model in wanted if model.sha256 in only)
    with terminal.progress_bars(as_json) as report:
        found = pull_models(wanted, ModelStore(to), report, models_from, vendored)
    terminal.show_models(found, as_json)


@models.command("verify")
@_of_capsules
def models_verify(capsules: tuple[Path, ...], to: Path | None, as_json: bool) -> None:
    """Read every byte of them again; exit with 1 when one is missing or damaged."""
    wanted = needed_models([read_capsule(path) for path in capsules])
    with terminal.progress_bars(as_json) as report:
        found = verify_models(wanted, ModelStore(to), report)
    terminal.show_models(found, as_json)
    if any(item.state != "here" for item in found):
        sys.exit(1)

"""`comfy-capsule serve`, which listens before it loads what it serves with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import BadInput
from .options import FILE, FOLDER, python_option


@click.command()
@click.argument("capsules", type=FILE, nargs=-1, metavar="CAPSULE…")
@click.option("--comfy", metavar="DIR|URL", help="A ComfyUI to start and watch, or one that runs.")
@click.option("--config", type=FILE, help="Settings in a TOML file; arguments and the environment go first.")
@click.option("--print-config", is_flag=True, help="Only print the settings that would be used, as such a file.")
@click.option("--host", help="Where to listen; 127.0.0.1 when not said.")
@click.option("--port", type=int, help="The port; 8288 when not said.")
@click.option("--api-key-file", type=FILE, help="API keys, one a line; needed to listen beyond loopback.")
@click.option("--insecure", is_flag=True, default=None, help="Listen beyond loopback without a key.")
@click.option("--state", type=FOLDER, help="Where executions, uploads and outputs are kept.")
@click.option("--secrets-dir", type=FOLDER, help="Where files give the secrets by name; /run/secrets when not said.")
@click.option("--arg", "arguments", multiple=True, help="A further launch argument for a ComfyUI that is started.")
@click.option(
    "--embed-workflow/--no-embed-workflow", default=None, help="Save the editor graph with pictures; the default."
)
@python_option
def serve(
    capsules: tuple[Path, ...],
    print_config: bool,
    api_key_file: Path | None,
    arguments: tuple[str, ...],
    python: Path | None,
    **settings: Any,
) -> None:
    """Serve capsules as a typed web API, in front of a ComfyUI.

    Example: comfy-capsule serve w.capsule.zip --comfy http://127.0.0.1:8188
    """
    from .gateway.listener import listen
    from .gateway.settings import read_settings, settings_text

    settings |= {"arguments": arguments or None, "python": str(python) if python else None, "key_file": api_key_file}
    read = read_settings(**settings)
    if print_config:
        click.echo(settings_text(read).rstrip())
        return
    if not capsules:
        raise BadInput("bad-usage", "Name the capsules to serve.", "comfy-capsule serve w.capsule.zip --comfy URL")
    with listen(read) as listener:  # whoever asks from now on is answered once the rest is loaded, below
        from . import terminal
        from .gateway import serve_files

        serve_files(capsules, read, terminal.say_progress, listener)

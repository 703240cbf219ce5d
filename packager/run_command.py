"""`comfy-capsule run`: an image, started the short way."""

from __future__ import annotations

import click

from .options import engine_option, json_option
from .progress import Progress


@click.command()
@click.argument("image", metavar="TAG")
@click.option("--address", default="127.0.0.1", show_default=True, help="Where it listens on this host.")
@click.option("--port", type=int, default=8000, show_default=True, help="The port there; 0 for any free one.")
@click.option("--models", default="", metavar="DIR|VOLUME", help="The models that are not in the image.")
@click.option("--gpus/--no-gpus", default=None, help="Give it this host's GPUs; where the engine can, when not said.")
@click.option("--detach", is_flag=True, help="Leave it running, and come back at once when it is ready.")
@engine_option
@json_option
def run(
    image: str, address: str, port: int, models: str, gpus: bool | None, detach: bool, engine: str, as_json: bool
) -> None:
    """Start an image with a fresh key, hardened, with a volume that keeps what it does. Ctrl-C stops it.

    Example: comfy-capsule run portrait:1
    """
    from . import terminal
    from .image import engine_named
    from .run_image import start_image, stop_image

    there = engine_named(engine)
    with terminal.progress_bars(as_json) as report:
        serving = start_image(there, image, address=address, port=port, models=models, gpus=gpus, report=report)
    if as_json:
        terminal.show_json(serving.model_dump())
    else:
        terminal.say(f"address   {serving.url}")
        terminal.say(f"workflow  POST {serving.url}/workflows/{serving.workflow}")
        terminal.say(f"key       {serving.key}")
        terminal.say(f"volume    {serving.volume}, which stays")
        terminal.say(f"container {serving.container[:12]}")
    if detach:
        return
    try:
        for line in there.log(serving.container, follow=True):
            terminal.say_progress(Progress(phase="", item=line))
    except KeyboardInterrupt:
        terminal.say_progress(Progress(phase="run", item="stopping, once what runs has ended"))
    finally:
        stop_image(there, serving)

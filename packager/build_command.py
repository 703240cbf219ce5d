"""`comfy-capsule build`: an image, or the context that one is built from."""

from __future__ import annotations

from pathlib import Path

import click

from . import terminal
from .errors import BadInput
from .materialise import Packs
from .options import FILE, FOLDER, engine_option, json_option


@click.command()
@click.argument("capsule", type=FILE)
@click.option("-t", "--tag", help="The image's name, e.g. portrait:1.")
@click.option(
    "--base", default="", help="The base image: debian, the default; python, of the captured version; or any."
)
@click.option("--context-only", type=FOLDER, help="Write the build context into this folder, without an engine.")
@click.option("--models-from", type=FOLDER, multiple=True, help="Look for models here, by their sha256.")
@click.option("--packs", type=click.Choice(["used", "all"]), default="used", show_default=True)
@click.option(
    "--models",
    "policies",
    multiple=True,
    metavar="[NAME=]HOW",
    help="Where models are: bake, in the image; mount, in a volume at /models; fetch, brought into it at the start.",
)
@click.option("--torch", default="", metavar="cpu|cuXXX", help="Another build of torch than the captured one.")
@click.option("--reproducible", is_flag=True, help="Refuse what another day may give differently.")
@click.option("--no-cache", is_flag=True, help="Run every step anew.")
@click.option("--platform", "platforms", multiple=True, metavar="linux/ARCH", help="Build for it; may be said twice.")
@click.option("--netrc", type=FILE, help="Logins of package indexes; the step that installs wheels sees them.")
@click.option("--push", is_flag=True, help="Send it to the registry in its name, as `docker login` is known there.")
@click.option("--sign", "sign_with", default="", metavar="KEY", help="Sign what was pushed with this cosign key.")
@click.option("--public-log", is_flag=True, help="Enter the signature in Sigstore's public log too.")
@click.option("--metrics", type=FILE, help="Write how long it took into this file, for Prometheus.")
@engine_option
@json_option
def build(
    capsule: Path,
    tag: str | None,
    base: str,
    context_only: Path | None,
    models_from: tuple[Path, ...],
    packs: Packs,
    policies: tuple[str, ...],
    torch: str,
    reproducible: bool,
    no_cache: bool,
    platforms: tuple[str, ...],
    netrc: Path | None,
    push: bool,
    sign_with: str,
    public_log: bool,
    metrics: Path | None,
    engine: str,
    as_json: bool,
) -> None:
    """Build a container image that serves the capsule. The same capsule on the same base gives the same files.

    Examples: comfy-capsule build w.capsule.zip -t portrait:1 --models-from ~/ComfyUI/models;
    comfy-capsule build w.capsule.zip -t portrait:1 --models fetch --models small.safetensors=bake;
    comfy-capsule build w.capsule.zip -t registry.example/portrait:1 --reproducible --push
    """
    from .build_image import build_context, build_images

    said = {name: how for name, _, how in (each.rpartition("=") for each in policies)}
    if wrong := sorted(set(said.values()) - {"bake", "mount", "fetch"}):
        raise BadInput("bad-usage", f"A model is not to be {wrong[0]!r}: say bake, mount or fetch with --models.")
    if (sign_with and not push) or (public_log and not sign_with):
        raise BadInput("bad-usage", "A signature lies beside the image in its registry: --sign goes with --push.")
    how = {"base": base, "models_from": models_from, "packs": packs, "policies": said, "torch": torch}
    with terminal.progress_bars(as_json) as report:
        if context_only is not None and tag is None:
            if reproducible or no_cache or platforms or push or netrc or metrics:
                raise BadInput("bad-usage", "--context-only goes with --base, --models… and --packs only.")
            made = build_context(capsule, context_only, how, report)
        elif tag is not None and context_only is None:
            made = build_images(
                capsule,
                tag,
                {**how, "reproducible": reproducible, "no_cache": no_cache, "netrc": netrc},
                report,
                engine=engine,
                platforms=platforms,
                push=push,
                key=sign_with,
                public_log=public_log,
                metrics=metrics,
            )
        else:
            raise BadInput("bad-usage", "Give either -t TAG or --context-only DIR.")
    if as_json:
        terminal.show_json(made)
    else:
        for key, value in made.items():
            terminal.say(f"{key:<9} {value}")

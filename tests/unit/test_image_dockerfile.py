"""The Dockerfile's text: what it says for which plan, and that a strange name cannot say more than itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.context import dockerfile
from comfy_capsule.packager.image import ImagePlan, LinkedModel
from comfy_capsule.packager.image.plan import BakedModel

PLAN = ImagePlan(
    name="portrait",
    base="debian:bookworm-slim",
    python_version="3.11.7",
    python="carried",
    packs=("alpha", "beta.disabled"),
    models=(BakedModel(folder="upscale_models", name="sub/x2.safetensors", sha256="ab" * 32),),
    unproved=False,
    prove=True,
    digests={"capsule": "c" * 64, "contract": "d" * 64, "environment": "e" * 64},
)


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def stage(text: str, name: str) -> str:
    """The lines below ``FROM … AS name``, without comments."""
    body = text.partition(f" AS {name}\n")[2].partition("\nFROM")[0]
    return "\n".join(line for line in body.splitlines() if not line.startswith("#"))


def final_stage(text: str) -> list[str]:
    return text[text.rindex("\nFROM ") :].strip().splitlines()


def test_each_thing_that_changes_alone_is_a_layer_and_the_capsule_is_the_last() -> None:
    text = dockerfile(PLAN)
    assert lines(text, "COPY --link --from=packs") == [
        'COPY --link --from=packs ["/packs/alpha/", "/"]',
        'COPY --link --from=packs ["/packs/beta.disabled/", "/"]',
    ]
    models = lines(stage(text, "served"), "COPY")
    assert models[0] == f'COPY --link ["models/{"ab" * 32}/", "/"]'
    last = lines("\n".join(final_stage(text)), "COPY")
    assert last == [
        "COPY --link --chown=0:0 --from=sbom /state/sbom.cdx.json /sbom.cdx.json",
        "COPY --link --chown=0:0 --from=proof /state/proof.json /proof.json",
        "COPY --link capsule/12ab/ /capsule/",
    ]
    assert not lines("\n".join(final_stage(text)), "RUN")


def test_it_runs_as_nobody_in_particular_and_says_when_it_is_ready() -> None:
    text = dockerfile(PLAN)
    assert lines(text, "USER") == ["USER 1000:0"]
    assert lines(text, "STOPSIGNAL") == ["STOPSIGNAL SIGTERM"]
    assert "/readyz" in text[text.index("HEALTHCHECK") :]
    entry = json.loads(lines(text, "ENTRYPOINT")[0].removeprefix("ENTRYPOINT "))
    assert entry[:3] == ["comfy-capsule", "serve", "/capsule/portrait.capsule.zip"]
    assert 'io.comfy-capsule.id="cccccccccccc"' in text
    assert "minimum-driver" not in text
    of_cuda = dockerfile(PLAN.model_copy(update={"oldest_driver": "580.65.06"}))
    assert 'io.comfy-capsule.minimum-driver="580.65.06"' in of_cuda


def test_captured_code_runs_without_network_and_secret_only() -> None:
    for name, steps in (("proof-environment", 1), ("proof", 3)):
        proof = stage(dockerfile(PLAN), name)
        assert proof.count("RUN") == proof.count("RUN --network=none ") == steps
        assert "secret" not in proof


def test_models_that_are_not_in_the_image_are_links_and_those_to_fetch_are_fetched_first() -> None:
    said = {"folder": "vae", "name": "big.safetensors", "sha256": "cd" * 32}
    mounted = dockerfile(PLAN.model_copy(update={"linked": (LinkedModel(**said, policy="mount"),)}))
    assert lines(stage(mounted, "served"), 'COPY --link ["links/12ab/", "/"]')
    assert "PREPARE" not in mounted
    assert 'VOLUME ["/state", "/models"]' in mounted
    assert 'io.comfy-capsule.models="mount"' in mounted
    fetched = dockerfile(PLAN.model_copy(update={"linked": (LinkedModel(**said, policy="fetch"),)}))
    command = f"comfy-capsule models pull /capsule/portrait.capsule.zip --to /models --only {'cd' * 32}"
    assert lines(fetched, "ENV COMFY_CAPSULE_PREPARE") == [f'ENV COMFY_CAPSULE_PREPARE="{command}"']
    assert 'VOLUME ["/state"]' in dockerfile(PLAN)
    assert "links" not in stage(dockerfile(PLAN), "served")


def test_without_proof_nothing_boots() -> None:
    text = dockerfile(PLAN.model_copy(update={"prove": False}))
    assert "proof" not in text


def test_python_of_the_base_is_used_where_it_is_equal() -> None:
    text = dockerfile(PLAN.model_copy(update={"python": "base"}))
    assert "COPY --link python/" not in text
    assert "/usr/local/bin/python3 -m venv" in text
    assert "/opt/python" not in text


def test_pins_without_a_hash_are_installed_by_themselves() -> None:
    assert "unproved.txt" not in dockerfile(PLAN)
    assert "--no-build --no-deps --python /opt/venv/bin/python -r /build/lock/unproved.txt" in dockerfile(
        PLAN.model_copy(update={"unproved": True})
    )


def test_names_are_data() -> None:
    """``$`` is a variable and ``[`` a pattern to Docker, a quote ends a word."""
    odd = PLAN.model_copy(update={"packs": ('a $HOME "b" [c]',)})
    copied = lines(dockerfile(odd), "COPY --link --from=packs")[0]
    source, target = json.loads(copied.removeprefix("COPY --link --from=packs "))
    assert (source, target) == ('/packs/a \\$HOME "b" [[]c]/', "/")


def test_nothing_is_left_of_the_template() -> None:
    text = dockerfile(PLAN)
    assert not re.search("@[A-Z_]+@", text)
    # Two names that lead nowhere else: no address of an index, no frontend image.
    assert set(re.findall(r"https?://[^/]+", text)) == {"http://127.0.0.1:8000", "https://comfy-capsule.invalid"}
    assert "syntax=" not in text


@pytest.mark.parametrize(
    "change", [{}, {"python": "base"}, {"prove": False, "unproved": True, "packs": (), "models": ()}]
)
def test_hadolint_finds_nothing(change: dict[str, object], tmp_path: Path) -> None:
    checker = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert checker, "hadolint comes with the dev extra"
    file = tmp_path / "Dockerfile"
    file.write_text(dockerfile(PLAN.model_copy(update=change)))
    done = subprocess.run([checker, "--no-color", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")

"""An image that is not what was captured is not built; and one that no longer is, is told, thing by thing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.context import below
from bench.engine import Engine
from bench.images import TAG, built
from bench.index import make_wheel
from comfy_capsule.packager.capsule import Capsule
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.image import BuildRequest, BuiltImage, Docker, write_context
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore import Table
from comfy_capsule.packager.verify_image import verify_image

OTHER = "comfy-capsule-test:tampered"
LIBRARY = "libfribidi.so.0"  # pillow opens it when it needs it; without it everything starts
SITE = "/opt/venv/lib/python3.11/site-packages"


def different(table: Table) -> dict[str, str]:
    """``{kind and subject: what was found}`` of the rows that differ."""
    return {f"{item.kind} {item.subject}": item.found for item in table.differing}


@contextmanager
def tampered(engine: Engine, folder: Path, *lines: str) -> Iterator[str]:
    """The tag of the image with `lines` of a Dockerfile on top."""
    (folder / "Dockerfile").write_text("\n".join([f"FROM {TAG}", "USER 0", *lines, "USER 1000:0", ""]))
    engine.docker("buildx", "build", "--provenance=false", "--load", "-t", OTHER, str(folder))
    try:
        yield OTHER
    finally:
        engine.docker("image", "rm", OTHER)


def test_an_image_is_proved_again_and_runs_its_example(image: BuiltImage, engine: Engine, capsule: Capsule) -> None:
    before = engine.docker("ps", "--all", "--quiet")
    table = verify_image(Docker(engine.environment), TAG, capsule, report=silent)
    assert different(table) == {}
    kinds = {"platform", "comfyui", "pack", "import", "python", "system", "node", "model", "graph", "example", "digest"}
    assert {item.kind for item in table.rows} == kinds
    assert [item.found for item in table.rows if item.kind == "example"] == ["succeeded", "there"]
    assert engine.docker("ps", "--all", "--quiet") == before, "no container stays"


def test_an_image_of_another_capsule_is_told(image: BuiltImage, engine: Engine, capsule: Capsule) -> None:
    other = replace(capsule, lock=capsule.lock.model_copy(update={"message": "another"}), sealed="")
    table = verify_image(Docker(engine.environment), TAG, other, example=False, signed_by="own.pub", report=silent)
    assert list(different(table)) == [f"signature {TAG}", "digest capsule"]
    assert "it was never pushed or pulled" in different(table)[f"signature {TAG}"]


def test_what_is_changed_in_an_image_is_named(
    image: BuiltImage, engine: Engine, tmp_path: Path, capsule: Capsule
) -> None:
    model = capsule.lock.models[0]
    make_wheel(tmp_path, "idna", "9.9", {"idna/__init__.py": "swapped = True\n"})
    with tampered(
        engine,
        tmp_path,
        "COPY idna-9.9-py3-none-any.whl /tmp/",
        f"RUN echo '# more' >> /comfyui/custom_nodes/bench-tint/__init__.py && rm /usr/lib/*/{LIBRARY} && "
        f"truncate -s 100 '/comfyui/models/{model.folder}/{model.name}' && mkdir /comfyui/custom_nodes/stranger && "
        f"cd {SITE} && rm -r idna idna-*.dist-info && "
        "/opt/venv/bin/python -m zipfile -e /tmp/idna-9.9-py3-none-any.whl . && rm /tmp/idna*",
    ) as tag:
        table = verify_image(Docker(engine.environment), tag, example=False, report=silent)
    found = different(table)
    assert set(found) == {
        "pack bench-tint", "pack stranger", f"system {LIBRARY}", f"model {model.folder}/{model.name}", "python idna",
    }  # fmt: skip
    assert found[f"model {model.folder}/{model.name}"] == "100 bytes"
    assert found["python idna"].startswith("9.9")


def test_what_is_no_image_of_ours_is_refused(engine: Engine, base: str) -> None:
    for tag, code in (("comfy-capsule-test:never", "no-image"), (base, "image-not-ours")):
        with pytest.raises(BadInput) as refused:
            verify_image(Docker(engine.environment), tag, report=silent)
        assert refused.value.code == code


def refused(engine: Engine, context: Path) -> str:
    """What the build says that fails at the proof and tags nothing."""
    docker = Docker(engine.environment)
    with pytest.raises(CapsuleError) as caught:
        docker.build(BuildRequest(context=context, tag=OTHER, arguments={"SOURCE_DATE_EPOCH": "315532800"}), silent)
    assert caught.value.code == "proof-failed", caught.value
    assert docker.inspect(OTHER) is None
    return caught.value.message


def test_a_build_of_other_bytes_fails_and_names_them(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "context"
    write_context(capsule, folder, base=base, models_from=[comfyui / "models"], report=silent)
    with (below(folder / "sources/packs") / "bench-tint/comfyui/custom_nodes/bench-tint/__init__.py").open("a") as code:
        code.write("# more\n")
    file = folder / "Dockerfile"
    harm = f"RUN rm /usr/lib/*/{LIBRARY} && echo '# more' >> {SITE}/idna/core.py\n"
    file.write_text(file.read_text().replace("ENV HOME=", f"{harm}ENV HOME=", 1))
    said = refused(engine, folder)
    assert f"system {LIBRARY}: expected there, found missing (package libfribidi0)." in said
    assert "python idna: expected" in said
    assert "changed: idna/core.py." in said
    assert "pack bench-tint: expected tree" in said
    assert said.count(": expected") == 3


def test_a_build_with_a_broken_model_fails_and_names_it(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "context"
    write_context(capsule, folder, base=base, models_from=[comfyui / "models"], report=silent)
    model = capsule.lock.models[0]
    baked = folder / "models" / model.sha256 / "comfyui/models" / model.folder / model.name
    data = bytearray(baked.read_bytes())
    data[-1] ^= 1
    baked.unlink()  # a link into the store
    baked.write_bytes(data)
    assert f"model {model.folder}/{model.name}: expected {model.sha256[:12]}, found " in refused(engine, folder)


def test_a_graph_that_comfyui_refuses_is_not_built(
    image: BuiltImage, engine: Engine, base: str, capsule: Capsule, comfyui: Path
) -> None:
    node = next(node for node, said in capsule.graph.items() if said["class_type"] == "UpscaleModelLoader")
    graph = json.loads(json.dumps(capsule.graph))
    graph[node]["inputs"]["model_name"] = "another.safetensors"
    with pytest.raises(CapsuleError) as caught:
        built(replace(capsule, graph=graph, sealed=""), engine, base, comfyui, tag=OTHER)
    assert caught.value.code == "proof-failed"
    assert f"ComfyUI refuses the graph: node {node}" in caught.value.message
    assert "another.safetensors" in caught.value.message

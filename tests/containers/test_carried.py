"""What a capsule carries of its Python environment is in the image, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.engine import Engine
from bench.images import small_capsule
from bench.index import make_wheel
from bench.python_env import as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import sha256_file, write_capsule
from comfy_capsule.packager.image import Docker, build
from comfy_capsule.packager.image.plan import EPOCH
from comfy_capsule.packager.materialise import site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python

TAG = "comfy-capsule-test:carried"
OTHER = "comfy-capsule-test:other"
SAYS = "import alpha, stray; from importlib import metadata; print(alpha.said, stray.said, metadata.version('alpha'))"


def test_a_local_wheel_and_changed_files_are_in_the_image(engine: Engine, base: str, tmp_path: Path) -> None:
    made = venv(tmp_path / "v")
    files = {"alpha/__init__.py": "said = 'as made'\n", "alpha/gone.py": "x = 1\n"}
    install("uv", made, [make_wheel(tmp_path, "alpha", files=files)])
    (site_packages(made) / "alpha/__init__.py").write_text("said = 'changed'\n")
    (site_packages(made) / "alpha/gone.py").unlink()
    (site_packages(made) / "stray.py").write_text("said = 'stray'\n")
    said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
    capsule = small_capsule(tmp_path, said.text, said.files)
    how = {"engine": Docker(engine.environment), "base": base, "report": silent, "prove": False}
    first = build(capsule, TAG, no_cache=True, **how)
    assert build(capsule, TAG, no_cache=True, **how).digest == first.digest, (
        "uv dates the wheels that it takes from disk"
    )
    run = ("run", "--rm", "--entrypoint", "/opt/venv/bin/python", TAG)
    assert engine.docker(*run, "-c", SAYS).strip() == "changed stray 1.0"
    notes = "from pathlib import Path; print(list(Path('/opt/venv').rglob('uv_cache.json')))"
    assert engine.docker(*run, "-c", notes).strip() == "[]"


def test_an_image_has_nothing_of_another_context_with_files_of_the_same_size(
    engine: Engine, base: str, tmp_path: Path
) -> None:
    """The engine keeps what it was sent, and compares names, sizes and times."""
    capsule = small_capsule(tmp_path)
    other = replace(capsule, graph={"1": {"class_type": "B", "inputs": {}}})
    how = {"engine": Docker(engine.environment), "base": base, "report": silent, "prove": False}
    first = build(capsule, TAG, **how)
    build(other, OTHER, **how)
    for tag, sealed in ((TAG, capsule), (OTHER, other)):
        found = Docker(engine.environment).inspect(tag)
        assert found is not None
        assert found.labels["io.comfy-capsule.capsule"] == sealed.digests.capsule
        whole = ("run", "--rm", "--entrypoint", "sha256sum", tag, "/capsule/w.capsule.zip")
        write_capsule(sealed, tmp_path / "w.capsule.zip", part=0)
        assert engine.docker(*whole).split()[0] == sha256_file(tmp_path / "w.capsule.zip")
    dates = ("run", "--rm", "--entrypoint", "stat", OTHER, "-c", "%Y", "/capsule", "/capsule/w.capsule.zip")
    assert set(engine.docker(*dates).split()) == {str(EPOCH)}
    assert build(capsule, TAG, **how).digest == first.digest
    engine.docker("image", "rm", TAG, OTHER)

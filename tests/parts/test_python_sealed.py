"""A lock and a folder of wheels are enough: installed by uv where there is no network at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from bench.index import PackageIndex, make_wheel, serving_index
from bench.python_env import a_lock, as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.materialise import OWN_INDEX, install_python, read_pylock, site_packages
from comfy_capsule.packager.materialise.uvlock import uv_lock
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot import lock_python
from comfy_capsule.packager.uv import find_uv

ROOT = Path(sys.modules["comfy_capsule"].__file__ or "").parents[1]
SCRIPT = """
    import json, socket, sys
    from pathlib import Path
    from comfy_capsule.packager.capsule import Lock
    from comfy_capsule.packager.materialise import install_python
    from comfy_capsule.packager.progress import silent

    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2)
    except OSError:
        pass
    else:
        raise SystemExit("there is a network")
    said = json.loads(Path(sys.argv[1]).read_text())
    files = {name: Path(path).read_bytes() for name, path in said["files"].items()}
    install_python(
        Lock.model_validate(said["lock"]), said["pylock"], Path(said["venv"]), silent,
        trust=False, files=files, wheels=[Path(said["wheels"])],
    )
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with serving_index(tmp_path / "index") as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.address)
        yield served


def test_installed_in_an_empty_network_namespace(tmp_path: Path, index: PackageIndex) -> None:
    made = venv(tmp_path / "v")
    for name in ("alpha", "beta"):
        make_wheel(index.folder, name, entry=f"{name}-run = {name}:main")
    install("uv", made, ["alpha==1.0", "beta==1.0"])
    install("uv", made, [make_wheel(tmp_path / "mine", "private")])
    (site_packages(made) / "beta.py").write_text("changed = True\n")
    cache = Cache(tmp_path / "cache.sqlite3")
    said = lock_python(as_install(made), silent, cache=cache)
    Pylock.from_dict(read_pylock(said.text).pylock.to_dict()).validate()
    entries = {}
    for number, (name, data) in enumerate(said.files.items()):
        (tmp_path / f"carried-{number}").write_bytes(data)
        entries[name] = str(tmp_path / f"carried-{number}")
    facts = {"lock": a_lock().model_dump(mode="json"), "pylock": said.text, "files": entries}
    facts |= {"venv": str(tmp_path / "back"), "wheels": str(index.folder)}
    (tmp_path / "facts.json").write_text(json.dumps(facts))
    # A user namespace of its own lets anybody do this.
    away = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]
    port = index.address.split(":")[2].split("/")[0]
    argv = [*away, sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "facts.json"), port]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "UV_CACHE_DIR": str(tmp_path / "empty")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = lock_python(as_install(tmp_path / "back"), silent, known=said.text, cache=cache)
    assert again.text == said.text
    assert (site_packages(tmp_path / "back") / "beta.py").read_text() == "changed = True\n"


def test_a_wheel_of_the_folder_with_other_bytes_is_not_taken(tmp_path: Path, index: PackageIndex) -> None:
    """It is known by its hash, not by its name; so it is looked for where the lock says."""
    made = venv(tmp_path / "v")
    make_wheel(index.folder, "alpha")
    install("uv", made, ["alpha==1.0"])
    said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
    make_wheel(tmp_path / "wheels", "alpha", files={"alpha.py": "evil = True\n"})
    install_python(a_lock(), said.text, tmp_path / "back", silent, trust=False, wheels=[tmp_path / "wheels"])
    assert "evil" not in (site_packages(tmp_path / "back") / "alpha.py").read_text()


def test_uv_alone_installs_the_lock_as_it_stands_in_the_capsule(tmp_path: Path, index: PackageIndex) -> None:
    made, back = venv(tmp_path / "v"), venv(tmp_path / "back")
    install("uv", made, [make_wheel(tmp_path / "mine", name) for name in ("alpha", "beta")])
    said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
    for name, data in {**said.files, "pylock.toml": said.text.encode()}.items():
        (tmp_path / "capsule" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "capsule" / name).write_bytes(data)
    words = ["pip", "sync", "-q", "--preview-features", "pylock", "--python", back, tmp_path / "capsule/pylock.toml"]
    away = ["unshare", "-n"] if os.getuid() == 0 else ["unshare", "-rn"]
    subprocess.run([*away, find_uv(), *words], check=True)
    assert (site_packages(back) / "alpha.py").read_text() == (site_packages(made) / "alpha.py").read_text()
    assert (site_packages(back) / "beta.py").is_file()


def test_a_wheel_of_another_index_does_not_keep_the_rest_out_of_the_shared_cache(
    tmp_path: Path, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = venv(tmp_path / "v")
    make_wheel(index.folder, "alpha")
    with serving_index(tmp_path / "extra") as extra:
        monkeypatch.setenv("UV_INDEX", extra.address)
        make_wheel(extra.folder, "torchlike", "2.0+cu130")
        install("uv", made, ["alpha==1.0", "torchlike==2.0+cu130"])
        said = lock_python(as_install(made), silent, cache=Cache(tmp_path / "cache.sqlite3"))
        monkeypatch.delenv("UV_INDEX")
        given = uv_lock(read_pylock(said.text), made / "bin/python")
        assert {str(item.name): item.index for item in Pylock.from_dict(tomllib.loads(given.text)).packages} == {
            "alpha": index.address,
            "torchlike": OWN_INDEX,
        }
        install_python(a_lock(), said.text, tmp_path / "back", silent, trust=False)
    assert (site_packages(tmp_path / "back") / "torchlike.py").is_file()

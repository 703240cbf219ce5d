"""The Python environment: exactly the lock's files by their hashes, in a venv that can be moved."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from bench.index import make_wheel
from bench.web import serving_http
from comfy_capsule.packager.capsule import ComfyUI, Finding, Lock, Platform
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.materialise import (
    InstalledPython,
    RunningPython,
    find_python,
    install_python,
    installed_versions,
    read_pylock,
    site_packages,
    venv_python,
)
from comfy_capsule.packager.materialise.sharing import link_mode
from comfy_capsule.packager.progress import Progress, silent

HERE = ".".join(map(str, sys.version_info[:3]))


def wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """A wheel with a module and a console script."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"def main():\n    print('{name} {version}')\n",
        f"{name}.pth": "import os; open(os.environ.get('PTH_RAN', os.devnull), 'w').close()\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-run = {name}:main\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return made


def pylock(*wheels: Path, digest: str = "", extra: str = "") -> str:
    text = 'lock-version = "1.0"\ncreated-by = "test"\n'
    for file in wheels:
        name, version = file.name.split("-")[:2]
        said = digest or hashlib.sha256(file.read_bytes()).hexdigest()
        text += f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        text += f'wheels = [{{ url = "{file.as_uri()}", hashes = {{ sha256 = "{said}" }} }}]\n'
    return text + (extra if wheels or extra else "packages = []\n")


def lock(python: str = HERE, findings: tuple[Finding, ...] = ()) -> Lock:
    platform = Platform(os="linux", arch="x86_64", python=python)
    return Lock(name="w", platform=platform, comfyui=ComfyUI(version="1", kind="git"), findings=findings)


def test_exactly_the_locked_files_in_a_venv_that_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "pth-ran"
    monkeypatch.setenv("PTH_RAN", str(ran))
    text = pylock(wheel(tmp_path, "alpha"), wheel(tmp_path, "beta", "2.1"))
    events: list[Progress] = []
    python = install_python(lock(), text, tmp_path / "a/.venv", events.append, trust=False)
    assert python == venv_python(tmp_path / "a/.venv")
    assert installed_versions(tmp_path / "a/.venv") == {"alpha": "1.0", "beta": "2.1"}
    assert events[-1] == Progress(phase="python", done=2, total=2)
    assert not ran.exists(), "nothing that was installed may have run"
    assert (site_packages(tmp_path / "a/.venv") / "alpha.py").stat().st_nlink == 1, "linked into uv's cache"
    (tmp_path / "a").rename(tmp_path / "b")
    said = subprocess.run([tmp_path / "b/.venv/bin/alpha-run"], capture_output=True, text=True, check=True)
    assert said.stdout == "alpha 1.0\n"


def test_nothing_runs_when_carried_wheels_come_to_those_of_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "pth-ran"
    monkeypatch.setenv("PTH_RAN", str(ran))
    start = f"open({str(ran)!r}, 'w').close()\n"
    indexed, own = wheel(tmp_path, "alpha"), wheel(tmp_path, "beta")
    custom = make_wheel(tmp_path, "custom", files={"sitecustomize.py": start, "usercustomize/__init__.py": start})
    text = pylock(indexed, custom, own).replace(f'url = "{own.as_uri()}"', f'path = "python/{own.name}"')
    files = {f"python/{own.name}": own.read_bytes()}
    install_python(lock(), text, tmp_path / "v", silent, trust=False, files=files)
    assert not ran.exists()
    site = site_packages(tmp_path / "v")
    assert {"alpha.pth", "beta.pth", "sitecustomize.py", "usercustomize"} <= {path.name for path in site.iterdir()}
    assert not list(site.glob("*.held"))


def test_a_second_install_needs_no_download_and_still_checks_the_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    file = wheel(tmp_path, "alpha")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with serving_http(handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/{file.name}"
        text, other = (said.replace(file.as_uri(), address) for said in (pylock(file), pylock(file, digest="0" * 64)))
        install_python(lock(), text, tmp_path / "first", silent, trust=False)
    install_python(lock(), text, tmp_path / "second", silent, trust=False)
    assert installed_versions(tmp_path / "second") == {"alpha": "1.0"}
    with pytest.raises(CapsuleError):
        install_python(lock(), other, tmp_path / "third", silent, trust=False)
    entries = [path for path in (tmp_path / "cache").rglob("*alpha*") if "pypi" in path.parts]
    assert entries == [], "a capsule's wheel may not be taken for the index's own"


def test_an_edited_environment_damages_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, and what is small, each has for itself; a shared library that was edited in place is found by the next."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    code, small, large = "said = 1\n", "\0small", "\0" * 100_000
    made = make_wheel(
        tmp_path, "alpha", files={"alpha.py": code, "notes.txt": "x" * 100_000, "a.so": small, "b.so": large}
    )
    text, folders = pylock(made), [tmp_path / name for name in ("one", "two", "three")]
    events: list[Progress] = []
    for folder in folders:
        install_python(lock(), text, folder, events.append, trust=False)
        site = site_packages(folder)
        assert [site.joinpath(name).read_text() for name in ("alpha.py", "a.so", "b.so")] == [code, small, large]
        for name in ("alpha.py", "notes.txt", "a.so", "b.so"):
            with (site / name).open("r+b") as file:
                file.write(b"edited")
        assert site.joinpath("b.so").read_bytes()[:6] == b"edited"
    again = [event.item for event in events if "changed in uv's cache" in event.item]
    if link_mode(tmp_path) == "hardlink":
        assert again == ["alpha again: changed in uv's cache"] * 2
    assert not list(tmp_path.rglob("*.own"))


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    text = pylock(wheel(tmp_path, "alpha"), digest="0" * 64)
    with pytest.raises(CapsuleError, match=r"[Hh]ash mismatch") as caught:
        install_python(lock(), text, tmp_path / "v", silent, trust=False)
    assert caught.value.code == "python-failed"


def test_a_wheel_that_is_not_what_the_lock_says_is_refused(tmp_path: Path) -> None:
    text = pylock(wheel(tmp_path, "alpha")).replace('version = "1.0"\nwheels', 'version = "1.1"\nwheels')
    with pytest.raises(CapsuleError):
        install_python(lock(), text, tmp_path / "v", silent, trust=False)


def test_no_such_python(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match=r"3\.99\.1") as caught:
        install_python(lock("3.99.1"), pylock(), tmp_path / "v", silent, trust=False, sources=[RunningPython()])
    assert caught.value.code == "python-not-found"
    assert caught.value.exit_status == 2
    assert not (tmp_path / "v").exists()


def test_where_a_python_comes_from() -> None:
    found = RunningPython().find(HERE, "cpython")
    assert found is not None
    assert found == find_python(HERE, "cpython")
    assert RunningPython().find("3.99.1", "cpython") is None
    assert InstalledPython().find("3.99.1", "cpython") is None
    assert RunningPython().find(HERE, "pypy") is None


def test_source_needs_a_yes_and_local_paths_cannot_be(tmp_path: Path) -> None:
    vcs = f'[[packages]]\nname = "gamma"\nvcs = {{ type = "git", url = "file:///x", commit-id = "{"1" * 40}" }}\n'
    assert read_pylock(pylock(extra=vcs)).builds == ("gamma",)
    with pytest.raises(CapsuleError, match="gamma") as caught:
        install_python(lock(), pylock(extra=vcs), tmp_path / "v", silent, trust=False)
    assert (caught.value.code, caught.value.exit_status) == ("needs-trust", 3)
    local = Finding(code="local-distribution", subject="delta", message="m", cure="c", blocks=True)
    with pytest.raises(CapsuleError, match="delta") as caught:
        install_python(lock(findings=(local,)), pylock(), tmp_path / "v", silent, trust=True)
    assert caught.value.code == "not-carried"


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'lock-version = "1.0"\n',
        pylock(extra='[tool.comfy-capsule]\nunproved = ["x==1 --index-url=http://evil"]\n'),
        pylock(extra='[tool.comfy-capsule]\nunproved = ["-r/etc/passwd"]\n'),
    ],
)
def test_a_foreign_pylock(text: str, tmp_path: Path) -> None:
    with pytest.raises(CapsuleError) as caught:
        install_python(lock(), text, tmp_path / "v", silent, trust=False)
    assert caught.value.code == "pylock-unreadable"

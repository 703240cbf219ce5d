"""An editable distribution is carried as its source tree, and imports from it wherever it is restored."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from bench.index import make_wheel
from bench.python_env import a_lock, as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import Editable, sha256_bytes
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.materialise import install_python, lay_over, read_pylock, site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore.compare import python_rows
from comfy_capsule.packager.snapshot import PythonLock, lock_python

SRC = """\
[project]
name = "my-thing"
version = "1.5"
[project.scripts]
my-thing = "my_thing:main"
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
"""
CODE = "from pathlib import Path\ndef main():\n    print((Path(__file__).parent / 'words.txt').read_text())\n"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite3")


def source(tmp_path: Path, project: str, folder: str) -> Path:
    root = tmp_path / "my source%20"
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(project)
    (root / folder / "__init__.py").write_text(CODE)
    (root / folder / "words.txt").write_text("hello")
    (root / ".env").write_text("PLANTED=secret")
    (root / ".gitignore").write_text("*.so\n/big/\n")
    (root / folder / "built.so").write_bytes(b"built")
    (root / "big").mkdir()
    (root / "big/data.bin").write_bytes(b"ignored")
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


def locked(folder: Path, cache: Cache, known: str = "") -> PythonLock:
    return lock_python(as_install(folder), silent, cache=cache, known=known)


def only_editable(folder: Path, cache: Cache) -> PythonLock:
    said = locked(folder, cache)
    found = {(item.code, item.subject, item.blocks) for item in said.findings}
    assert found == {("local-distribution", "my-thing", False)}, said.findings
    return said


def restored(said: PythonLock, into: Path) -> Path:
    install_python(a_lock(), said.text, into, silent, trust=False, files=said.files)
    return into


def test_an_editable_comes_back_and_imports_from_its_tree(tmp_path: Path, cache: Cache) -> None:
    root = source(tmp_path, SRC, "src/my_thing")
    made = venv(tmp_path / "v")
    install("uv", made, ["-e", str(root)])
    said = only_editable(made, cache)
    (tree,) = read_pylock(said.text).tool.editables
    with tarfile.open(fileobj=io.BytesIO(said.files[tree.tree])) as archive:
        names = archive.getnames()
    assert {"pyproject.toml", "src/my_thing/built.so"} <= set(names)
    assert not any(".env" in name or "big" in name or ".git/" in name for name in names)
    assert str(tmp_path) not in said.text
    root.rename(tmp_path / "gone")
    back = restored(said, tmp_path / "deep/er/back")
    back.rename(tmp_path / "moved")
    printed = subprocess.run([tmp_path / "moved/bin/my-thing"], capture_output=True, text=True, check=True)
    assert printed.stdout == "hello\n"
    again = only_editable(tmp_path / "moved", cache)
    assert again.text == said.text
    assert again.files == said.files


def test_a_change_in_its_tree_is_a_difference(tmp_path: Path, cache: Cache) -> None:
    root = source(tmp_path, SRC, "src/my_thing")
    made = venv(tmp_path / "v")
    install("uv", made, ["-e", str(root)])
    said = only_editable(made, cache)
    back = restored(said, tmp_path / "back")
    assert all(row.equal for row in rows(said, locked(back, cache, said.text)))
    (back / "src/my-thing/src/my_thing/words.txt").write_text("other")
    found = [row.subject for row in rows(said, locked(back, cache, said.text)) if not row.equal]
    assert found == ["my-thing"]


def rows(said: PythonLock, found: PythonLock) -> list:
    return list(python_rows(read_pylock(said.text), read_pylock(found.text)))


def test_one_that_only_running_it_would_tell_blocks(tmp_path: Path, cache: Cache) -> None:
    root = source(tmp_path, SRC, "src/my_thing")
    made = venv(tmp_path / "v")
    install("uv", made, ["-e", str(root)])
    (path,) = site_packages(made).glob("*my*thing*.pth")
    path.write_text("import evil; evil.install()\n")
    said = locked(made, cache)
    assert [(item.code, item.blocks) for item in said.findings] == [("local-distribution", True)]
    with pytest.raises(CapsuleError, match="my-thing"):
        install_python(
            a_lock().model_copy(update={"findings": said.findings}), said.text, tmp_path / "b", silent, trust=True
        )


@pytest.mark.parametrize("member", ["../out.py", "/etc/out.py", "link", "pipe", "inner/../../out.py"])
def test_a_hostile_tree_writes_nothing_outside(member: str, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(member)
        if member == "link":
            info.type, info.linkname = tarfile.SYMTYPE, "../../../out"
        if member == "pipe":
            info.type = tarfile.FIFOTYPE
        archive.addfile(info)
    tar = packed.getvalue()
    said = Editable(name="x", tree="python/x-1.tar", sha256=sha256_bytes(tar), paths=(".",))
    pylock = read_pylock('lock-version = "1.0"\ncreated-by = "t"\npackages = []\n')
    hostile = pylock.model_copy(update={"tool": pylock.tool.model_copy(update={"editables": (said,)})})
    with pytest.raises(BadInput):
        lay_over(hostile, {said.tree: tar}, tmp_path / "in/v", "lib/site-packages")
    assert not list(tmp_path.rglob("out*"))


@pytest.mark.parametrize(
    "table",
    [
        'changed = { a = [{ path = "site-packages/../../x", sha256 = "0", size = 1 }] }',
        'changed = { a = [{ path = "etc/x", sha256 = "0", size = 1 }] }',
        'removed = { a = ["prefix/../../x"] }',
        'editables = [{ name = "../x", tree = "python/x.tar", sha256 = "0" }]',
        'editables = [{ name = "x", tree = "../x.tar", sha256 = "0" }]',
        'editables = [{ name = "x", tree = "python/x.tar", sha256 = "0", modules = { "a/b" = "." } }]',
        'editables = [{ name = "x", tree = "python/x.tar", sha256 = "0", modules = { "a" = "../.." } }]',
        "unproved = [1]",
    ],
)
def test_a_foreign_lock_names_no_place_outside(table: str) -> None:
    with pytest.raises(BadInput):
        read_pylock(f'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n[tool.comfy-capsule]\n{table}\n')


@pytest.mark.parametrize(
    "source_of",
    [
        'wheels = [{ path = "/etc/x-1.0-py3-none-any.whl", hashes = { sha256 = "0" } }]',
        'wheels = [{ path = "python/../../x-1.0-py3-none-any.whl", hashes = { sha256 = "0" } }]',
        'archive = { path = "x.tar.gz", hashes = { sha256 = "0" } }',
        'directory = { path = "." }',
    ],
)
def test_a_foreign_lock_takes_no_file_of_this_machine(source_of: str) -> None:
    with pytest.raises(BadInput):
        read_pylock(f'lock-version = "1.0"\ncreated-by = "t"\n[[packages]]\nname = "x"\nversion = "1.0"\n{source_of}\n')


def test_a_carried_wheel_with_other_bytes_is_refused(tmp_path: Path, cache: Cache) -> None:
    made = venv(tmp_path / "v")
    install("uv", made, [make_wheel(tmp_path, "alpha")])
    said = locked(made, cache)
    (entry,) = said.files
    with pytest.raises(BadInput) as caught:
        install_python(a_lock(), said.text, tmp_path / "b", silent, trust=False, files={entry: b"other"})
    assert caught.value.code == "capsule-damaged"
    with pytest.raises(CapsuleError) as missing:
        install_python(a_lock(), said.text, tmp_path / "c", silent, trust=False)
    assert missing.value.code == "not-carried"

"""What is not as its wheel gave it is found file by file, carried, and put back; what is broken is said."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bench.index import make_wheel
from bench.python_env import a_lock, as_install, install, venv
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import NOBODY
from comfy_capsule.packager.digest_cache import verify_digests
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.materialise import install_python, read_pylock, site_packages
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.restore.compare import python_rows
from comfy_capsule.packager.snapshot import PythonLock, lock_python

FILES = {
    "alpha/__init__.py": "one = 1\n",
    "alpha/more.py": "two = 2\n",
    "alpha/data.bin": "data",
    "alpha/gone.py": "x = 1\n",
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache.sqlite3")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A venv with two distributions; no index is there."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    made = venv(tmp_path / "v")
    install("uv", made, [make_wheel(tmp_path, "alpha", files=FILES), make_wheel(tmp_path, "beta")])
    return made


def locked(folder: Path, cache: Cache) -> PythonLock:
    return lock_python(as_install(folder), silent, cache=cache)


def codes(said: PythonLock) -> dict[tuple[str, str], str]:
    return {(item.code, item.subject): item.message for item in said.findings if item.code != "local-distribution"}


def restored(said: PythonLock, into: Path) -> Path:
    install_python(a_lock(), said.text, into, silent, trust=False, files=said.files)
    return into


def test_what_was_changed_added_and_removed_comes_back(folder: Path, tmp_path: Path, cache: Cache) -> None:
    assert codes(locked(folder, cache)) == {}
    site = site_packages(folder)
    (site / "alpha/more.py").write_text("two = 3\n")  # as long as before
    (site / "alpha/data.bin").write_bytes(b"other\r\n\xff")
    (site / "alpha/gone.py").unlink()
    (site / "alpha/new").mkdir()
    (site / "alpha/new/tool.sh").write_text("#!/bin/sh\n")
    (site / "alpha/new/tool.sh").chmod(0o755)
    (site / "mine.pth").write_text("# mine\n")
    (site / "alpha/__pycache__").mkdir(exist_ok=True)
    (site / "alpha/__pycache__/more.cpython-311.pyc").write_bytes(b"code")
    said = locked(folder, cache)
    found = codes(said)
    assert set(found) == {("dist-modified", "alpha"), ("stray-files", "site-packages")}
    assert "2 changed, 1 added, 1 missing" in found["dist-modified", "alpha"]
    for name in ("alpha/more.py", "alpha/data.bin", "alpha/gone.py", "alpha/new/tool.sh"):
        assert name in found["dist-modified", "alpha"]
    assert "mine.pth" in found["stray-files", "site-packages"]
    assert not any(item.blocks for item in said.findings)
    tool = read_pylock(said.text).tool
    assert {file.path: file.executable for file in tool.changed["alpha"]}["site-packages/alpha/new/tool.sh"]
    assert [file.path for file in tool.changed[NOBODY]] == ["site-packages/mine.pth"]
    assert not any("pyc" in name for name in said.files)
    (site / "alpha/new/tool.sh").chmod(0o644)
    assert locked(folder, cache).text != said.text, "a mode is part of what is there"
    (site / "alpha/new/tool.sh").chmod(0o755)
    back = site_packages(restored(said, tmp_path / "back"))
    assert (back / "alpha/data.bin").read_bytes() == b"other\r\n\xff"
    assert (back / "alpha/more.py").read_text() == "two = 3\n"
    assert not (back / "alpha/gone.py").exists()
    assert stat.S_IMODE((back / "alpha/new/tool.sh").stat().st_mode) == 0o755
    assert (back / "mine.pth").read_text() == "# mine\n"
    again = lock_python(as_install(tmp_path / "back"), silent, known=said.text, cache=cache)
    assert again.text == said.text
    assert not list(back.glob("*.dist-info/uv_cache.json")), "it holds the time"
    assert "uv_cache" not in (back / "alpha-1.0.dist-info/RECORD").read_text()


def test_the_environment_is_another_when_a_file_is(folder: Path, cache: Cache) -> None:
    clean = locked(folder, cache).text
    (site_packages(folder) / "alpha/more.py").write_text("two = 3\n")
    dirty = locked(folder, cache).text
    assert dirty != clean
    (site_packages(folder) / "alpha/more.py").write_text("two = 4\n")
    assert locked(folder, cache).text not in (clean, dirty)
    (site_packages(folder) / "alpha/more.py").write_text("two = 2\n")
    assert locked(folder, cache).text == clean


def test_verify_counts_carried_changes_as_equal_and_others_as_different(
    folder: Path, tmp_path: Path, cache: Cache
) -> None:
    (site_packages(folder) / "alpha/more.py").write_text("two = 3\n")
    said = locked(folder, cache)
    back = restored(said, tmp_path / "back")

    def differing() -> dict[str, str]:
        now = lock_python(as_install(back), silent, known=said.text, cache=cache)
        rows = python_rows(read_pylock(said.text), read_pylock(now.text))
        return {row.subject: row.found for row in rows if not row.equal}

    assert differing() == {}
    site = site_packages(back)
    (site / "alpha/more.py").write_text("two = 2\n")  # as the wheel has it
    (site / "beta.py").unlink()
    (site / "stray.py").write_text("")
    found = differing()
    assert set(found) == {"alpha", "beta", "files of no distribution"}
    assert "alpha/more.py" in found["alpha"]
    assert "beta.py" in found["beta"]


def test_a_half_uninstalled_or_broken_distribution_is_named(folder: Path, tmp_path: Path, cache: Cache) -> None:
    site = site_packages(folder)
    for name in ("gamma", "delta", "epsilon", "zeta", "eta"):
        install("uv", folder, [make_wheel(tmp_path, name)])
    (site / "gamma-1.0.dist-info/RECORD").unlink()
    (site / "delta-1.0.dist-info/METADATA").unlink()
    (site / "epsilon.py").unlink()
    (site / "~eta").mkdir()
    (site / "~eta/__init__.py").write_text("")
    (site / "zeta-0.9.dist-info").mkdir()
    for name in ("METADATA", "RECORD", "WHEEL"):
        text = (site / f"zeta-1.0.dist-info/{name}").read_text().replace("1.0", "0.9").replace("zeta.py", "old.py")
        (site / f"zeta-0.9.dist-info/{name}").write_text(text)
    (site / "old-1.0.egg-info").write_text("Name: old")
    record = site / "eta-1.0.dist-info/RECORD"
    record.write_text(record.read_text() + "../../../../../../../../etc/hostname,sha256=x,1\n/etc/hostname,,\n")
    said = locked(folder, cache)
    found = {item.subject: item.message for item in said.findings if item.code == "dist-broken"}
    assert set(found) == {"gamma", "delta", "epsilon", "zeta", "eta", "~eta", "old-1-0"}
    assert "RECORD" in found["gamma"]
    assert "METADATA" in found["delta"]
    assert "epsilon.py is not there" in found["epsilon"]
    assert "0.9" in found["zeta"]
    assert said.versions["zeta"] == "1.0"
    assert "outside" in found["eta"]
    assert not any("hostname" in name for name in said.files)
    assert locked(folder, cache) == said


def test_links_sockets_and_secrets_are_named_and_not_carried(folder: Path, tmp_path: Path, cache: Cache) -> None:
    site = site_packages(folder)
    (tmp_path / "secret").write_text("planted")
    (site / "alpha/more.py").unlink()
    (site / "alpha/more.py").symlink_to(tmp_path / "secret")
    (site / "alpha/.env").write_text("planted")
    (site / "beta_link.py").symlink_to(tmp_path / "secret")
    (site / "gone.py").symlink_to(tmp_path / "nowhere")
    (site / "whole").symlink_to(tmp_path)
    os.mkfifo(site / "alpha/pipe")
    Path(os.fsdecode(os.fsencode(site) + b"/odd\xff.py")).write_text("")
    (site / "two\nlines.py").write_text("")
    said = locked(folder, cache)
    found = codes(said)
    assert {"alpha", "site-packages"} == {subject for code, subject in found if code == "python-files-not-carried"}
    for name in ("alpha/more.py", "alpha/.env", "alpha/pipe"):
        assert name in found["python-files-not-carried", "alpha"]
    for name in ("beta_link.py", "gone.py", "odd?.py", "two?lines.py", "whole"):
        assert name in found["python-files-not-carried", "site-packages"]
    assert not any(b"planted" in data for data in said.files.values())


def test_a_carried_wheel_and_added_files_bring_no_secrets(folder: Path, tmp_path: Path, cache: Cache) -> None:
    site = site_packages(folder)
    keys = {"gamma/__init__.py": "", "gamma/.env": "KEY=planted", "gamma/keys/id_rsa": "planted"}
    install("uv", folder, [make_wheel(tmp_path, "gamma", files=keys)])
    (site / "pip.conf").write_text("[global]\nindex-url = https://me:planted99@packages.example.com/simple\n")
    (site / "beta.conf").write_text("nothing = here\n")
    said = locked(folder, cache)
    assert not any(b"planted" in data for data in said.files.values())
    told = {(item.code, item.subject): item.message for item in said.findings}
    assert "gamma/keys/id_rsa" in told["secret-file-left-out", "gamma"]
    assert "pip.conf" in told["python-files-not-carried", "site-packages"]
    assert "beta.conf" in told["stray-files", "site-packages"]
    back = restored(said, tmp_path / "back")
    assert (site_packages(back) / "gamma/__init__.py").is_file()
    now = lock_python(as_install(back), silent, known=said.text, cache=cache)
    rows = python_rows(read_pylock(said.text), read_pylock(now.text))
    assert [row.subject for row in rows if not row.equal] == []


def test_a_changed_file_too_large_to_carry_is_said_before_anything_is_made(
    folder: Path, tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfy_capsule.packager.snapshot.python.changes._MOST_FILE", 10)
    (site_packages(folder) / "alpha/more.py").write_text("two = 'a long text'\n")
    (site_packages(folder) / "alpha/weights.bin").write_bytes(bytes(100))
    said = locked(folder, cache)
    assert [item.subject for item in said.findings if item.blocks] == ["alpha"]
    assert "weights.bin" not in said.text, "what was added and is not carried is no part of the lock"
    with pytest.raises(CapsuleError, match=r"alpha/more\.py") as caught:
        restored(said, tmp_path / "back")
    assert caught.value.code == "not-carried"
    assert not (tmp_path / "back").exists()


def rest(folder: Path, seconds: float = 100) -> None:
    """Make every file of the site-packages as old as that."""
    for path in site_packages(folder).rglob("*"):
        os.utime(path, (path.stat().st_mtime - seconds,) * 2)


def rewrite(path: Path, text: str) -> None:
    """Other bytes that no stat tells from those before."""
    state = path.stat()
    assert len(text) == state.st_size
    path.write_text(text)
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))


def test_a_file_written_a_moment_ago_is_read_again(folder: Path, cache: Cache) -> None:
    (site_packages(folder) / "alpha/more.py").write_text("two = 2\n")
    assert codes(locked(folder, cache)) == {}
    rewrite(site_packages(folder) / "alpha/more.py", "two = 3\n")
    assert ("dist-modified", "alpha") in codes(locked(folder, cache))


def test_digests_verify_reads_the_installed_files_too(folder: Path, cache: Cache) -> None:
    rest(folder)
    assert codes(locked(folder, cache)) == {}
    rewrite(site_packages(folder) / "alpha/more.py", "two = 3\n")
    assert codes(locked(folder, cache)) == {}, "its times say that it is the same"
    assert [Path(item.path).name for item in verify_digests(cache=cache).wrong] == ["more.py"]


def test_an_unchanged_folder_is_not_read_again(folder: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    rest(folder)
    first = locked(folder, cache)
    monkeypatch.setattr("comfy_capsule.packager.snapshot.python.site.inspect_site", None)
    assert locked(folder, cache) == first
    share = folder / "bin/activate"
    os.utime(share)
    assert locked(folder, cache) == first
    (site_packages(folder) / "beta.py").write_text("VERSION = '1.1'\n")
    with pytest.raises(TypeError):
        locked(folder, cache)

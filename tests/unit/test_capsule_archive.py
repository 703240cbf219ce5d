"""The capsule file: the same entries give the same bytes, and nothing hostile or damaged is read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from comfy_capsule.packager.capsule.archive import MANIFEST, manifest_bytes, read_archive, safe_name, write_archive
from comfy_capsule.packager.errors import BadInput

ENTRIES = {"capsule.toml": b'format = "1.0"\n', "inputs/a photo é.png": b"\x89PNG", "empty": b""}


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_archive(path)
    assert caught.value.exit_status == 2
    assert str(caught.value)
    return caught.value.code


def zip_of(path: Path, entries: dict[str, bytes], **options: object) -> Path:
    """A zip with these entries and a manifest that fits them, however odd they are."""
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, data in entries.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, manifest_bytes(entries))
    return path


def test_same_entries_give_same_bytes_in_any_order(tmp_path: Path) -> None:
    first = write_archive(tmp_path / "a.zip", ENTRIES)
    second = write_archive(tmp_path / "b.zip", dict(reversed(ENTRIES.items())))
    assert first == second
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    digest = write_archive(tmp_path / "a.zip", ENTRIES)
    assert read_archive(tmp_path / "a.zip") == (ENTRIES, digest)


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_archive(path, ENTRIES)
    before = path.read_bytes()
    with pytest.raises(BadInput):
        write_archive(path, {"../x": b""})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "a.zip"
    write_archive(whole, ENTRIES)
    data = whole.read_bytes()
    part = tmp_path / "part.zip"
    for length in range(0, len(data), 7):
        part.write_bytes(data[:length])
        assert refused(part) == "capsule-unreadable"


def test_every_flipped_byte_of_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_archive(path, {"a": b"0123456789"})
    data = bytearray(path.read_bytes())
    data[data.index(b"0123456789") + 3] ^= 1
    path.write_bytes(data)
    assert refused(path) in ("capsule-unreadable", "capsule-damaged")


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/passwd", "a/../b", "a\\b", "C:x", "a//b", "./a", "a\nb", "", "inputs/..", "a/", "x\0y", "a?b"],
)
def test_unsafe_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        safe_name(name)
    assert caught.value.code == "capsule-unsafe-name"


def test_unsafe_name_in_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert refused(zip_of(tmp_path / "a.zip", {"../../x": b"evil"})) == "capsule-unsafe-name"


def test_foreign_zip_text_and_missing_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("snapshot.json", "{}")
    assert refused(tmp_path / "a.zip") == "capsule-foreign"
    (tmp_path / "b.zip").write_text("hello")
    assert refused(tmp_path / "b.zip") == "capsule-unreadable"
    assert refused(tmp_path / "c.zip") == "capsule-not-found"
    assert refused(tmp_path) == "capsule-not-found"


def test_compression_is_refused_so_there_are_no_bombs(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"zeros": bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert refused(path) == "capsule-damaged"


def test_links_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
        archive.writestr(MANIFEST, manifest_bytes({"link": b"/etc/passwd"}))
    assert refused(tmp_path / "a.zip") == "capsule-damaged"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_unlisted_and_missing_entries_are_refused(tmp_path: Path) -> None:
    manifest = manifest_bytes({"a": b"1"})
    for content in ([("a", b"1"), ("a", b"1")], [("a", b"1"), ("b", b"2")], []):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name, data in content:
                archive.writestr(name, data)
            archive.writestr(MANIFEST, manifest)
        assert refused(tmp_path / "a.zip") == "capsule-damaged"


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (b"{", "capsule-damaged"),
        (b"[]", "capsule-damaged"),
        (json.dumps({"format": "1.0", "entries": []}).encode(), "capsule-damaged"),
        (json.dumps({"format": "1.0", "entries": {"a": 1}}).encode(), "capsule-damaged"),
        (json.dumps({"format": "2.0", "entries": {}}).encode(), "capsule-too-new"),
        (json.dumps({"format": "x", "entries": {}}).encode(), "capsule-damaged"),
    ],
)
def test_odd_manifests_are_refused(tmp_path: Path, manifest: bytes, code: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(MANIFEST, manifest)
    assert refused(tmp_path / "a.zip") == code

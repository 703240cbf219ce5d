"""Vendored files: streamed into a capsule and out of it, in one file or in parts, and believed by their sha256 only."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from comfy_capsule.packager.capsule import (
    SMALLEST_PART,
    Capsule,
    ComfyUI,
    Lock,
    Platform,
    Vendored,
    archive,
    by_digest,
    of_file,
    read_capsule,
    refuse_missing_parts,
    write_capsule,
)
from comfy_capsule.packager.capsule.archive import MANIFEST, manifest_bytes, read_archive, write_archive
from comfy_capsule.packager.capsule.parts import LAYOUT, layout_bytes
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput, Cancelled
from comfy_capsule.packager.progress import Progress, silent

PYLOCK = 'lock-version = "1.0"\ncreated-by = "t"\npackages = []\n'
LARGE = bytes(range(256)) * 700  # bytes: more than two of the smallest parts
SMALL = b"PK\x03\x04 no zip"


def held(folder: Path, data: bytes) -> Vendored:
    path = folder / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return of_file(path, len(data), path.name)


@pytest.fixture
def capsule(tmp_path: Path) -> Capsule:
    lock = Lock(
        name="w",
        platform=Platform(os="linux", arch="x86_64", python="3.11.7"),
        comfyui=ComfyUI(version="0.30.0", kind="git", origin="file:///c", commit="0" * 40),
    )
    graph = {"1": {"class_type": "Draw", "inputs": {}}}
    (tmp_path / "origin").mkdir()
    vendored = {
        f"vendor/models/{hashlib.sha256(LARGE).hexdigest()}": held(tmp_path / "origin", LARGE),
        f"vendor/git/{'0' * 40}.bundle": held(tmp_path / "origin", SMALL),
        "vendor/wheels/empty-1-py3-none-any.whl": held(tmp_path / "origin", b""),
    }
    return Capsule(lock, PYLOCK, {"nodes": []}, graph, Contract(name="w"), {}, {}, vendored=vendored)


def bytes_of(item: Vendored) -> bytes:
    return b"".join(item.chunks())


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_capsule(path).check(silent)
    return caught.value.code


@pytest.mark.parametrize("part", [None, SMALLEST_PART, 1 << 20])
def test_what_was_vendored_comes_out_again_and_twice_gives_the_same_files(
    tmp_path: Path, capsule: Capsule, part: int | None
) -> None:
    digest = write_capsule(capsule, tmp_path / "a/w.zip", part=part)
    write_capsule(replace(capsule, vendored=dict(reversed(capsule.vendored.items()))), tmp_path / "b/w.zip", part=part)
    made = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert made == (["w.zip", "w.zip.001", "w.zip.002", "w.zip.003"] if part == SMALLEST_PART else made)
    for name in made:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    read = read_capsule(tmp_path / "a/w.zip")
    assert {name: bytes_of(item) for name, item in read.vendored.items()} == {
        name: bytes_of(item) for name, item in capsule.vendored.items()
    }
    assert read.digests == capsule.digests
    assert read.digests.capsule == digest
    assert write_capsule(read, tmp_path / "c.zip") == digest  # in parts or not, and from whichever it comes


def test_vendoring_changes_the_capsule_and_not_its_environment(capsule: Capsule) -> None:
    plain = replace(capsule, vendored={})
    assert plain.digests.capsule != capsule.digests.capsule
    assert plain.digests.environment == capsule.digests.environment


def test_a_copy_without_them_has_the_digest_and_stays_readable(tmp_path: Path, capsule: Capsule) -> None:
    write_capsule(capsule, tmp_path / "w.zip", part=0)
    assert (tmp_path / "w.zip").stat().st_size < len(LARGE)
    read = read_capsule(tmp_path / "w.zip")
    assert read.digests == capsule.digests
    assert by_digest(read.vendored) == {}
    assert write_capsule(read, tmp_path / "again.zip", part=0) == read.digests.capsule
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "w.zip").read_bytes()
    with pytest.raises(BadInput) as caught:
        write_capsule(read, tmp_path / "whole.zip")
    assert caught.value.code == "capsule-left-out"


def test_a_capsule_can_be_written_over_itself(tmp_path: Path, capsule: Capsule) -> None:
    write_capsule(capsule, tmp_path / "w.zip")
    before = (tmp_path / "w.zip").read_bytes()
    write_capsule(read_capsule(tmp_path / "w.zip"), tmp_path / "w.zip")
    assert (tmp_path / "w.zip").read_bytes() == before


def test_missing_and_cut_parts_are_named(tmp_path: Path, capsule: Capsule) -> None:
    path = tmp_path / "w.zip"
    write_capsule(capsule, path, part=SMALLEST_PART)
    (tmp_path / "w.zip.002").rename(tmp_path / "elsewhere")
    part = tmp_path / "w.zip.003"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"w\.zip\.002, w\.zip\.003 are not there") as caught:
        refuse_missing_parts(read_capsule(path).vendored)
    assert caught.value.code == "capsule-part-missing"
    assert read_capsule(path).contract.name == "w"  # what is not in a part can be read without


@pytest.mark.parametrize("part", [None, SMALLEST_PART])
def test_a_flipped_byte_is_found_when_it_is_read(tmp_path: Path, capsule: Capsule, part: int | None) -> None:
    write_capsule(capsule, tmp_path / "w.zip", part=part)
    for path in tmp_path.glob("w.zip*"):
        whole = path.read_bytes()
        if SMALL not in whole and LARGE[:100] not in whole:
            continue
        for wanted in (SMALL, LARGE[:100]):
            if wanted in whole:
                at = whole.index(wanted) + 5
                path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
                assert refused(tmp_path / "w.zip") == "capsule-damaged"
                path.write_bytes(whole)
    item = next(item for item in read_capsule(tmp_path / "w.zip").vendored.values() if item.size == len(LARGE))
    with pytest.raises(BadInput):
        replace(item, sha256="0" * 64).write_to(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_stopped_half_way_nothing_is_left_and_what_was_there_stays(tmp_path: Path, capsule: Capsule) -> None:
    folder = tmp_path / "to"
    write_capsule(replace(capsule, vendored={}), folder / "w.zip")
    before = (folder / "w.zip").read_bytes()

    def stop(event: Progress) -> None:
        if event.done > SMALLEST_PART:
            raise Cancelled

    for part in (None, SMALLEST_PART):
        with pytest.raises(Cancelled):
            write_capsule(capsule, folder / "w.zip", part=part, report=stop)
        assert [path.name for path in folder.iterdir()] == ["w.zip"]
        assert (folder / "w.zip").read_bytes() == before


def zip_of(path: Path, entries: dict[str, bytes], manifest: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in entries.items():
            made.writestr(name, data)
        made.writestr(MANIFEST, manifest)
    return path


def listing(**entries: tuple[object, object]) -> bytes:
    said = {name.replace("_", "/"): {"size": size, "sha256": digest} for name, (size, digest) in entries.items()}
    return json.dumps({"format": "1.0", "entries": said}).encode()


@pytest.mark.parametrize(
    "manifest",
    [
        listing(vendor_a=(-1, "0" * 64)),
        listing(vendor_a=(1.5, "0" * 64)),
        listing(vendor_a=(True, "0" * 64)),
        listing(vendor_a=(1, "zz")),
        listing(vendor_a=(1, None)),
        listing(vendor_a=(10**30, "0" * 64)),
    ],
)
def test_odd_listings_are_refused(tmp_path: Path, manifest: bytes) -> None:
    zip_of(tmp_path / "w.zip", {LAYOUT: layout_bytes(SMALLEST_PART)}, manifest)
    with pytest.raises(BadInput) as caught:
        read_archive(tmp_path / "w.zip")
    assert caught.value.code == "capsule-damaged"


@pytest.mark.parametrize(
    "layout", [b"{", b"[]", b'{"size": 1}', b'{"size": -1}', b'{"size": true}', b'{"size": "x"}', b"[" * 100_000]
)
def test_odd_layouts_are_refused(tmp_path: Path, layout: bytes) -> None:
    zip_of(tmp_path / "w.zip", {LAYOUT: layout}, listing(vendor_a=(1, "0" * 64)))
    with pytest.raises(BadInput) as caught:
        read_archive(tmp_path / "w.zip")
    assert caught.value.code == "capsule-damaged"


def test_only_what_is_vendored_may_lie_in_parts_and_only_once(tmp_path: Path) -> None:
    layout = {LAYOUT: layout_bytes(SMALLEST_PART)}
    outside = zip_of(tmp_path / "a.zip", layout, listing(inputs_a=(1, "0" * 64)))
    data = {"vendor/a": b"x"}
    twice = zip_of(tmp_path / "b.zip", {**layout, **data}, manifest_bytes(data))
    unsafe = zip_of(tmp_path / "c.zip", layout, listing(**{"vendor_.._.._x": (1, "0" * 64)}))
    for path, code in ((outside, "capsule-damaged"), (twice, "capsule-damaged"), (unsafe, "capsule-unsafe-name")):
        with pytest.raises(BadInput) as caught:
            read_archive(path)
        assert caught.value.code == code


def test_entries_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    """A directory that names one file a thousand times makes much out of little, without any compression."""
    data = {"vendor/0": bytes(1 << 16)}
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as made:
        made.writestr("vendor/0", data["vendor/0"])
        first = made.getinfo("vendor/0")
        for number in range(1, 60):
            info = zipfile.ZipInfo(f"vendor/{number}")
            info.header_offset, info.CRC = first.header_offset, first.CRC
            info.file_size = info.compress_size = first.file_size
            made.filelist.append(info)
            data[info.filename] = data["vendor/0"]
        made.writestr(MANIFEST, manifest_bytes(data))
    with pytest.raises(BadInput) as caught:
        read_archive(tmp_path / "w.zip")
    assert caught.value.code == "capsule-damaged"


SPARSE = """
    import re, sys
    from dataclasses import replace
    from pathlib import Path
    from comfy_capsule.packager.capsule import of_file, read_capsule, write_capsule

    small, large, size, digest, out = sys.argv[1:]
    capsule = read_capsule(Path(small))
    entry = of_file(Path(large), int(size), digest)
    write_capsule(replace(capsule, sealed="", vendored={"vendor/models/" + digest: entry}), Path(out))
    for item in read_capsule(Path(out)).vendored.values():
        item.write_to(Path(out + ".model"))
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_a_model_is_never_in_memory(tmp_path: Path, capsule: Capsule) -> None:
    write_capsule(replace(capsule, vendored={}), tmp_path / "w.zip")
    size = 256 << 20
    with (tmp_path / "model").open("wb") as file:
        file.truncate(size)
    digest = hashlib.sha256()
    for _ in range(256):
        digest.update(bytes(1 << 20))
    words = [tmp_path / "w.zip", tmp_path / "model", str(size), digest.hexdigest(), tmp_path / "large.zip"]
    argv = [sys.executable, "-c", textwrap.dedent(SPARSE), *map(str, words)]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert int(said) * 1024 < size * 3 / 4  # KiB; getrusage(2) counts this process too
    assert (tmp_path / "large.zip.model").stat().st_size == size


def test_what_is_read_into_memory_has_a_limit_and_what_is_vendored_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_MAX_ENTRY", len(LARGE) - 1)
    write_archive(tmp_path / "a.zip", {"vendor/models/x": held(tmp_path, LARGE)})
    read_archive(tmp_path / "a.zip")
    write_archive(tmp_path / "b.zip", {"inputs/x": LARGE})
    with pytest.raises(BadInput) as caught:
        read_archive(tmp_path / "b.zip")
    assert caught.value.code == "capsule-damaged"

"""A pack of a hundred thousand files: read to the byte, told of meanwhile, given up at once, and known again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.errors import Cancelled
from comfy_capsule.packager.progress import Progress, silent
from comfy_capsule.packager.snapshot.packs import read_packs
from trees import git, install_of

FOLDERS, IN_EACH = 100, 1000


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose commit a remote has. The files of one folder are hard links, and one blob to git."""
    folder = tmp_path_factory.mktemp("many") / "custom_nodes/huge"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    stream = [f"blob\nmark :{number + 1}\ndata {len(text(number))}\n{text(number)}\n" for number in range(FOLDERS)]
    stream.append("commit refs/heads/main\ncommitter t <t@t> 1700000000 +0000\ndata 1\nx\n")
    for number in range(FOLDERS):
        (folder / f"d{number:02}").mkdir()
        first = folder / name(number, 0)
        first.write_text(text(number))
        for file in range(1, IN_EACH):
            os.link(first, folder / name(number, file))
        stream += [f"M 100644 :{number + 1} {name(number, file)}\n" for file in range(IN_EACH)]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="".join(stream).encode(), check=True)
    git(folder, "read-tree", "HEAD")
    git(folder, "remote", "add", "origin", "https://example.com/huge.git")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    (folder / name(5, 0)).unlink()
    (folder / name(5, 0)).write_text("changed\n")
    (folder / name(99, 999)).unlink()
    (folder / "new.py").write_text("new\n")
    return folder


def name(number: int, file: int) -> str:
    return f"d{number:02}/f{file:03}.py"


def text(number: int) -> str:
    return f"value = {number:02}\n"


def digest() -> str:
    """The tree's digest by its definition: a line a file."""
    content = {name(number, file): text(number) for number in range(FOLDERS) for file in range(IN_EACH)}
    content |= {name(5, 0): "changed\n", "new.py": "new\n"}
    del content[name(99, 999)]
    lines = [f"100644 {hashlib.sha256(content[path].encode()).hexdigest()} {path}\n" for path in sorted(content)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_it_is_read_to_the_byte_and_known_again(pack: Path, tmp_path: Path) -> None:
    install, cache = install_of(pack.parent), Cache(tmp_path / "cache.sqlite3")
    events: list[Progress] = []
    time.sleep(max(0.0, pack.stat().st_mtime + 2.1 - time.time()))  # what was written just now is not trusted
    begun = time.monotonic()
    read = read_packs(install, None, frozenset(), events.append, cache)
    cold = time.monotonic() - begun
    assert read.packs[0].tree == digest()
    assert [item.code for item in read.findings] == ["local-changes"]
    patch = read.files["packs/huge.patch"].decode()
    assert [line.split(" b/")[1] for line in patch.splitlines() if line.startswith("diff --git")] == [
        *(name(5, 0), name(99, 999), "new.py"),
    ]
    counted = [event.item for event in events if event.item.endswith(" files")]
    told = [int(item.partition(", ")[2].partition(" ")[0].replace(",", "")) for item in counted]
    assert len(told) > 100
    assert told == sorted(told)
    assert told[-1] >= 100_000
    begun = time.monotonic()
    assert read_packs(install, None, frozenset(), silent, cache) == read
    assert time.monotonic() - begun < cold / 3


_STOPPED = """
import sys, time
from pathlib import Path
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.snapshot import snapshot_install
from trees import install_of

def report(event):
    if event.phase == "packs" and " files" in event.item:
        print(time.time(), flush=True)
        raise KeyboardInterrupt

try:
    snapshot_install(install_of(Path(sys.argv[1])), cache=Cache(Path(sys.argv[2])), report=report)
except KeyboardInterrupt:
    print(time.time())
"""


def test_a_cancelled_reading_ends_within_half_a_second_and_its_process_with_it(pack: Path, tmp_path: Path) -> None:
    paths = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED, str(pack.parent), str(tmp_path / "c.sqlite3")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    ended = time.time()
    asked, heard = map(float, done.stdout.split())
    assert heard - asked < 0.5
    assert ended - asked < 2  # read to its end the pack takes several seconds more


def test_a_cancelled_reading_leaves_no_thread_at_work(pack: Path, tmp_path: Path) -> None:
    told: list[Progress] = []

    def report(event: Progress) -> None:
        told.append(event)
        if " files" in event.item:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_packs(install_of(pack.parent), None, frozenset(), report, Cache(tmp_path / "cache.sqlite3"))
    stopped = time.monotonic()
    while any(thread.name.startswith("together-") for thread in threading.enumerate()):
        assert time.monotonic() < stopped + 0.5, "a thread goes on"
        time.sleep(0.01)
    assert told[-1].item == "huge, 500 files"

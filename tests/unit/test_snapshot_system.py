"""The system: which libraries and programs an environment needs, told from what it brings itself."""

from __future__ import annotations

import platform
import time
import tomllib
from pathlib import Path

import pytest

from bench.elf import AARCH64, write_shared
from bench.git import git
from bench.installs import install_at
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import (
    ComfyUI,
    Finding,
    Library,
    Lock,
    Platform,
    Program,
    System,
    environment_digest,
    lock_toml,
)
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.progress import silent
from comfy_capsule.packager.snapshot.system import machine
from comfy_capsule.packager.snapshot.system.programs import programs_in
from comfy_capsule.packager.snapshot.system.sonames import package_in, tables
from comfy_capsule.packager.snapshot.system.system import read_system


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site-packages"


@pytest.fixture
def install(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    root = tmp_path / "ComfyUI"
    for folder in (site, root / "custom_nodes"):
        folder.mkdir(parents=True)
    return install_at(root, base_prefix=tmp_path / "python", site_packages=(site,))


def read(install: Install, versions: dict[str, str] | None = None, os: str = "linux") -> System:
    return read_system(install, os, versions or {}, Cache(install.root / "cache"), silent).system


def kinds(system: System) -> dict[str, str]:
    return {item.soname: item.kind for item in system.libraries}


def findings(install: Install) -> list[Finding]:
    return list(read_system(install, "linux", {}, Cache(install.root / "cache"), silent).findings)


def test_what_a_wheel_brings_is_its_own_and_the_rest_is_a_package(install: Install, site: Path) -> None:
    bundled = {
        "needed": ["libpng-1234abcd.so.16", "libssl-81259c47.so.1.1.1k", "libGL.so.1", "libc.so.6"],
        "rpath": "$ORIGIN/../cv2.libs",
    }
    write_shared(site / "cv2/cv2.abi3.so", **bundled)
    write_shared(site / "cv2.libs/libpng-1234abcd.so.16", needed=["libz.so.1"], soname="libpng16.so.16")
    write_shared(site / "cv2.libs/libssl-81259c47.so.1.1.1k", soname="libssl-81259c47.so.1.1.1k")
    system = read(install)
    assert kinds(system) == {"libGL.so.1": "os", "libc.so.6": "os", "libz.so.1": "os"}
    assert system.packages == ("libc6", "libgl1", "zlib1g")
    assert {item.by for item in system.libraries} == {"cv2"}


def test_libraries_are_followed_over_packages_as_torch_loads_nvidias(install: Install, site: Path) -> None:
    write_shared(site / "torchvision/_C.so", needed=["libtorch.so"])
    write_shared(site / "torch/lib/libtorch.so", needed=["libcudart.so.13", "libgomp.so.1"], rpath="$ORIGIN")
    write_shared(site / "torch/lib/libgomp.so.1", soname="libgomp.so.1")
    write_shared(site / "nvidia/cu13/lib/libcudart.so.13", needed=["librt.so.1", "libcuda.so.1"])
    assert kinds(read(install)) == {"librt.so.1": "os", "libcuda.so.1": "driver"}
    assert read(install).packages == ("libc6",)


def test_a_system_library_in_another_package_does_not_count_but_by_rpath(install: Install, site: Path) -> None:
    write_shared(site / "a/a.abi3.so", needed=["libgomp.so.1"])
    write_shared(site / "b/lib/libgomp.so.1", soname="libgomp.so.1")
    assert kinds(read(install)) == {"libgomp.so.1": "os"}
    write_shared(site / "a/a.abi3.so", needed=["libgomp.so.1"], runpath="$ORIGIN/../b/lib")
    assert kinds(read(install)) == {}


def test_a_runpath_is_not_handed_down_and_an_rpath_is(install: Install, site: Path) -> None:
    write_shared(site / "deep/libz.so.1")
    write_shared(site / "b/libb.so", needed=["libz.so.1"])
    write_shared(site / "a/a.abi3.so", needed=["libb.so"], runpath="$ORIGIN/../b:$ORIGIN/../deep")
    assert kinds(read(install)) == {"libz.so.1": "os"}
    write_shared(site / "a/a.abi3.so", needed=["libb.so"], rpath="$ORIGIN/../b:$ORIGIN/../deep")
    assert kinds(read(install)) == {}


def test_plugins_that_nothing_names_are_optional_and_what_python_opens_is_not(install: Install, site: Path) -> None:
    write_shared(site / "nvidia/lib/fabric.so.3", needed=["libfabric.so.1"])
    write_shared(site / "llama/lib/libllama.so", needed=["libOpenCL.so.1"])
    (site / "llama/load.py").write_text("CDLL(find('llama'))\n")
    system = read(install)
    assert kinds(system) == {"libOpenCL.so.1": "os", "libfabric.so.1": "optional"}
    assert system.packages == ("ocl-icd-libopencl1",)


def test_files_of_another_python_machine_or_c_library_are_not_loaded(install: Install, site: Path) -> None:
    write_shared(site / "a.cpython-310-x86_64-linux-gnu.so", needed=["libX11.so.6"])
    write_shared(site / "b/b.so", needed=["libXext.so.6"], machine=AARCH64)
    write_shared(site / "c/c.so", needed=["libc.musl-x86_64.so.1", "libXi.so.6"])
    write_shared(site / "d.cpython-311-x86_64-linux-gnu.so", needed=["libSM.so.6"])
    assert kinds(read(install)) == {"libSM.so.6": "os"}


def test_libraries_that_need_each_other_come_to_an_end(install: Install, site: Path) -> None:
    write_shared(site / "a/a.abi3.so", needed=["liba.so", "liba.so"], rpath="$ORIGIN")
    write_shared(site / "a/liba.so", needed=["libb.so", "liba.so"], rpath="$ORIGIN")
    write_shared(site / "a/libb.so", needed=["liba.so", "../../x.so", "libz.so.1"], rpath="$ORIGIN/$LIB")
    (site / "a/self.so").symlink_to("self.so")
    (site / "loop").symlink_to(site)
    assert "libz.so.1" in kinds(read(install))


def test_packs_count_disabled_ones_and_what_git_ignores_do_not(install: Install) -> None:
    nodes = install.custom_nodes[0]
    write_shared(nodes / "native/fast.abi3.so", needed=["libOpenGL.so.0"])
    write_shared(nodes / "off.disabled/fast.abi3.so", needed=["libEGL.so.1"])
    write_shared(nodes / "checkout/kept.abi3.so", needed=["libX11.so.6"])
    write_shared(nodes / "checkout/built.abi3.so", needed=["libXt.so.6"])
    (nodes / "checkout/.gitignore").write_text("built*\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        git(*words, cwd=nodes / "checkout")
    expected = {"libOpenGL.so.0": "os", "libX11.so.6": "os"}
    system = read(install)
    assert kinds(system) == expected
    assert [item.by for item in system.libraries] == ["native", "checkout"]
    for number in range(300):  # more than fit on a command line of git's, were there enough of them
        write_shared(nodes / f"checkout/built{number}.abi3.so", needed=["libXt.so.6"])
    assert kinds(read(install)) == expected


def test_the_same_files_give_the_same_answer_from_the_cache_and_a_changed_one_another(
    install: Install, site: Path
) -> None:
    file = write_shared(site / "a/a.abi3.so", needed=["libz.so.1"])
    first = read(install)
    assert read(install) == first
    file.unlink()
    write_shared(file, needed=["libGL.so.1"])
    assert kinds(read(install)) == {"libGL.so.1": "os"}


def test_what_the_machine_lacks_and_what_no_package_has_is_said_and_changes_no_answer(
    install: Install, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lib"
    folder.mkdir()
    for name in ("libc.so.6", "libGL.so.1"):
        (folder / name).touch()
    monkeypatch.setattr(machine, "_FOLDERS", (str(folder),))
    monkeypatch.setattr(machine, "_CONFIG", tmp_path / "none")
    write_shared(site / "a/a.abi3.so", needed=["libGL.so.1", "libSM.so.6", "libodd\x1b.so.1"])
    said = {(item.code, item.subject) for item in findings(install)}
    odd = "libodd\x1b.so.1"
    assert said == {("library-unknown", odd), ("library-missing", odd), ("library-missing", "libSM.so.6")}
    system = read(install)
    assert system.packages == ("libgl1", "libsm6")
    (folder / "libSM.so.6").touch()
    assert {item.subject for item in findings(install) if item.code == "library-missing"} == {odd}
    assert read(install) == system
    (folder / "libc.so.6").unlink()  # no place where this linker looks: nothing is claimed
    assert not [item for item in findings(install) if item.code == "library-missing"]


def test_elsewhere_the_linux_wheels_needs_are_known_by_name(install: Install) -> None:
    system = read(install, {"opencv-python": "5.0", "numpy": "2.0"}, os="windows")
    assert {"libgl1", "libglib2.0-0", "libc6"} <= set(system.packages)
    assert not read(install, {}, os="darwin").packages


def test_what_a_distribution_opens_by_name_counts_everywhere(install: Install) -> None:
    system = read(install, {"gitpython": "3", "sounddevice": "1"})
    assert kinds(system) == {"libportaudio.so.2": "os"}
    assert [(item.name, item.package, item.by) for item in system.programs] == [("git", "git", ("gitpython",))]
    assert system.packages == ("git", "libportaudio2")


def test_every_name_by_hand_is_in_the_table_of_packages() -> None:
    said = tables()
    by_hand = {name for names in (*said.by_name.values(), *said.linked.values()) for name in names}
    assert by_hand <= set(said.debian)
    assert not [name for name in said.debian if said.is_driver(name)]
    assert set(said.trixie) <= set(said.debian)


def test_a_library_has_the_name_of_the_release_that_is_asked_for() -> None:
    names = [package_in("libglib-2.0.so.0", release) for release in ("bookworm", "trixie", "noble")]
    assert names == ["libglib2.0-0", "libglib2.0-0t64", "libglib2.0-0t64"]
    assert package_in("libavcodec.so.59", "trixie") == ""
    assert package_in("libGL.so.1", "trixie") == "libgl1"


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ("import subprocess\nsubprocess.run(['ffmpeg', '-i', x])", {"ffmpeg"}),
        ("import subprocess as sp\nsp.Popen('git clone ' + url, shell=True)", {"git"}),
        ("from subprocess import check_output as ask\nask(('/usr/bin/ffprobe', x))", {"ffprobe"}),
        ("import os\nos.system(f'aria2c {url}')", {"aria2c"}),
        ("from shutil import which as look\nlook('sox')", {"sox"}),
        ("from shutil import which\ntool = which('7z') or which('7za')", {"7z", "7za"}),
        (
            "import subprocess\nTOOL = 'C:\\\\bin\\\\ffmpeg.exe'\nargs = [TOOL, '-y'] + more\nsubprocess.call(args)",
            {"ffmpeg"},
        ),
        ("import asyncio\nasync def f():\n  await asyncio.create_subprocess_exec('sox', a)", {"sox"}),
        ("class A:\n  def run(self, x): pass\nA().run(['ffmpeg'])", set()),
        ("import subprocess\nnodes = ['node', 'git']\nsubprocess.run([python, '-m', 'git'])", set()),
        ("import subprocess\na = b\nb = a\nsubprocess.run(a)", set()),
        ("import subprocess\nsubprocess.run(['rm -rf\\n'])\nsubprocess.run('')\nsubprocess.run([])", {"rm"}),
        ("import subprocess\nthis is no Python", set()),
        ("import subprocess\nx = " + "(" * 5000, set()),
    ],
)
def test_programs_are_found_where_they_are_called_by_name(tmp_path: Path, source: str, programs: set[str]) -> None:
    file = tmp_path / "x.py"
    file.write_text(source)
    assert programs_in(file) == programs


def test_programs_of_packs_and_of_comfyui_are_told_apart(install: Install) -> None:
    nodes = install.custom_nodes[0]
    files = {
        install.root / "main.py": "import subprocess\nsubprocess.run(['nvidia-smi', '-L'])",
        install.root / "tests/test.py": "import subprocess\nsubprocess.run(['sox'])",
        nodes / "video/__init__.py": "import shutil\nff = shutil.which('ffmpeg')",
        nodes / "video/install.py": "import subprocess\nsubprocess.run(['git', 'pull'])",
        nodes / "video/.venv/x.py": "import subprocess\nsubprocess.run(['zip'])",
        nodes / "single.py": "import os\nos.system('ffmpeg -version; nonesuch')",
        nodes / "other.disabled/__init__.py": "import os\nos.system('wget x')",
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    system = read(install)
    said = [(item.name, item.package, item.kind, item.by) for item in system.programs]
    assert said == [
        ("ffmpeg", "ffmpeg", "os", ("single.py", "video")),
        ("nvidia-smi", "", "driver", ("ComfyUI",)),
    ]
    assert system.packages == ("ffmpeg",)


def test_the_install_line_names_packages_of_this_release_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(machine, "_release", lambda: "trixie")
    line = machine.install_line(["libglib-2.0.so.0", "libGL.so.1", "bin/git", "libavcodec.so.59", "lib;rm -rf.so"])
    assert line == "apt-get install git libgl1 libglib2.0-0t64"
    assert machine.install_line(["libavcodec.so.59"]) == ""
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine.install_line(["libGL.so.1"]) == ""


def test_the_lock_says_it_in_lines_and_reads_it_back_whatever_the_names_are() -> None:
    system = System(
        packages=("git", "libgl1"),
        libraries=(
            Library(soname='lib\x1b[31m"\n.so.1', by='a\\"b'),
            Library(soname="libGL.so.1", package="libgl1", by="cv2"),
        ),
        programs=(Program(name="git", package="git", by=("a", "b")),),
    )
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=ComfyUI(version="1", kind="git"), system=system)
    text = lock_toml(lock)
    assert Lock.model_validate(tomllib.loads(text)) == lock
    assert '    {soname = "libGL.so.1", package = "libgl1", kind = "os", by = "cv2"},' in text.splitlines()


def test_what_is_needed_is_in_the_environment_digest_and_where_a_distribution_keeps_it_is_not() -> None:
    platform = Platform(os="linux", arch="x86_64", python="3.11.7")
    lock = Lock(name="w", platform=platform, comfyui=ComfyUI(version="1", kind="git"))

    def digest(**said: str) -> str:
        return environment_digest(lock.model_copy(update={"system": System(libraries=(Library(**said),))}), "")

    assert digest(soname="libGL.so.1") != digest(soname="libEGL.so.1")
    assert digest(soname="libGL.so.1") == digest(soname="libGL.so.1", package="libgl1", by="cv2")
    program = System(programs=(Program(name="git"),))
    assert environment_digest(lock.model_copy(update={"system": program}), "") != environment_digest(lock, "")


def test_many_libraries_with_long_paths_and_large_sources_take_no_time(install: Install, site: Path) -> None:
    path = ":".join(f"$ORIGIN/{number}" for number in range(500))
    for number in range(40):
        needed = [f"lib{other}.so" for other in range(200)]
        write_shared(site / f"a/lib{number}.so", needed=[*needed, f"libodd{number}.so"], rpath=path)
    (site / "a/__init__.py").write_text("x = 'lib0.so'\n" + "y = 'word'\n" * 200_000)
    began = time.monotonic()
    found = kinds(read(install))
    assert time.monotonic() - began < 5
    assert found["libodd0.so"] == "os"

"""Sealing, as far as it is decided without a network: what goes in, under which name, and how it is asked for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from comfy_capsule.packager import cli
from comfy_capsule.packager.capsule import (
    Capsule,
    Checkout,
    ComfyUI,
    Lock,
    Model,
    Pack,
    Platform,
    Submodule,
    UsedFile,
    Vendored,
)
from comfy_capsule.packager.contract import Contract
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.materialise import lock_platform, wheel_of_pin
from comfy_capsule.packager.split_option import part_size
from comfy_capsule.packager.vendor.contents import Contents, What, contents_of

HEAD = 'lock-version = "1.0"\ncreated-by = "t"\n'


def wheel(name: str, digest: str, host: str = "a.invalid") -> str:
    url = f"https://{host}/{name}-1.0-py3-none-any.whl"
    hashes = f'{{ sha256 = "{digest * 64}" }}'
    return (
        f'[[packages]]\nname = "{name}"\nversion = "1.0"\nwheels = [{{ url = "{url}", size = 7, hashes = {hashes} }}]\n'
    )


def contents(pylock: str, what: What = "all", platforms: tuple[str, ...] = (), **said: object) -> Contents:
    core = ComfyUI(version="1", kind="git", origin="https://h/c", commit="0" * 40)
    here = Platform(os="windows", arch="AMD64", python="3.11.7")
    lock = Lock(name="w", platform=here, comfyui=core).model_copy(update=said)
    files = {"pylock.linux-x86_64.toml": (HEAD + wheel("alpha", "a") + wheel("beta", "b", "other.invalid")).encode()}
    return contents_of(Capsule(lock, HEAD + pylock, {}, {}, Contract(name="w"), {}, files), what, platforms)


def entries(found: Contents) -> list[str]:
    return [item.entry for item in found.wheels]


def test_each_wheel_goes_in_once_and_two_of_one_name_under_two() -> None:
    assert entries(contents(wheel("alpha", "a"))) == ["vendor/wheels/alpha-1.0-py3-none-any.whl"]
    both = contents(wheel("alpha", "a") + wheel("beta", "c"), platforms=("linux-x86_64",))
    assert entries(both) == [
        "vendor/wheels/alpha-1.0-py3-none-any.whl",
        "vendor/wheels/beta-1.0-py3-none-any.whl",
        f"vendor/wheels/{'b' * 12}/beta-1.0-py3-none-any.whl",
    ]


def test_a_platform_without_a_lock_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        contents("packages = []\n", platforms=("linux-aarch64",))
    assert caught.value.code == "platform-differs"


def test_a_wheel_that_was_installed_by_its_address_goes_in_under_its_own_name() -> None:
    address = 'archive = { url = "https://h/x%2F/torch_x-1.0%2Bcu1-py3-none-any.whl?a=b", hashes = { sha256 = "'
    found = contents(f'[[packages]]\nname = "torch-x"\nversion = "1.0+cu1"\n{address}{"d" * 64}" }} }}\n')
    assert entries(found) == ["vendor/wheels/torch_x-1.0+cu1-py3-none-any.whl"]
    assert found.findings == ()


@pytest.mark.parametrize(
    "package",
    [
        'archive = { url = "https://h/s-1.0.tar.gz", hashes = { sha256 = "' + "d" * 64 + '" } }',
        'sdist = { url = "https://h/s-1.0.tar.gz", hashes = { sha256 = "' + "d" * 64 + '" } }',
        'wheels = [{ url = "https://h/s-1.0-py3-none-any.whl", hashes = { md5 = "00" } }]',
    ],
)
def test_what_no_wheel_can_be_held_to_is_a_finding(package: str) -> None:
    found = contents(f'[[packages]]\nname = "s"\nversion = "1.0"\n{package}\n')
    assert [(item.code, item.subject, bool(item.cure)) for item in found.findings] == [("not-vendored", "s", True)]


def test_a_pin_without_a_hash_is_asked_for_once_and_for_the_captured_platform() -> None:
    found = contents('packages = []\n[tool.comfy-capsule]\nunproved = ["pip==24.0"]\n', platforms=("linux-x86_64",))
    assert [(item.pin, item.platform) for item in found.pins] == [("pip==24.0", "windows-AMD64")]
    assert found.findings == ()


@pytest.mark.parametrize(
    ("pin", "found"),
    [
        ("pip==24.0", "pip-24.0-py3-none-any.whl"),
        ("Pip==24.0", "pip-24.0-py3-none-any.whl"),
        ("pip==24.1", ""),
        ("torch-x==1.0+cu1", "torch_x-1.0+cu1-cp311-cp311-linux_x86_64.whl"),
        ("gone==1", ""),
    ],
)
def test_the_wheel_of_a_pin_is_known_by_its_name(pin: str, found: str) -> None:
    names = ("pip-24.0-cp311-cp311-linux_x86_64", "pip-24.0-py3-none-any", "torch_x-1.0+cu1-cp311-cp311-linux_x86_64")
    held = {f"vendor/wheels/{name}.whl": Vendored(1, "0" * 64, ()) for name in names}
    held |= {"vendor/wheels/gone-1-py3-none-any.whl": Vendored(1, "0" * 64, None)}
    taken = wheel_of_pin(pin, held)
    assert (taken[0] if taken else "") == found


def test_commits_go_in_that_are_not_carried_and_each_once() -> None:
    inner = Submodule(path="lib", origin="https://h/l", commit="2" * 40)
    packs = (
        Pack(name="p", kind="git", origin="https://h/p", commit="1" * 40, submodules=(inner,)),
        Pack(name="twin", kind="git", origin="https://h/p", commit="1" * 40, enabled=False),
        Pack(name="own", kind="git", origin="https://h/o", commit="3" * 40, bundle="packs/own.bundle"),
        Pack(name="nowhere", kind="git", commit="4" * 40),
        Pack(name="plain", kind="folder", carried="packs/plain.tar"),
        Pack(name="shop", kind="registry", registry="shop@1", carried="packs/shop.tar"),
    )
    found = contents("packages = []\n", packs=packs)
    assert [item.checkout.commit[0] for item in found.commits] == ["0", "1", "2"]
    assert found.commits[2].checkout == Checkout(origin="https://h/l", commit="2" * 40)


def test_models_go_in_with_all_only_and_each_content_once() -> None:
    model = Model(folder="vae", name="a", size=1, sha256="a" * 64)
    twin = model.model_copy(update={"name": "b"})
    large = UsedFile(place="cache", name="hub/x", size=2, sha256="b" * 64)
    carried = UsedFile(place="cache", name="hub/y", size=2, sha256="c" * 64, carried="files/y")
    said = {"models": (model, twin), "files": (large, carried)}
    assert {item.sha256[0] for item in contents("packages = []\n", **said).models} == {"a", "b"}
    assert contents("packages = []\n", "code", **said).models == ()


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 << 30), ("700MB", 700_000_000), ("1 MiB", 1 << 20), ("70000", 70_000), ("1g", 10**9)]
)
def test_the_size_of_parts(text: str, size: int) -> None:
    assert part_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "4XB", "1KB", "0", "4 GiB of it", "1e9"])
def test_what_is_no_size_of_parts_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        part_size(text)


def test_platforms_are_said_as_engines_do() -> None:
    assert [lock_platform(text) for text in ("linux/amd64", "linux/arm64", "Linux/x86_64")] == [
        "linux-x86_64",
        "linux-aarch64",
        "linux-x86_64",
    ]
    for text in ("linux", "linux/", "../x/y", "linux/a/b"):
        with pytest.raises(BadInput):
            lock_platform(text)


def test_what_goes_with_vendor_only_is_refused_without() -> None:
    words = ["export", "--comfy", "x", "--workflow", "w.json", "-o", "w.zip", "--split", "4GiB"]
    with pytest.raises(BadInput, match="--split"):
        CliRunner().invoke(cli.command, words, catch_exceptions=False)

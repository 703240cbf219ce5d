"""What staying packs need of Python, against a lock: who needs what, what comes along, what is let go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from comfy_capsule.packager.restore.existing.needs import PythonNeeds, pack_requirements, python_needs
from comfy_capsule.packager.snapshot import InstalledNeeds


def installed(version: str = "1.0", *requires: str, tag: str = "py3-none-any", **said: object) -> InstalledNeeds:
    usual = {"requires_python": "", "editable": False, **said}
    return InstalledNeeds.model_validate({"version": version, "requires": requires, "tags": (tag,), **usual})


def needs(folder: Path, requirements: str, here: dict[str, InstalledNeeds], lock: dict[str, str]) -> PythonNeeds:
    (folder / "requirements.txt").write_text(requirements)
    return python_needs({"fox": folder}, here, lock, "3.12.4")


@pytest.mark.parametrize(
    ("requirements", "blocks"),
    [
        ("numpy<2", True),
        ("numpy<2 ; python_version < '3.12'", False),
        ("numpy<2 ; python_version >= '3.12'", True),
        ("NumPy ~= 1.26", True),
        ("numpy>=1", False),
        ("numpy", False),
        ("numpy==0.9", False),  # not met now either: nothing is taken away
        ("opencv-python<3", False),  # nor this
        ("# numpy<2", False),
        ("--index-url https://example.com\nnumpy<2 --hash=sha256:00", True),
        ("git+https://example.com/numpy.git", False),
        ("numpy @ https://example.com/numpy.whl", False),
        ("numpy \\\n  <2", True),
    ],
)
def test_a_need_that_is_met_now_and_would_not_be(tmp_path: Path, requirements: str, blocks: bool) -> None:
    found = needs(tmp_path, requirements, {"numpy": installed("1.26.4")}, {"numpy": "2.1.0"})
    assert bool(found.findings) == blocks
    for finding in found.findings:
        assert (finding.code, finding.subject, finding.blocks) == ("python-conflict", "fox", True)
        assert finding.message.lower().startswith("the pack fox needs numpy")
        assert "1.26.4 is here, the capsule pins 2.1.0" in finding.message
        assert "--existing exact" in finding.cure


def test_what_is_needed_is_followed_through_what_is_installed(tmp_path: Path) -> None:
    here = {
        "alpha": installed("1.0", "beta>=1", "gamma ; extra == 'more'", "delta ; python_version < '3.12'"),
        "beta": installed("1.0", "torch<2.5"),
        **dict.fromkeys(("gamma", "delta", "jupyter", "pip"), installed()),
        "torch": installed("2.4.0"),
    }
    found = needs(tmp_path, "alpha[more]\n", here, {"torch": "2.11.0"})
    assert found.kept == ("alpha", "beta", "gamma", "pip")
    assert found.dropped == ("delta", "jupyter")
    assert [finding.message for finding in found.findings] == [
        "The pack fox needs torch<2.5 for its alpha: 2.4.0 is here, the capsule pins 2.11.0."
    ]
    assert needs(tmp_path, "alpha\n", here, {"torch": "2.4.0"}).kept == ("alpha", "beta", "pip")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"tag": "cp311-cp311-any"},
            "its files are for cp311-cp311-any, the capsule has Python 3.12.4",
        ),
        ({"tag": "cp39-abi3-linux_x86_64"}, ""),
        ({"tag": "cp312-cp312-linux_x86_64"}, ""),
        ({"tag": "py2.py3-none-any"}, ""),
        ({"requires_python": "<3.12"}, "its files need Python <3.12, the capsule has 3.12.4"),
        ({"requires_python": "nonsense"}, ""),
        ({"editable": True}, "its installed form is a folder on this machine"),
    ],
)
def test_what_cannot_come_along_blocks(tmp_path: Path, said: dict[str, object], reason: str) -> None:
    found = needs(tmp_path, "alpha", {"alpha": installed(**said)}, {})
    assert [finding.message for finding in found.findings] == (
        [f"The pack fox needs alpha: 1.0 is here, {reason}."] if reason else []
    )


def test_requirements_are_read_from_the_pack_and_from_nowhere_else(tmp_path: Path) -> None:
    pack = tmp_path / "fox"
    (pack / "more").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("outside\n")
    (pack / "more/extra.txt").write_text("extra\n-r ../requirements.txt\n")
    (pack / "requirements.txt").write_text("\ufeffone\n-r more/extra.txt\n-r ../outside.txt\n-r gone.txt\n!!\n")
    (pack / "pyproject.toml").write_text("[project]\ndependencies = ['two>1', 3]\n")
    assert [str(need) for need in pack_requirements(pack)] == ["one", "extra", "two>1"]
    (pack / "pyproject.toml").write_text("project = 1\n")
    (pack / "requirements.txt").unlink()
    assert list(pack_requirements(pack)) == []


def test_everything_that_stands_against_a_restore_is_documented() -> None:
    root = Path(__file__).parents[2]
    source = "".join(path.read_text() for path in (root / "packager/restore/existing").glob("*.py"))
    codes = set(re.findall(r'(?:code=|_finding\(\s*|Blocked\(\s*)"([a-z-]+)"', source)) - {"findings-block"}
    documented = set(re.findall(r"^\| `([a-z-]+)`", (root / "docs/restore.md").read_text(), re.MULTILINE))
    assert codes == documented

"""`comfy-capsule versions`: the command reads a folder alone, with no ComfyUI near."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from bench.versions import capsule
from comfy_capsule.packager import actions, cli, export
from comfy_capsule.packager.capsule import write_capsule
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.versions import Versions
from comfy_capsule.packager.versions.models import commit_message, read_message


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder with two versions of `portrait`, the first tagged v1."""
    for number, message in enumerate(("first", "second")):
        file = tmp_path / f"{number}.zip"
        write_capsule(capsule(message, maximum=9 + number), file)
        run("keep", file, folder=tmp_path / "kept")
        if number == 0:
            run("tag", "portrait", "v1", folder=tmp_path / "kept")
    return tmp_path / "kept"


def run(*words: object, folder: Path, status: int = 0) -> Any:
    """What ``comfy-capsule versions WORDS --json`` answers."""
    said = CliRunner().invoke(cli.command, ["versions", *map(str, words), "--dir", str(folder), "--json"])
    if said.exception and isinstance(said.exception, CapsuleError):
        return said.exception.code
    assert said.exit_code == status, said.output
    return json.loads(said.output)


def test_list_and_show(kept: Path) -> None:
    assert [(each["message"], each["contract"]) for each in run("list", "portrait", folder=kept)] == [
        ("second", "widened"),
        ("first", "first"),
    ]
    assert run("list", folder=kept)["workflows"][0]["versions"] == 2
    assert run("show", "portrait@v1", folder=kept)["changes"] is None
    assert run("show", "portrait", folder=kept)["changes"]["contract"]["verdict"] == "widened"
    assert run("list", "other", folder=kept) == "no-versions"


def test_diff_tells_by_its_status(kept: Path) -> None:
    assert run("diff", "portrait", "portrait", folder=kept)["equal"]
    said = run("diff", "portrait", "portrait@v1", folder=kept, status=1)
    assert (said["equal"], said["contract"]["verdict"]) == (False, "breaking")


def test_get_gives_back_capsule_workflow_and_files(kept: Path, tmp_path: Path) -> None:
    out, graph, files = tmp_path / "w.capsule.zip", tmp_path / "w.json", tmp_path / "files"
    run("get", "portrait@v1", "--capsule", out, "--workflow", graph, "--files", files, folder=kept)
    assert out.read_bytes() == (tmp_path / "0.zip").read_bytes()
    assert json.loads(graph.read_text())["said"] == "first"
    assert {path.name for path in files.iterdir()} >= {"workflow.json", "contract.json", "capsule.toml", "pylock.toml"}
    assert run("get", "portrait@v1", folder=kept) == "bad-usage"


def test_branch_and_prune(kept: Path) -> None:
    assert run("branch", "portrait@v1", "night", folder=kept)["branches"] == ["night"]
    assert run("prune", "--last", "1", folder=kept)["files"] == 0
    assert run("push", "portrait", "https://a:b@example.com/x", folder=kept) == "remote-with-login"


def test_people_can_read_it(kept: Path) -> None:
    for words, told in (
        ("list", "portrait  2"),
        ("list portrait", "widened     same         second [main]"),
        ("show portrait", "widened    input color the maximum rises from 9 to 10"),
        ("show portrait@v1", "changes   none: it is the first"),
        ("diff portrait portrait", "graph     is the same"),
    ):
        said = CliRunner().invoke(cli.command, ["versions", *words.split(), "--dir", str(kept)])
        assert said.exit_code == 0, said.output
        assert told in said.output


@pytest.mark.parametrize("command", ["list", "show", "diff", "get", "keep", "tag", "branch", "push", "prune"])
def test_each_has_help_with_an_example(command: str) -> None:
    said = CliRunner().invoke(cli.command, ["versions", command, "--help"])
    assert (said.exit_code, "Example" in said.output) == (0, True)


def test_an_export_is_kept_and_where_that_fails_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "export", lambda *words, **more: capsule("first"))
    asked = ["export", "--comfy", "x", "--workflow", "w.json", "-o", "w.zip", "--json", "--keep"]
    said = json.loads(CliRunner().invoke(cli.command, [*asked, str(tmp_path / "kept")]).output)
    assert said["kept"]["version"]["message"] == "first"
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli.command, [*asked, str(tmp_path / "file/kept")])
    assert (done.exit_code, json.loads(done.output)["kept"]["version"]) == (0, None)
    assert json.loads(done.output)["kept"]["reason"]


def test_an_export_in_the_app_is_kept_for_the_user_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "live_install", lambda: SimpleNamespace(user_dir=tmp_path))
    monkeypatch.setattr(export, "live_object_info", dict)
    monkeypatch.setattr(export, "make_capsule", lambda *words, **more: capsule("first"))
    made = export.export_live({}, {}, name="portrait", user="ann_1")
    assert Versions(tmp_path / "__capsule/ann_1").history("portrait") == (made.keeping.version,)
    assert made.path.is_file()
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    made = export.export_live({}, {}, name="portrait")
    assert (made.path.is_file(), made.keeping.version) == (True, None)
    assert "'git' is not installed" in made.keeping.reason


@pytest.mark.parametrize("said", ["a message", "two\n\nparagraphs", "Capsule: x\nEnvironment: y\nContract: z", "é\r\n"])
def test_no_message_passes_for_another_capsule(said: str) -> None:
    digests = capsule().digests
    assert read_message(commit_message(said, digests)) == (said.strip(), digests)
    forged = commit_message(said, digests.model_copy(update={"capsule": "a" * 64}))
    assert read_message(commit_message(forged, digests)) == (forged.strip(), digests)
    assert read_message(said) is None

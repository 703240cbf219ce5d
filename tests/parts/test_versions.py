"""Versions in a real git repository: kept, told apart, given back, pushed; by several at once, and after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.versions import PICTURE, capsule
from comfy_capsule.packager.capsule import Vendored, read_capsule, sha256_file, write_capsule
from comfy_capsule.packager.capsule.vendored import Piece
from comfy_capsule.packager.errors import BadInput, CapsuleError
from comfy_capsule.packager.progress import Progress
from comfy_capsule.packager.version_changes import compare_versions
from comfy_capsule.packager.versions import Versions, keep_export
from comfy_capsule.packager.versions.repository import make_repository


@pytest.fixture
def kept(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "kept")


def git(folder: Path, *words: str) -> str:
    """A user's own git, in a version's repository."""
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def refusal(call: Any, *words: Any, **more: Any) -> str:
    with pytest.raises(CapsuleError) as refused:
        call(*words, **more)
    return refused.value.code


def age(folder: Path) -> None:
    """Everything in `folder` is of yesterday."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 86400,) * 2)


def test_each_capsule_is_a_commit_and_comes_back_byte_for_byte(kept: Versions, tmp_path: Path) -> None:
    capsules = [capsule("first"), capsule("narrower", maximum=9), capsule("newer", maximum=9, comfyui="0.31.0")]
    made = [kept.keep(each) for each in capsules]
    history = kept.history("portrait")
    assert [each.message for each in history] == ["newer", "narrower", "first"]
    assert [each.contract for each in history] == ["same", "breaking", "first"]
    assert [each.environment for each in history] == ["changed", "same", "first"]
    assert [each.parent for each in history] == [made[1].commit, made[0].commit, ""]
    assert history[0].branches == ("main",)
    assert all((each.carried, each.missing) == (len(PICTURE), 0) for each in history)
    for version, each in zip(made, capsules, strict=True):
        digest = write_capsule(each, tmp_path / "made.zip")
        kept.write(version, tmp_path / "back.zip")
        assert (tmp_path / "back.zip").read_bytes() == (tmp_path / "made.zip").read_bytes()
        assert version.digests.capsule == digest
        assert kept.read(version).workflow == each.workflow
    assert len(list((tmp_path / "kept/files").rglob("*"))) == 2  # one folder, one picture: it is there once


def test_a_folder_and_a_remote_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    version = Versions(Path("kept")).keep(capsule("first"))
    git(tmp_path, "init", "--quiet", "--bare", "there.git")
    Versions(Path("kept")).push("portrait", "there.git")
    assert git(tmp_path / "there.git", "rev-parse", "main") == version.commit


def test_what_is_vendored_in_a_capsule_is_no_part_of_its_version(kept: Versions, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights" * 1000)
    digest = sha256_file(model)
    held = Vendored(model.stat().st_size, digest, (Piece(model, 0, model.stat().st_size),))
    sealed = capsule(vendored={f"vendor/models/{digest}": held})
    version = kept.keep(sealed)
    kept.write(version, tmp_path / "back.zip")
    back = read_capsule(tmp_path / "back.zip")
    assert back.digests == sealed.digests == version.digests
    assert [each.pieces for each in back.vendored.values()] == [None]
    assert b"weights" not in b"".join(path.read_bytes() for path in kept.folder.rglob("*") if path.is_file())


def test_a_users_own_git_reads_it_and_its_diff_says_something(kept: Versions) -> None:
    kept.keep(capsule("first"))
    kept.keep(capsule("second", maximum=9))
    repository = kept.folder / "portrait.git"
    assert git(repository, "log", "--format=%s", "main").splitlines() == ["second", "first"]
    assert '-   "maximum": 16777215,' in git(repository, "diff", "main~1", "main", "--", "contract.json")
    assert git(repository, "fsck", "--strict") == ""
    clone = kept.folder.parent / "clone"
    git(kept.folder, "clone", "--quiet", str(repository), str(clone))
    assert json.loads((clone / "workflow.json").read_text())["said"] == "second"
    (clone / "README.md").write_text("A person's own commit on top.")
    git(clone, "add", ".")
    git(clone, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "notes")
    git(clone, "push", "--quiet", "origin", "main")
    third = kept.keep(capsule("third"))
    assert [each.message for each in kept.history("portrait")] == ["third", "second", "first"]
    assert kept.find(f"portrait@{third.parent}").message == "second"
    assert git(repository, "log", "--format=%s", "main").splitlines() == ["third", "notes", "second", "first"]


def test_the_same_capsule_again_is_no_new_version(kept: Versions) -> None:
    first = kept.keep(capsule("one"))
    assert kept.keep(capsule("one")) == first
    kept.keep(capsule("two"))
    again = kept.keep(capsule("one"))
    assert (again.id, again.commit != first.commit) == (first.id, True)  # one went back to it
    assert kept.find(f"portrait@{first.id}") == again
    assert len(kept.history("portrait")) == 3


def test_branches_grow_where_one_goes_on_from_an_older_version(kept: Versions) -> None:
    first, second = kept.keep(capsule("1")), kept.keep(capsule("2"))
    side = kept.keep(capsule("1b"), parent=first.id)
    assert (side.parent, side.branches) == (first.commit, (f"from-{first.id}",))
    assert kept.keep(capsule("1c"), parent=first.id).branches == (f"from-{first.id}-2",)
    assert kept.keep(capsule("1bb"), parent=side.id).branches == side.branches  # it was the newest of its branch
    assert kept.find("portrait") == second
    night = kept.keep(capsule("night"), branch="night")
    assert (night.parent, night.branches) == (second.commit, ("night",))
    assert kept.keep(capsule("night 2"), branch="night").parent == night.commit
    assert refusal(kept.keep, capsule("night 3"), branch="night", parent=first.id) == "not-newest"
    own = capsule("says it itself")
    named = kept.keep(capsule("says it itself", lock=own.lock.model_copy(update={"parent": second.id})))
    assert (named.parent, named.branches) == (second.commit, ("main",))
    elsewhere = capsule("from elsewhere", lock=own.lock.model_copy(update={"parent": "ab" * 6, "message": "x"}))
    assert kept.keep(elsewhere).parent == named.commit


def test_tags_name_a_version_and_stay(kept: Versions) -> None:
    first, second = kept.keep(capsule("1")), kept.keep(capsule("2"))
    kept.tag(first, "v1.0")
    kept.tag(first, "v1.0")  # said again is said
    assert kept.find("portrait@v1.0") == kept.find(f"portrait@{first.id[:6]}")
    assert kept.find("portrait@v1.0").tags == ("v1.0",)
    assert refusal(kept.tag, second, "v1.0") == "name-taken"
    kept.branch(first, "old")
    assert kept.find("portrait@old").commit == first.commit
    assert refusal(kept.branch, second, "old") == "name-taken"
    for odd in ("", "-x", "a..b", "a b", "a/", "/a", "x.lock", "a/.b", "../x", "x\n", "x" * 101):
        assert refusal(kept.tag, first, odd) == "bad-name", odd
    for odd in ("portrait@gone", "portrait@ffff", "portrait@--all", "portrait@main~1"):
        assert refusal(kept.find, odd) == "no-version", odd
    for odd in ("other", "../portrait", "", "portrait.git/../portrait"):
        assert refusal(kept.find, odd) == "no-versions", odd


def test_two_versions_are_compared(kept: Versions) -> None:
    before = kept.read(kept.keep(capsule("1")))
    after = kept.read(kept.keep(capsule("2", maximum=9, comfyui="0.31.0", workflow={"nodes": [1]})))
    said = compare_versions(before, after)
    assert said.contract.verdict == "breaking"
    assert [(change.section, change.subject) for change in said.environment] == [("comfyui", "ComfyUI")]
    assert (said.equal, said.graph, said.layout) == (False, False, True)
    assert compare_versions(after, after).equal


def test_pruning_takes_the_carried_files_of_old_versions_only_when_asked(kept: Versions, tmp_path: Path) -> None:
    versions = [kept.keep(capsule(str(number), files={"inputs/a.png": bytes([number]) * 100})) for number in range(4)]
    kept.tag(versions[0], "v1")
    assert kept.prune(1).files == 0  # they are young: another process may be about to commit theirs
    age(kept.folder / "files")
    assert kept.prune(1, dry_run=True) == kept.prune(1)
    assert [each.missing for each in kept.history("portrait")] == [0, 100, 100, 0]
    for version in (versions[0], versions[3]):
        kept.write(version, tmp_path / "back.zip")
    with pytest.raises(BadInput, match=r"1 file\(s\) of version .*, 100 bytes, .*inputs/a.png"):
        kept.write(versions[1], tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    assert kept.read(versions[1]).contract == capsule().contract
    again = kept.keep(capsule("1", files={"inputs/a.png": bytes([1]) * 100}))  # its file is kept anew, for both
    assert again.missing == kept.find(f"portrait@{versions[1].commit}").missing == 0


def test_what_lies_beside_git_is_not_believed(kept: Versions, tmp_path: Path) -> None:
    version = kept.keep(capsule())
    (file,) = (path for path in (kept.folder / "files").rglob("*") if path.is_file())
    file.write_bytes(bytes(len(PICTURE)))
    assert refusal(kept.write, version, tmp_path / "x.zip") == "version-pruned"
    kept.keep(capsule("again"))  # it is written anew
    kept.write(version, tmp_path / "x.zip")
    assert read_capsule(tmp_path / "x.zip").files["inputs/picture.png"] == PICTURE


@pytest.mark.parametrize("name", ["contract.json", "MANIFEST.json", "capsule.toml"])
def test_a_commit_that_does_not_hold_its_capsule_is_refused(kept: Versions, tmp_path: Path, name: str) -> None:
    version = kept.keep(capsule())
    repository, clone = kept.folder / "portrait.git", tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    (clone / name).write_text((clone / name).read_text().replace("1.0", "1.1") + " ")
    message = git(clone, "log", "-1", "--format=%B")
    git(clone, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-am", message)
    git(clone, "push", "--quiet", "origin", "main")
    forged = kept.find("portrait")
    assert (forged.id, forged.commit != version.commit) == (version.id, True)
    assert refusal(kept.read, forged) == refusal(kept.write, forged, tmp_path / "x.zip") == "version-damaged"
    assert kept.read(version).contract == capsule().contract


def test_the_repositorys_configuration_is_not_obeyed(kept: Versions, tmp_path: Path) -> None:
    kept.keep(capsule("1"))
    repository, mark = kept.folder / "portrait.git", tmp_path / "ran"
    for name in ("reference-transaction", "update", "pre-push", "post-update"):
        (repository / "hooks").mkdir(exist_ok=True)
        (repository / "hooks" / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (repository / "hooks" / name).chmod(0o755)
    kept.keep(capsule("2"))
    kept.push("portrait", str(bare(tmp_path)))
    assert not mark.exists()
    git(repository, "remote", "add", "origin", "ssh://git@example.com/x.git")  # a person's own is no reason to stop
    assert len(kept.history("portrait")) == 2
    good = (repository / "config").read_text()
    for odd in (
        f"[core]\n\tsshCommand = touch {mark}\n",
        f"[include]\n\tpath = {tmp_path / 'other'}\n",
        f"[core]\n\tfsmonitor = touch {mark}\n",
        '[url "/elsewhere/"]\n\tinsteadOf = /\n',
        "[extensions]\n\tpartialClone = origin\n",
        f'[credential]\n\thelper = "!touch {mark}"\n',
    ):
        (repository / "config").write_text(good + odd)
        assert refusal(kept.history, "portrait") == refusal(kept.keep, capsule("3")) == "versions-unsafe"
    (repository / "config").write_text(good)
    (repository / "commondir").write_text("../elsewhere")
    assert refusal(kept.history, "portrait") == "versions-unsafe"
    assert not mark.exists()


def test_what_a_stranger_put_into_the_repository_stops_nothing_else(
    kept: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = kept.keep(capsule("1"))
    repository = kept.folder / "portrait.git"
    for odd in ("refs/heads/a\u2028b", "refs/tags/v\x85", "refs/heads/\u00e9"):
        git(repository, "update-ref", odd, version.commit)
    (repository / "packed-refs").write_bytes(version.commit.encode() + b" refs/heads/\xff\xfe\n")
    git(repository, "tag", "of-a-blob", git(repository, "rev-parse", "main:contract.json"))
    empty = git(repository, "hash-object", "-t", "tree", "-w", "/dev/null")
    words = ("-c", "user.name=A", "-c", "user.email=a@b", "commit-tree", empty, "-p", version.commit, "-m")
    same_message = git(repository, "log", "-1", "--format=%B")
    git(repository, "update-ref", "refs/heads/empty", git(repository, *words, same_message))
    git(repository, "update-ref", "refs/heads/no-message", git(repository, *words, ""))
    (found, first) = kept.history("portrait")
    assert (first.commit, set(first.branches) >= {"main", "a\u2028b"}) == (version.commit, True)
    assert (found.id, found.contract, found.carried) == (version.id, "same", 0)
    assert refusal(kept.read, found) == "version-damaged"
    assert kept.keep(capsule("2")).parent == version.commit
    monkeypatch.setattr("comfy_capsule.packager.versions.repository._LARGEST", 100)
    assert refusal(kept.read, version) == "version-damaged"


def test_a_workflow_without_a_version_is_none(kept: Versions) -> None:
    assert kept.workflows() == ()
    assert kept.size() == (0, 0)
    make_repository(kept.folder / "portrait.git")  # killed before its first commit
    assert kept.history("portrait") == kept.workflows() == ()
    assert refusal(kept.find, "portrait") == "no-version"
    (kept.folder / "Not A Name.git").mkdir()
    kept.keep(capsule())
    assert [each.name for each in kept.workflows()] == ["portrait"]


def bare(tmp_path: Path) -> Path:
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    return remote


def test_a_push_sends_branches_and_tags_and_overwrites_nothing(kept: Versions, tmp_path: Path) -> None:
    remote, said = bare(tmp_path), list[Progress]()
    first = kept.keep(capsule("1"))
    kept.tag(first, "v1")
    kept.keep(capsule("2"), branch="night")
    kept.push("portrait", str(remote), said.append)
    assert git(remote, "for-each-ref", "--format=%(refname:short)").split() == ["main", "night", "v1"]
    assert said[-1].phase == "push"
    other = Versions(tmp_path / "other")
    other.keep(capsule("another first"))
    assert refusal(other.push, "portrait", str(remote)) == "push-failed"
    assert git(remote, "log", "--format=%s", "main") == "1"
    assert refusal(kept.push, "portrait", str(tmp_path / "gone.git")) == "push-failed"


@pytest.mark.parametrize(
    ("remote", "code"),
    [
        ("https://me:secret@example.com/x.git", "remote-with-login"),
        ("https://ghp_secret@example.com/x.git", "remote-with-login"),
        ("https://example.com/x.git?access_token=secret", "remote-with-login"),
        ("", "bad-remote"),
        ("--receive-pack=touch x", "bad-remote"),
        ("ext::touch x", "push-failed"),
        ("origin", "bad-remote"),
    ],
)
def test_an_address_holds_no_login_and_runs_nothing(kept: Versions, remote: str, code: str) -> None:
    kept.keep(capsule())
    git(kept.folder / "portrait.git", "remote", "add", "origin", "/somewhere/else")
    with pytest.raises(CapsuleError) as refused:
        kept.push("portrait", remote)
    assert refused.value.code == code
    assert "secret" not in str(refused.value)
    assert not (kept.folder / "portrait.git/x").exists()


def _keep_five(folder: Path, who: int) -> None:
    for number in range(5):
        Versions(folder).keep(capsule(f"{who}.{number}"))


def test_exports_at_once_lose_nothing(tmp_path: Path) -> None:
    """They begin together, so that each also makes the repository."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_keep_five, args=(tmp_path / "kept", who)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    history = Versions(tmp_path / "kept").history("portrait")
    assert sorted(each.message for each in history) == [f"{who}.{number}" for who in range(4) for number in range(5)]
    assert [each.parent for each in history] == [*(each.commit for each in history[1:]), ""]  # one line, no forks
    assert not [path for path in (tmp_path / "kept").iterdir() if path.name.startswith(".new-")]


def test_a_killed_export_leaves_the_repository_usable(tmp_path: Path) -> None:
    kept, killed = Versions(tmp_path / "kept"), 0
    code = "import sys; from pathlib import Path; from bench.versions import capsule\n"
    code += "from comfy_capsule.packager.versions import Versions\nprint('go', flush=True)\n"
    code += "for n in range(1000): Versions(Path(sys.argv[1])).keep(capsule(f'{sys.argv[2]}.{n}'))"
    for attempt in range(6):
        argv = [sys.executable, "-c", code, str(kept.folder), str(attempt)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        worker = subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment, start_new_session=True)
        assert worker.stdout
        worker.stdout.readline()
        time.sleep(0.013 * attempt + 0.02)
        os.killpg(worker.pid, signal.SIGKILL)  # the git that it had started, too
        killed += worker.wait() == -signal.SIGKILL
        after = kept.keep(capsule(f"after {attempt}"))
        assert kept.history("portrait")[0] == after
        kept.write(after, tmp_path / "back.zip")
    assert killed == 6
    git(kept.folder / "portrait.git", "fsck", "--strict")


def test_the_lock_that_a_killed_git_left_is_removed_when_it_is_old(kept: Versions) -> None:
    kept.keep(capsule("1"))
    locks = [kept.folder / "portrait.git" / name for name in ("refs/heads/main.lock", "HEAD.lock")]
    for lock in locks:
        lock.touch()
        os.utime(lock, (time.time() - 60,) * 2)
    assert kept.keep(capsule("2")).message == "2"
    assert not any(lock.exists() for lock in locks)


def test_keeping_that_fails_is_told_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Versions
) -> None:
    assert keep_export(kept.folder, capsule()).version == kept.find("portrait")
    (tmp_path / "file").write_text("")
    assert "refused" in keep_export(tmp_path / "file", capsule()).reason
    monkeypatch.setenv("PATH", str(tmp_path))
    said = keep_export(kept.folder, capsule("2"))
    assert (said.version, "not installed" in said.reason, said.cure) == (None, True, "Install it.")

"""No secret goes into a capsule: planted everywhere, searched for in every byte of the file, decompressed."""

from __future__ import annotations

import io
import json
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.git import commit_all, git
from bench.installs import install_at
from bench.pictures import example_picture, pixels
from comfy_capsule.packager.actions import summary
from comfy_capsule.packager.cache import Cache
from comfy_capsule.packager.capsule import Capsule, read_capsule, write_capsule
from comfy_capsule.packager.comfy import Install
from comfy_capsule.packager.errors import CapsuleError
from comfy_capsule.packager.export import make_capsule
from comfy_capsule.packager.secrets import rewrite_texts
from comfy_capsule.packager.snapshot import files_with_tokens, snapshot_install

#: One secret a place. Each is found by what the place says of it, and by nothing else.
PLANTED = {
    name: f"{head}{index:02d}aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"
    for index, (name, head) in enumerate(
        {
            "remote_url": "pw", "remote_query": "rq", "model_query": "mq", "direct_url": "du", "by_name": "bn",
            "by_shape": "hf" + "_", "subgraph": "sg", "note": "glpat" + "-", "property": "pr", "mark": "mk",
            "png": "gh" + "p_", "webp": "wp", "jpeg": "sk" + "-", "env": "ev", "key_file": "kf", "argument": "ar",
            "environment": "en", "message": "r8" + "_", "definition": "df", "text_file": "sk" + "-",
        }.items()
    )
}  # fmt: skip
INFO = {
    "Ask": {"input": {"required": {
        "image": [["a.png", "b.webp", "c.jpg", "d.txt"], {"image_upload": True}], "text": ["STRING", {}],
        "api_key": ["STRING", {"default": PLANTED["definition"]}],
    }}, "output": ["IMAGE"], "output_node": True},
}  # fmt: skip


def checkout(folder: Path, origin: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / ".gitignore").write_text("/custom_nodes/\n/models/\n/input/\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"], ["remote", "add", "origin", origin]):
        git(*words, cwd=folder)
    return folder


def picture(kind: str, texts: dict[str, str]) -> bytes:
    """A picture with texts as ComfyUI and others write them."""
    image, out = Image.open(io.BytesIO(example_picture())), io.BytesIO()
    if kind == "PNG":
        info = PngInfo()
        for number, (name, text) in enumerate(texts.items()):
            info.add_itxt(name, text, zip=True) if number == 0 else info.add_text(name, text, zip=number == 1)
        image.save(out, "PNG", pnginfo=info)
    else:
        exif = Image.Exif()
        for number, (name, text) in enumerate(texts.items()):
            exif[0x0110 - number] = f"{name}:{text}"
        image.save(out, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {"comment": texts["prompt"]}))
    return out.getvalue()


def asking(**inputs: str) -> str:
    return json.dumps({"9": {"class_type": "Else", "inputs": {"text": "hello", **inputs}}})


@pytest.fixture
def install(tmp_path: Path) -> Install:
    root = checkout(tmp_path / "ComfyUI", f"https://me:{PLANTED['remote_url']}@example.com/c.git")
    nodes = root / "custom_nodes"
    query = checkout(nodes / "query", f"https://example.com/q.git?private_token={PLANTED['remote_query']}&x=1")
    (query / ".env").write_text(f"A={PLANTED['env']}")
    (query / ".env.local").write_text(f"A={PLANTED['env']}")
    (nodes / "plain").mkdir()
    (nodes / "plain/__init__.py").write_text("")
    (nodes / "plain/id_rsa").write_text(f"-----BEGIN {'PRIVATE'} KEY-----\n{PLANTED['key_file']}\n")
    (root / "input").mkdir()
    write = {
        "a.png": picture("PNG", {"prompt": asking(by=PLANTED["png"]), "workflow": asking(key=PLANTED["by_name"]),
                                 "parameters": f"a cat, key {PLANTED['png']}"}),
        "b.webp": picture("WEBP", {"prompt": asking(api_key=PLANTED["webp"]), "workflow": asking(x="plain")}),
        "c.jpg": picture("JPEG", {"prompt": asking(x=PLANTED["jpeg"])}),
        "d.txt": f"remember {PLANTED['text_file']}".encode(),
    }  # fmt: skip
    for name, data in write.items():
        (root / "input" / name).write_bytes(data)
    site = tmp_path / "site-packages"
    (site / "x-1.dist-info").mkdir(parents=True)
    (site / "x-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1\n")
    (site / "x-1.dist-info/WHEEL").write_text("Tag: py3-none-any\n")
    url = f"https://u:{PLANTED['direct_url']}@example.com/x.whl?access_token={PLANTED['direct_url']}&b=2"
    direct = {"url": url, "archive_info": {"hashes": {"sha256": "0" * 64}}}
    (site / "x-1.dist-info/direct_url.json").write_text(json.dumps(direct))
    (site / "x-1.dist-info/RECORD").write_text("".join(f"x-1.dist-info/{name},,\n" for name in ("METADATA", "WHEEL")))
    return install_at(root, site_packages=(site,), custom_nodes=(nodes,))


def graphs() -> tuple[dict[str, Any], dict[str, Any]]:
    """The editor graph and the API graph, with a secret in every place that can hold one."""
    by_name, subgraph = PLANTED["by_name"], PLANTED["subgraph"]
    api = {
        "1": {"class_type": "Ask", "inputs": {"image": "a.png", "text": "one", "api_key": by_name},
              "_meta": {"title": f"titled {by_name}"}},
        "2": {"class_type": "Ask", "inputs": {"image": "b.webp", "text": f"use {PLANTED['by_shape']}", "api_key": ""}},
        "5:3": {"class_type": "Ask", "inputs": {"image": "c.jpg", "text": "three", "api_key": subgraph}},
        "4": {"class_type": "Ask", "inputs": {"image": "d.txt", "text": "four", "api_key": "none"}},
    }  # fmt: skip
    mark = {"v": 1, "inputs": {"api_key": {"name": "key", "default": PLANTED["mark"]}, "text": {"name": "text"}}}
    model = {"name": "m", "directory": "vae", "url": f"https://example.com/m?a=1&token={PLANTED['model_query']}"}
    inner = [{"id": 3, "type": "Ask", "widgets_values": {"image": "c.jpg", "text": "three", "api_key": subgraph}}]
    ui = {
        "nodes": [
            {"id": 1, "type": "Ask", "title": f"titled {by_name}", "widgets_values": ["a.png", "one", by_name],
             "properties": {"capsule": mark, "auth_token_comfy_org": PLANTED["property"], "models": [model]}},
            {"id": 2, "type": "Ask", "widgets_values": ["b.webp", f"use {PLANTED['by_shape']}", ""]},
            {"id": 4, "type": "Ask", "widgets_values": ["d.txt", "four", "none"]},
            {"id": 5, "type": "sub"},
            {"id": 6, "type": "MarkdownNote", "widgets_values": [f"## Mine\n`{PLANTED['note']}`\n"]},
        ],
        "links": [],
        "definitions": {"subgraphs": [{"id": "sub", "name": "sub", "nodes": inner, "links": []}]},
        "extra": {"note": f"and {PLANTED['note']}"},
        "version": 0.4,
    }  # fmt: skip
    return ui, api


@pytest.fixture
def capsule(install: Install, monkeypatch: pytest.MonkeyPatch) -> Capsule:
    monkeypatch.setenv("SOME_API_KEY", PLANTED["environment"])
    monkeypatch.setattr(sys, "argv", ["main.py", "--some-api-key", PLANTED["argument"]])
    ui, api = graphs()
    said: list[object] = []
    made = make_capsule(install, ui, api, INFO, name="w", message=f"with {PLANTED['message']}", report=said.append)
    assert found_in(str(said).encode()) == set()
    return made


def everything(data: bytes) -> bytes:
    """`data` with all that is compressed in it: zips, streams of PNG chunks and git patches."""
    out = [data]
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            out += [everything(archive.read(name)) for name in archive.namelist()]
    for start in range(len(data) - 2):
        if data[start] == 0x78 and data[start + 1] in (0x01, 0x5E, 0x9C, 0xDA):
            try:
                out.append(zlib.decompressobj().decompress(data[start:], 10_000_000))
            except zlib.error:
                continue
    return b"\0".join(out)


def found_in(data: bytes) -> set[str]:
    whole = everything(data)
    forms = [whole, whole.replace(b"\0", b"")]
    return {name for name, value in PLANTED.items() if any(value.encode() in form for form in forms)}


def test_the_search_finds_what_is_there(install: Install) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (install.root / "input").iterdir():
            archive.write(path, path.name)
        archive.writestr("graphs", json.dumps([*graphs(), INFO]))
    assert found_in(written.getvalue()) >= {"png", "webp", "jpeg", "text_file", "by_name", "note", "mark", "subgraph"}


def test_no_planted_secret_is_in_the_capsule(capsule: Capsule, tmp_path: Path) -> None:
    write_capsule(capsule, tmp_path / "w.capsule.zip")
    assert found_in((tmp_path / "w.capsule.zip").read_bytes()) == set()
    read = read_capsule(tmp_path / "w.capsule.zip")
    assert found_in(json.dumps(summary(read)).encode()) == set()
    assert read.graph["1"]["inputs"] == {"image": "a.png", "text": "one", "api_key": "${secret:API_KEY}"}
    assert read.graph["2"]["inputs"]["text"] == "use ${secret:HF_TOKEN}"
    assert read.graph["2"]["inputs"]["api_key"] == ""
    assert read.workflow["nodes"][0]["widgets_values"][2] == "${secret:API_KEY}"
    assert read.workflow["nodes"][4]["widgets_values"] == ["## Mine\n`${secret:GITLAB_TOKEN}`\n"]
    assert read.lock.comfyui.origin == "https://example.com/c.git"
    assert next(pack.origin for pack in read.lock.packs if pack.name == "query") == "https://example.com/q.git?x=1"
    assert "https://example.com/x.whl?b=2" in read.pylock
    assert summary(read)["secrets"] == ["API_KEY", "API_KEY_2", "API_KEY_3", "HF_TOKEN"]
    (key,) = [each for each in read.contract.inputs if each.name == "key"]
    assert key.default.startswith("${secret:API_KEY")


def test_each_secret_is_told_of_by_name_and_place(capsule: Capsule) -> None:
    told = {each.subject: each.message for each in capsule.lock.findings if each.code == "secret-replaced"}
    assert "the widget 'api_key' of node 'titled ${secret:API_KEY}' (Ask)" in told["API_KEY"]
    assert "node 2 (Ask)" in told["HF_TOKEN"]
    assert "node 6 (MarkdownNote)" in told["GITLAB_TOKEN"]
    assert "the metadata of inputs/a.png" in told["GITHUB_TOKEN"]
    assert "the message" in told["REPLICATE_TOKEN"]
    left = {each.subject: each.blocks for each in capsule.lock.findings if each.code == "secret-file-left-out"}
    assert left == {"inputs/d.txt": True, "plain": False, "query": False}


def test_pictures_keep_their_pixels_and_the_rest_of_their_texts(capsule: Capsule, install: Install) -> None:
    for item in capsule.lock.inputs:
        before, after = (install.input_dir / item.name).read_bytes(), capsule.read(f"inputs/{item.name}")
        assert pixels(after) == pixels(before)
        assert item.size == len(after)
    png = Image.open(io.BytesIO(capsule.read("inputs/a.png")))
    png.load()
    assert json.loads(png.text["prompt"])["9"]["inputs"] == {"text": "hello", "by": "${secret:GITHUB_TOKEN}"}
    assert png.text["parameters"] == "a cat, key ${secret:GITHUB_TOKEN}"
    webp = Image.open(io.BytesIO(capsule.read("inputs/b.webp"))).getexif()
    assert json.loads(webp[0x0110].removeprefix("prompt:"))["9"]["inputs"]["api_key"].startswith("${secret:API_KEY")
    assert json.loads(webp[0x010F].removeprefix("workflow:"))["9"]["inputs"]["x"] == "plain"
    jpeg = Image.open(io.BytesIO(capsule.read("inputs/c.jpg")))
    assert "${secret:API_KEY" in jpeg.getexif()[0x0110]
    assert b"${secret:API_KEY" in jpeg.info["comment"]


def test_a_capsule_without_secrets_is_the_same_as_ever_and_twice_gives_the_same(install: Install) -> None:
    ui, api = graphs()
    one = make_capsule(install, ui, api, INFO, name="w")
    two = make_capsule(install, ui, api, INFO, name="w")
    assert one.entries() == two.entries()
    again = make_capsule(install, dict(one.workflow), one.graph, one.object_info, name="w")
    assert again.graph == one.graph  # names that are there already are not given to anything else
    clean = {"1": {"class_type": "Ask", "inputs": {"image": "x.png", "text": "a secret garden", "api_key": ""}}}
    info = {"Ask": {"input": {"required": {"api_key": ["STRING", {"default": ""}]}}, "output_node": True}}
    made = make_capsule(install, {"nodes": []}, clean, info, name="w")
    assert made.graph == clean
    assert not [each for each in made.lock.findings if each.code in ("secret-replaced", "secret-carried")]


def test_what_cannot_be_rewritten_is_dropped_or_kept_whole() -> None:
    def hide(text: str) -> str:
        return text.replace("hush", "****")

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "my hush".encode("utf-16-le")
    out = io.BytesIO()
    Image.open(io.BytesIO(example_picture())).save(out, "JPEG", exif=exif)
    cleaned = rewrite_texts(out.getvalue(), hide)
    assert "hush".encode("utf-16-le") not in cleaned
    assert pixels(cleaned) == pixels(out.getvalue())
    whole = picture("PNG", {"a": "hush", "b": "hush", "c": "hush"})
    for size in range(len(whole)):
        rewrite_texts(whole[:size], hide)  # a broken picture is no error
    for data in (b"", b"RIFF", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"text hush"):
        assert rewrite_texts(data, hide) == data
    untouched = picture("WEBP", {"prompt": "x", "workflow": "y"})
    assert rewrite_texts(untouched, hide) == untouched


def test_a_token_in_a_pack_s_local_changes_is_told_of(install: Install) -> None:
    (install.custom_nodes[0] / "query/__init__.py").write_text(f"KEY = '{PLANTED['png']}'\n")
    ui, api = graphs()
    findings = make_capsule(install, ui, api, INFO, name="w").lock.findings
    assert [each.subject for each in findings if each.code == "secret-carried"] == ["packs/query.patch"]


def test_a_token_in_the_middle_of_a_carried_folder_is_told_of(install: Install) -> None:
    plain = install.custom_nodes[0] / "plain"
    for name in ("a.bin", "z.bin"):
        (plain / name).write_bytes(bytes(2 << 20))
    token = "gh" + "p_" + "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8"  # known from nowhere else
    (plain / "keys.py").write_text(f"KEY = '{token}'\n")
    ui, api = graphs()
    findings = make_capsule(install, ui, api, INFO, name="w").lock.findings
    assert [each.subject for each in findings if each.code == "secret-carried"] == ["packs/plain.tar"]
    taken = snapshot_install(install)
    told = [each.subject for each in taken.lock.findings if each.code == "secret-carried"]
    assert told == ["packs/plain.tar"]
    without = taken.with_packs([pack for pack in taken.lock.packs if pack.name != "plain"])
    assert not [each for each in without.lock.findings if each.subject in ("plain", *told)]


def test_a_commit_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, text in (
        ("keys.py", f"KEY = '{PLANTED['png']}'\n"),
        ("same.py", f"KEY = '{PLANTED['png']}'\n"),
        ("a", ""),
    ):
        (tree / name).write_text(text)
    git("init", "--quiet", cwd=tree)
    commit_all(tree, "all")
    committed = {
        name: (said.split()[0], said.split()[2])
        for said, name in (line.split("\t") for line in git("ls-tree", "-r", "HEAD", cwd=tree).splitlines())
    }
    cache = Cache(tmp_path / "answers")
    assert files_with_tokens(tree, committed, cache) == ("keys.py", "same.py")
    monkeypatch.setattr("comfy_capsule.packager.snapshot.trees.bundle.has_token", lambda _: pytest.fail("once more"))
    assert files_with_tokens(tree, committed, cache) == ("keys.py", "same.py")


def test_what_is_refused_is_told_without_the_secret(install: Install) -> None:
    ui, api = graphs()
    ui["nodes"][0]["properties"]["capsule"]["inputs"]["api_key"]["choices"] = ["a"]
    api["1"]["inputs"]["api_key"] = PLANTED["by_name"]
    with pytest.raises(CapsuleError) as refused:
        make_capsule(install, ui, api, INFO, name="w")
    assert found_in(f"{refused.value} {refused.value!r}".encode()) == set()


def test_a_snapshot_alone_holds_none_either(install: Install) -> None:
    taken = snapshot_install(install)
    assert found_in(taken.model_dump_json().encode()) == set()

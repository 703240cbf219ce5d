"""Outputs in a bucket, on a server that speaks S3."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.fake_comfyui import PIXEL, FakeComfyUI
from bench.gateway_here import BLANK, gateway
from bench.pictures import example_picture
from comfy_capsule.packager.comfy import free_port
from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.gateway import Settings
from comfy_capsule.packager.gateway.problems import Problem
from comfy_capsule.packager.gateway.s3 import S3Outputs

SECRET = "a-secret-of-the-bucket"
PLACE = "s3://outputs/of/here"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 client of a server with the bucket ``outputs``; `stop` ends the server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=(port := free_port()), verbose=False)
    server.start()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ):
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/moto-api/reset", method="POST")).close()
    client = boto3.client("s3")
    client.create_bucket(Bucket="outputs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.server = server
    yield client
    server.stop()


def outputs_in(folder: Path, name: str = "a") -> S3Outputs:
    return S3Outputs(PLACE, folder / name, name, seconds=60)


def keys(bucket: Any) -> list[str]:
    return [each["Key"] for each in bucket.list_objects_v2(Bucket="outputs").get("Contents", ())]


async def test_equal_bytes_are_kept_once_and_had_from_everywhere(bucket: Any, tmp_path: Path) -> None:
    ours, other = outputs_in(tmp_path), outputs_in(tmp_path, "b")
    data = b"x" * 3_000_000
    (tmp_path / "file").write_bytes(data)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 65536):
            yield data[start : start + 65536]

    kept = {await ours.put_bytes(data), await ours.put_file(tmp_path / "file"), await ours.put_stream(chunks())}
    ((sha256, size),) = kept
    assert keys(bucket) == [f"of/here/{sha256[:2]}/{sha256}"]
    assert (size, await ours.size()) == (len(data), len(data))
    there = await other.local(sha256)
    assert there is not None
    assert there.read_bytes() == data
    assert await other.local("0" * 64) is None
    assert await other.link("0" * 64, "image/png", "inline") == ""


async def test_what_is_not_wanted_is_removed_and_local_copies_soon(bucket: Any, tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path)
    (first, _), (second, size) = await outputs.put_bytes(b"first"), await outputs.put_bytes(b"second")
    assert await outputs.remove_others({first}, time.time() - 60) == 0, "they are young"
    assert await outputs.remove_others({first}, time.time() + 60) == size
    assert [key.rpartition("/")[2] for key in keys(bucket)] == [first]
    assert await outputs.link(second, "image/png", "inline") == ""


async def test_a_run_gives_a_link_with_type_and_name(bucket: Any, fake: FakeComfyUI, tmp_path: Path) -> None:
    settings = Settings(comfy=fake.url, state=tmp_path / "state", wait=5, s3=PLACE)
    async with gateway(settings) as client:
        execution = await (await client.post(f"{BLANK}?inline=true", json={"color": 3})).json()
        (picture,) = execution["outputs"]["picture"]
        assert picture["data"]
        answer = await client.get(picture["url"], allow_redirects=False)
        assert (answer.status, answer.headers["Cache-Control"]) == (307, "private, no-store")
        link = answer.headers["Location"]
        assert SECRET not in link
        followed = await client.session.get(link)
        assert (followed.status, followed.content_type) == (200, "image/png")
        assert picture["filename"] in followed.headers["Content-Disposition"]
        data = await followed.read()
        assert data.startswith(PIXEL)
        assert len(data) == picture["size"]
        stored = await (await client.post("/files", data=example_picture(8, 8))).json()
        assert (await client.get(f"/files/{stored['id']}", allow_redirects=False)).status == 307


async def test_a_bucket_that_is_away_fails_the_run_and_not_the_gateway(
    bucket: Any, fake: FakeComfyUI, tmp_path: Path
) -> None:
    settings = Settings(comfy=fake.url, state=tmp_path / "state", wait=20, s3=PLACE)
    async with gateway(settings) as client:
        bucket.server.stop()
        answer = await client.post(BLANK, json={})
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (503, "store-failed")
        assert SECRET not in str(problem)
        assert (await client.get("/readyz")).status == 200


@pytest.mark.parametrize(
    "place", ["outputs", "https://outputs/x", "s3:///x", "s3://me:password@outputs/x", "s3://gone/x"]
)
def test_what_is_no_bucket_is_bad_input(bucket: Any, tmp_path: Path, place: str) -> None:
    with pytest.raises(BadInput) as refused:
        S3Outputs(place, tmp_path, "", seconds=60)
    assert refused.value.code == "no-bucket"
    assert "password" not in str(refused.value)


async def test_a_full_or_forbidden_bucket_is_said_so(bucket: Any, tmp_path: Path) -> None:
    outputs = outputs_in(tmp_path)
    bucket.delete_bucket(Bucket="outputs")
    with pytest.raises(Problem) as failed:
        await outputs.put_bytes(b"x")
    assert failed.value.code == "store-failed"

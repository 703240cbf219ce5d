"""The `OutputStore` in a bucket that speaks S3: what is kept goes there, and callers get signed links to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import BadInput
from .blobs import LocalOutputs
from .problems import Problem

_T = TypeVar("_T")
_CACHED = 3600.0  # seconds that a local copy stays, for whoever asks soon
_LOT = 1000  # objects removed by one request, the most that S3 takes
_REMEMBERED = 10_000  # digests that are known to be there


class S3Outputs(LocalOutputs):
    """``PREFIX/ab/abcd…``, by sha256. The local folder holds what comes and goes, and copies for an hour.

    Credentials, region and ``AWS_ENDPOINT_URL`` are found as boto3 finds them.
    """

    def __init__(self, place: str, folder: Path, instance: str, *, seconds: float) -> None:
        """`place`: ``s3://BUCKET/PREFIX``; `seconds`: how long a link is good.

        Raises:
            BadInput: ``no-bucket`` when it is not there or may not be used, or boto3 is not installed.
        """
        super().__init__(folder, instance)
        self._bucket, self._prefix = _parts(place)
        self._seconds = seconds
        self._client = _client(self._bucket)
        self._there: dict[str, None] = {}

    async def put_stream(self, chunks: AsyncIterator[bytes], *, limit: int = 0) -> tuple[str, int]:
        return await self._uploaded(*await super().put_stream(chunks, limit=limit))

    async def put_file(self, path: Path) -> tuple[str, int]:
        return await self._uploaded(*await super().put_file(path))

    async def put_bytes(self, data: bytes) -> tuple[str, int]:
        return await self._uploaded(*await super().put_bytes(data))

    async def _uploaded(self, sha256: str, size: int) -> tuple[str, int]:
        """Also where its bytes are there already: kept anew, they are not removed as old ones."""
        await self._ask(lambda: self._client.upload_file(str(self.path(sha256)), self._bucket, self._key(sha256)))
        self._there[sha256] = None
        while len(self._there) > _REMEMBERED:
            del self._there[next(iter(self._there))]
        return sha256, size

    async def local(self, sha256: str) -> Path | None:
        if (path := await super().local(sha256)) is not None:
            return path
        with self._temporary() as temporary:
            try:
                await self._ask(lambda: self._client.download_file(self._bucket, self._key(sha256), str(temporary)))
                self._keep(temporary, sha256)
            except FileNotFoundError:
                return None
        return self.path(sha256)

    async def link(self, sha256: str, type: str, disposition: str) -> str:
        if sha256 not in self._there:
            try:
                await self._ask(lambda: self._client.head_object(Bucket=self._bucket, Key=self._key(sha256)))
            except FileNotFoundError:
                return ""
            self._there[sha256] = None
        asked = {
            "Bucket": self._bucket, "Key": self._key(sha256), "ResponseContentType": type,
            "ResponseContentDisposition": disposition,
        }  # fmt: skip
        return str(self._client.generate_presigned_url("get_object", Params=asked, ExpiresIn=int(self._seconds)))

    async def size(self) -> int:
        return await self._ask(lambda: sum(each["Size"] for each in self._objects()))

    async def remove_others(self, wanted: Collection[str], before: float) -> int:
        await super().remove_others((), time.time() - _CACHED)

        def work() -> int:
            old = datetime.fromtimestamp(before).astimezone()
            objects = self._objects()
            gone = [
                each for each in objects
                if each["Key"].rpartition("/")[2] not in wanted and each["LastModified"] < old
            ]  # fmt: skip
            for start in range(0, len(gone), _LOT):
                keys = [{"Key": each["Key"]} for each in gone[start : start + _LOT]]
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
            for each in gone:
                self._there.pop(each["Key"].rpartition("/")[2], None)
            return sum(each["Size"] for each in gone)

        return await self._ask(work)

    def _objects(self) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        return (each for page in pages for each in page.get("Contents", ()))

    def _key(self, sha256: str) -> str:
        return f"{self._prefix}{sha256[:2]}/{sha256}"

    async def _ask(self, work: Callable[[], _T]) -> _T:
        """Raises FileNotFoundError where there is no such object, and Problem ``store-failed``."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await asyncio.to_thread(work)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise FileNotFoundError from error
            raise _failed(str(error.response.get("Error", {}).get("Code", "refused"))) from error
        except (Boto3Error, BotoCoreError) as error:
            raise _failed(type(error).__name__) from error


def _failed(reason: str) -> Problem:
    return Problem(
        "store-failed",
        f"The bucket of outputs cannot be used: {reason}.",
        "Try again; whoever runs the gateway looks at the bucket.",
        headers={"Retry-After": "5"},
    )


def _parts(place: str) -> tuple[str, str]:
    parts = urlsplit(place)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc:
        raise BadInput("no-bucket", "The setting 's3' is no place in a bucket.", "As s3://BUCKET/PREFIX.")
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def _client(bucket: str) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise BadInput("no-bucket", "A bucket needs boto3.", "pip install 'comfy-capsule[s3]'") from error
    try:
        client = boto3.client("s3", config=Config(retries={"mode": "standard"}, signature_version="s3v4"))
        client.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise BadInput("no-bucket", f"The bucket {bucket!r} cannot be used: {error}") from error
    return client

"""What a node says of its results is told as what it is: files, texts, and JSON whatever it looks like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from comfy_capsule.packager.contract import Contract, Output
from comfy_capsule.packager.gateway.outputs import Collector, Reference


async def _collected(said: dict[str, Any]) -> tuple[list[tuple[str, Any]], list[Reference]]:
    fetched: list[Reference] = []

    async def fetch(reference: Reference) -> tuple[str, int]:
        fetched.append(reference)
        return "0" * 64, 1

    contract = Contract(name="demo", outputs=(Output(name="data", type="json", nodes=("1",)),))
    collector = Collector(contract, fetch)
    collector.executed("1", said)
    items = (await collector.collect({"outputs": {"1": said}}))["data"]
    return [(item.kind, item.value) for item in items], fetched


@pytest.mark.parametrize("value", [{"filename": "../key.pem", "type": "input"}, "text", [1, {"a": None}], None, 0])
def test_json_comes_back_as_json_and_names_no_file(value: Any) -> None:
    said = {"capsule_json": [value], "text": ["for the editor"]}
    assert asyncio.run(_collected(said)) == ([("json", value)], [])


def test_texts_and_files_of_other_nodes_stay_what_they_are() -> None:
    said = {"text": ["{}"], "files": [{"filename": "a.bin", "subfolder": "", "type": "temp"}], "animated": [True]}
    items, fetched = asyncio.run(_collected(said))
    assert items == [("text", "{}"), ("file", None)]
    assert fetched == [Reference("a.bin", "", "temp")]

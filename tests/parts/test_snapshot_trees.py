"""Source trees of every kind: read as they are, and given back by the capsule byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trees import KINDS, bare, given_back, holds, read


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    place = tmp_path / "ComfyUI/custom_nodes"
    place.mkdir(parents=True)
    return place


@pytest.mark.parametrize(("make", "codes"), KINDS, ids=[make.__name__ for make, _ in KINDS])
def test_every_kind_of_tree_comes_back_to_the_byte(
    nodes: Path, tmp_path: Path, make: Callable[[Path, Path], None], codes: set[str]
) -> None:
    make(nodes / "pack", tmp_path / "aside")
    packs = read(nodes)
    holds(packs, *((code, "pack") for code in codes))
    assert not any(item.blocks for item in packs.findings)
    again = given_back(packs, tmp_path / "back/custom_nodes")
    assert [bare(pack) for pack in again.packs] == [bare(pack) for pack in packs.packs]
    assert again.files.keys() == packs.files.keys()

"""The chain as one test: install → capsule → served, image, restored install → one request each → one picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import demo
from bench.engine import Engine


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)  # the restored install is 5 GB


@pytest.mark.timeout(1800)
def test_the_whole_chain_gives_one_picture(engine: Engine, folder: Path) -> None:
    chain = demo.Demo(folder)
    assert demo.run(chain, engine, "")
    said = dict(chain.rows)
    assert said["outputs identical"] == "yes"
    assert said["compared"] == "served, image, restored"
    assert said["image"].startswith("sha256:")

"""An API graph that ComfyUI could not run is refused before anything else, naming the node."""

from __future__ import annotations

from typing import Any

import pytest

from comfy_capsule.packager.errors import BadInput
from comfy_capsule.packager.workflow import check_api_graph, is_link, missing_classes, node_words
from graphs import INFO, twice


def refused(api: dict[str, Any]) -> BadInput:
    with pytest.raises(BadInput) as caught:
        check_api_graph(api)
    return caught.value


def test_a_whole_graph_passes() -> None:
    _, api = twice()
    check_api_graph(api)
    missing_classes(api, INFO)


def test_a_node_of_a_missing_pack_has_no_class() -> None:
    _, api = twice()
    api["9"] = {"inputs": {"UNKNOWN": 1}, "_meta": {"title": "Magic"}}
    error = refused(api)
    assert error.code == "node-without-class"
    assert "node 9 ('Magic') has no class" in error.message


def test_a_link_to_nowhere_is_named() -> None:
    _, api = twice()
    del api["23"]
    error = refused(api)
    assert error.code == "link-without-node"
    assert "node 11:3 (Sampler)" in error.message
    assert "node 23" in error.message


@pytest.mark.parametrize("api", [{}, {"1": []}, {"1": {"class_type": "A"}}])
def test_what_is_no_graph(api: dict[str, Any]) -> None:
    assert refused(api).code in ("not-an-api-graph", "node-without-inputs")


def test_missing_classes_are_all_named() -> None:
    _, api = twice()
    with pytest.raises(BadInput) as caught:
        missing_classes(api, {name: info for name, info in INFO.items() if name not in ("Blur", "SaveImage")})
    assert caught.value.code == "class-missing"
    for words in ("node 10:4:7 (Blur)", "node 11:4:8 (Blur)", "node 31 ('Large picture', SaveImage)"):
        assert words in caught.value.message


def test_what_comfyui_takes_for_a_link() -> None:
    assert is_link(["10:3", 0])
    assert not is_link(["a", "b"])
    assert not is_link([1, 0])
    assert not is_link({"__value__": ["a", 0]})
    assert node_words({}, "7") == "node 7 (unknown)"

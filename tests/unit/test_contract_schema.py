"""The schemas and the OpenAPI document say what the contract says, and are valid by their own standards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from comfy_capsule.packager.contract import (
    Contract,
    Input,
    Output,
    Target,
    contract_json,
    example_parameters,
    openapi,
    parameters_schema,
    read_contract_json,
    result_schema,
)  # fmt: skip
from comfy_capsule.packager.errors import BadInput

HERE = (Target(node="1", input="x"),)


def an(kind: str, name: str = "it", **more: Any) -> Input:
    return Input(name=name, type=kind, targets=HERE, **more)  # type: ignore[arg-type]


def contract_of(*inputs: Input) -> Contract:
    return Contract(name="demo", inputs=inputs, outputs=(Output(name="picture", type="image", nodes=("9",)),))


EVERYTHING = contract_of(
    an("string", "prompt", default="a cat", max_length=100, required=True, title="Prompt", description="What."),
    an("integer", "width", default=512, minimum=16, maximum=4096, step=8),
    an("number", "cfg", default=7.0, minimum=0.0, maximum=30.0, step=0.1),
    an("boolean", "tiled", default=False),
    an("choice", "sampler", default="euler", choices=("euler", "ddim")),
    an("seed", "seed", default=7, minimum=0, maximum=2**64 - 1),
    an("color", "background", default="#ffffff"),
    an("json", "curve", default=[[0, 1]]),
    an("json", "tags", default=["a"], choices=("a", "b"), multiple=True),
    *(an(kind, kind, default=f"{kind}.bin") for kind in ("image", "mask", "audio", "video", "file")),
)


def accepts(schema: dict[str, Any], value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def test_the_schema_is_valid_and_its_example_fits() -> None:
    schema = parameters_schema(EVERYTHING)
    Draft202012Validator.check_schema(schema)
    example = example_parameters(EVERYTHING)
    assert accepts(schema, example)
    assert schema["required"] == ["prompt"]
    assert not accepts(schema, {**example, "more": 1})
    assert not accepts(schema, {})
    defaults = {name: each["default"] for name, each in schema["properties"].items() if "default" in each}
    assert accepts(schema, defaults)
    assert sorted(set(example) - set(defaults)) == ["seed"]
    json.dumps(schema, allow_nan=False)


@pytest.mark.parametrize(
    ("each", "good", "bad"),
    [
        (an("string", max_length=3), ["", "abc"], ["abcd", 1, None]),
        (an("integer", minimum=1, maximum=9), [1, 9], [0, 10, True, "5", 2.5]),
        (an("integer", minimum=16, step=8, default=32), [16, 24], [17]),
        (an("integer", minimum=1, step=4, default=81), [1, 2, 5], [0]),
        (an("number", minimum=0.5, step=0.1), [0.5, 1, 0.77], [0.4, True, "1"]),
        (an("boolean"), [True, False], [0, 1, "true"]),
        (an("choice", choices=("a", 1)), ["a", 1], ["b", True, None]),
        (an("seed", minimum=0, maximum=2**64 - 1), [0, 2**64 - 1], [-1, 2**64]),
        (an("color"), ["#ff8800", "#FF8800aa"], ["red", "#fff", "#ff8800\n"]),
        (an("json"), [{"a": 1}, [[0, 1]], None, "text"], [["10:3", 0], ["a", True], {"__value__": ["10:3", 0]}]),
        (an("json", choices=("a", "b"), multiple=True), [[], ["a", "b"]], ["a", ["c"]]),
        (
            an("image"),
            [{"data": "aGk="}, {"data": "aGk=", "filename": "a.png"}, {"file": "f1"}, {"url": "https://x.org/a.png"}],
            ["cat.png", {}, {"data": ""}, {"data": "aGk=", "url": "https://x.org"}, {"url": "file:///etc/passwd"}],
        ),
    ],
)
def test_what_each_type_allows(each: Input, good: list[Any], bad: list[Any]) -> None:
    schema = parameters_schema(contract_of(each))
    for value in good:
        assert accepts(schema, {"it": value}), value
    for value in bad:
        assert not accepts(schema, {"it": value}), value


def test_the_results_schema() -> None:
    schema = result_schema(EVERYTHING)
    Draft202012Validator.check_schema(schema)
    item = {"kind": "file", "filename": "a.png", "type": "image/png", "size": 3, "sha256": "0" * 64, "url": "/x"}
    assert accepts(schema, {"picture": [item]})
    assert not accepts(schema, {})
    assert not accepts(schema, {"picture": item})


def test_the_openapi_document_is_valid() -> None:
    empty = Contract(name="no-inputs")
    document = openapi([EVERYTHING, empty], title="Demo", version="abc", servers=["http://127.0.0.1:8000"])
    validate(json.loads(json.dumps(document)))  # type: ignore[arg-type]
    assert document["openapi"].startswith("3.1")
    run = document["paths"]["/workflows/demo"]["post"]
    assert set(run["responses"]) >= {"200", "202", "401", "404", "413", "422", "429", "500", "503"}
    assert set(run["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert "application/problem+json" in run["responses"]["422"]["content"]
    validate(openapi([], title="Empty", version="1", keys=False))  # type: ignore[arg-type]


def test_the_document_has_every_route_of_the_gateway() -> None:
    from comfy_capsule.packager.gateway.routes import routes
    from comfy_capsule.packager.gateway.site import routes as site

    document = openapi([EVERYTHING], title="Demo", version="1")
    told = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    pages = {("GET", path) for path in ("/", "/docs", "/page/{file}")}
    there = {(each.method, each.path) for each in (*routes, *site)} - pages
    each = (("GET", ""), ("POST", ""), ("POST", "/batch"))
    generic = {(method, f"/workflows/{{name}}{more}") for method, more in each}
    concrete = {(method, f"/workflows/demo{more}") for method, more in each}
    assert generic <= there
    assert concrete <= told
    assert told - concrete == there - generic


def test_contract_json_goes_round_and_never_differs() -> None:
    data = contract_json(EVERYTHING)
    assert read_contract_json(json.loads(json.dumps(data))) == EVERYTHING
    assert json.dumps(contract_json(read_contract_json(data))) == json.dumps(data)
    assert data["parameters"] == parameters_schema(EVERYTHING)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([], "contract-unreadable"),
        ({}, "contract-unreadable"),
        ({"format": "1.0", "name": "a", "surprise": 1}, "contract-unreadable"),
        ({"format": "2.0", "name": "a", "surprise": 1}, "contract-too-new"),
    ],
)
def test_contracts_that_cannot_be_read(data: object, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_contract_json(data)
    assert caught.value.code == code

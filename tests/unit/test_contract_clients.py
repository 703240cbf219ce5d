"""Clients made from a contract: valid in their language, whatever a stranger's contract says."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

from comfy_capsule.packager.contract import Contract, Input, Output, Target, client

AT = (Target(node="1", input="x"),)
HOSTILE = 'x""" */ \\" \' \n\r\u2028 import os; @URL@ ${x} `id` $(id)'
CONTRACT = Contract(
    name="to-shout.2",
    inputs=(
        Input(name="class", type="image", required=True, description=HOSTILE, targets=AT),
        Input(name="json", type="choice", choices=(HOSTILE, 1, True), default=1, title=HOSTILE, targets=AT),
        Input(name="many", type="choice", choices=("a", "b"), multiple=True, targets=AT),
        Input(name="steps", type="integer", minimum=1, maximum=9, default=3, targets=AT),
        Input(name="text", type="string", default=HOSTILE, targets=AT),
        Input(name="seed", type="seed", default=7, targets=AT),
    ),
    outputs=(Output(name="picture", type="image", nodes=("2",)),),
)


def functions(text: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def test_python_is_valid_and_typed() -> None:
    text = client(CONTRACT, "python", 'http://x/"""')
    run = functions(text)["run_to_shout_2"]
    arguments = {each.arg: ast.unparse(each.annotation) for each in run.args.kwonlyargs if each.annotation}
    assert list(arguments) == ["class_", "json", "many", "steps", "text", "seed"]  # the required first
    assert arguments["class_"] == "bytes | str | Path"
    assert arguments["json"] == f"Literal[{HOSTILE!r}, 1, True] | None"
    assert arguments["many"] == "list[Literal['a', 'b']] | None"
    assert [default is None for default in run.args.kw_defaults] == [True, False, False, False, False, False]
    assert "steps: 1 to 9. when left out: 3" in (ast.get_docstring(run) or "")
    assert "seed: 0" not in text
    namespace: dict[str, Any] = {"__name__": "client"}
    exec(text, namespace)  # noqa: S102
    assert namespace["URL"] == 'http://x/"""'
    assert namespace["_given"]("steps=4") == ("steps", 4)
    assert namespace["_given"]("class=12") == ("class_", "12")  # a path
    assert namespace["_given"]("text=hello") == ("text", "hello")


def test_without_parameters_it_is_valid_too() -> None:
    text = client(Contract(name="1"), "python")
    assert not functions(text)["run_1"].args.kwonlyargs


def test_curl_is_one_command_that_sends_the_example() -> None:
    words = shlex.split(client(CONTRACT, "curl").replace("\\\n", " "))
    assert words[:5] == ["curl", "-sS", "-X", "POST", "http://127.0.0.1:8288/workflows/to-shout.2"]
    assert "class=@class.png" in words
    part = next(word for word in words if word.startswith("parameters="))
    said = json.loads(part.removeprefix("parameters=").removesuffix(";type=application/json"))
    assert said["text"] == HOSTILE
    plain = client(CONTRACT.model_copy(update={"inputs": CONTRACT.inputs[3:4]}), "curl", "http://h:1/")
    assert shlex.split(plain.replace("\\\n", " "))[-2:] == ["-d", '{"steps": 3}']


def test_typescript_holds_texts_as_literals_and_comments() -> None:
    text = client(CONTRACT, "typescript", "http://x")
    assert "@PATH@" not in text
    assert '(options.url ?? "http://x")' in text
    assert "  class: Blob | { url: string };" in text
    assert f"  json?: {json.dumps(HOSTILE)} | 1 | true;" in text
    assert '  many?: ("a" | "b")[];' in text
    comments = [line for line in text.splitlines() if line.strip().startswith("/**")]
    assert all(line.count("*/") == 1 and line.endswith("*/") for line in comments)

"""A contract → a client that calls it, in a language of the caller's: text to save and use as it is.

Everything that a contract says may be a stranger's: it goes into the text as a literal of the language, or as a comment
from which it cannot get out.
"""

from __future__ import annotations

import json
import keyword
import re
import shlex
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal

from .models import MEDIA_TYPES, Contract, Input
from .schema import example_parameters

Language = Literal["python", "typescript", "curl"]

#: Where `serve` listens when nothing else is said.
DEFAULT_URL = "http://127.0.0.1:8288"

_MARK = re.compile(r"@([A-Z]+)@")
_PYTHON = {
    "string": "str", "integer": "int", "seed": "int", "number": "float", "boolean": "bool", "color": "str",
    "json": "Any", "choice": "Any",
}  # fmt: skip
_TYPESCRIPT = {
    "string": "string", "integer": "number", "seed": "number", "number": "number", "boolean": "boolean",
    "color": "string", "json": "unknown", "choice": "unknown",
}  # fmt: skip


def client(contract: Contract, language: Language, url: str = DEFAULT_URL) -> str:
    """The text of a client of `contract` whose gateway is at `url`."""
    return {"python": _python, "typescript": _typescript, "curl": _curl}[language](contract, url)


def _python(contract: Contract, url: str) -> str:
    arguments = {each.name: _python_name(each.name) for each in contract.inputs}
    ordered = sorted(contract.inputs, key=lambda each: not each.required)
    signature = [f"{arguments[each.name]}: {_python_type(each)}" for each in ordered]
    given = [f"({_python_text(each.name)}, {arguments[each.name]})" for each in contract.inputs]
    doc = [f"    {arguments[each.name]}: {_told(each)}" for each in ordered]
    words = {
        "SIGNATURE": ", ".join(["*", *signature]) if signature else "",
        "GIVEN": ", ".join(given),
        "DOC": "\n".join(["", *(line.replace("\\", "\\\\").replace('"', "'") for line in doc)]) if doc else "",
        "MEDIA": "{" + ", ".join(_python_text(name) for name in _media(contract)) + "}"
        if _media(contract)
        else "set()",
        "NAMES": "{" + ", ".join(f"{_python_text(name)}: {_python_text(to)}" for name, to in arguments.items()) + "}",
        "FUNCTION": "run_" + re.sub(r"\W", "_", contract.name),
        "EXAMPLE": " ".join(f"{name}=…" for name in arguments),
    }
    return _filled("client.py.txt", {**_common(contract, url, _python_text), **words})


def _python_name(name: str) -> str:
    """No keyword."""
    return f"{name}_" if keyword.iskeyword(name) or keyword.issoftkeyword(name) else name


def _python_type(each: Input) -> str:
    if each.type in MEDIA_TYPES:
        kind = "bytes | str | Path"
    elif each.choices:
        kind = f"Literal[{', '.join(map(_python_text, each.choices))}]"
    else:
        kind = _PYTHON[each.type]
    kind = f"list[{kind}]" if each.multiple else kind
    return kind if each.required else f"{kind} | None = None"


def _python_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _typescript(contract: Contract, url: str) -> str:
    parameters = []
    for each in contract.inputs:
        sign = "" if each.required else "?"
        parameters.append(
            f"  /** {_told(each).replace('*/', '* /')} */\n  {each.name}{sign}: {_typescript_type(each)};"
        )
    words = {
        "PARAMETERS": "\n".join(parameters),
        "OUTPUTS": "\n".join(f"  {each.name}: Result[];" for each in contract.outputs),
    }
    return _filled("client.ts.txt", {**_common(contract, url, json.dumps), **words})


def _typescript_type(each: Input) -> str:
    if each.type in MEDIA_TYPES:
        return "Blob | { url: string }"
    kind = " | ".join(map(json.dumps, each.choices)) if each.choices else _TYPESCRIPT[each.type]
    return f"({kind})[]" if each.multiple else kind


def _curl(contract: Contract, url: str) -> str:
    address = f"{url.rstrip('/')}/workflows/{contract.name}"
    example, media = example_parameters(contract), _media(contract)
    plain = json.dumps({name: value for name, value in example.items() if name not in media}, ensure_ascii=False)
    if not media:
        words = ["-H", "Content-Type: application/json", "-d", plain]
    else:
        words = ["-F", f"parameters={plain};type=application/json"]
        words += [word for name in media for word in ("-F", f"{name}=@{name}.{_ENDINGS.get(media[name], 'bin')}")]
    pairs = [" ".join(map(shlex.quote, words[at : at + 2])) for at in range(0, len(words), 2)]
    return " \\\n  ".join([f"curl -sS -X POST {shlex.quote(address)}", *pairs]) + "\n"


_ENDINGS = {"image": "png", "mask": "png", "audio": "flac", "video": "mp4"}


def _media(contract: Contract) -> dict[str, str]:
    return {each.name: each.type for each in contract.inputs if each.type in MEDIA_TYPES}


def _common(contract: Contract, url: str, text: Any) -> dict[str, str]:
    return {"WORKFLOW": contract.name, "URL": text(url), "PATH": text(f"/workflows/{contract.name}")}


def _told(each: Input) -> str:
    """What a person is told of a parameter, in one line."""
    parts = [each.title, each.description]
    if each.minimum is not None or each.maximum is not None:
        ends = ("" if end is None else str(end) for end in (each.minimum, each.maximum))
        parts.append(" to ".join(ends).strip())
    if not each.required and each.default is not None and each.type not in MEDIA_TYPES:
        parts.append(f"when left out: {'drawn' if each.type == 'seed' else each.default}")
    line = ". ".join(" ".join(str(part).split()).rstrip(".") for part in parts if part)
    return "".join(letter for letter in line if letter.isprintable())[:300] or each.type


def _filled(name: str, words: Mapping[str, str]) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return _MARK.sub(lambda found: words.get(found[1], found[0]), text)

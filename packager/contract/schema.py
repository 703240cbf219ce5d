"""Contract → JSON Schema 2020-12: of the parameters that a caller sends, and of the outputs that come back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .models import MEDIA_TYPES, Contract, Input, Output
from .widgets import COLOR

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_MEDIA_WORDS = {
    "image": ("a picture", "image/*"),
    "mask": ("a picture that is read as a mask", "image/*"),
    "audio": ("a sound", "audio/*"),
    "video": ("a video", "video/*"),
    "file": ("a file", "application/octet-stream"),
}
#: Arrays and objects that ComfyUI would take for a link to another node, or unwrap into one.
_NOT_A_LINK: list[Schema] = [
    {
        "not": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "prefixItems": [{"type": "string"}, {"type": ["number", "boolean"]}],
        }
    },
    {"not": {"type": "object", "required": ["__value__"]}},
]


def parameters_schema(contract: Contract) -> Schema:
    """The JSON Schema 2020-12 of the object of parameters. Self-contained: it has no references."""
    schema: Schema = {
        "$schema": DIALECT,
        "title": contract.title or contract.name,
        "type": "object",
        "properties": {each.name: input_schema(each) for each in contract.inputs},
        "additionalProperties": False,
    }
    if contract.description:
        schema["description"] = contract.description
    required = [each.name for each in contract.inputs if each.required]
    if required:
        schema["required"] = required
    return schema


def input_schema(each: Input) -> Schema:
    """The JSON Schema of one parameter.

    Media are objects, see `media_schema`; they and seeds have no ``default``: a media's is the capsule's own
    file, which a caller cannot name, and an omitted seed is drawn.
    """
    schema: Schema = {"title": each.title or each.name}
    schema.update(_TYPES[each.type](each))
    notes = [each.description, schema.pop("note", "")]
    description = " ".join(note for note in notes if note)
    if description:
        schema["description"] = description
    if each.group:
        schema["x-group"] = each.group
    if each.default is not None and each.type != "seed" and each.type not in MEDIA_TYPES:
        schema["default"] = each.default
    return schema


def media_schema(kind: str) -> Schema:
    """The three forms in which a caller gives a file: inline, by upload id, by URL."""
    words, media_type = _MEDIA_WORDS[kind]
    name = {"type": "string", "maxLength": 255, "description": "Its name; the ending tells its format."}
    forms: list[tuple[str, str, Schema, Schema]] = [
        (
            "data",
            "Inline",
            {
                "type": "string",
                "minLength": 1,
                "contentEncoding": "base64",
                "contentMediaType": media_type,
                "description": "The bytes in base64 (RFC 4648, section 4); a data: URL is taken too.",
            },
            {"filename": name},
        ),
        (
            "file",
            "By upload id",
            {"type": "string", "minLength": 1, "description": "The id that POST /files gave."},
            {},
        ),
        (
            "url",
            "By URL",
            {
                "type": "string",
                "format": "uri",
                "pattern": "^https?://",
                "maxLength": 2048,
                "description": "The server fetches it before it answers: by https, unless its owner allows http, "
                "and from public addresses only.",
            },
            {},
        ),
    ]
    return {
        "note": f"Give {words}: inline, by upload id, or by URL.",
        "type": "object",
        "oneOf": [
            {
                "title": title,
                "type": "object",
                "properties": {key: value, **more},
                "required": [key],
                "additionalProperties": False,
            }
            for key, title, value, more in forms
        ],
    }


def result_schema(contract: Contract) -> Schema:
    """The JSON Schema of the outputs of a finished execution: for each output its items, in their order."""
    return {
        "$schema": DIALECT,
        "title": f"Outputs of {contract.title or contract.name}",
        "type": "object",
        "properties": {each.name: output_schema(each) for each in contract.outputs},
        "required": [each.name for each in contract.outputs],
        "additionalProperties": False,
    }


def output_schema(each: Output) -> Schema:
    """The JSON Schema of one output: an array of items, each bytes to fetch, or a text."""
    item: Schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["file", "text", "json"], "description": "A file to fetch, or a value given here."},
            "url": {"type": "string", "format": "uri-reference", "description": "Of files: GET it for the bytes."},
            "filename": {"type": "string"},
            "type": {"type": "string", "description": "The media type."},
            "size": {"type": "integer", "minimum": 0, "description": "Bytes."},
            "sha256": {"type": "string", "description": "Of the bytes, in hex."},
            "data": {
                "type": "string",
                "contentEncoding": "base64",
                "description": "Of small files, when inline=true was asked for: the bytes.",
            },
            "value": {"description": "Of texts and JSON: the value itself."},
        },
        "required": ["kind"],
    }
    described = {"description": each.description} if each.description else {}
    return {"title": each.title or each.name, **described, "type": "array", "items": item}


def example_parameters(contract: Contract) -> dict[str, Any]:
    """A set of parameters that satisfies the schema: the defaults, and something small where there is none."""
    return {
        each.name: _example(each)
        for each in contract.inputs
        if each.required or (each.type not in MEDIA_TYPES and (each.default is not None or each.type == "seed"))
    }


def _example(each: Input) -> Any:
    if each.type in MEDIA_TYPES:
        return {"url": f"https://example.com/{each.name}"}
    if each.default is not None:
        return each.default
    if each.choices:
        return [each.choices[0]] if each.multiple else each.choices[0]
    if each.type in ("integer", "seed", "number"):
        return each.minimum if each.minimum is not None else min(0, each.maximum or 0)
    return {"boolean": False, "color": "#000000", "json": {}}.get(each.type, "")


def _integer(each: Input) -> Schema:
    schema: Schema = {"type": "integer", **_bounds(each)}
    step = each.step
    if not isinstance(step, int) or step <= 1:
        return schema
    # multipleOf counts from 0, the editor from the minimum: say it only where the two agree
    anchors = [value for value in (each.minimum, each.default) if isinstance(value, (int, float))]
    if all(value % step == 0 for value in anchors):
        schema["multipleOf"] = step
    elif each.minimum is not None:
        schema["note"] = f"Steps of {step} from {each.minimum} are usual."
    return schema


def _number(each: Input) -> Schema:
    # no multipleOf: 0.3 is no multiple of 0.1 in the floats that both sides use
    return {"type": "number", **_bounds(each)}


def _seed(each: Input) -> Schema:
    return {"type": "integer", **_bounds(each), "note": "Omitted, one is drawn, and returned."}


def _string(each: Input) -> Schema:
    schema: Schema = {"type": "string"}
    if each.max_length is not None:
        schema["maxLength"] = each.max_length
    return schema


def _choice(each: Input) -> Schema:
    return {"enum": list(each.choices or ())}


def _json(each: Input) -> Schema:
    if each.multiple:
        return {"type": "array", "items": {"enum": list(each.choices or ())}}
    return {} if each.as_text else {"allOf": _NOT_A_LINK}  # a text is no link, whatever it says


def _media(each: Input) -> Schema:
    schema = media_schema(each.type)
    if each.default is not None and not each.required:
        schema["note"] += " Omitted, the workflow's own is used."
    return schema


def _bounds(each: Input) -> Schema:
    found = {"minimum": each.minimum, "maximum": each.maximum}
    return {key: value for key, value in found.items() if value is not None and math.isfinite(value)}


_TYPES: dict[str, Callable[[Input], Schema]] = {
    "integer": _integer,
    "number": _number,
    "seed": _seed,
    "string": _string,
    "boolean": lambda _: {"type": "boolean"},
    "choice": _choice,
    "color": lambda _: {"type": "string", "pattern": COLOR, "note": "As #rrggbb."},
    "json": _json,
    **dict.fromkeys(MEDIA_TYPES, _media),
}

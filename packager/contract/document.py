"""What ``contract.json`` holds: the contract, and the JSON Schema of its parameters beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import BadInput
from .models import Contract
from .schema import parameters_schema


def contract_json(contract: Contract) -> dict[str, Any]:
    """The JSON object of ``contract.json``. Equal contracts give equal objects, whose digest names the contract."""
    data = contract.model_dump(mode="json")
    for each in data["inputs"]:
        for key in [key for key, value in each.items() if value is None]:
            del each[key]
        for target in each["targets"]:
            if target["values"] is None:
                del target["values"]
    return {**data, "parameters": parameters_schema(contract)}


def contract_document(contract: Contract) -> dict[str, Any]:
    """What callers are told of the contract: all but the nodes behind it."""
    return contract.model_dump(
        mode="json",
        exclude={"format": True, "inputs": {"__all__": {"targets", "as_text"}}, "outputs": {"__all__": {"nodes"}}},
    )


def read_contract_json(data: object) -> Contract:
    """The contract in an object that `contract_json` gave; the schema in it is derived anew when it is needed.

    Raises:
        BadInput: ``contract-too-new``, ``contract-unreadable``.
    """
    if not isinstance(data, Mapping):
        raise BadInput("contract-unreadable", "contract.json holds no object.")
    version = str(data.get("format", ""))
    if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) > 1:
        raise BadInput(
            "contract-too-new",
            f"The contract has format {version}, which this Comfy Capsule does not know.",
            "Update Comfy Capsule.",
        )
    try:
        return Contract.model_validate({key: value for key, value in data.items() if key != "parameters"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"contract.json cannot be read: {where}: {first['msg']}."
        raise BadInput("contract-unreadable", message) from error

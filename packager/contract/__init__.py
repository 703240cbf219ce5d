"""The contract: marks → named, typed, bounded inputs and outputs → JSON Schema, OpenAPI, a bound graph."""

from .bind import Binder, Bound, InvalidParameters, Problem, bind, media_inputs
from .build import Built, build_contract, build_with_notes, choice_key
from .clients import DEFAULT_URL, Language, client
from .document import contract_document, contract_json, read_contract_json
from .editor_graph import EditorGraph
from .models import MEDIA_TYPES, Contract, Input, Output, Target
from .openapi import openapi
from .schema import example_parameters, parameters_schema, result_schema
from .spelling import Spellings, spellings
from .versions import ContractChange, ContractDifference, Effect, compare_contracts

__all__ = [
    "DEFAULT_URL",
    "MEDIA_TYPES",
    "Binder",
    "Bound",
    "Built",
    "Contract",
    "ContractChange",
    "ContractDifference",
    "EditorGraph",
    "Effect",
    "Input",
    "InvalidParameters",
    "Language",
    "Output",
    "Problem",
    "Spellings",
    "Target",
    "bind",
    "build_contract",
    "build_with_notes",
    "choice_key",
    "client",
    "compare_contracts",
    "contract_document",
    "contract_json",
    "example_parameters",
    "media_inputs",
    "openapi",
    "parameters_schema",
    "read_contract_json",
    "result_schema",
    "spellings",
]

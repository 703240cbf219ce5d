"""The contract: marks → named, typed, bounded inputs and outputs → JSON Schema, OpenAPI, a bound graph."""

from .models import MEDIA_TYPES, Contract, Input, Output, Target

__all__ = ["MEDIA_TYPES", "Contract", "Input", "Output", "Target"]

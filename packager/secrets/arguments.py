"""Command lines that may be written down: their secrets replaced by names."""

from __future__ import annotations

from collections.abc import Sequence

from .names import is_secret_name, is_trivial, secret_name
from .urls import without_secret_parameters
from .vault import Vault, placeholder


def clean_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """`arguments` with ``${secret:NAME}`` for the values of options such as ``--api-key``, and for known shapes.

    Both ``--api-key VALUE`` and ``--api-key=VALUE`` are understood; so is ``NAME=VALUE``.
    """
    vault = Vault()
    cleaned: list[str] = []
    option = ""  # the option whose value comes next
    for argument in arguments:
        if option and not argument.startswith("--"):
            cleaned.append(argument if is_trivial(argument) else placeholder(secret_name(option)))
            option = ""
            continue
        name, equals, value = argument.partition("=")
        named = is_secret_name(name.lstrip("-")) and "/" not in name
        if named and equals and not is_trivial(value):
            cleaned.append(f"{name}={placeholder(secret_name(name.lstrip('-')))}")
        else:
            cleaned.append(vault.hide(without_secret_parameters(argument), ""))
        option = name.lstrip("-") if named and not equals and argument.startswith("-") else ""
    return tuple(cleaned)

"""Models that a prompt names in its own text: ``embedding:NAME`` and ``<lora:NAME:1.0>``."""

from __future__ import annotations

import re
from collections.abc import Iterator

# After ComfyUI's tokenizer (``comfy/sd1_clip.py`` tokenize_with_weights, 0.30.0): the name goes to the next space or
# bracket that is not escaped, and ends before ``<`` or ``[``. Packs' own parsers take it after other signs too.
_EMBEDDING = re.compile(r"(?<![\w/])embedding:((?:\\[()]|[^\s()<\[])+)")
_WEIGHT = re.compile(r":[-+]?\d*\.?\d*$")
_LORA = re.compile(r"<(?:lora|lyco):([^<>:]+)(?::[^<>]*)?>", re.IGNORECASE)


def embedding_names(text: str) -> Iterator[list[str]]:
    """For each embedding in `text` the names it may mean, the likeliest first: as it stands, without a comma at its
    end, without a weight (``x:1.2``), without signs that follow.
    """
    for found in _EMBEDDING.finditer(text):
        name = re.sub(r"\\([()])", r"\1", found[1])
        plain = name.strip(",")
        names = [name, plain, _WEIGHT.sub("", plain), _WEIGHT.sub("", plain).rstrip(",.;]}\"'")]
        if text[found.end() : found.end() + 1] == ")":
            names = [names[2], *names]  # in brackets what follows the colon is a weight
        kept = list(dict.fromkeys(each for each in names if each))
        if kept:
            yield kept


def lora_names(text: str) -> list[str]:
    """The names in the LoRA tags of `text`, each once."""
    return list(dict.fromkeys(found[1].strip() for found in _LORA.finditer(text)))

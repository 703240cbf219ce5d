"""The proof that a ComfyUI has the captured node classes: it boots, and each signature equals the frozen one.

Runs inside an image while it is built: ``python -m comfy_capsule.packager.proof FROZEN --comfy DIR --python FILE``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .capsule import canonical_json
from .comfy import boot_object_info, find_install
from .errors import CapsuleError
from .workflow import frozen_signature


def compare_classes(frozen: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """``{class: what is wrong}`` for each class of `frozen` that `found` (``/object_info``) lacks or has otherwise."""
    wrong = {}
    for name, wanted in frozen.items():
        if name not in found:
            wrong[name] = "is missing"
            continue
        have = frozen_signature(found[name])
        odd = sorted(
            key for key in {*wanted, *have} if canonical_json(wanted.get(key)) != canonical_json(have.get(key))
        )
        if odd:
            wrong[name] = f"has another {', '.join(odd)}"
    return wrong


def main(words: Sequence[str] | None = None) -> int:
    """Boot, compare, write the proof; the exit status is 1 when it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frozen", type=Path)
    parser.add_argument("--comfy", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    said = parser.parse_args(words)
    frozen = json.loads(said.frozen.read_text(encoding="utf-8"))
    try:
        found = boot_object_info(find_install(said.comfy, said.python))
    except CapsuleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    wrong = compare_classes(frozen, found)
    for name, what in sorted(wrong.items()):
        sys.stderr.write(f"The node class {name} {what}.\n")
    proof = {"node_classes": {name: wrong.get(name, "equal") for name in sorted(frozen)}, "network": "none"}
    said.out.write_text(json.dumps(proof, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

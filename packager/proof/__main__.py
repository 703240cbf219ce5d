"""``python -m comfy_capsule.packager.proof``: one part of the proof, as a step of a build, or all of it in an image."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..capsule import SUFFIX, read_capsule
from ..comfy import Install, find_install
from ..errors import BadInput, CapsuleError
from ..materialise import Derived, derived, fitted, pack_place
from ..restore import Table
from .environment import prove_environment
from .example import run_example
from .parts import DERIVED, PACKS, TREES, write_parts
from .served import prove_graph, prove_models

_PROVE: dict[str, Callable[[Path, Install], Table]] = {
    "environment": prove_environment,
    "models": prove_models,
    "graph": prove_graph,
}


def main(words: Sequence[str] | None = None) -> int:
    """Prove, write what was found, say what differs; the exit status is 1 when something does."""
    said = _parser().parse_args(words)
    try:
        proof = _joined(said) if said.what == "join" else _proved(said)
    except CapsuleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = json.dumps(proof, indent=1, ensure_ascii=False) + "\n"
    if said.out is None:
        sys.stdout.write(text)
        return 0  # whoever reads it sees what differs
    said.out.write_text(text, encoding="utf-8")
    wrong = [item for item in proof["rows"] if not item["equal"]]
    for item in wrong:
        line = f"{item['kind']} {item['subject']}: expected {item['expected']}, found {item['found']}.\n"
        sys.stderr.write(line)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m comfy_capsule.packager.proof", description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    for name in (*_PROVE, "image"):  # the last is the one that runs an example
        command = what.add_parser(name)
        command.add_argument("part", type=Path, help="the part's folder; for `image` the folder of the capsule")
        command.add_argument("--comfy", type=Path, required=True)
        command.add_argument("--python", type=Path, required=True)
        command.add_argument("--out", type=Path, help="where the proof is written; to standard output when not said")
    command.add_argument("--example", action="store_true", help="with `image`: run its example too")
    command = what.add_parser("join", help="the proof from those of its parts")
    command.add_argument("part", type=Path, help="the part `capsule`")
    command.add_argument("proofs", type=Path, nargs="+")
    command.add_argument("--out", type=Path)
    return parser


def _proved(said: argparse.Namespace) -> dict[str, Any]:
    install = find_install(said.comfy, said.python)
    if said.what != "image":
        return _PROVE[said.what](said.part, install).model_dump()
    file = _capsule_in(said.part)
    capsule = read_capsule(file)
    trees = json.loads((said.part / TREES).read_text(encoding="utf-8"))
    whole = all(f"{PACKS}/{pack_place(pack)}" in trees for pack in capsule.lock.packs)
    with tempfile.TemporaryDirectory() as scratch:
        here, changed = fitted(capsule), said.part / DERIVED
        if changed.is_file():
            here = derived(here, Derived.model_validate_json(changed.read_bytes()))
        write_parts(here, trees, "all" if whole else "used", Path(scratch))
        tables = [prove(Path(scratch, name), install) for name, prove in _PROVE.items()]
    if said.example:
        tables.append(run_example(file, said.comfy, said.python))
    return _join(capsule.digests.model_dump(), [table.model_dump() for table in tables])


def _capsule_in(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if len(found) != 1:
        raise BadInput("no-capsule", f"{folder} holds {len(found)} capsules, not one.", "Is this an image of ours?")
    return found[0]


def _joined(said: argparse.Namespace) -> dict[str, Any]:
    digests = json.loads((said.part / "digests.json").read_text(encoding="utf-8"))
    return _join(digests, [json.loads(path.read_text(encoding="utf-8")) for path in said.proofs])


def _join(digests: Mapping[str, str], tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole proof. It holds no time and nothing of the image, so that equal images have equal ones."""
    return {
        "capsule": digests,
        "equal": all(table["equal"] for table in tables),
        "rows": [item for table in tables for item in table["rows"]],
        "unproved": [sentence for table in tables for sentence in table["unproved"]],
    }


if __name__ == "__main__":
    sys.exit(main())

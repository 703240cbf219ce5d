"""The programs that ComfyUI and the packs start, as far as their sources say it: found by reading, nothing is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...cache import Cache
from ...comfy import Install
from .sonames import tables
from .walk import in_comfyui, in_packs, travelling

# What starts or looks up a program, by module.
_CALLS = {
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "os": {"system", "popen", "execvp", "execlp", "execvpe", "execlpe", "spawnvp", "spawnlp", "posix_spawnp"},
    "shutil": {"which"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
# A file without any of these words is not parsed.
_HINT = re.compile(
    rb"subprocess|\b(system|popen|which|exec[lv]pe?|posix_spawnp|spawn[lv]p)\s*\("
    rb"|import\b.*\b(system|popen|which|exec[lv]pe?|posix_spawnp|spawn[lv]p)\b"
)
_LARGEST = 2_000_000  # bytes of a source file that is still parsed
_DEEPEST = 8  # how far a name is followed to the text it stands for


def read_programs(install: Install, cache: Cache) -> dict[str, frozenset[str]]:
    """``{program: the packs that start it, or ComfyUI}``, of the programs that the project's tables know."""
    files = [*in_comfyui(install, _is_source), *in_packs(install, _is_source)]
    known = cache.get("programs", [file.key for file in files])
    fresh = {file.key: " ".join(sorted(programs_in(Path(file.path)))) for file in files if file.key not in known}
    if fresh:
        cache.put("programs", fresh)
    known |= fresh
    wanted = {name.removeprefix("bin/") for name in tables().debian} | set(tables().driver_programs)
    found: dict[str, set[str]] = defaultdict(set)
    for file in travelling(file for file in files if not wanted.isdisjoint(known[file.key].split())):
        if file.name != "install.py":  # what that starts, it starts once, where the pack is installed
            for program in wanted.intersection(known[file.key].split()):
                found[program].add(file.owner)
    return {name: frozenset(owners) for name, owners in found.items()}


def _is_source(name: str) -> bool:
    return name.endswith(".py")


def programs_in(path: Path) -> frozenset[str]:
    """The names of the programs that one source file starts by literal name: ``run(["ffmpeg", …])``.

    A name that was given a literal in the same file is followed: ``tool = "ffmpeg"; args = [tool]; run(args)``.
    """
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return frozenset()
        source = path.read_bytes()
        if not _HINT.search(source):
            return frozenset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pack's escapes, nobody asked
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    calls = _callables(tree)
    values = _values(tree)
    words = (_first_word(node.args[0], values, _DEEPEST) for node in _process_calls(tree, calls) if node.args)
    return frozenset(word for word in words if re.fullmatch(r"[\w.+-]{1,40}", word))


def _callables(tree: ast.AST) -> dict[str, str]:
    """``{name in this file: "subprocess" or "subprocess.run"}`` for what is imported of `_CALLS`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {item.asname or item.name: item.name for item in node.names if item.name in _CALLS}
        elif isinstance(node, ast.ImportFrom) and node.module in _CALLS:
            names |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
    return names


def _process_calls(tree: ast.AST, names: Mapping[str, str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ""
        if isinstance(node.func, ast.Name):
            called = names.get(node.func.id, "")
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            called = f"{names.get(node.func.value.id, '')}.{node.func.attr}"
        module, _, function = called.rpartition(".")
        if function in _CALLS.get(module, ()):
            yield node


def _values(tree: ast.AST) -> dict[str, ast.expr]:
    """What each name of the file was first given; which function it is in does not matter here."""
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    values.setdefault(target.id, node.value)
    return values


def _first_word(node: ast.expr, values: Mapping[str, ast.expr], depth: int) -> str:
    """The program that an argument names: of a list its first item, of a text its first word, without its folder."""
    if depth == 0:
        return ""
    match node:
        case ast.Constant(value=str(text)):
            word = text.split()[0] if text.split() else ""
            return word.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".exe")
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]) | ast.JoinedStr(values=[first, *_]):
            return _first_word(first, values, depth - 1)
        case ast.BinOp(left=left):
            return _first_word(left, values, depth - 1)
        case ast.BoolOp(values=[*options]):  # `shutil.which("ffmpeg") or "ffmpeg"`
            return next((word for item in options if (word := _first_word(item, values, depth - 1))), "")
        case ast.Name(id=name) if name in values:
            return _first_word(values[name], values, depth - 1)
    return ""

"""The house rules that a tired eye misses."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from comfy_capsule.packager import cli

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_over_400_lines() -> None:
    files = tracked("*.py", "*.js", "*.mjs", "*.css", "*.html")
    assert len(files) > 50
    assert [path.name for path in files if len(path.read_text().splitlines()) > 400] == []


def test_every_package_is_in_the_wheel() -> None:
    found = {"comfy_capsule"}
    for top in ("packager", "server_routes", "nodes"):
        found |= {
            ".".join(("comfy_capsule", *path.parent.relative_to(ROOT).parts))
            for path in (ROOT / top).rglob("__init__.py")
        }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_what_comfyui_installs_is_what_the_package_needs() -> None:
    assert (ROOT / "requirements.txt").read_text().splitlines() == PROJECT["project"]["dependencies"]


def test_the_root_imports_nothing_when_it_is_loaded() -> None:
    body = ast.parse((ROOT / "__init__.py").read_text()).body
    imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in imports)


def test_inside_the_package_every_import_of_it_is_relative() -> None:
    for path in tracked("__init__.py", "packager/*.py", "server_routes/*.py", "nodes/*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(from comfy_capsule[.\w]* import|import comfy_capsule)", text, re.MULTILINE), path


IN_COMFYUI = "comfy_capsule.packager.export, comfy_capsule.packager.version_changes"
NOT_IN_COMFYUI = ("click", "rich", "docker", "jsonschema", "playwright", "torch", "folder_paths")


def test_what_runs_inside_comfyui_needs_only_what_is_there() -> None:
    block = f"import sys\nfor name in {NOT_IN_COMFYUI!r}: sys.modules[name] = None\nimport {IN_COMFYUI}"
    subprocess.run([sys.executable, "-c", block], check=True)


def test_the_engine_imports_without_its_heavy_helpers() -> None:
    """The command answers ``--help`` without importing a web server, a database or an engine's client."""
    assert not {"sqlalchemy", "docker", "PIL", "jsonschema"} & loaded_by("commands")


def test_the_gateway_listens_before_what_it_serves_with_is_imported() -> None:
    early = loaded_by("cli", "serve_command", "gateway.settings", "gateway.listener")
    assert not {"aiohttp", "sqlalchemy", "rich", "PIL", "jsonschema", "tomlkit"} & early


def loaded_by(*modules: str) -> set[str]:
    """The names of all modules that importing these parts of the engine imports."""
    code = "import sys, {}; print(*sys.modules)".format(", ".join(f"comfy_capsule.packager.{each}" for each in modules))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


COMMANDS = (
    *("snapshot", "export", "inspect", "contract", "serve", "build", "restore", "verify", "diff", "digests"),
    *("vendor", "versions", "import", "export-as"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(command: str) -> None:
    said = CliRunner().invoke(cli.command, [command, "--help"])
    assert said.exit_code == 0
    assert "Usage:" in said.output
    assert f"comfy-capsule {command}" in (ROOT / "README.md").read_text()


def test_no_registry_address_and_no_machine_path_is_written_down() -> None:
    odd = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|/(work|root|farm)/[a-z]")
    here = Path(__file__)
    for path in tracked():
        if path != here and path.suffix in {".py", ".toml", ".md", ".mjs", ".js", ".json", ".txt", ".sh", ""}:
            assert not odd.search(path.read_text(errors="ignore")), path

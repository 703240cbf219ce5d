"""The command `comfy-capsule`: what it can do, and how it tells what went wrong."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from .errors import BadInput, Cancelled, CapsuleError, of_system

_NAMES = (
    *("snapshot", "export", "inspect", "contract", "serve", "build", "run", "restore", "verify", "diff"),
    *("vendor", "import", "export-as", "models", "versions", "digests"),
)
_APART = {name: f"{name}_command" for name in ("build", "models", "restore", "run", "serve", "vendor", "versions")}
_APART |= {"import": "others_command", "export-as": "others_command"}
_FUNCTIONS = {"import": "import_", "export-as": "export_as"}  # that cannot be called as the command is


class _Commands(click.Group):
    """Each is imported when it is asked for: `serve` shall not wait for what only the others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _NAMES:
            return None
        module = import_module(f"{__package__}.{_APART.get(cmd_name, 'commands')}")
        command: click.Command = getattr(module, _FUNCTIONS.get(cmd_name, cmd_name))
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="comfy-capsule", prog_name="comfy-capsule")
def command() -> None:
    """Seal a ComfyUI workflow with everything it needs; serve it, build its image, restore its ComfyUI.

    Exit status: 0 done and equal, 1 failed or different, 2 bad input or usage, 3 findings that block, 130 cancelled.
    """


def _tell(error: CapsuleError) -> None:
    from . import terminal

    terminal.show_error(error, "--json" in sys.argv[1:])


def main() -> None:
    """Run the command; every error is one sentence and an exit status."""
    try:
        sys.exit(command.main(standalone_mode=False) or 0)
    except CapsuleError as error:
        _tell(error)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        _tell(BadInput("bad-usage", error.format_message(), "See comfy-capsule --help."))
        sys.exit(BadInput.exit_status)
    except OSError as error:
        failed = of_system(error)
        _tell(failed)
        sys.exit(failed.exit_status)
    except (click.Abort, KeyboardInterrupt):
        _tell(Cancelled())
        sys.exit(Cancelled.exit_status)


if __name__ == "__main__":
    main()

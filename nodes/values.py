"""What API nodes are given, looked at: JSON as RFC 8259 has it, and files below ComfyUI's folders. No ComfyUI here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..packager.strict_json import loads


def read_json(text: str) -> object:
    """The value that `text` says.

    Raises:
        ValueError: one sentence that tells where it ends to be JSON, and nothing of the text, which may be a secret.
    """
    try:
        return loads(text)
    except RecursionError:
        raise ValueError("The text is no JSON that can be read: it is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"The text is no JSON: {error}.") from None


def as_json(value: object) -> object:
    """`value` as it comes out of JSON again: tuples are arrays, keys are texts.

    Raises:
        ValueError: one sentence, when JSON cannot say it.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except TypeError as error:
        raise ValueError(f"The value is nothing that JSON can say: {error}.") from None
    except RecursionError:
        raise ValueError("The value is nothing that JSON can say: it is nested too deeply.") from None
    except ValueError as error:  # not finite, or inside itself
        raise ValueError(f"The value is nothing that JSON can say: {error}.") from None


def find_below(folders: Mapping[str, str], path: object) -> tuple[str, str, str]:
    """Which file below one of `folders` is meant by `path`: absolute, or as it is called in the first that has it.

    Args:
        folders: by their type (``output``, ``temp``).

    Returns:
        file name, subfolder with ``/``, type: as ComfyUI names a result. Links are followed, so that what is checked
        is what will be read.

    Raises:
        ValueError: one sentence, for what is no such file.
    """
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"The path of an output file is a text; this is {type(path).__name__} {path!r:.60}.")
    among = " or ".join(folders)
    below = False
    for kind, folder in folders.items():
        root = Path(folder).resolve()
        file = (root / path).resolve()
        if not file.is_relative_to(root):
            continue
        if file.is_file():
            subfolder = file.parent.relative_to(root).as_posix()
            return file.name, "" if subfolder == "." else subfolder, kind
        below = True
    if below:
        raise ValueError(f"There is no file {path!r} in ComfyUI's {among} folder.")
    raise ValueError(f"The file {path!r} is outside ComfyUI's {among} folder, and the API gives back no such file.")

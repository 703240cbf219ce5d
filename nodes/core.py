"""ComfyUI's own nodes and folders, asked when an API node runs: nothing of them is imported when the pack loads."""

from __future__ import annotations

from typing import Any


def core_node(name: str) -> Any:
    """ComfyUI's own node class `name`.

    Raises:
        RuntimeError: one sentence, where ComfyUI could not load it.
    """
    import nodes  # ComfyUI's own, of this name

    found = nodes.NODE_CLASS_MAPPINGS.get(name)
    if found is None:
        raise RuntimeError(f"This ComfyUI has no node {name}, which this one works with; its log tells why.")
    return found


def file_path(name: str) -> str:
    """The absolute path of a file in the input folder. ValueError for a name that leads out of it."""
    import folder_paths

    return folder_paths.get_annotated_filepath(name)


def is_there(what: str, name: str | None) -> bool | str:
    """Whether the file is in the input folder, or a sentence. A link's value is not known before a run: None."""
    import folder_paths

    return name is None or folder_paths.exists_annotated_filepath(name) or f"There is no {what} file {name!r} here."


def result_folders() -> dict[str, str]:
    """The folders of results, by the names that ComfyUI has for them."""
    import folder_paths

    return {"output": folder_paths.get_output_directory(), "temp": folder_paths.get_temp_directory()}

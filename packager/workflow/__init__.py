"""Graphs: reading them from files, checking them, what they use, and which marks they bear."""

from .check import check_api_graph, is_link, missing_classes, node_words
from .definitions import Definition, definition_of
from .read import WorkflowFile, is_api_graph, is_ui_graph, read_workflow_file
from .uses import FileChoice, file_choices, input_files, used_classes

__all__ = [
    "Definition",
    "FileChoice",
    "WorkflowFile",
    "check_api_graph",
    "definition_of",
    "file_choices",
    "input_files",
    "is_api_graph",
    "is_link",
    "is_ui_graph",
    "missing_classes",
    "node_words",
    "read_workflow_file",
    "used_classes",
]

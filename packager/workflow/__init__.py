"""Graphs: reading them from files, checking them, what they use, and which marks they bear."""

from .api_nodes import API_INPUTS, API_OUTPUTS, with_api_nodes
from .check import check_api_graph, is_link, missing_classes, node_words
from .definitions import Definition, definition_of
from .layout import Layout, arranged, read_layout
from .marks import InputMark, InputSettings, Marks, OutputMark, OutputSettings, find_marks, unique_name
from .mentions import Mention, mentions
from .read import WorkflowFile, is_api_graph, is_ui_graph, read_workflow_file
from .signatures import MARKER, frozen_signature, frozen_signatures
from .uses import FileChoice, file_choices, input_files, produced_files, used_classes
from .walk import is_group_node

__all__ = [
    "API_INPUTS",
    "API_OUTPUTS",
    "MARKER",
    "Definition",
    "FileChoice",
    "InputMark",
    "InputSettings",
    "Layout",
    "Marks",
    "Mention",
    "OutputMark",
    "OutputSettings",
    "WorkflowFile",
    "arranged",
    "check_api_graph",
    "definition_of",
    "file_choices",
    "find_marks",
    "frozen_signature",
    "frozen_signatures",
    "input_files",
    "is_api_graph",
    "is_group_node",
    "is_link",
    "is_ui_graph",
    "mentions",
    "missing_classes",
    "node_words",
    "produced_files",
    "read_layout",
    "read_workflow_file",
    "unique_name",
    "used_classes",
    "with_api_nodes",
]

"""The page at ``/``: what is served here, and where its description is."""

from __future__ import annotations

from html import escape

from ..contract import Input
from .service import Service
from .workflow import Workflow

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}"
    "code{font-size:.9em}"
)


def page(service: Service, *, known: bool) -> str:
    """The HTML; of the workflows only for who may see them."""
    state = f"Not ready: {escape(service.not_ready)}" if service.not_ready else "Ready."
    shown = "".join(_workflow(each) for each in service.workflows.values())
    if not known:
        shown = "<p>An API key is needed to see and run the workflows.</p>"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Comfy Capsule</title><style>{_STYLE}</style><h1>Comfy Capsule</h1><p>{state}</p>{shown}"
        "<p><a href='/openapi.json'>openapi.json</a> describes the whole API.</p></html>"
    )


def _workflow(workflow: Workflow) -> str:
    contract = workflow.contract
    rows = "".join(_row(each) for each in contract.inputs)
    outputs = ", ".join(f"<code>{escape(each.name)}</code> ({each.type})" for each in contract.outputs)
    return (
        f"<h2>{escape(contract.title or contract.name)}</h2><p>{escape(contract.description)}</p>"
        f"<p><code>POST /workflows/{escape(contract.name)}</code></p>"
        f"<table><tr><th>parameter<th>type<th>default</tr>{rows}</table><p>Gives {outputs or 'nothing'}.</p>"
    )


def _row(each: Input) -> str:
    default = "required" if each.required else "drawn" if each.type == "seed" else str(each.default)
    return f"<tr><td><code>{escape(each.name)}</code><td>{each.type}<td>{escape(default[:80])}</tr>"

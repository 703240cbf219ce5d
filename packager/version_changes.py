"""Two kept versions, compared: what changes for callers, what in the environment, and whether the graph is the same."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from .contract import ContractDifference, compare_contracts
from .difference import Change, Side, differences
from .versions import Kept, Version


class Comparison(BaseModel):
    """What changed from `before` to `after`.

    Attributes:
        contract: for callers; environment: in what a restore gives back, with the findings.
        graph: whether the API graph is another one; layout: whether only the editor's graph is.
    """

    model_config = ConfigDict(frozen=True)

    before: Version
    after: Version
    contract: ContractDifference
    environment: tuple[Change, ...]
    graph: bool
    layout: bool

    @property
    def equal(self) -> bool:
        """Whether nothing changed."""
        return not (self.contract.changes or self.environment or self.graph or self.layout)


def compare_versions(before: Kept, after: Kept) -> Comparison:
    """What changed from `before` to `after`, which may be of two workflows."""
    sides = (Side(each.lock, each.pylock, True) for each in (before, after))
    graph = before.graph != after.graph
    return Comparison(
        before=before.version,
        after=after.version,
        contract=compare_contracts(before.contract, after.contract),
        environment=differences(*sides),
        graph=graph,
        layout=not graph and before.workflow != after.workflow,
    )

"""The answer of a comparison: one row a thing, what was expected, what was found, whether they are equal."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, computed_field


class Row(BaseModel):
    """One thing compared. `kind` groups rows: platform, comfyui, system, pack, python, model, input, node,
    import, graph, example, digest."""

    model_config = ConfigDict(frozen=True)

    kind: str
    subject: str
    expected: str
    found: str
    equal: bool


class Kept(BaseModel):
    """What may be there beside the capsule's: packs by their place under ``custom_nodes``, distributions by name."""

    model_config = ConfigDict(frozen=True)

    packs: frozenset[str] = frozenset()
    distributions: frozenset[str] = frozenset()


class Table(BaseModel):
    """All rows, and what could not be proved: a sentence each. What is unproved counts neither way."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[Row, ...]
    unproved: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def equal(self) -> bool:
        """Whether every row is."""
        return all(row.equal for row in self.rows)

    @property
    def differing(self) -> tuple[Row, ...]:
        """The rows that are not equal."""
        return tuple(row for row in self.rows if not row.equal)

    @property
    def sentence(self) -> str:
        """The verdict, with what is unproved."""
        wrong = len(self.differing)
        verdict = f"{wrong} of {len(self.rows)} differ." if wrong else f"All {len(self.rows)} are equal."
        return " ".join([verdict, *self.unproved])


def row(kind: str, subject: str, expected: str, found: str, equal: bool | None = None) -> Row:
    """A row; equal when both sides read the same, unless the caller knows better."""
    same = expected == found if equal is None else equal
    return Row(kind=kind, subject=subject, expected=expected, found=found, equal=same)

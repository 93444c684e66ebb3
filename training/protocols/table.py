"""A table of results that says how it was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of figures under one protocol.

    Attributes:
        protocol: short name, such as "Human3.6M VP, CPN".
        how: what stands behind the figures: data, alignment, weighting, units.
        rows: figures by name, by what they are of (an action, a source); equal names in each.
    """

    protocol: str
    how: str
    first: str
    rows: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table under its protocol; every column carries the protocol's name."""
        columns = list(next(iter(self.rows.values())))
        lines = [f"**{self.protocol}.** {self.how}", ""]
        lines += [f"| {self.first} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in self.rows.items():
            lines.append(f"| {name} | " + " | ".join(figure(row[c]) for c in columns) + " |")
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: each figure with the protocol that it was measured by."""
        rows = {n: {k: {"value": v, "protocol": self.protocol} for k, v in r.items()} for n, r in self.rows.items()}
        return {"protocol": self.protocol, "how": self.how, **self.facts, "rows": rows}


def figure(x: float) -> str:
    """Three or four digits."""
    return f"{x:.2f}" if abs(x) < 10 else f"{x:.1f}"


def as_json(tables: list[Table]) -> str:
    return json.dumps([t.to_dict() for t in tables], indent=1)

"""The description of the lifter's settings that Blender's panel is made from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from lifter.describe_settings import describe, describe_settings

SHIPPED = Path(__file__).parents[2] / "blender_addon" / "lifter_settings.json"


def test_shipped_description_is_that_of_the_dataclass() -> None:
    """After a change of SolveSettings: python -m lifter.describe_settings > blender_addon/lifter_settings.json"""
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == describe()


@dataclass(frozen=True)
class Later:
    """Settings of every kind.

    Attributes:
        lock: Hold the feet.
        tries: How often; a text
            that goes on.
        depth: Of the floor.
        mode: Which one.
    """

    lock: bool = True
    tries: int = field(default=3, metadata={"range": (1, 9)})
    depth: float | None = field(default=None, metadata={"unit": "m", "label": "Floor"})
    mode: Literal["auto", "never"] = "auto"


def test_every_kind_of_setting() -> None:
    assert describe_settings(Later) == [
        {"name": "lock", "label": "Lock", "kind": "bool", "default": True, "text": "Hold the feet"},
        {
            "name": "tries",
            "label": "Tries",
            "kind": "int",
            "default": 3,
            "text": "How often; a text that goes on",
            "range": [1, 9],
        },
        {
            "name": "depth",
            "label": "Floor",
            "kind": "float",
            "default": None,
            "text": "Of the floor",
            "optional": True,
            "unit": "m",
        },
        {
            "name": "mode",
            "label": "Mode",
            "kind": "choice",
            "default": "auto",
            "text": "Which one",
            "choices": ["auto", "never"],
        },
    ]


def test_a_setting_without_a_text_is_refused() -> None:
    @dataclass(frozen=True)
    class Silent:
        """Nothing."""

        depth: float = 1.0

    with pytest.raises(TypeError, match="depth"):
        describe_settings(Silent)
